"""The entry point: quick to start, and silent about how it ends early."""

import os
import signal
import sys
from typing import NoReturn


def main() -> None:
    """Run the command; Ctrl-C ends it without a traceback, wherever it is."""
    try:
        # Imported here, so that Ctrl-C during the imports is caught, too.
        import click  # noqa: PLC0415

        from scripts import memory  # noqa: PLC0415
        from scripts.transfer.command import cli  # noqa: PLC0415

        memory.keep_private()
        try:
            cli.main(prog_name="sftp-mfa-cli", standalone_mode=False)
        except click.Abort:  # click's word for Ctrl-C
            leave_at_once(128 + signal.SIGINT)
        except click.ClickException as mistake:
            mistake.show()
            sys.exit(mistake.exit_code)
        sys.stdout.flush()
    except KeyboardInterrupt:
        leave_at_once(128 + signal.SIGINT)
    except BrokenPipeError:  # who read our output has gone, as `head` does
        leave_at_once(128 + signal.SIGPIPE)


def leave_at_once(code: int) -> NoReturn:
    """End with an exit code, and without a word about output that nobody takes."""
    with open(os.devnull, "w", encoding="ascii") as nowhere:  # noqa: PTH123 - no import more
        os.dup2(nowhere.fileno(), sys.stdout.fileno())  # nothing is flushed into a broken pipe
    sys.exit(code)
