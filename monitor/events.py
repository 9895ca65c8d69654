"""What happened: a change of one entity, with its whole state afterwards; and its stored form."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from monitor.entities import (
    Entity,
    Process,
    ProcessStatus,
    Task,
    TaskDefinition,
    TaskStatus,
    Worker,
    WorkerStatus,
)


class ChangeKind(StrEnum):
    CREATED = "CREATED"
    UPDATED = "UPDATED"
    REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True)
class Event:
    """`entity` was created, updated or removed at `occurred_at`; `entity` is the state after it."""

    kind: ChangeKind
    occurred_at: datetime
    entity: Entity


_TYPES: dict[str, type[Entity]] = {"worker": Worker, "process": Process, "task": Task}
_NAMES: dict[type[Entity], str] = {type_: name for name, type_ in _TYPES.items()}
_INSTANTS = (
    "registered_at",
    "last_seen_at",
    "created_at",
    "started_at",
    "updated_at",
    "ended_at",
)


def encode_entity(entity: Entity) -> bytes:
    """`[type, state]` as JSON."""
    return orjson.dumps([_NAMES[type(entity)], entity])


def encode_events(events: Iterable[Event]) -> bytes:
    """A JSON list of `[kind, occurred_at, type, state]`, in order."""
    return orjson.dumps([[e.kind, e.occurred_at, _NAMES[type(e.entity)], e.entity] for e in events])


def decode_events(data: bytes | str) -> list[Event]:
    """The inverse of `encode_events`."""
    return [
        Event(ChangeKind(kind), datetime.fromisoformat(at), _entity(type_, state))
        for kind, at, type_, state in orjson.loads(data)
    ]


def decode_entity(data: bytes | str) -> Entity:
    """The inverse of `encode_entity`."""
    type_, state = orjson.loads(data)
    return _entity(type_, state)


def _entity(type_: str, state: dict[str, Any]) -> Entity:
    for name in _INSTANTS:
        if state.get(name) is not None:
            state[name] = datetime.fromisoformat(state[name])
    match type_:
        case "worker":
            state["status"] = WorkerStatus(state["status"])
            state["task_definitions"] = tuple(
                TaskDefinition(**definition) for definition in state["task_definitions"]
            )
            return Worker(**state)
        case "process":
            state["status"] = ProcessStatus(state["status"])
            return Process(**state)
        case _:
            state["status"] = TaskStatus(state["status"])
            return Task(**state)
