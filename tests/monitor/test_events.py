"""Events as they are stored: read back as they were, also those of the release before."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from monitor.entities import Entity, Liveness, ProcessStatus, TaskStatus
from monitor.events import ChangeKind, Event, decode_events, encode_events
from tests.stored import a_process, a_task, a_worker

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
    was = stored.was
    assert was is not None
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
    assert update.was is None
