"""What came of each file: for people, for programs, and as the exit code."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.transfer.errors import Exit, TransferError
from scripts.transfer.progress import Progress, Silent


@dataclass(slots=True)
class Results:
    """Collects them; one line of JSON each, or messages on standard error."""

    as_json: bool
    is_quiet: bool
    progress: Progress | Silent
    done: int = 0
    skipped: int = 0
    failed: int = 0
    moved: int = 0
    """Bytes."""
    code: Exit = Exit.DONE
    _started: float = field(default_factory=time.monotonic)

    def succeed(
        self, action: str, source: bytes, target: bytes, size: int, resumed_at: int = 0
    ) -> None:
        """Tell of a file that is there now; `resumed_at` bytes of it were there before."""
        self.done += 1
        self.moved += size - resumed_at
        more = {"bytes": size, "resumedAt": resumed_at}
        self._line(action, source, target, "done", more)

    def skip(self, action: str, source: bytes, target: bytes, why: str) -> None:
        """Tell of a file that was left out on purpose."""
        self.skipped += 1
        self._line(action, source, target, "skipped", {"reason": why})

    def fail(self, action: str, source: bytes, target: bytes, error: TransferError) -> None:
        """Tell of a file that could not be done; the first failure decides the exit code."""
        self.failed += 1
        self.code = self.code or error.code
        why = {"reason": str(error), "code": error.code.value}
        self._line(action, source, target, "failed", why)
        if not self.as_json:
            self.progress.say(f"error: {error}")

    def note(self, text: str) -> None:
        """Tell a person what happens besides."""
        if not self.as_json and not self.is_quiet:
            self.progress.say(text)

    def finish(self) -> None:
        """Sum up."""
        self.progress.close()
        seconds = time.monotonic() - self._started
        if self.as_json:
            counts = {"done": self.done, "skipped": self.skipped, "failed": self.failed}
            times = {"bytes": self.moved, "seconds": round(seconds, 3)}
            print_json({"summary": {**counts, **times, "code": self.code.value}})
        elif not self.is_quiet:
            size = readable(self.moved)
            rate = readable(int(self.moved / max(seconds, 0.001)))
            more = [f"{count} {what}" for count, what in self._others() if count]
            line = [f"{self.done} {'file' if self.done == 1 else 'files'}", *more]
            self.progress.say(f"{', '.join(line)}: {size} in {seconds:.1f} s ({rate}/s)")

    def _others(self) -> list[tuple[int, str]]:
        return [(self.skipped, "skipped"), (self.failed, "failed")]

    def _line(
        self, action: str, source: bytes, target: bytes, status: str, more: Mapping[str, object]
    ) -> None:
        if self.as_json:
            paths = {"source": plain(source), "target": plain(target)}
            print_json({"action": action, **paths, "status": status, **more})


def plain(name: bytes) -> str:
    """Give a name for JSON; a byte that is not UTF-8 becomes \\xNN."""
    return name.decode("utf-8", errors="backslashreplace")


def print_json(value: object) -> None:
    """Print one object on one line."""
    sys.stdout.write(json.dumps(value) + "\n")


def complain(error: TransferError) -> None:
    """Tell of what ended everything."""
    sys.stderr.write(f"error: {error}\n")


def readable(size: int) -> str:
    """Give a size as a person reads it."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004 - SI
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
