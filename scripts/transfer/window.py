"""Blocks of one file, several under way at once, so that a far server costs no time for each."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

DEPTH = 64
"""Blocks under way: what is missing of a broken transfer is within so many before its end."""


async def pipeline(
    start: int, end: int, block: int, step: Callable[[int, int], Awaitable[None]]
) -> None:
    """Run a step for each (offset, size) from start to end, in order, DEPTH at a time.

    A step begins only after the one DEPTH blocks before it has ended.
    """
    if end - start <= block:
        if end > start:
            await step(start, end - start)
        return
    under_way: deque[asyncio.Future[None]] = deque()
    try:
        for offset in range(start, end, block):
            if len(under_way) >= DEPTH:
                await under_way.popleft()
            work = step(offset, min(block, end - offset))
            under_way.append(asyncio.ensure_future(work))
        while under_way:
            await under_way.popleft()
    finally:
        for left in under_way:
            left.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def safe_start(size: int, end: int, block: int) -> int:
    """Return how much of a partial file is surely there: blocks may have come out of order."""
    if size > end:
        return 0
    return max(0, (size // block - DEPTH) * block)
