"""Simulated workers, each the way that programs of users' go about it.

Scripts register anew at each start, run once and are gone. Loops register once and run again and
again; of these a service sends heartbeats, too. What befalls them now and then is what befalls real
ones: see `Mishap`.
"""

import asyncio
import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from app.demo_errors import cut_off, describe
from app.demo_pipelines import (
    PIPELINES,
    Outcome,
    Pipeline,
    draw_hanging_run,
    draw_run,
    next_version,
)
from app.demo_reports import Forgotten, Reports

HEARTBEAT_SECONDS = 10
START_WITHIN_SECONDS = 4.0
PAUSE_SECONDS = (3.0, 12.0)
# Whatever the speed of the demo: long enough for the monitor to notice.
FIRST_SILENCE_AT_SECONDS = (20.0, 40.0)
NEXT_SILENCE_AFTER_SECONDS = (60.0, 120.0)
SILENCE_SECONDS = (120.0, 240.0)
# wpipe's code for a step that raised.
TASK_FAILED = 502

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Mishap:
    """What happens at one start of a program, counted from 1, and at each so many later."""

    first: int
    every: int

    def is_due(self, start: int) -> bool:
        return start >= self.first and (start - self.first) % self.every == 0


# The monitor knows by then how long the steps usually take.
KILLED = Mishap(7, 120)
HANGS = Mishap(7, 40)
START_LOST = Mishap(4, 50)
# From this start on a program runs the next version; those of a later lap at twice that, and so on.
RELEASED_AT = 6


class Silences:
    """When a worker falls silent, in seconds of its life."""

    def __init__(
        self, random: Random, *, first: tuple[float, float] = FIRST_SILENCE_AT_SECONDS
    ) -> None:
        self._random = random
        self._next = random.uniform(*first)

    def begin(self, age: float) -> float:
        """For how many seconds it is silent from now on; 0 while no silence is due."""
        if age < self._next:
            return 0
        seconds = self._random.uniform(*SILENCE_SECONDS)
        self._next = age + seconds + self._random.uniform(*NEXT_SILENCE_AFTER_SECONDS)
        return seconds


@dataclass(frozen=True)
class Run:
    """The ids that a run is reported under."""

    process: str
    tasks: Sequence[str]


class SimulatedWorker(ABC):
    """A program; what it does is done as `run` is awaited."""

    def __init__(
        self,
        number: int,
        reports: Reports,
        random: Random,
        *,
        speed: float = 1,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._lap, position = divmod(number, len(PIPELINES))
        self._pipeline = PIPELINES[position]
        self._reports = reports
        self._random = random
        self._speed = speed
        self._sleep = sleep
        self._id: str | None = None

    async def run(self) -> None:
        """For ever. Raises SettingsError when the API refuses us."""
        await self._work(self._random.uniform(0, START_WITHIN_SECONDS))
        for start in count(1):
            with contextlib.suppress(Forgotten):
                await self._start(start)
            await self._work(self._random.uniform(*PAUSE_SECONDS))

    @abstractmethod
    async def _start(self, start: int) -> None:
        """What the program does each time: `start` counts them from 1."""

    async def _register(self, pipeline: Pipeline) -> None:
        steps = [{"name": step.name, "version": pipeline.version} for step in pipeline.steps]
        answer = await self._reports.send(
            "/matricula", name=pipeline.name, version=pipeline.version, tasks=steps
        )
        self._id = answer["id"]
        self._reports.tally.workers += 1

    async def _start_process(self) -> Run:
        process = await self._reports.send("/newprocess", id=self._id)
        self._reports.tally.started += 1
        return Run(process["father"], [son["id"] for son in process["sons"]])

    def _draw(self, pipeline: Pipeline, start: int) -> Sequence[Outcome]:
        if pipeline.accident == "hangs" and HANGS.is_due(start):
            self._reports.say(f"{pipeline.name} hangs in its step {pipeline.longest.name}")
            return draw_hanging_run(pipeline, self._random)
        return draw_run(pipeline, self._random)

    async def _report(self, run: Run, outcomes: Sequence[Outcome]) -> None:
        for task, outcome in zip(run.tasks, outcomes, strict=False):  # it ends where it fails
            if not await self._run_task(task, outcome, run.process):
                return
        await self._reports.send("/endprocess", id=run.process, details="")

    async def _run_task(self, task: str, outcome: Outcome, process: str) -> bool:
        """Whether it went well."""
        for _ in range(2 if outcome.repeats else 1):
            await self._reports.send("/actualizar_task", task_id=task, status="start")
            error = await self._be_in_step(outcome)
            if error is not None:
                await self._fail(task, error, process)
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
            "worker_name": self._pipeline.name,
            "task_name": told["task_name"],
            "task_id": task,
        }
        await self._reports.send("/endprocess", id=process, details=json.dumps(failure))
        self._reports.tally.failed += 1

    async def _be_in_step(self, outcome: Outcome) -> str | None:
        """Does the step's work; what went wrong, as the worker reports it."""
        await self._work(outcome.seconds)
        return outcome.error

    async def _work(self, seconds: float) -> None:
        await self._sleep(seconds / self._speed)


