"""Subscribers that drop and resume at random, and remember every change they were told of."""

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

QUERIES = {
    "workers": "subscription ($f: WorkerFilter, $a: String) "
    "{ workers(filter: $f, after: $a) { cursor kind node: worker { id revision } } }",
    "processes": "subscription ($f: ProcessFilter, $a: String) "
    "{ processes(filter: $f, after: $a) { cursor kind node: process { id revision } } }",
    "tasks": "subscription ($f: TaskFilter, $a: String) "
    "{ tasks(filter: $f, after: $a) { cursor kind node: task { id revision } } }",
}


@dataclass
class Follower:
    """One subscriber: what it follows, and the revisions it saw of each entity, in order.

    `removed`: of those, what it was told is gone.
    """

    root: str
    filter: dict[str, Any] | None
    cursor: str
    seen: dict[str, list[int]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    connections: int = 0
    errors: list[Any] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, urls: list[str], token: str, chance: random.Random) -> None:
        """Follows until cancelled, on one server or the other, for a short time each."""
        while True:
            url = chance.choice(urls).replace("http", "ws") + "/graphql"
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with asyncio.timeout(chance.uniform(0.2, 3)):
                    await self._listen(url, token)
            await asyncio.sleep(chance.uniform(0, 0.2))  # being away is what is tested

    async def _listen(self, url: str, token: str) -> None:
        async with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]  # a plain text will do
            init = {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}
            await socket.send(json.dumps(init))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            variables = {"f": self.filter, "a": self.cursor}
            payload = {"query": QUERIES[self.root], "variables": variables}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            self.connections += 1
            async for text in socket:
                self._note(json.loads(text))

    def _note(self, message: dict[str, Any]) -> None:
        if message["type"] != "next" or "errors" in message["payload"]:
            self.errors.append(message)
            return
        event = message["payload"]["data"][self.root]
        self.cursor = event["cursor"]
        self.seen.setdefault(event["node"]["id"], []).append(event["node"]["revision"])
        if event["kind"] == "REMOVED":
            self.removed.add(event["node"]["id"])
        self.news.set()

    def lacks(self, revisions: dict[str, int]) -> list[str]:
        """The entities of which it has not been told every revision, in order."""
        return [
            id_
            for id_, last in revisions.items()
            if list(dict.fromkeys(self.seen.get(id_, []))) != list(range(1, last + 1))
        ]

    def has_too_many(self, revisions: dict[str, int]) -> set[str]:
        """The entities that it was told of and that are not there, though nobody told it so."""
        return self.seen.keys() - self.removed - revisions.keys()
