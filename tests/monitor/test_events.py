"""Events as they are stored: read back as they were, also those of the release before."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from monitor.entities import (
    Entity,
    Liveness,
    Pipeline,
    Process,
    ProcessStatus,
    Task,
    TaskStatus,
    Worker,
)
from monitor.events import ChangeKind, Event, decode_events, encode_events
from monitor.ids import pipeline_id
from monitor.reading.filters import WorkerFilter, told_as
from tests.stored import a_pipeline, a_process, a_task, a_worker

NOW = datetime(2026, 11, 24, tzinfo=UTC)
WORKER = a_worker()
PROCESS = a_process(WORKER)
TASK = a_task(PROCESS)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (WORKER, replace(WORKER, liveness=Liveness.LOST)),
        (PROCESS, replace(PROCESS, stalled=True)),
        (replace(PROCESS, stalled=True), replace(PROCESS, status=ProcessStatus.ERROR)),
        (TASK, replace(TASK, status=TaskStatus.RUNNING, details="x")),
    ],
)
def test_an_update_keeps_what_filters_saw_before(before: Entity, after: Entity) -> None:
    update = Event.update(NOW, before, after)
    (stored,) = decode_events(encode_events([update]))
    assert stored == update
    (was,) = stored.were
    for name in ("id", "status", "liveness", "stalled"):
        value = getattr(was, name, None)
        assert value == getattr(before, name, None)
        assert type(value) is type(getattr(before, name, None))


def test_what_filters_cannot_see_takes_no_room() -> None:
    created = Event(ChangeKind.CREATED, NOW, TASK)
    update = Event.update(NOW, TASK, replace(TASK, details="x", revision=2))
    encoded = encode_events([created, update])
    assert [len(event) for event in orjson.loads(encoded)] == [4, 4]
    assert decode_events(encoded) == [created, update]
    assert list(update.were) == []


def test_a_pipeline_keeps_each_way_in_which_it_may_have_been() -> None:
    before = ({"failing": True}, {"running": 1}, {"failing": True, "running": 1})
    update = Event(ChangeKind.UPDATED, NOW, a_pipeline(WORKER), before)
    (stored,) = decode_events(encode_events([update]))
    assert stored == update
    pipelines = [was for was in stored.were if isinstance(was, Pipeline)]
    assert [(was.failing, was.running) for was in pipelines] == [(True, 0), (False, 1), (True, 1)]


RELEASED = """
[["UPDATED", "2026-11-20T10:00:05+00:00", "worker", {"id": "worker_1", "name": "etl ",
  "version": "v1", "status": "STATUS", "task_definitions": [{"name": "a", "version": "v1"}],
  "registered_at": "2026-11-20T10:00:00+00:00", "last_seen_at": "2026-11-20T10:00:05.500000+00:00",
  "running": RUNNING, "succeeded": 2, "failed": 0, "runtime_microseconds": 7, "revision": 3,
  "archived": false}, {"status": "BEFORE"}],
 ["CREATED", "2026-11-20T10:00:05+00:00", "process", {"id": "process_1", "worker_id": "worker_1",
  "status": "RUNNING", "stalled": false, "task_count": 1, "ended_task_count": 0,
  "current_task_id": null, "started_at": "2026-11-20T10:00:05+00:00",
  "updated_at": "2026-11-20T10:00:05+00:00", "ended_at": null, "details": null, "revision": 1,
  "recovered": false, "successor_id": null}],
 ["UPDATED", "2026-11-20T10:00:06+00:00", "task", {"id": "task_1", "process_id": "process_1",
  "worker_id": "worker_1", "name": "a", "version": "v1", "position": 1, "status": "RUNNING",
  "created_at": "2026-11-20T10:00:05+00:00", "started_at": "2026-11-20T10:00:06+00:00",
  "updated_at": "2026-11-20T10:00:06+00:00", "ended_at": null, "details": null, "revision": 2},
  {"status": "PENDING"}]]
"""


@pytest.mark.parametrize(
    ("status", "running", "before", "liveness", "was"),
    [
        ("ONLINE", 1, "OFFLINE", Liveness.ALIVE, Liveness.LOST),
        ("OFFLINE", 1, "ONLINE", Liveness.LOST, Liveness.ALIVE),
        ("OFFLINE", 0, "ONLINE", Liveness.FINISHED, Liveness.ALIVE),
    ],
)
def test_what_the_release_before_wrote_is_understood(
    status: str, running: int, before: str, liveness: Liveness, was: Liveness
) -> None:
    text = RELEASED.replace("STATUS", status).replace("BEFORE", before)
    of_worker, started, of_task = decode_events(text.replace("RUNNING,", f"{running},", 1))
    worker, process, task = of_worker.entity, started.entity, of_task.entity
    assert isinstance(worker, Worker)
    assert (worker.pipeline_id, worker.liveness) == (pipeline_id("etl "), liveness)
    assert worker.quiet_since == worker.last_seen_at
    assert [each.liveness for each in of_worker.were if isinstance(each, Worker)] == [was]
    assert isinstance(process, Process)
    assert process.status is ProcessStatus.RUNNING
    assert isinstance(task, Task)
    assert [each.status for each in of_task.were if isinstance(each, Task)] == [TaskStatus.PENDING]
    # It is told as it is, and again by what this release writes.
    events = [of_worker, started, of_task]
    assert decode_events(encode_events(events)) == events
    old = WorkerFilter(liveness=(was,))
    assert told_as(old, of_worker) is ChangeKind.LEFT
