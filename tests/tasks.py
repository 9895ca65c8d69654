"""Tasks that run for ever, and their end."""

import asyncio
from typing import Any


async def stop(*tasks: "asyncio.Task[Any]") -> None:
    """Cancels them until they are over: a driver may swallow a cancellation while it connects."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)
