"""What the benchmarks share: a place on the disk, figures of processes, a table."""

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@contextmanager
def disk() -> Iterator[Path]:
    """Make a folder on the machine's disk: the sandbox's own folders are in memory."""
    folder = Path(tempfile.mkdtemp(prefix="sftp-mfa-benchmark-", dir="/"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def cpu_seconds(pid: int) -> float:
    """Return what a process, and the children that it has waited for, have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / _TICK


def megabytes(pid: int) -> float:
    """Return the memory of a process: its own, and its part of what it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("Pss:")]
    return int(kilobytes) / 1024


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    lower, median, upper = statistics.quantiles(values, n=4)
    return lower, median, upper


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns, the first one to the left."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        first, *others = (
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *others]))  # noqa: T201
