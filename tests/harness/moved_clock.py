"""A clock that stands still until the test moves it; as a program, a helper that goes by it."""

import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

from store.clock import system_clock
from store.opening import open_store


class MovedClock:
    """Milliseconds since 1970 in a file: the test's process and the helper read the same."""

    def __init__(self, file: Path) -> None:
        """Read that file; make it, with the time of now, where there is none."""
        self.file = file
        if not file.exists():
            self._set(system_clock())

    def __call__(self) -> int:
        """Give the time."""
        return int(self.file.read_text())

    def forward(self, *, seconds: float = 0, minutes: float = 0) -> None:
        """Let time go by."""
        self._set(self() + round((seconds + 60 * minutes) * 1000))

    def _set(self, milliseconds: int) -> None:
        aside = self.file.with_suffix(".new")
        aside.write_text(str(milliseconds))
        aside.replace(self.file)


def main(config: str, clock: str) -> None:
    """Run `sftp-mfa serve-pam` by another clock."""
    from scripts import operate  # noqa: PLC0415 - the tests that import this module need it not

    with patch.object(operate, "open_store", partial(open_store, clock=MovedClock(Path(clock)))):
        operate.main(["serve-pam", "--config", config])


if __name__ == "__main__":
    main(*sys.argv[1:])
