"""What is usual of processes and tasks: from what is known, without a query where that is fresh."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

from graph.context import GraphInfo
from graph.execution.executor import NotAtHand
from graph.types.statistics import RuntimeStatistics
from monitor.entities import Process
from monitor.reading.expected import end_of, steps_of
from monitor.reading.histograms import Step
from monitor.reading.statistics import Runtimes
from monitor.reading.usual import NotKnown

T = TypeVar("T")
NOT_LOADED: Final[Literal[False]] = False
Loaded: TypeAlias = T | Literal[False] | None

OVERTIME = (
    "It runs for longer than 1.5 x the usual p99, and for more than 30 s longer than the usual "
    "p50. False once it has ended. Told by an event when it begins, and stays until the end."
)
EXPECTED_END = (
    "By what is usual (p50) for the steps that are left, never before now; null when that is not "
    "known or it has ended. In an event: as of its telling."
)


def usual_at_hand(process: Any) -> RuntimeStatistics | None:
    """What was loaded with the list. Raises NotAtHand."""
    return cast(RuntimeStatistics | None, _at_hand(process.loaded_usual))


def end_at_hand(process: Any) -> datetime | None:
    """What was loaded with the list. Raises NotAtHand."""
    return None if process.entity.ended_at else _at_hand(process.loaded_end)


def _at_hand(loaded: Any) -> Any:
    if loaded is NOT_LOADED:
        raise NotAtHand
    return loaded


def usual_of_process(self: Any, info: GraphInfo) -> RuntimeStatistics | None:
    """Resolves the field of a process."""
    return _usual(info, Step(self.entity.pipeline_id, None))


def usual_of_task(self: Any, info: GraphInfo) -> RuntimeStatistics | None:
    """Resolves the field of a task."""
    return _usual(info, Step(self.entity.pipeline_id, self.entity.name))


def _usual(info: GraphInfo, step: Step) -> RuntimeStatistics | None:
    """At once where it is known: an event then needs no task of its own. Else what awaits it, which
    is an answer as well.
    """
    try:
        return _shown(info.context.monitor.usual.recall(step))
    except NotKnown:
        return cast(RuntimeStatistics | None, _load(info, step))


async def _load(info: GraphInfo, step: Step) -> RuntimeStatistics | None:
    return _shown(await info.context.loaders.usual.load(step))


def _shown(usual: Runtimes | None) -> RuntimeStatistics | None:
    return None if usual is None else RuntimeStatistics.of(usual)


async def expected_end(self: Any, info: GraphInfo) -> datetime | None:
    """Resolves the field of a process."""
    [end] = await _expect(info, [self.entity])
    return end


async def load_usual(info: GraphInfo, rows: Sequence[Any], selected: Collection[str]) -> None:
    """Adds to the processes of a list what is asked of all of them."""
    if "usualRuntime" in selected:
        steps = [Step(row.entity.pipeline_id, None) for row in rows]
        found = await info.context.loaders.usual.load_many(dict.fromkeys(steps))
        usual = dict(zip(dict.fromkeys(steps), map(_shown, found), strict=True))
        for row, step in zip(rows, steps, strict=True):
            row.loaded_usual = usual[step]
    if "expectedEndAt" in selected:
        ends = await _expect(info, [row.entity for row in rows])
        for row, end in zip(rows, ends, strict=True):
            row.loaded_end = end


async def _expect(info: GraphInfo, processes: Sequence[Process]) -> list[datetime | None]:
    """When each is expected to end; those that run on different rows of a list load together."""
    loaders = info.context.loaders
    running = [process for process in processes if process.ended_at is None]
    ids = [process.id for process in running if process.ended_task_count < process.task_count]
    left = dict(zip(ids, await loaders.left.load_many(ids), strict=True))
    steps = {step for process in running for step in steps_of(process, left.get(process.id, ()))}
    usual = dict(zip(steps, await loaders.usual.load_many(steps), strict=True))
    now = datetime.now(UTC)
    ends = {
        process.id: end_of(process, left.get(process.id, ()), usual, now) for process in running
    }
    return [ends.get(process.id) for process in processes]
