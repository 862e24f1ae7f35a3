"""A login by sshd: with pam_unix alone, with pam_google_authenticator, and with ours.

README.md, beside this file, tells how to run it and what it measures.
"""

import argparse
import gc
import random
import socket
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import paramiko  # type: ignore[import-untyped]  # it ships no types
from benchmarks.common import cpu_seconds, disk, print_table, quartiles
from harness import pam
from harness.accounts import Account, Accounts
from harness.installation import Device, Installation
from harness.pam import PamServices
from harness.processes import descendants
from harness.sshd import Sshd
from harness.waiting import until

from store import otp
from store.clock import system_clock

SYSTEM_HASH_COST = 5
WARM_UP = 5
PLAIN, GOOGLE, CODE, TOKEN = "pam_unix alone", "pam_google_authenticator", "code", "token"
HEAD = (
    "login with",
    "wall ms",
    "lower quartile",
    "upper quartile",
    "from userauth on",
    "CPU ms",
    "of it the helper's",
)
BUDGETS = [
    (CODE, PLAIN, 1.02, 1.05),
    (CODE, GOOGLE, 1.0, 1.0),
    (TOKEN, PLAIN, 0.7, 0.7),
]


@dataclass
class User:
    """Somebody who can log in everywhere."""

    account: Account
    device: Device
    token: str
    last_step: int = -1

    def fresh_code(self) -> str:
        """Return a code that was not used; wait for one, outside of what is measured."""
        while self.last_step >= otp.step_at(system_clock()) + 1:
            time.sleep(0.5)
        self.last_step = max(self.last_step + 1, otp.step_at(system_clock()))
        return otp.code_at(self.device.secret, self.last_step)


@dataclass
class Variant:
    """An sshd with one of the stacks, and what was measured."""

    sshd: Sshd
    answers: Callable[[User], dict[str, str]]
    helper: int | None = None
    whole: list[float] = field(default_factory=list)
    authentication: list[float] = field(default_factory=list)
    sshd_before: float = 0
    helper_before: float = 0

    def sshd_cpu(self) -> float:
        """Return what sshd and its children have used, once all are gone that served a login."""
        until(lambda: not list(descendants(self.sshd.process.pid)), "no child of sshd", 60)
        return cpu_seconds(self.sshd.process.pid) - self.sshd_before

    def helper_cpu(self) -> float:
        """Return what the helper has used."""
        return (cpu_seconds(self.helper) if self.helper is not None else 0) - self.helper_before

    def log_in(self, user: User) -> None:
        """Log in once: from connect until sshd says that it is done."""
        answers = self.answers(user)

        def answer(_title: str, _text: str, prompts: list[tuple[str, bool]]) -> list[str]:
            return [answers[prompt] for prompt, _ in prompts]

        gc.collect()
        started = time.perf_counter()
        with paramiko.Transport(socket.create_connection((Sshd.host, self.sshd.port))) as transport:
            transport.start_client(timeout=30)
            connected = time.perf_counter()
            transport.auth_interactive(user.account.name, answer)
            ended = time.perf_counter()
            assert transport.is_authenticated()
        self.whole.append(ended - started)
        self.authentication.append(ended - connected)

    def begin(self) -> None:
        """Forget the warm-up."""
        self.whole.clear()
        self.authentication.clear()
        self.sshd_before += self.sshd_cpu()
        self.helper_before += self.helper_cpu()


def password(user: User) -> dict[str, str]:
    """Answer with the password."""
    return {"Password: ": user.account.password}


def token(user: User) -> dict[str, str]:
    """Answer with the token."""
    return {"Password: ": user.token}


def password_and_code(user: User) -> dict[str, str]:
    """Answer both prompts."""
    return {**password(user), "Verification code: ": user.fresh_code()}


def password_and_google_code(user: User) -> dict[str, str]:
    """Answer both prompts; its state is as new, so that no code counts as used."""
    file = user.account.home / ".google_authenticator"
    file.unlink(missing_ok=True)
    options = '" RATE_LIMIT 3 30\n" DISALLOW_REUSE\n" TOTP_AUTH\n'
    file.write_text(f"{otp.base32(user.device.secret)}\n{options}")
    file.chmod(0o400)
    subprocess.run(["chown", f"{user.account.name}:", file], check=True)
    return {**password(user), "Verification code: ": user.device.code()}


