"""Waiting for what boards come to hold."""

import asyncio
from collections.abc import Callable

SECONDS = 30


async def until(wake: asyncio.Event, holds: Callable[[], bool]) -> None:
    """Returns when a change made it so."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            await wake.wait()
            wake.clear()
