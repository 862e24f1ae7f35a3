"""Whole conversations over the helper's socket, without sshd, against bare commits of sqlite3.

README.md, beside this file, tells how to run it and what it measures.
"""

import argparse
import itertools
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.common import cpu_seconds, disk, print_table
from harness.installation import Device, Installation

from store import otp
from store.clock import system_clock

BUDGET = 0.4
PASSWORD = "right-or-wrong"
ROUNDS = 3


def make_accounts(count: int) -> list[str]:
    """Make names that NSS knows; nobody logs in as one of them but over the socket."""
    names = [f"bench{number:06d}" for number in range(count)]
    with Path("/etc/passwd").open("a") as passwd:
        passwd.writelines(f"{name}:x:65534:65534::/nonexistent:/bin/false\n" for name in names)
    return names


def bare_commits(file: Path, seconds: float) -> float:
    """Return how many rows a second sqlite3 commits one by one, each durably."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, value TEXT)")
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO rows (value) VALUES (?)", (f"a row, number {count}",))
            connection.execute("COMMIT")
            count += 1
        return count / (time.perf_counter() - started)


class Codes:
    """Gives lines for the relays, each with a code that was not used."""

    def __init__(self, installation: Installation, names: list[str]) -> None:
        """Enroll everybody."""
        self._devices = {name: installation.enroll(name) for name in names}
        self._last = otp.step_at(system_clock()) - 1

    def lines(self, count: int) -> Iterator[str]:
        """Give a line for each of so many accounts; wait for the next time step if need be."""
        while otp.step_at(system_clock()) + 1 <= self._last:
            time.sleep(0.2)
        self._last = max(self._last + 1, otp.step_at(system_clock()))
        for name, device in itertools.islice(self._devices.items(), count):
            yield f"{name} {PASSWORD} {code_of(device, self._last)}\n"


def code_of(device: Device, step: int) -> str:
    """Return the code of a step."""
    return otp.code_at(device.secret, step)


def relays(program: Path, installation: Installation, threads: int, lines: list[str]) -> float:
    """Have all conversations, and return the seconds that they took."""
    ended = subprocess.run(
        [program, installation.socket, str(threads)],
        input="".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    granted, seconds = ended.stdout.split()
    assert int(granted) == len(lines), f"{granted} of {len(lines)} granted"
    return float(seconds)


def build(folder: Path) -> Path:
    """Compile the client."""
    program = folder / "relays"
    source = Path(__file__).with_name("relays.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-pthread", "-o", program, source], check=True)
    return program


def measure(folder: Path, accounts: int, threads: list[int]) -> list[list[str]]:
    """Run the relays and the bare commits in turn, and return a row for each number of threads."""
    program = build(folder)
    installation = Installation(fresh=True, disk=folder)
    helper = installation.start()
    codes = Codes(installation, make_accounts(accounts))
    rows = []
    try:
        for wanted in threads:
            rates, bare, cpu = [], [], []
            for _ in range(ROUNDS):
                bare.append(bare_commits(folder / "bare.db", 1))
                lines = list(codes.lines(accounts))
                before = cpu_seconds(helper.pid)
                rates.append(accounts / relays(program, installation, wanted, lines))
                cpu.append((cpu_seconds(helper.pid) - before) / accounts)
            rows.append(row(wanted, *map(statistics.median, (rates, bare, cpu))))
    finally:
        installation.close()
    return rows


def row(threads: int, rate: float, bare: float, cpu: float) -> list[str]:
    """Format a row."""
    figures = [f"{rate:.0f}", f"{bare:.0f}", f"{rate / bare:.2f}", f"{BUDGET}", f"{1000 * cpu:.2f}"]
    return [str(threads), *figures]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 8, 32])
    options = parser.parse_args()
    with disk() as folder:
        rows = measure(folder, options.accounts, options.threads)
    head = [
        "at once",
        "checks a second",
        "bare commits",
        "ratio",
        "budget",
        "helper's CPU ms a check",
    ]
    print_table(head, rows)


if __name__ == "__main__":
    main()
