"""What happened: a change of one entity, with its whole state afterwards; and its stored form."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

import orjson

from monitor.entities import (
    UNREAD,
    Entity,
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
    Pipeline: ("failing", "running", "workers_lost"),
    Worker: ("liveness",),
    Process: ("status", "stalled"),
    Task: ("status",),
}


@dataclass(frozen=True, slots=True)
class Event:
    """`entity` was created, updated or removed at `occurred_at`; `entity` is the state after it.

    `before`: of what filters look at, that which was different before an update.
    """

    kind: ChangeKind
    occurred_at: datetime
    entity: Entity
    before: Mapping[str, Any] | None = None

    @classmethod
    def update(cls, occurred_at: datetime, before: Entity, after: Entity) -> Self:
        """That an entity changed."""
        different = {
            name: value
            for name in _FILTERED[type(after)]
            if (value := getattr(before, name)) != getattr(after, name)
        }
        return cls(ChangeKind.UPDATED, occurred_at, after, different or None)

    @property
    def was(self) -> Entity | None:
        """The state before it as filters would see it; None when they would see no difference."""
        return None if self.before is None else replace(self.entity, **self.before)


_TYPES: dict[str, type[Entity]] = {
    "pipeline": Pipeline,
    "worker": Worker,
    "process": Process,
    "task": Task,
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
)


def encode_entity(entity: Entity) -> bytes:
    """`[type, state]` as JSON; details that were not read are left unread by `decode_entity`."""
    return orjson.dumps([_NAMES[type(entity)], entity], default=_leave_unread)


def encode_events(events: Iterable[Event]) -> bytes:
    """A JSON list of `[kind, occurred_at, type, state]`, in order; an update that filters can see
    has its `before` as a fifth part.
    """
    return orjson.dumps(
        [
            [e.kind, e.occurred_at, _NAMES[type(e.entity)], e.entity]
            + ([] if e.before is None else [e.before])
            for e in events
        ]
    )


def decode_events(data: bytes | str) -> list[Event]:
    """The inverse of `encode_events`; a server of the release before wrote no `before`."""
    return [_event(*stored) for stored in orjson.loads(data)]


def _event(
    kind: str, at: str, type_: str, state: dict[str, Any], before: dict[str, Any] | None = None
) -> Event:
    entity = _entity(type_, state)
    for name in ("status", "liveness"):
        if before is not None and name in before:
            before[name] = type(getattr(entity, name))(before[name])
    return Event(ChangeKind(kind), datetime.fromisoformat(at), entity, before)


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
    if type_ != "pipeline" and "pipeline_id" not in state:
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
        was_online = state.pop("status") == "ONLINE"
        state["liveness"] = Liveness.ALIVE if was_online else Liveness.LOST
        state["liveness_reason"] = None
        state["sends_heartbeats"] = False
        state["quiet_since"] = state["last_seen_at"]
    elif type_ == "process":
        state["version"] = ""
