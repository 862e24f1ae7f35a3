"""The options that every command has: which server, who one is, how much to say."""

import asyncio
import logging
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts.transfer.errors import Exit, TransferError, local_error
from scripts.transfer.target import Target, parse_target

if TYPE_CHECKING:
    from scripts.transfer.options import Options
    from scripts.transfer.remote import Remote

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class Link:
    """What the shared options say."""

    server: Target
    config: Path | None
    identities: tuple[Path, ...]
    token_file: Path | None
    token_keyring: bool
    token_stdin: bool
    batch: bool
    seconds: float
    quiet: bool
    as_json: bool
    most_entries: int

    def run(self, work: Callable[["Remote", "Options"], Awaitable[None]], **options: Any) -> None:
        """Log in, do the work, and leave with the exit code; `options` are those of Options."""
        # Imported late: --help and mistakes on the command line need no SSH library.
        from scripts.transfer.main import leave_at_once  # noqa: PLC0415 - it imports us
        from scripts.transfer.results import complain  # noqa: PLC0415

        try:
            code = self._run(work, options)
            sys.stdout.flush()
        except TransferError as error:
            complain(error)
            code = error.code
        except KeyboardInterrupt:
            sys.stderr.write("interrupted: run the same command to go on\n")
            code = 128 + signal.SIGINT
        except _EndedError as ended:
            code = 128 + ended.number
        except BrokenPipeError:  # who read our output has gone; click would leave with 1
            leave_at_once(128 + signal.SIGPIPE)
        except OSError as error:  # what is about a file or a connection is a TransferError
            where = error.filename or "standard output"
            complain(local_error(where, error.strerror or type(error).__name__))
            leave_at_once(Exit.LOCAL_FILE)
        except Exception as error:  # noqa: BLE001 - a mistake of ours is told in one line, too
            message = f"unexpected: {_place_of(error)}: please report it"
            complain(TransferError(Exit.UNEXPECTED, message))
            code = Exit.UNEXPECTED
        sys.exit(code)

    def _run(
        self, work: Callable[["Remote", "Options"], Awaitable[None]], chosen: dict[str, Any]
    ) -> int:
        environment = _take_token()  # first: the SSH library looks for others by asking gcc and ld
        from scripts.transfer import local, settings  # noqa: PLC0415
        from scripts.transfer.answers import Credentials  # noqa: PLC0415
        from scripts.transfer.options import Options  # noqa: PLC0415
        from scripts.transfer.parts import PartNames  # noqa: PLC0415
        from scripts.transfer.results import Results  # noqa: PLC0415
        from scripts.transfer.session import in_session  # noqa: PLC0415
        from scripts.transfer.terminal import Terminal  # noqa: PLC0415

        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # what ends us is told once
        how = settings.resolve(self.server, self.config, self.identities)
        place = f"{how.user}@{how.typed}" + (f":{how.port}" if how.port != 22 else "")  # noqa: PLR2004
        may_ask = not self.batch and not how.is_on("batchmode", default=False)
        credentials = Credentials(Terminal(may_ask=may_ask), self._token(environment, place))
        results = Results(self.as_json, self.quiet, self._progress())
        names = PartNames(f"{how.user}@{how.host}:{how.port}")
        options = Options(names, results, local.umask(), **chosen)

        async def body(server: "Remote") -> None:
            await work(server, options)

        async def session() -> None:
            await _until_signal(
                in_session(
                    how,
                    credentials,
                    body,
                    seconds=self.seconds,
                    most_entries=self.most_entries,
                )
            )

        try:
            asyncio.run(session())
        finally:
            results.progress.close()
        return results.code

    def _token(self, environment: str | None, place: str) -> str | None:
        from scripts.transfer import tokens  # noqa: PLC0415

        asked = [self.token_file is not None, self.token_keyring, self.token_stdin]
        if sum(asked) > 1:
            message = "--token-file, --token-keyring and --token-stdin exclude one another"
            raise TransferError(Exit.USAGE, message)
        if self.token_file is not None:
            return tokens.from_file(self.token_file)
        if self.token_keyring:
            return tokens.from_keyring(place)
        if self.token_stdin:
            return tokens.from_standard_input()
        return environment

    def _progress(self) -> Any:
        from scripts.transfer.progress import Progress, Silent  # noqa: PLC0415

        if self.quiet or self.as_json or not sys.stderr.isatty():
            return Silent()
        return Progress()


def _take_token() -> str | None:
    from scripts.transfer import tokens  # noqa: PLC0415

    return tokens.from_environment()


def _place_of(error: Exception) -> str:
    """Name an error by kind and place: its own text may hold a password or a token."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frame.f_code.co_filename).name}:{line}"


class _EndedError(Exception):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


async def _until_signal(work: Awaitable[None]) -> None:
    """Do the work, and end it in order when a signal says so: the terminal is put back, too."""
    task = asyncio.ensure_future(work)
    numbers: list[int] = []

    def end(number: int) -> None:
        numbers.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
            loop.add_signal_handler(number, end, number)
    try:
        await task
    except asyncio.CancelledError:
        if numbers:
            raise _EndedError(numbers[0]) from None
        raise


def _server(_context: click.Context, _parameter: click.Parameter, text: str) -> Target:
    try:
        return parse_target(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_OPTIONS = (
    click.argument("server", callback=_server),
    click.option(
        "-F",
        "--ssh-config",
        "config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The SSH configuration, in place of ~/.ssh/config and the system's.",
    ),
    click.option(
        "-i",
        "--identity",
        "identities",
        type=click.Path(path_type=Path, dir_okay=False),
        multiple=True,
        help="A private key to offer; repeatable.",
    ),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        help="A file with an access token that only you can read.",
    ),
    click.option("--token-keyring", is_flag=True, help="Take the token from the keyring."),
    click.option("--token-stdin", is_flag=True, help="Read the token from standard input."),
    click.option("--batch", is_flag=True, help="Ask nothing: fail instead."),
    click.option(
        "--timeout",
        "seconds",
        type=click.FloatRange(1, 86_400),
        default=120.0,
        show_default=True,
        help="Seconds that the server may be silent.",
    ),
    click.option(
        "--max-entries",
        "most_entries",
        type=click.IntRange(1, 100_000_000),
        default=1_000_000,
        show_default=True,
        help="Names that one folder may have.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    click.option("--json", "as_json", is_flag=True, help="Print lines of JSON for programs."),
)
_NAMES = tuple(Link.__dataclass_fields__)


def linked(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options; it gets them as one Link."""

    @wraps(command)
    def run(**options: Any) -> None:
        link = Link(**{name: options.pop(name) for name in _NAMES})
        command(link, **options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run