class Script(SimulatedWorker):
    """Started again and again, as by cron: a new worker each time, of the next version one day."""

    async def _start(self, start: int) -> None:
        pipeline = self._pipeline
        if start >= RELEASED_AT * (self._lap + 1):
            pipeline = next_version(pipeline)
        await self._register(pipeline)
        run = await self._start_process()
        if pipeline.accident == "killed" and KILLED.is_due(start):
            # Without a word: its process runs until somebody ends it.
            await self._reports.send("/actualizar_task", task_id=run.tasks[0], status="start")
            self._reports.say(f"{pipeline.name} was killed in its step {pipeline.steps[0].name}")
            return
        await self._report(run, self._draw(pipeline, start))


class Loop(SimulatedWorker):
    """Registers once, and runs again and again.

    Where the answer to a start is lost it goes on as `wpipe` does, under the ids of the run before.
    """

    _before: Run | None = None

    async def _start(self, start: int) -> None:
        try:
            if self._id is None:
                self._before = None
                await self._register(self._pipeline)
            run = await self._start_process()
            if self._before is not None and START_LOST.is_due(start):
                run = self._before
                self._reports.say(f"{self._pipeline.name} got no answer to its start")
            self._before = run
            await self._report(run, self._draw(self._pipeline, start))
        except Forgotten:
            self._id = None
            raise


class Service(Loop):
    """Sends heartbeats as well, as `beat` is awaited.

    Now and then its network is gone for a while, in a step, which then fails.
    """

    def __init__(
        self,
        number: int,
        reports: Reports,
        random: Random,
        *,
        silences: Silences,
        speed: float = 1,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(number, reports, random, speed=speed, sleep=sleep)
        self._silences = silences
        self._born_at: float | None = None
        self._speaks = asyncio.Event()

    async def beat(self) -> None:
        """Signs of life while it is not silent, for ever."""
        while True:
            await self._speaks.wait()
            with contextlib.suppress(Forgotten):  # `run` notices by itself, and registers again
                await self._reports.send("/healthchecker", id=self._id or "")
            await self._sleep(HEARTBEAT_SECONDS)

    async def _register(self, pipeline: Pipeline) -> None:
        await super()._register(pipeline)
        if self._born_at is None:
            self._born_at = asyncio.get_running_loop().time()
        self._speaks.set()

    async def _be_in_step(self, outcome: Outcome) -> str | None:
        error = await super()._be_in_step(outcome)
        assert self._born_at is not None, "it registers before it runs"
        age = asyncio.get_running_loop().time() - self._born_at
        if silence := self._silences.begin(age):
            self._reports.say(f"{self._pipeline.name} falls silent for {silence:.0f} s")
            self._speaks.clear()
            await self._sleep(silence)
            self._speaks.set()
            name, step = self._pipeline.name, outcome.step.name
            error = describe(cut_off(step), name, step, self._random)
        return error
