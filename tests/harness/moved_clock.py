"""A clock that stands still until the test moves it; as a program, a helper that goes by it."""

import sys
from pathlib import Path

from store.clock import system_clock


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
    """Serve the PAM module as `sftp-mfa serve-pam` does, by another clock."""
    from pam_module.helper import run  # noqa: PLC0415 - the tests that import this need none of it
    from scripts import privileges  # noqa: PLC0415
    from scripts.command_line import load_settings, log_to_stderr  # noqa: PLC0415
    from store.opening import open_store  # noqa: PLC0415

    log_to_stderr()
    settings = load_settings(Path(config))
    privileges.make_folder(Path(settings.pam.socket).parent, settings, 0o755)
    privileges.become_service(settings)
    run(open_store(settings, MovedClock(Path(clock))), settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
