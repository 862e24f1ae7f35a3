"""One large file and many small ones, up and down, beside OpenSSH's sftp on the same sshd.

README.md, beside this file, tells how to run it and what it measures.
"""

import argparse
import filecmp
import os
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path += [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "logins")]

from benchmarks.common import print_table
from harness.accounts import Account, Accounts
from harness.clients.openssh import strict_options
from harness.sandbox import command
from harness.sshd import Sshd
from hosts import Hosts, give_key

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTE = 1_000_000
SMALL = 1_000
DIRECTIONS = ("put", "get")


@dataclass
class Measured:
    """How long it took, and the client's own time in the processor."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def run(argv: list[str], given: str = "") -> tuple[float, float]:
    """Run a client to its end; return wall and processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(argv, input=given, text=True, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used


class Bench:
    """A host, an account with a key, and what is moved."""

    def __init__(self, sshd: Sshd, account: Account, folder: Path, size: int, count: int) -> None:
        """Make the files here and there."""
        self.sshd = sshd
        self.account = account
        self.here = folder / "here"
        self.key = give_key(account, folder / "keys")[1]
        self.config = folder / "config"
        self.config.write_text(f"UserKnownHostsFile {sshd.known_hosts}\nIdentityFile {self.key}\n")
        for place in (self.here, account.home):
            place.mkdir(exist_ok=True)
            with (place / "large").open("wb") as file:
                for _ in range(size):
                    file.write(secrets.token_bytes(MEGABYTE))
            (place / "small").mkdir()
            for number in range(count):
                (place / "small" / f"{number:06}").write_bytes(secrets.token_bytes(SMALL))
        subprocess.run(["chown", "-R", f"{account.name}:", account.home], check=True)

    def openssh(self, direction: str, name: str) -> tuple[float, float]:
        """Move it by sftp's batch mode."""
        flags = [] if name == "large" else ["-r"]
        options = strict_options(self.sshd, "publickey")
        argv = ["sftp", "-q", *options, "-i", self.key, f"-oPort={self.sshd.port}", "-b", "-"]
        source, target = self.paths(direction, name)
        line = " ".join([direction, *flags, source, target])
        return run([*argv, f"{self.account.name}@{self.sshd.host}"], f"{line}\n")

    def ours(self, direction: str, name: str) -> tuple[float, float]:
        """Move it by sftp-mfa-cli."""
        flags = ["-q", "-F", str(self.config)] + ([] if name == "large" else ["-r"])
        server = f"{self.account.name}@{self.sshd.host}:{self.sshd.port}"
        return run(
            [command("sftp-mfa-cli"), direction, *flags, server, *self.paths(direction, name)]
        )

    def paths(self, direction: str, name: str) -> tuple[str, str]:
        """Say where from and where to."""
        if direction == "put":
            return str(self.here / name), f"copy-{name}"
        return name, str(self.here / f"copy-{name}")

    def forget_copies(self, name: str, *, check: bool) -> None:
        """Compare what was moved, and remove it."""
        for source, folder in ((self.here, self.account.home), (self.account.home, self.here)):
            copy = folder / f"copy-{name}"
            if not copy.exists():
                continue
            if check:
                require_same(source / name, copy)
            shutil.rmtree(copy) if copy.is_dir() else copy.unlink()


def require_same(source: Path, copy: Path) -> None:
    """Raise unless the copy is complete."""
    if source.is_dir():
        names = sorted(os.listdir(source))  # noqa: PTH208 - names are what is compared
        _, different, failed = filecmp.cmpfiles(source, copy, names, shallow=False)
        assert not different
        assert not failed
    else:
        assert filecmp.cmp(source, copy, shallow=False)


def main() -> None:
    """Measure in turn, several rounds, and print medians with their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--files", type=int, default=10_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    hosts, accounts = Hosts(folder), Accounts()
    try:
        sshd = hosts.make().sshd
        bench = Bench(sshd, accounts.make(), folder, options.megabytes, options.files)
        report(measure(bench, options.rounds))
    finally:
        hosts.close()
        accounts.forget_all()
        shutil.rmtree(folder)


def measure(bench: Bench, rounds: int) -> dict[tuple[str, str], dict[str, Measured]]:
    """Run both clients in turn."""
    clients: dict[str, Callable[[str, str], tuple[float, float]]] = {
        "sftp": bench.openssh,
        "sftp-mfa-cli": bench.ours,
    }
    found: dict[tuple[str, str], dict[str, Measured]] = {}
    for name in ("large", "small"):
        for direction in DIRECTIONS:
            both = found[name, direction] = {client: Measured() for client in clients}
            for _ in range(rounds):
                for client, move in clients.items():
                    if client == "sftp" and name == "small" and direction == "put":
                        (bench.account.home / "copy-small").mkdir()
                        os.chown(
                            bench.account.home / "copy-small", bench.account.uid, bench.account.uid
                        )
                    wall, cpu = move(direction, name)
                    both[client].wall.append(wall)
                    both[client].cpu.append(cpu)
                    bench.forget_copies(name, check=client != "sftp")
    return found


def report(found: dict[tuple[str, str], dict[str, Measured]]) -> None:
    """Print it."""
    head = ("what", "sftp s", "sftp-mfa-cli s", "ratio", "sftp CPU s", "sftp-mfa-cli CPU s")
    rows = []
    for (name, direction), both in found.items():
        theirs, ours = both["sftp"], both["sftp-mfa-cli"]
        wall = [statistics.median(each.wall) for each in (theirs, ours)]
        cpu = [statistics.median(each.cpu) for each in (theirs, ours)]
        figures = (*wall, wall[1] / wall[0], *cpu)
        rows.append([f"{direction} {name}", *(f"{figure:.2f}" for figure in figures)])
    print_table(head, rows)
    print(f"load at the end: {os.getloadavg()[0]:.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
