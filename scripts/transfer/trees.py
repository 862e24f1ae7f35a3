"""Folders, walked there and here: what is to be moved, file by file."""

import os
import posixpath
from collections.abc import AsyncIterator, Sequence
from functools import partial

from scripts.transfer import local
from scripts.transfer.download import Download
from scripts.transfer.errors import Exit, TransferError, local_error, remote_error
from scripts.transfer.local import Folder
from scripts.transfer.names import base_name, show
from scripts.transfer.options import Options
from scripts.transfer.remote import Entry, Remote
from scripts.transfer.upload import Upload

DEEPEST = 64
"""Folders within folders, as OpenSSH allows."""
TOO_DEEP = f"more than {DEEPEST} folders deep"


async def downloads(
    server: Remote, paths: Sequence[bytes], target: bytes, options: Options, *, recursive: bool
) -> AsyncIterator[Download]:
    """Walk paths of the server that were named; a failure is reported and ends only its path."""
    for path in paths:
        try:
            entry = await server.look(path)
            if entry.is_folder and not recursive:
                raise remote_error(path, "is a folder: use -r")
            parent, name = local.place_for(target, base_name(path))
            folder = Folder.open(parent)
        except TransferError as error:
            report(options, "get", path, target, error)
            continue
        try:
            async for job in _files_of(server, path, entry, folder, name, options):
                yield job
        finally:
            folder.leave()


async def uploads(
    server: Remote, paths: Sequence[bytes], target: bytes, options: Options, *, recursive: bool
) -> AsyncIterator[Upload]:
    """Walk paths of this machine that were named, likewise."""
    for path in paths:
        async for job in _one_upload(server, path, target, options, recursive=recursive):
            yield job


async def _files_of(
    server: Remote, path: bytes, entry: Entry, folder: Folder, name: bytes, options: Options
) -> AsyncIterator[Download]:
    """Walk what is at a path of the server; a folder's content goes into one of that name here.

    With no name it goes into the folder itself.
    """
    if not entry.is_folder:
        yield Download(path, entry, folder.use(), name)
        return
    try:
        into = folder.enter(name) if name else folder.use()
    except TransferError as error:
        report(options, "get", path, posixpath.join(folder.path, name), error)
        return
    try:
        async for job in _content(server, path, into, options, DEEPEST):
            yield job
    finally:
        into.leave()


async def _content(
    server: Remote, path: bytes, folder: Folder, options: Options, deepest: int
) -> AsyncIterator[Download]:
    try:
        if not deepest:
            raise remote_error(path, TOO_DEEP)
        entries = await server.listing(path, partial(refuse, options, path))
    except TransferError as error:
        report(options, "get", path, folder.path, error)
        return
    for entry in entries:
        inner = posixpath.join(path, entry.name)
        if entry.is_folder:
            try:
                into = folder.enter(entry.name)
            except TransferError as error:
                report(options, "get", inner, posixpath.join(folder.path, entry.name), error)
                continue
            try:
                async for job in _content(server, inner, into, options, deepest - 1):
                    yield job
            finally:
                into.leave()
        elif entry.is_file:
            yield Download(inner, entry, folder.use(), entry.name)
        else:
            where = posixpath.join(folder.path, entry.name)
            options.results.skip("get", inner, where, "not a regular file")


async def _content_of(
    server: Remote, source: bytes, target: bytes, options: Options, deepest: int = DEEPEST
) -> AsyncIterator[Upload]:
    """Walk a folder of this machine; its content goes into a folder of the server."""
    try:
        if not deepest:
            raise local_error(source, TOO_DEEP)
        is_new = await server.make_folder(target)
        there = {} if is_new else await _there(server, target, options)
        with local.about(source), os.scandir(source) as found:
            items = sorted(found, key=lambda item: item.name)
    except TransferError as error:
        report(options, "put", source, target, error)
        return
    for item in items:
        inner = posixpath.join(target, item.name)
        if item.is_symlink() or not (item.is_dir() or item.is_file()):
            options.results.skip("put", item.path, inner, "not a regular file")
        elif item.is_dir():
            async for job in _content_of(server, item.path, inner, options, deepest - 1):
                yield job
        else:
            yield Upload(item.path, inner, there.get(item.name), follow=False)


async def _there(server: Remote, path: bytes, options: Options) -> dict[bytes, Entry]:
    entries = await server.listing(path, partial(refuse, options, path))
    return {entry.name: entry for entry in entries}


async def _one_upload(
    server: Remote, path: bytes, target: bytes, options: Options, *, recursive: bool
) -> AsyncIterator[Upload]:
    """Walk one source that was named; a target that is a folder takes it in, as cp does it."""
    is_folder = posixpath.isdir(path)
    if is_folder and not recursive:
        error = local_error(path, "is a folder: use -r")
        report(options, "put", path, target, error)
        return
    try:
        found = await server.find(target or b".")
        name = base_name(path)
        if found is not None and found.is_folder:
            target = posixpath.join(target, name) if name else target or b"."
            found = None if is_folder else await server.find(target, follow=False)
        elif found is not None:
            found = await server.find(target, follow=False)
    except TransferError as error:
        report(options, "put", path, target, error)
        return
    if is_folder:
        async for job in _content_of(server, path, target, options):
            yield job
    else:
        yield Upload(path, target, found)


def refuse(options: Options, folder: bytes, name: bytes) -> None:
    """Report a name that would lead elsewhere."""
    error = remote_error(folder, f"the server gives {show(name)!r} as a file's name")
    options.results.fail("list", folder, name, error)


def report(
    options: Options, action: str, source: bytes, target: bytes, error: TransferError
) -> None:
    """Report a failure that ends only what it is about; a broken connection ends everything."""
    if error.code is Exit.NETWORK:
        raise error
    options.results.fail(action, source, target, error)
