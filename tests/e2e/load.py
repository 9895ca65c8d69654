"""Workers that report over REST as fast as they can, and remember what was acknowledged."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

STEPS = ["first", "second", "third"]
PROCESSES = 100


@dataclass
class Ledger:
    """What the server acknowledged: status by task, and by ended process."""

    workers: dict[str, int] = field(default_factory=dict)
    processes: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    # Reports that were sent but not answered: they may be stored or not.
    unanswered: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    # Set once PROCESSES were started.
    well_under_way: asyncio.Event = field(default_factory=asyncio.Event)


class Unanswered(Exception):
    """The server went away."""


async def work(url: str, token: str, ledger: Ledger, goes_on: Callable[[], bool]) -> None:
    """One worker's life, until told to stop or until the server is gone."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http:

        async def post(path: str, body: dict[str, object], subject: str) -> dict[str, object]:
            try:
                response = await http.post(path, json=body)
            except httpx.TransportError as error:
                ledger.unanswered.add(subject)
                raise Unanswered from error
            if response.status_code != 200:
                ledger.errors.append(f"{path}: {response.status_code} {response.text}")
                raise Unanswered
            answer: dict[str, object] = response.json()
            return answer

        try:
            steps = [{"name": name, "version": "1"} for name in STEPS]
            body: dict[str, object] = {"name": "w", "version": "1", "tasks": steps}
            worker = str((await post("/matricula", body, ""))["id"])
            ledger.workers[worker] = 0
            while goes_on():
                await _run_process(post, worker, ledger)
        except Unanswered:
            return


async def _run_process(post: Callable[..., object], worker: str, ledger: Ledger) -> None:
    async def report(path: str, body: dict[str, object], subject: str) -> dict[str, object]:
        answer: dict[str, object] = await post(path, body, subject)  # type: ignore[misc]  # a coroutine function
        return answer

    started = await report("/newprocess", {"id": worker}, worker)
    process = str(started["father"])
    ledger.workers[worker] += 1
    ledger.processes[process] = "RUNNING"
    if len(ledger.processes) >= PROCESSES:
        ledger.well_under_way.set()
    sons: list[dict[str, str]] = started["sons"]  # type: ignore[assignment]  # as documented
    for son in sons:
        ledger.tasks[son["id"]] = "PENDING"
    for son in sons:
        for word, status in (("start", "RUNNING"), ("success", "SUCCESS")):
            await report("/actualizar_task", {"task_id": son["id"], "status": word}, son["id"])
            ledger.tasks[son["id"]] = status
    await report("/endprocess", {"id": process, "details": ""}, process)
    ledger.processes[process] = "SUCCESS"


async def work_together(
    url: str, token: str, count: int, ledger: Ledger, goes_on: Callable[[], bool]
) -> None:
    """Many workers at once; what they are told stands in the ledger."""
    await asyncio.gather(*(work(url, token, ledger, goes_on) for _ in range(count)))
