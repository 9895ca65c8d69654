"""What happened: a change of one entity, with its whole state afterwards; and its stored form."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

import orjson

from monitor.entities import (
    UNREAD,
    Entity,
    Failure,
    FailureStatus,
    Liveness,
    Pipeline,
    Process,
    ProcessStatus,
    Task,
    TaskDefinition,
    TaskStatus,
    Worker,
)
from monitor.ids import pipeline_id


class ChangeKind(StrEnum):
    """LEFT is how an update is told to those whose filter matched only before; never stored."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    REMOVED = "REMOVED"
    LEFT = "LEFT"


# In JSON, in place of details that were not read.
_UNREAD = False
# What filters look at and changes.
_FILTERED: Mapping[type[Entity], Sequence[str]] = {
    Worker: ("liveness",),
    Process: ("status", "stalled"),
    Task: ("status",),
}


@dataclass(frozen=True, slots=True)
class Event:
    """`entity` was created, updated or removed at `occurred_at`; `entity` is the state after it.

    `before`: of what filters look at, that which was different before it; of a pipeline or a
    failure, in each of the ways in which it may have been since the last event.
    """

    kind: ChangeKind
    occurred_at: datetime
    entity: Entity
    before: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def update(cls, occurred_at: datetime, before: Entity, after: Entity) -> Self:
        """That an entity changed."""
        different = {
            name: value
            for name in _FILTERED[type(after)]
            if (value := getattr(before, name)) != getattr(after, name)
        }
        return cls(ChangeKind.UPDATED, occurred_at, after, (different,) if different else ())

    @property
    def were(self) -> Iterator[Entity]:
        """The states before it as filters would see them; none when they see no difference."""
        return (replace(self.entity, **different) for different in self.before)


_TYPES: dict[str, type[Entity]] = {
    "pipeline": Pipeline,
    "worker": Worker,
    "process": Process,
    "task": Task,
    "failure": Failure,
}
_NAMES: dict[type[Entity], str] = {type_: name for name, type_ in _TYPES.items()}
_INSTANTS = (
    "first_seen_at",
    "registered_at",
    "last_seen_at",
    "quiet_since",
    "created_at",
    "started_at",
    "updated_at",
    "ended_at",
    "resolved_at",
    "muted_until",
    "overtime_due_at",
)


def encode_entity(entity: Entity) -> bytes:
    """`[type, state]` as JSON; details that were not read are left unread by `decode_entity`."""
    return orjson.dumps([_NAMES[type(entity)], entity], default=_leave_unread)


def encode_events(events: Iterable[Event]) -> bytes:
    """A JSON list of `[kind, occurred_at, type, state]`, in order; what filters can see has its
    `before` as a fifth part.
    """
    return orjson.dumps(
        [
            [e.kind, e.occurred_at, _NAMES[type(e.entity)], e.entity]
            + ([e.before] if e.before else [])
            for e in events
        ]
    )


def decode_events(data: bytes | str) -> list[Event]:
    """The inverse of `encode_events`, also of what a server of the release before wrote."""
    return [_event(*stored) for stored in orjson.loads(data)]


def _event(
    kind: str,
    at: str,
    type_: str,
    state: dict[str, Any],
    before: Sequence[dict[str, Any]] | dict[str, Any] = (),
) -> Event:
    entity = _entity(type_, state)
    # The release before knew one way at most.
    ways = [before] if isinstance(before, dict) else before
    different = tuple(_different(entity, way) for way in ways)
    return Event(ChangeKind(kind), datetime.fromisoformat(at), entity, different)


def _different(entity: Entity, before: dict[str, Any]) -> Mapping[str, Any]:
    if isinstance(entity, Worker) and "status" in before:
        before["liveness"] = _liveness(before.pop("status"), running=entity.running)
    for name in ("status", "liveness"):
        if name in before:
            before[name] = type(getattr(entity, name))(before[name])
    return before


def decode_entity(data: bytes | str) -> Entity:
    """The inverse of `encode_entity`."""
    type_, state = orjson.loads(data)
    if state.get("details") is _UNREAD:
        state["details"] = UNREAD
    return _entity(type_, state)


def _leave_unread(value: object) -> bool:
    """Raises TypeError for anything but UNREAD, whose value this is asked for."""
    if value is not UNREAD.value:
        raise TypeError(type(value).__name__)
    return _UNREAD


def _entity(type_: str, state: dict[str, Any]) -> Entity:
    if type_ not in ("pipeline", "failure") and "pipeline_id" not in state:
        _complete(type_, state)
    for name in _INSTANTS:
        if state.get(name) is not None:
            state[name] = datetime.fromisoformat(state[name])
    if "task_definitions" in state:
        state["task_definitions"] = tuple(
            TaskDefinition(**definition) for definition in state["task_definitions"]
        )
    match type_:
        case "pipeline":
            return Pipeline(**state)
        case "failure":
            state["status"] = FailureStatus(state["status"])
            return Failure(**state)
        case "worker":
            state["liveness"] = Liveness(state["liveness"])
            return Worker(**state)
        case "process":
            state["status"] = ProcessStatus(state["status"])
            return Process(**state)
        case _:
            state["status"] = TaskStatus(state["status"])
            return Task(**state)


def _complete(type_: str, state: dict[str, Any]) -> None:
    """Adds what a server of the release before, which knew no pipelines, did not write."""
    state["pipeline_id"] = pipeline_id(state["name"]) if type_ == "worker" else ""
    if type_ == "worker":
        state["liveness"] = _liveness(state.pop("status"), running=state["running"])
        state["liveness_reason"] = None
        state["sends_heartbeats"] = False
        state["quiet_since"] = state["last_seen_at"]
    elif type_ == "process":
        state["version"] = ""


def _liveness(status: str, *, running: int) -> Liveness:
    """As the migration has it: who fell silent while something ran is lost."""
    if status == "ONLINE":
        return Liveness.ALIVE
    return Liveness.LOST if running else Liveness.FINISHED
