"""The proof by login: what must hold after an installation, tried on the sshd that has it."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.host import sshd, sshd_config
from scripts.host.errors import HostError
from scripts.host.programs import ENVIRONMENT
from scripts.installation.codes import Codes
from scripts.installation.layout import BACKUPS, MFA_USER, PLAIN_USER
from scripts.installation.logins import Ended, Outcome, Target, host_keys, log_in

_HOST = "127.0.0.1"
_PATIENCE = 10.0
_PAUSE = 0.05
_SELECTS_USERS = frozenset({"allowusers", "allowgroups", "denyusers", "denygroups"})
_NOT_IN_A_COPY = _SELECTS_USERS | {"listenaddress", "port", "pidfile", "addressfamily"}
_KEYBOARD = "keyboard-interactive"
_PASSWORD = "password"


class ProofError(Exception):
    """A login did not end as it must; the text says which."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The accounts of the proof, and the sshd that they log in at."""

    passwords: dict[str, str] = field(repr=False)
    target: Target

    def before(self) -> Ended:
        """Tell how far an account gets with its password, as the machine is.

        ProofError if it is not let in: nothing could be told from a refusal after the change.
        """
        password = self.passwords[PLAIN_USER]
        said = []
        for method in (_KEYBOARD, _PASSWORD):
            outcome = asyncio.run(log_in(self.target, PLAIN_USER, method, [password]))
            if outcome.ended in {Ended.IN, Ended.NO_SESSION}:
                return outcome.ended
            said.append(f"{method}: {outcome.ended} {outcome.said}".strip())
        message = f"an account of this machine does not get in with its password: {'; '.join(said)}"
        raise ProofError(message)

    def after(self, codes: Codes, let_in: Ended, *, password_method: bool) -> list[str]:
        """Try what must hold; ProofError for the first that does not. Gives what was seen.

        `let_in` is how far one got before.
        """
        return asyncio.run(self._after(codes, let_in, password_method=password_method))

    async def _after(self, codes: Codes, let_in: Ended, *, password_method: bool) -> list[str]:
        plain, mfa = self.passwords[PLAIN_USER], self.passwords[MFA_USER]
        tries = [
            ("no MFA, password", PLAIN_USER, _KEYBOARD, [plain], let_in),
            ("no MFA, wrong password", PLAIN_USER, _KEYBOARD, [f"{plain}?"], Ended.REFUSED),
            ("MFA, password and no code", MFA_USER, _KEYBOARD, [mfa, ""], Ended.REFUSED),
        ]
        if password_method:
            tries.append(
                ("MFA, password alone by `password`", MFA_USER, _PASSWORD, [mfa], Ended.REFUSED)
            )
        outcomes = await asyncio.gather(
            *(log_in(self.target, user, method, answers) for _, user, method, answers, _ in tries)
        )
        seen = []
        for (what, _, _, answers, wanted), outcome in zip(tries, outcomes, strict=True):
            _require(what, outcome, wanted)
            if answers == [mfa, ""] and len(outcome.prompts) != len(answers):
                message = f"{what}: no code was asked"
                raise ProofError(message)
            seen.append(f"{what}: {outcome.ended}")
        await asyncio.sleep(codes.seconds_until_valid())
        last = await log_in(self.target, MFA_USER, _KEYBOARD, [mfa, codes.now()])
        _require("MFA, password and code", last, let_in)
        return [*seen, f"MFA, password and code: {last.ended}"]


def selects_users(settings: sshd.Settings) -> bool:
    """Tell whether the machine's sshd lets in certain users only, none of whom is ours."""
    return not _SELECTS_USERS.isdisjoint(settings)


def target_of(listener: sshd.Listener, settings: sshd.Settings) -> Target:
    """Choose an address of a running sshd that is reached without leaving the machine."""
    keys = host_keys(settings.get("hostkey", []))
    if not listener.sockets:
        message = f"the sshd with the id {listener.pid} listens nowhere that can be seen"
        raise HostError(message)
    every = dict(reversed(listener.sockets))
    for address, reached in (("0.0.0.0", _HOST), (_HOST, _HOST), ("::", "::1")):  # noqa: S104
        if address in every:
            return Target(reached, every[address], keys)
    address, port = listener.sockets[0]
    return Target(address, port, keys)


@contextmanager
def copy_of_machines_sshd(settings: sshd.Settings) -> Iterator[Target]:
    """Run an sshd with the machine's configuration on loopback, open to our two accounts."""
    lines = sshd_config.read()
    port = _free_port()
    own = f"ListenAddress {_HOST}:{port}\nPidFile none\nAllowUsers {PLAIN_USER} {MFA_USER}\n"
    text = own + sshd_config.as_one_file(lines, _NOT_IN_A_COPY)
    config = BACKUPS / "proof.sshd_config"
    config.write_text(text, errors="surrogateescape")
    try:
        with running([sshd.PROGRAM, "-D", "-e", "-f", config], port):
            yield Target(_HOST, port, host_keys(settings.get("hostkey", [])))
    finally:
        config.unlink(missing_ok=True)


@contextmanager
def running(argv: Sequence[str | Path], port: int) -> Iterator[None]:
    """Run an sshd until the proof is done; it ends with this program, however that ends."""
    sshd.make_own_folder()
    with subprocess.Popen(  # noqa: S603 - constant but for paths of ours
        ["/usr/bin/setpriv", "--pdeathsig", "KILL", *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=ENVIRONMENT,
        start_new_session=True,
    ) as process:
        try:
            wait_for(port, lambda: process.poll() is None)
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def wait_for(port: int, may_still: Callable[[], bool] = lambda: True) -> None:
    """Wait until an sshd greets on a port of loopback; HostError if it does not."""
    deadline = time.monotonic() + _PATIENCE
    while not _greets(port):
        if not may_still() or time.monotonic() > deadline:
            message = f"there is no sshd on {_HOST}:{port}, where one was started"
            raise HostError(message)
        time.sleep(_PAUSE)


def _require(what: str, outcome: Outcome, wanted: Ended) -> None:
    if outcome.ended is not wanted:
        said = f" ({outcome.said})" if outcome.said else ""
        message = f"{what}: {outcome.ended}{said}, must be: {wanted}"
        raise ProofError(message)


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _greets(port: int) -> bool:
    try:
        with socket.create_connection((_HOST, port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
