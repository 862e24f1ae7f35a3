"""Many files over one login: what was named is walked a bounded number of files ahead."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from scripts.transfer.download import Download, download
from scripts.transfer.errors import TransferError
from scripts.transfer.options import Options
from scripts.transfer.remote import Remote
from scripts.transfer.trees import downloads, report, uploads
from scripts.transfer.upload import Upload, upload

J = TypeVar("J")


async def get_all(
    server: Remote, paths: Sequence[bytes], target: bytes, options: Options, *, recursive: bool
) -> None:
    """Get what was named, several files at once; a failure is reported and ends only its file."""

    async def get(job: Download) -> None:
        try:
            await download(server, job, options)
        except TransferError as error:
            report(options, "get", job.path, job.target, error)
        finally:
            job.folder.leave()

    jobs = downloads(server, paths, target, options, recursive=recursive)
    await _at_once(jobs, get, lambda job: job.size, options)


async def put_all(
    server: Remote, paths: Sequence[bytes], target: bytes, options: Options, *, recursive: bool
) -> None:
    """Put it, likewise."""

    async def put(job: Upload) -> None:
        try:
            await upload(server, job, options)
        except TransferError as error:
            report(options, "put", job.source, job.target, error)

    jobs = uploads(server, paths, target, options, recursive=recursive)
    await _at_once(jobs, put, lambda job: _size(job.source), options)


def _size(path: bytes) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


async def _at_once(
    jobs: AsyncIterator[J],
    work: Callable[[J], Awaitable[None]],
    size: Callable[[J], int],
    options: Options,
) -> None:
    """Move what the walk finds, several at once, and sum up."""
    queue: asyncio.Queue[J | None] = asyncio.Queue(options.parallel)

    async def walk() -> None:
        async for job in jobs:
            options.progress.expect(size(job))
            await queue.put(job)
        for _ in range(options.parallel):
            await queue.put(None)

    async def run() -> None:
        while (job := await queue.get()) is not None:
            await work(job)

    tasks = [asyncio.ensure_future(coroutine) for coroutine in (walk(), *_many(run, options))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    options.results.finish()


def _many(run: Callable[[], Awaitable[None]], options: Options) -> list[Awaitable[None]]:
    return [run() for _ in range(options.parallel)]
