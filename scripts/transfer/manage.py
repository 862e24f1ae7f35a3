"""The commands of `sftp-mfa-cli` that look at the server's files, and tidy them."""

import os
import posixpath
import stat
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from scripts.transfer.link import Link, linked

if TYPE_CHECKING:
    from scripts.transfer.options import Options
    from scripts.transfer.remote import Entry, Remote


@click.command("ls")
@linked
@click.argument("path", default=".")
@click.option("-l", "--long", is_flag=True, help="With mode, owner, size and time.")
@click.option("-a", "--all", "show_all", is_flag=True, help="Names that begin with a dot, too.")
def ls(link: Link, path: str, *, long: bool, show_all: bool) -> None:
    """List a folder, or what a pattern matches.

    \b
    Examples:
      sftp-mfa-cli ls alice@files.example.org
      sftp-mfa-cli ls -l files.example.org 'photos/*.jpg'
    """

    async def work(server: "Remote", options: "Options") -> None:
        from scripts.transfer.trees import refuse  # noqa: PLC0415

        named = os.fsencode(path)
        for match in await server.matches(named, partial(refuse, options, named)):
            # A link that leads nowhere is there, too.
            entry = await server.find(match) or await server.look(match, follow=False)
            if entry.is_folder and match == named:
                entries = await server.listing(match, partial(refuse, options, named))
                for each in entries:
                    if show_all or not each.name.startswith(b"."):
                        _print(link, each, each.name, long=long)
            else:
                _print(link, entry, match, long=long)

    link.run(work)


@click.command("stat")
@linked
@click.argument("path")
def show_stat(link: Link, path: str) -> None:
    """Show what the server says about a file or folder.

    \b
    Example:
      sftp-mfa-cli stat files.example.org report.pdf --json
    """

    async def work(server: "Remote", _options: "Options") -> None:
        name = os.fsencode(path)
        _print(link, await server.look(name), name, long=True)

    link.run(work)


@click.command("mkdir")
@linked
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("-p", "--parents", is_flag=True, help="With its parents; no error if it is there.")
def mkdir(link: Link, paths: tuple[str, ...], *, parents: bool) -> None:
    """Make folders.

    \b
    Example:
      sftp-mfa-cli mkdir -p files.example.org inbox/2026/11
    """

    async def work(server: "Remote", options: "Options") -> None:
        from scripts.transfer.errors import remote_error  # noqa: PLC0415

        for path in map(os.fsencode, paths):
            parts = path.rstrip(b"/").split(b"/")
            first = 1 if parents else len(parts)
            for end in range(first, len(parts) + 1):
                step = b"/".join(parts[:end])
                if step and not await server.make_folder(step) and not parents:
                    raise remote_error(path, "is there already")
            options.results.succeed("mkdir", path, path, 0)

    link.run(work)


@click.command("rm")
@linked
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("-r", "--recursive", is_flag=True, help="Folders with all that is in them.")
def rm(link: Link, paths: tuple[str, ...], *, recursive: bool) -> None:
    """Remove files, also by pattern; links themselves, never what they lead to.

    \b
    Examples:
      sftp-mfa-cli rm files.example.org 'inbox/*.tmp'
      sftp-mfa-cli rm -r files.example.org old
    """

    async def work(server: "Remote", options: "Options") -> None:
        from scripts.transfer.errors import TransferError, remote_error  # noqa: PLC0415
        from scripts.transfer.trees import DEEPEST, refuse, report  # noqa: PLC0415

        for pattern in map(os.fsencode, paths):
            for path in await server.matches(pattern, partial(refuse, options, pattern)):
                try:
                    entry = await server.look(path, follow=False)
                    if entry.is_folder and not recursive:
                        raise remote_error(path, "is a folder: use -r")
                    await _remove(server, path, entry, options, DEEPEST)
                except TransferError as error:
                    report(options, "rm", path, path, error)

    link.run(work)


@click.command("rename")
@linked
@click.argument("old")
@click.argument("new")
def rename(link: Link, old: str, new: str) -> None:
    """Give a file or folder another name; a file that has it is replaced.

    \b
    Example:
      sftp-mfa-cli rename files.example.org inbox/today.pdf inbox/monday.pdf
    """

    async def work(server: "Remote", options: "Options") -> None:
        await server.replace(os.fsencode(old), os.fsencode(new))
        options.results.succeed("rename", os.fsencode(old), os.fsencode(new), 0)

    link.run(work)


async def _remove(
    server: "Remote", path: bytes, entry: "Entry", options: "Options", deepest: int
) -> None:
    from scripts.transfer.errors import remote_error  # noqa: PLC0415
    from scripts.transfer.remote import about  # noqa: PLC0415
    from scripts.transfer.trees import TOO_DEEP, refuse  # noqa: PLC0415

    if entry.is_folder:
        if not deepest:
            raise remote_error(path, TOO_DEEP)
        for inner in await server.listing(path, partial(refuse, options, path)):
            await _remove(server, posixpath.join(path, inner.name), inner, options, deepest - 1)
    with about(path):
        await (server.sftp.rmdir(path) if entry.is_folder else server.sftp.remove(path))
    server.touch()
    options.results.succeed("rm", path, path, 0)


def _print(link: Link, entry: "Entry", name: bytes, *, long: bool) -> None:
    from scripts.transfer.names import show  # noqa: PLC0415
    from scripts.transfer.results import plain, print_json  # noqa: PLC0415

    if link.as_json:
        print_json({"name": plain(name), **_data(entry)})
    elif not long:
        sys.stdout.write(f"{show(name)}\n")
    else:
        mode = stat.filemode(entry.mode) if entry.mode is not None else "?---------"
        owner = " ".join(f"{'?' if who is None else who:>6}" for who in (entry.uid, entry.gid))
        size = "?" if entry.size is None else entry.size
        sys.stdout.write(f"{mode} {owner} {size:>12} {_time(entry.mtime)} {show(name)}\n")


def _data(entry: "Entry") -> dict[str, Any]:
    kind = "folder" if entry.is_folder else "link" if entry.is_link else "file"
    return {
        "type": kind if kind != "file" or entry.is_file else "other",
        "size": entry.size,
        "mtime": entry.mtime,
        "mode": None if entry.mode is None else f"{stat.S_IMODE(entry.mode):04o}",
        "uid": entry.uid,
        "gid": entry.gid,
    }


def _time(seconds: int | None) -> str:
    if seconds is None:
        return "?" * 16
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


COMMANDS = (ls, show_stat, mkdir, rm, rename)
