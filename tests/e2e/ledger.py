"""The ledger: what workers report and subscribers are told, compared with what is stored."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import httpx
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.upkeep.counters import check_counters
from tests.conftest import TOKEN
from tests.e2e.followers import Follower

WRITERS = 6
FOLLOWERS = 18
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


class Final(NamedTuple):
    """An entity as the database has it in the end."""

    root: str
    id: str
    worker: str
    revision: int


class Ledger(NamedTuple):
    """What is stored, and what each subscriber was told."""

    stored: list[Final]
    followers: list[Follower]


async def keep(
    urls: Sequence[str],
    database_url: str,
    disturb: Callable[[float], Awaitable[None]],
    *,
    seconds: float,
) -> Ledger:
    """Writes by all servers and follows all of them; fails unless everybody is told of everything.

    `disturb` gets the end, in the time of `time.monotonic`.
    """
    cursor, workers = await _begin(urls[0])
    followers = [
        Follower(
            ("workers", "processes", "tasks")[number % 3],
            None if number < FOLLOWERS / 2 else _only(number, workers),
            cursor,
        )
        for number in range(FOLLOWERS)
    ]
    following = [
        asyncio.create_task(follower.follow(list(urls), TOKEN, random.Random(number)))
        for number, follower in enumerate(followers)
    ]
    end = time.monotonic() + seconds
    await asyncio.gather(
        disturb(end), *(_write(urls, worker, random.Random(worker), end) for worker in workers)
    )
    stored = await final_revisions(database_url)
    for follower in followers:
        await _complete(follower, _expected(follower, stored))
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    return Ledger(stored, followers)


async def _begin(url: str) -> tuple[str, list[str]]:
    """Where the feed stands, and workers that are registered behind it."""
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=20) as http:
        answer = await http.post("/graphql", json={"query": "{ feedCursor }"})
        steps = [{"name": name, "version": "1"} for name in "abc"]
        body = {"name": "writer", "version": "1", "tasks": steps}
        workers = [(await http.post("/matricula", json=body)).json()["id"] for _ in range(WRITERS)]
        return answer.json()["data"]["feedCursor"], workers


async def _write(urls: Sequence[str], worker: str, chance: random.Random, end: float) -> None:
    """Runs processes of a worker until the end; a server that is gone costs the process at hand."""
    async with httpx.AsyncClient(headers=HEADERS, timeout=20) as http:
        while time.monotonic() < end:
            url = chance.choice(urls)
            with suppress(httpx.TransportError, KeyError):
                started = (await http.post(f"{url}/newprocess", json={"id": worker})).json()
                for son in started["sons"]:
                    for status in ("start", chance.choice(["success", "error"])):
                        body = {"task_id": son["id"], "status": status}
                        await http.post(f"{url}/actualizar_task", json=body)
                await http.post(f"{url}/endprocess", json={"id": started["father"]})
                continue
            await asyncio.sleep(0.1)  # a worker tries again later


async def final_revisions(url: str) -> list[Final]:
    """Everything there is, with its last revision; the counters agree with it."""
    database = Database(url)
    workers, processes, tasks = models.workers.c, models.processes.c, models.tasks.c
    found = []
    async with database.reading() as connection:
        for name, columns in (
            ("workers", (workers.id, workers.id, workers.revision)),
            ("processes", (processes.id, processes.worker_id, processes.revision)),
            ("tasks", (tasks.id, tasks.worker_id, tasks.revision)),
        ):
            found += [Final(name, *row) for row in await connection.execute(select(*columns))]
    assert await check_counters(database, repair=False) == []
    await database.close()
    return found


def _only(number: int, workers: list[str]) -> dict[str, list[str]]:
    """A filter on one worker."""
    return {"ids" if number % 3 == 0 else "workerIds": [workers[number % len(workers)]]}


def _expected(follower: Follower, stored: list[Final]) -> dict[str, int]:
    """What a follower must have seen."""
    only = next(iter((follower.filter or {}).values()), None)
    return {
        final.id: final.revision
        for final in stored
        if final.root == follower.root and (only is None or final.worker in only)
    }


async def _complete(follower: Follower, revisions: dict[str, int]) -> None:
    """Waits for what is still on its way; fails when it does not come, or something else did.

    A start that was refused while nobody knew what became of its commit is taken back when it turns
    out to be stored: then it was told of, and told REMOVED.
    """
    async with asyncio.timeout(30):
        while wrong := [*follower.lacks(revisions), *follower.has_too_many(revisions)]:
            follower.news.clear()
            try:
                async with asyncio.timeout(10):
                    await follower.news.wait()
            except TimeoutError:
                id_ = wrong[0]
                raise AssertionError(
                    f"{follower.root} {follower.filter}: {len(wrong)} of {len(revisions)}; "
                    f"{id_} is at {revisions.get(id_)}, told: {follower.seen.get(id_)}"
                ) from None