class Bench:
    """Everything that runs."""

    def __init__(self, folder: Path, users: int) -> None:
        """Start the sshds and make the users, with their homes and the store on the disk."""
        self.running = ExitStack()
        self.services = PamServices()
        self.accounts = Accounts()
        self.running.callback(self.services.remove_all)
        self.running.callback(self.accounts.forget_all)
        by_code, by_token = (self.installation(folder / name) for name in ("code", "token"))
        machine = Path("/etc/pam.d/sshd").read_text()
        google = machine.replace(
            "@include common-auth",
            "@include common-auth\nauth required pam_google_authenticator.so",
        )
        self.variants = {
            PLAIN: Variant(self.sshd(machine), password),
            GOOGLE: Variant(self.sshd(google), password_and_google_code),
            CODE: self.ours(by_code, password_and_code),
            TOKEN: self.ours(by_token, token),
        }
        self.users = [self.user(folder / "home", by_code, by_token) for _ in range(users)]

    def installation(self, folder: Path) -> Installation:
        """Make a store on the disk and start its helper."""
        folder.mkdir()
        made = Installation(fresh=True, disk=folder)
        self.running.callback(made.close)
        made.start()
        return made

    def sshd(self, stack: str) -> Sshd:
        """Start an sshd with this stack."""
        folder = Path(tempfile.mkdtemp())
        return self.running.enter_context(Sshd(folder, self.services.install(stack)))

    def ours(
        self, installation: Installation, answers: Callable[[User], dict[str, str]]
    ) -> Variant:
        """Start an sshd with the shipped stack."""
        assert installation.helper is not None
        sshd = self.sshd(pam.shipped(installation.socket))
        return Variant(sshd, answers, installation.helper.pid)

    def user(self, homes: Path, by_code: Installation, by_token: Installation) -> User:
        """Make a user."""
        homes.mkdir(exist_ok=True)
        account = self.accounts.make(hash_cost=SYSTEM_HASH_COST)
        home = homes / account.name
        subprocess.run(["usermod", "--move-home", "--home", home, account.name], check=True)
        moved = Account(account.name, account.password, account.uid, home)
        device = by_code.enroll(account.name)
        return User(moved, device, by_token.issue_token(account.name).text())

    def run(self, rounds: int) -> None:
        """Log in by all variants in turn, in another order each time, as one and the same user."""
        for number in range(WARM_UP + rounds):
            if number == WARM_UP:
                for variant in self.variants.values():
                    variant.begin()
            order = list(self.variants.values())
            random.shuffle(order)
            for variant in order:
                variant.log_in(self.users[number % len(self.users)])


def report(variants: dict[str, Variant], rounds: int) -> None:
    """Print medians, and the ratios that have a budget."""
    helper = {name: variant.helper_cpu() / rounds for name, variant in variants.items()}
    cpu = {name: v.sshd_cpu() / rounds + helper[name] for name, v in variants.items()}
    rows = []
    medians: dict[str, dict[str, float]] = defaultdict(dict)
    for name, variant in variants.items():
        low, medians["wall"][name], high = quartiles(variant.whole)
        medians["auth"][name] = quartiles(variant.authentication)[1]
        wall = (medians["wall"][name], low, high, medians["auth"][name])
        figures = (*wall, cpu[name], helper[name])
        rows.append([name, *(f"{1000 * seconds:.2f}" for seconds in figures)])
    print_table(HEAD, rows)
    print()  # noqa: T201
    ratios = []
    for ours, peer, wall_budget, cpu_budget in BUDGETS:
        by_wall = medians["wall"][ours] / medians["wall"][peer]
        by_auth = medians["auth"][ours] / medians["auth"][peer]
        by_cpu = cpu[ours] / cpu[peer]
        figures = [f"{by_wall:.3f}", f"{wall_budget}", f"{by_cpu:.3f}", f"{cpu_budget}"]
        ratios.append([f"{ours} / {peer}", *figures, f"{by_auth:.3f}"])
    print_table(["ratio", "wall", "budget", "CPU", "budget", "wall from userauth on"], ratios)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--users", type=int, default=80)
    options = parser.parse_args()
    with disk() as folder:
        bench = Bench(folder, options.users)
        with bench.running:
            bench.run(options.rounds)
            report(bench.variants, options.rounds)


if __name__ == "__main__":
    main()
