"""Simulated workers, and the way their reports take to the API."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from app.demo_pipelines import Outcome, draw_run, role_of
from app.settings import SettingsError

HEARTBEAT_SECONDS = 10
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 5.0
START_WITHIN_SECONDS = 4.0
PAUSE_SECONDS = (2.0, 9.0)
# Whatever the speed of the demo: long enough for the monitor to notice.
FIRST_SILENCE_AT_SECONDS = (20.0, 40.0)
NEXT_SILENCE_AFTER_SECONDS = (60.0, 120.0)
SILENCE_SECONDS = (120.0, 240.0)
# wpipe's code for a step that raised.
TASK_FAILED = 502
FAULTS = (aiohttp.ClientError, OSError, TimeoutError)

Say = Callable[[str], None]
Sleep = Callable[[float], Awaitable[None]]


class Forgotten(Exception):
    """The API does not know the worker, process or task: its database is a new one."""


class Silences:
    """When a worker falls silent, in seconds of its life."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._next = random.uniform(*FIRST_SILENCE_AT_SECONDS)

    def begin(self, age: float) -> float:
        """For how many seconds it is silent from now on; 0 while no silence is due."""
        if age < self._next:
            return 0
        seconds = self._random.uniform(*SILENCE_SECONDS)
        self._next = age + seconds + self._random.uniform(*NEXT_SILENCE_AFTER_SECONDS)
        return seconds


def reason_of(fault: BaseException) -> str:
    """A fault for people; those that only mean that time is up have no text."""
    return str(fault) or "no answer in time"


@dataclass
class Tally:
    """What was done so far."""

    workers: int = 0
    started: int = 0
    failed: int = 0
    reports: int = 0

    def __str__(self) -> str:
        return (
            f"{self.workers} workers · {self.started} processes started · "
            f"{self.failed} failed · {self.reports} reports"
        )


class Reports:
    """Sends reports until the API takes them, and tells once that it is gone or back."""

    def __init__(self, http: aiohttp.ClientSession, url: str, tally: Tally, say: Say) -> None:
        self._http = http
        self._url = url
        self._say = say
        self._gone_at: float | None = None
        self.tally = tally

    async def send(self, path: str, **body: object) -> dict[str, Any]:
        """The answer. Raises Forgotten, or SettingsError when the API refuses us."""
        delay = FIRST_RETRY_SECONDS
        while True:
            begun = asyncio.get_running_loop().time()
            try:
                async with self._http.post(f"{self._url}{path}", json=body) as response:
                    if response.status < 500:
                        return await self._taken(response, path, begun)
                    reason = f"it answers {response.status}"
            except FAULTS as error:
                reason = reason_of(error)
            if self._gone_at is None:
                self._gone_at = asyncio.get_running_loop().time()
                self._say(f"{self._url} is gone ({reason}); trying on")
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_RETRY_SECONDS)

    async def _taken(
        self, response: aiohttp.ClientResponse, path: str, begun: float
    ) -> dict[str, Any]:
        # An answer to what was sent before it went proves nothing.
        if self._gone_at is not None and begun > self._gone_at:
            self._gone_at = None
            self._say(f"{self._url} is back")
        if response.status == 404:
            raise Forgotten
        if response.status != 200:
            told = (await response.text())[:200]
            mend = ": set TOKEN to its full-access token" if response.status in (401, 403) else ""
            raise SettingsError(f"{self._url}{path} answers {response.status} {told}{mend}.")
        answer: dict[str, Any] = await response.json()
        self.tally.reports += 1
        return answer


class SimulatedWorker:
    """Registers, and then runs its pipeline again and again, as `run` and `beat` are awaited."""

    def __init__(
        self,
        number: int,
        reports: Reports,
        random: Random,
        *,
        speed: float = 1,
        silences: Silences | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.name, self._pipeline = role_of(number)
        self._reports = reports
        self._random = random
        self._speed = speed
        self._silences = silences
        self._sleep = sleep
        self._id: str | None = None
        self._born_at: float | None = None
        self._speaks = asyncio.Event()

    async def run(self) -> None:
        """For ever. Raises SettingsError when the API refuses us."""
        await self._work(self._random.uniform(0, START_WITHIN_SECONDS))
        while True:
            try:
                if self._id is None:
                    await self._register()
                await self._run_process()
            except Forgotten:
                self._id = None
            await self._work(self._random.uniform(*PAUSE_SECONDS))

    async def beat(self) -> None:
        """Signs of life while it is not silent, for ever."""
        while True:
            await self._speaks.wait()
            with contextlib.suppress(Forgotten):  # `run` notices by itself, and registers again
                await self._reports.send("/healthchecker", id=self._id or "")
            await self._sleep(HEARTBEAT_SECONDS)

    async def _register(self) -> None:
        steps = [
            {"name": step.name, "version": self._pipeline.version} for step in self._pipeline.steps
        ]
        answer = await self._reports.send(
            "/matricula", name=self.name, version=self._pipeline.version, tasks=steps
        )
        self._id = answer["id"]
        if self._born_at is None:
            self._born_at = asyncio.get_running_loop().time()
            self._reports.tally.workers += 1
        self._speaks.set()

    async def _run_process(self) -> None:
        process = await self._reports.send("/newprocess", id=self._id)
        self._reports.tally.started += 1
        tasks = [son["id"] for son in process["sons"]]
        outcomes = draw_run(self._pipeline, self._random)
        for task, outcome in zip(tasks, outcomes, strict=False):  # it ends early where it fails
            if not await self._run_task(task, outcome, process["father"]):
                return
        await self._reports.send("/endprocess", id=process["father"], details="")

    async def _run_task(self, task: str, outcome: Outcome, process: str) -> bool:
        """Whether it went well."""
        for _ in range(2 if outcome.repeats else 1):
            await self._reports.send("/actualizar_task", task_id=task, status="start")
            await self._work(outcome.seconds)
            await self._perhaps_fall_silent()
            if outcome.error is not None:
                await self._fail(task, outcome.error, process)
                return False
            await self._reports.send("/actualizar_task", task_id=task, status="success")
        return True

    async def _fail(self, task: str, error: str, process: str) -> None:
        """With the details that wpipe sends, first for the task, then for its process."""
        told = {**json.loads(error), "task_id": task}
        await self._reports.send(
            "/actualizar_task", task_id=task, status="error", details=json.dumps(told)
        )
        failure = {
            "message": f"[Error Code: {TASK_FAILED}] {told['error_message']}",
            "error_code": TASK_FAILED,
            "process_name": process,
            "worker_id": self._id,
            "worker_name": self.name,
            "task_name": told["task_name"],
            "task_id": task,
        }
        await self._reports.send("/endprocess", id=process, details=json.dumps(failure))
        self._reports.tally.failed += 1

    async def _perhaps_fall_silent(self) -> None:
        """Only called while a task runs, so that there is something to stall."""
        if self._silences is None or self._born_at is None:
            return
        age = asyncio.get_running_loop().time() - self._born_at
        if seconds := self._silences.begin(age):
            self._speaks.clear()
            await self._sleep(seconds)
            self._speaks.set()

    async def _work(self, seconds: float) -> None:
        await self._sleep(seconds / self._speed)
