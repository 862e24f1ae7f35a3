"""What a login costs the helper of this checkout, and that of another one, by turns.

README.md, beside this file, tells how to run it and what it measures.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

from benchmarks.code_checks import PASSWORD, Codes, make_accounts
from benchmarks.common import disk, print_table
from harness.installation import Installation
from harness.relay_client import RelayClient
from harness.sandbox import checkout

NANOSECONDS = 1e9
SERVE = "from scripts.operate import main; main()"


class Side:
    """The helper of one checkout, and what its logins cost."""

    def __init__(self, tree: Path, place: Path, names: list[str]) -> None:
        """Start it on a store of its own."""
        place.mkdir()
        self.tree = tree
        self.installation = Installation(fresh=True, disk=place)
        argv = [sys.executable, "-P", "-c", SERVE, *self.installation.serve[1:]]
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tree)}
        self.pid = self.installation.start(argv, environment=environment).pid
        self.codes = Codes(self.installation, names)
        self.cpu: list[float] = []
        self.switches: list[float] = []

    def measure(self, count: int, pause: float) -> None:
        """Have so many logins, one after the other."""
        lines = list(self.codes.lines(count))
        cpu, switches = self.used()
        for line in lines:
            self.log_in(*line.split(), pause=pause)
        now = self.used()
        self.cpu.append((now[0] - cpu) / count)
        self.switches.append((now[1] - switches) / count)

    def log_in(self, name: str, _password: str, code: str, pause: float) -> None:
        """Do what the relay does for a login: the auth lines, then the account line."""
        with RelayClient(self.installation.socket) as relay:
            relay.hello(name)
            time.sleep(pause)
            relay.answer(PASSWORD)
            time.sleep(pause)
            relay.go_on()
            time.sleep(pause)
            assert relay.answer(code) == b"G"
        with RelayClient(self.installation.socket) as relay:
            assert relay.hello(name, phase="account") == b"G"

    def used(self) -> tuple[float, int]:
        """Return the CPU seconds and the context switches of its threads."""
        nanoseconds = switches = 0
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            nanoseconds += int((thread / "schedstat").read_text().split()[0])
            for line in (thread / "status").read_text().splitlines():
                if "ctxt_switches" in line:
                    switches += int(line.split()[1])
        return nanoseconds / NANOSECONDS, switches


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout of this project")
    parser.add_argument("--logins", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--pause", type=float, default=0.03, help="seconds before each answer")
    options = parser.parse_args()
    names = make_accounts(options.logins)
    with disk() as folder:
        sides = [
            Side(tree, folder / name, names)
            for tree, name in ((options.other, "other"), (checkout(), "this"))
        ]
        try:
            for number in range(options.rounds):
                for side in sides if number % 2 else sides[::-1]:
                    side.measure(options.logins, options.pause)
        finally:
            for side in sides:
                side.installation.close()
    first = statistics.median(sides[0].cpu)
    rows = []
    for side in sides:
        cpu, switches = statistics.median(side.cpu), statistics.median(side.switches)
        rows.append([str(side.tree), f"{1000 * cpu:.2f}", f"{switches:.1f}", f"{cpu / first:.2f}"])
    print_table(["checkout", "CPU ms a login", "context switches", "ratio"], rows)


if __name__ == "__main__":
    main()
