"""The demonstration account's factors, made with `sftp-mfa-admin` as anybody would make them."""

import json
import select
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from scripts.demonstration.commands import QuickstartError, run
from scripts.demonstration.layout import ADMIN, DEMO_ACCOUNT, SOURCE, VENV
from scripts.demonstration.processes import ENVIRONMENT

_STEP = 30
_PATIENCE = 60
_ENOUGH = 2.0
_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A completed TOTP factor, and what a phone would know of it."""

    id: str
    secret: str = field(repr=False)
    uri: str = field(repr=False)

    def code(self) -> str:
        """Show the code of now."""
        return code_now(self.secret)[0]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token."""

    id: str
    text: str = field(repr=False)


def enroll(name: str) -> Authenticator:
    """Enroll an authenticator with the code before the present one, which stays to be used."""
    process = subprocess.Popen(  # noqa: S603 - constant but for a name of ours
        [ADMIN, "add-auth-factor-totp", DEMO_ACCOUNT, "--name", name, "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
    with process:
        begun = _first_object(process)
        code = _code_before_present(begun["secret"])
        _, errors = process.communicate(f"{code}\n", timeout=_PATIENCE)
    if process.returncode != 0:
        message = f"the authenticator could not be enrolled: {errors.strip()}"
        raise QuickstartError(message)
    return Authenticator(begun["id"], begun["secret"], begun["otpauthUri"])


def issue_token(name: str) -> Token:
    """Issue an access token."""
    shown = _admin("add-auth-factor-access-token", DEMO_ACCOUNT, "--name", name, "--json")
    issued = json.loads(shown)
    return Token(issued["id"], issued["token"])


def remove(authenticator: Authenticator, token: Token) -> None:
    """Remove both."""
    _admin("delete-auth-factor-totp", DEMO_ACCOUNT, authenticator.id)
    _admin("delete-auth-factor-access-token", DEMO_ACCOUNT, token.id)


def code_now(secret: str) -> tuple[str, int]:
    """Give the code of now, and how many seconds are left of its time step."""
    now = int(time.time())
    return _code_at(secret, now), _STEP - now % _STEP


def qr_code(uri: str) -> str:
    """Draw a QR code in text."""
    return _stand_in("qr", uri)


def _code_at(secret: str, at: int) -> str:
    return _stand_in(str(at), secret)


def _stand_in(wanted: str, given: str) -> str:
    program = SOURCE / "scripts" / "demonstration" / "authenticator.py"
    return run(VENV / "bin" / "python", "-I", "-B", program, wanted, given=f"{given}\n")


def _admin(*arguments: str) -> str:
    return run(ADMIN, *arguments)


def _first_object(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Read the first line, which `sftp-mfa-admin` prints before it waits for a code."""
    if process.stdout is not None and select.select([process.stdout], [], [], _PATIENCE)[0]:
        line = process.stdout.readline()
        if line:
            begun: dict[str, Any] = json.loads(line)
            return begun
    process.kill()
    message = f"the enrollment did not begin: {process.communicate()[1].strip()}"
    raise QuickstartError(message)


def _code_before_present(secret: str) -> str:
    """Give the previous step's code, at a time when it stays that for long enough to be sent."""
    while True:
        now = time.time()
        end_of_step = now - now % _STEP + _STEP
        code = _code_at(secret, int(now) - _STEP)
        if time.time() < end_of_step - _ENOUGH:
            return code
        time.sleep(_PAUSE)
