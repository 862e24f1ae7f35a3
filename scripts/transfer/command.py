"""The commands of `sftp-mfa-cli` that move files."""

import os
import posixpath
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import click

from scripts import completion
from scripts.transfer import manage
from scripts.transfer.link import Link, linked

if TYPE_CHECKING:
    from scripts.transfer.options import Options
    from scripts.transfer.remote import Remote

_EPILOG = """
\b
Exit codes:
  0    done
  1    something that this program did not expect
  2    a wrong command line, or an SSH configuration that cannot be used
  3    refused: password, code, token or key
  4    the server's host key is not known, or not the one that is known
  5    no server, no answer, or a connection that broke
  6    a file on the server
  7    a file on this machine, or no token where it was to be
  130  Ctrl-C

The first failure decides. What a broken connection or Ctrl-C leaves unfinished goes on where it
ended when the same command is run again.

A job gives an access token in place of password and code: in the environment variable
SFTP_MFA_TOKEN, or by --token-file, --token-keyring or --token-stdin.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(package_name="sftp-mfa")
def cli() -> None:
    """Move files over SFTP: with password and code, asked once, or with an access token.

    SERVER is [user@]host[:port], or a host of ~/.ssh/config; an IPv6 address goes into brackets.
    """


_TRANSFER = (
    click.option("-r", "--recursive", is_flag=True, help="Folders with all that is in them."),
    click.option(
        "--newer",
        "only_newer",
        is_flag=True,
        help="Only what is newer than its copy, or of another size; keeps the times.",
    ),
    click.option("-p", "--preserve", "keep_times", is_flag=True, help="Keep the times of files."),
    click.option("--verify", is_flag=True, help="Read each copy again and compare it."),
    click.option(
        "--parallel",
        type=click.IntRange(1, 256),
        default=16,
        show_default=True,
        help="Files at once, over one login.",
    ),
)


_patterns = click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)


def _transfers(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of transfers; what only what is newer needs, it has, too."""

    @wraps(command)
    def run(link: Link, *, keep_times: bool, only_newer: bool, **options: Any) -> None:
        command(link, keep_times=keep_times or only_newer, only_newer=only_newer, **options)

    for option in reversed(_TRANSFER):
        run = option(run)
    return run


@cli.command("get")
@linked
@click.argument("source", metavar="REMOTE")
@click.argument("target", metavar="[LOCAL]", default="")
@_transfers
def get(link: Link, source: str, target: str, *, recursive: bool, **chosen: Any) -> None:
    """Get a file, or with -r a folder, from the server.

    A LOCAL that is a folder takes it in; REMOTE/. stands for what is in a folder. A file that is
    there already is replaced, at once and not before the new one is complete.

    \b
    Examples:
      sftp-mfa-cli get alice@files.example.org report.pdf
      sftp-mfa-cli get alice@files.example.org report.pdf /tmp/copy.pdf
      sftp-mfa-cli get -r --newer files.example.org photos/. backup
    """

    async def work(server: "Remote", options: "Options") -> None:
        from scripts.transfer.moves import get_all  # noqa: PLC0415

        paths = [os.fsencode(source)]
        await get_all(server, paths, os.fsencode(target), options, recursive=recursive)

    link.run(work, **chosen)


@cli.command("mget")
@linked
@_patterns
@click.option("--into", default="", help="The folder to get them into.", metavar="LOCAL")
@_transfers
def mget(
    link: Link, patterns: tuple[str, ...], into: str, *, recursive: bool, **chosen: Any
) -> None:
    """Get all that match patterns with *, ? and [ ].

    \b
    Example:
      sftp-mfa-cli mget files.example.org 'logs/*.log' 'notes/2026-??.txt' --into /tmp
    """

    async def work(server: "Remote", options: "Options") -> None:
        from scripts.transfer.moves import get_all  # noqa: PLC0415
        from scripts.transfer.trees import refuse  # noqa: PLC0415

        paths = []
        for pattern in map(os.fsencode, patterns):
            paths += await server.matches(pattern, partial(refuse, options, pattern))
        folder = posixpath.join(os.fsencode(into or "."), b"")
        await get_all(server, paths, folder, options, recursive=recursive)

    link.run(work, **chosen)


@cli.command("put")
@linked
@click.argument("source", metavar="LOCAL")
@click.argument("target", metavar="[REMOTE]", default="")
@_transfers
def put(link: Link, source: str, target: str, *, recursive: bool, **chosen: Any) -> None:
    """Put a file, or with -r a folder, onto the server.

    A REMOTE that is a folder takes it in. A file that is there already is replaced, at once and not
    before the new one is complete.

    \b
    Examples:
      sftp-mfa-cli put alice@files.example.org report.pdf
      sftp-mfa-cli put --verify alice@files.example.org report.pdf inbox/today.pdf
      sftp-mfa-cli put -r --newer --parallel 32 files.example.org photos
    """

    async def work(server: "Remote", options: "Options") -> None:
        from scripts.transfer.moves import put_all  # noqa: PLC0415

        paths = [os.fsencode(source)]
        await put_all(server, paths, os.fsencode(target), options, recursive=recursive)

    link.run(work, **chosen)


@cli.command("mput")
@linked
@_patterns
@click.option("--into", default="", help="The folder to put them into.", metavar="REMOTE")
@_transfers
def mput(
    link: Link, patterns: tuple[str, ...], into: str, *, recursive: bool, **chosen: Any
) -> None:
    """Put several files; patterns with *, ? and [ ] are expanded, if no shell has done so.

    \b
    Example:
      sftp-mfa-cli mput files.example.org 'reports/*.pdf' --into inbox
    """

    async def work(server: "Remote", options: "Options") -> None:
        from scripts.transfer import local  # noqa: PLC0415
        from scripts.transfer.moves import put_all  # noqa: PLC0415

        folder = posixpath.join(os.fsencode(into), b".")
        await put_all(server, local.expand(patterns), folder, options, recursive=recursive)

    link.run(work, **chosen)


for _command in (*manage.COMMANDS, completion.transfer):
    cli.add_command(_command)
