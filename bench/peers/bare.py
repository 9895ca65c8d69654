"""The limit: an ASGI app that pushes ready-made text to its sockets and does nothing else."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]


def create_app(text: str) -> Any:
    """Every message from a client is a number: so many texts are pushed to every other client."""
    sockets: set[Send] = set()

    async def push(count: int, sender: Send) -> None:
        for _ in range(count):
            for send in list(sockets):
                if send is not sender:
                    try:
                        await send({"type": "websocket.send", "text": text})
                    except OSError:
                        sockets.discard(send)

    async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        sockets.add(send)
        while (message := await receive())["type"] != "websocket.disconnect":
            await push(int(message["text"]), send)
            await asyncio.sleep(0)
        sockets.discard(send)

    return app


if __name__ == "__main__":
    port, size = int(sys.argv[1]), int(sys.argv[2])
    uvicorn.run(create_app("x" * size), port=port, ws_per_message_deflate=False, log_level="error")
