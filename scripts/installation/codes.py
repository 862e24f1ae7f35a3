"""The codes of the proof: an authenticator that another program makes, as the service's user."""

import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from scripts.host.programs import run
from scripts.privileges import service_account
from store import otp
from store.clock import system_clock
from store.settings import Settings


class Codes(Struct, frozen=True):
    """Codes of steps in a row, none of them used."""

    first_step: int
    codes: list[str]

    def seconds_until_valid(self) -> float:
        """Tell how long it takes until one of them is a step's own code."""
        return max(0.0, self.first_step * otp.STEP_SECONDS - system_clock() / 1000)

    def now(self) -> str:
        """Give the code of now."""
        return self.codes[otp.step_at(system_clock()) - self.first_step]


def begin(config: Path, settings: Settings) -> Codes:
    """Give the second account an authenticator."""
    return msgspec.json.decode(_factor(config, settings, "begin"), type=Codes)


def end(config: Path, settings: Settings) -> None:
    """Take it away."""
    _factor(config, settings, "end")


def _factor(config: Path, settings: Settings, what: str) -> str:
    account = service_account(settings)
    argv = [sys.executable, "-I", "-m", "scripts.installation.factor", str(config), what]
    return run(argv, user=account.pw_name, group=account.pw_gid)
