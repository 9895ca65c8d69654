"""What a transaction adds to failures: the groups that failed processes belong to, their figures.

A batch with ends that failed takes three statements more: the failed steps are read, and the
figures written, and what is searched. The row of a group is written when this server process has
not seen it lately, so replicas queue for no row.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import bindparam, case, func, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.upserts import upsert
from db.writes import Write
from monitor.entities import Failure, Process, fold
from monitor.errors import FailureNotFound
from monitor.fingerprints.fingerprint import Likeness, recognise
from monitor.ids import failure_id
from monitor.slots import EVER_SECONDS, HOUR_SECONDS, LONG_AGO, REMOVED_SHARD, slot_start
from monitor.writing.failed_steps import find_failed_step
from monitor.writing.statements import Loaded
from monitor.writing.texts import Texts

# For so long its row is known to be there: retention leaves it for longer.
KNOWN_FOR = timedelta(minutes=10)
OCCURRENCES = ("occurrences",)
LATEST = ("last_seen_at", "last_end")
_KEYS = ("failure_id", "slot_seconds", "slot_at", "shard")
_failure = models.failures.c
_CHANGE = (
    update(models.failures)
    .where(_failure.id == bindparam("of"))
    .values(
        resolved_at=bindparam("resolved"),
        muted_until=bindparam("muted"),
        moments=bindparam("were"),
        revision=bindparam("number"),
    )
)


@dataclass(slots=True)
class _Sums:
    occurrences: int = 0
    last_seen_at: datetime = LONG_AGO
    last_end: str = ""


class Failures:
    """The failures of one transaction; `known`: of which when the row was written or found."""

    def __init__(self, shard: int, known: dict[str, datetime]) -> None:
        self.held = Loaded()
        self._shard = shard
        self._known = known
        self._opened: dict[str, dict[str, Any]] = {}
        self._changed: dict[str, dict[str, Any]] = {}
        self._figures: defaultdict[tuple[str, int, datetime, int], _Sums] = defaultdict(_Sums)
        self._texts = Texts()

    def note(self, process: Process, details: str | None, ended_at: datetime) -> str:
        """Counts a process that ended with an error; the id of its group."""
        step = find_failed_step(self.held, process.id)
        name, told = (None, None) if step is None else (step.name, step.details)
        likeness = recognise(process.pipeline_id, name, told, details)
        self._texts.add_process(process.id, ended_at, told, details)
        id_ = failure_id(likeness.fingerprint)
        self._open(id_, likeness, process, ended_at)
        end = last_end(ended_at, process.version)
        for slot in _slots(ended_at):
            sums = self._figures[(id_, *slot, self._shard)]
            sums.occurrences += 1
            sums.last_seen_at = max(sums.last_seen_at, ended_at)
            sums.last_end = max(sums.last_end, end)
        return id_

    def note_text(self, process: Process, details: str | None, ended_at: datetime) -> None:
        """Has it found by what was said, unless it is, of one that is counted already."""
        step = find_failed_step(self.held, process.id)
        told = None if step is None else step.details
        self._texts.add_process(process.id, ended_at, told, details)

    def _open(self, id_: str, likeness: Likeness, process: Process, at: datetime) -> None:
        """Has the row written, unless it is known to be there and to begin before that."""
        known = self._known.get(id_)
        if known is not None and known <= at < known + KNOWN_FOR:
            return
        first = self._opened.get(id_)
        if first is None or at < first["first_seen_at"]:
            self._opened[id_] = _row(id_, likeness, process.version, at)
            self._texts.add_failure(id_, at, likeness.title, likeness.step)

    def note_removal(self, process: Process) -> None:
        """Notes that a process is not kept any more; how often its failure was seen stays."""
        if process.failure_id is not None and process.ended_at is not None:
            self._texts.remove_process(process.id)
            for slot in _slots(process.ended_at):
                self._figures[(process.failure_id, *slot, REMOVED_SHARD)].occurrences -= 1

    def failure(self, failure_id: str) -> Failure:
        """The failure as it stands now (`Needs.failures`). Raises FailureNotFound."""
        try:
            return self.held.failures[failure_id]
        except KeyError:
            raise FailureNotFound from None

    def change(self, before: Failure, after: Failure) -> Failure:
        """Keeps what a person made of it, under the next revision; followers will be told."""
        moments = [*self.held.moments[before.id].split(), before.status, after.status]
        self.held.moments[before.id] = " ".join(dict.fromkeys(moments))
        self.held.failures[after.id] = after
        self._changed[after.id] = {
            "of": after.id,
            "resolved": after.resolved_at,
            "muted": after.muted_until,
            "were": self.held.moments[after.id],
            "number": after.revision,
        }
        # That there is something untold.
        _ = self._figures[(after.id, EVER_SECONDS, LONG_AGO, self._shard)]
        return after

    @property
    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._changed) or self._texts.changed

    def writes(self, dialect: str) -> Sequence[Write]:
        """What was noted, to be written."""
        opened = [self._opened[id_] for id_ in sorted(self._opened)]
        figures = upsert(models.failure_figures, dialect, add=OCCURRENCES, latest=LATEST)
        return [
            *((_open_rows(dialect), opened), (figures, [*self._rows()])),
            *self._texts.writes(dialect),
        ]

    async def store_changes(self, connection: AsyncConnection) -> None:
        """Writes what people made of failures, which is seldom."""
        if self._changed:
            await connection.execute(_CHANGE, list(self._changed.values()))

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for key in sorted(self._figures):
            sums = self._figures[key]
            yield {
                **dict(zip(_KEYS, key, strict=True)),
                "occurrences": sums.occurrences,
                "last_seen_at": sums.last_seen_at,
                "last_end": sums.last_end,
                # What was removed is nothing that anybody is told.
                "untold": key[1] == EVER_SECONDS and key[-1] != REMOVED_SHARD,
            }

    def remember(self) -> None:
        """After the commit: what later transactions need not write again."""
        self._known.update((id_, row["last_seen_at"]) for id_, row in self._opened.items())


def last_end(at: datetime, version: str) -> str:
    """When and under which version, in a text of which the greatest is the latest."""
    return f"{at.isoformat('T', 'microseconds')} {version}"


def _slots(at: datetime) -> tuple[tuple[int, datetime], ...]:
    return (EVER_SECONDS, LONG_AGO), (HOUR_SECONDS, slot_start(at, HOUR_SECONDS))


def _row(id_: str, likeness: Likeness, version: str, at: datetime) -> dict[str, Any]:
    return {
        "id": id_,
        "fingerprint": likeness.fingerprint,
        "pipeline_id": likeness.pipeline_id,
        "step": likeness.step,
        "title": likeness.title,
        "title_folded": fold(likeness.title),
        "first_seen_at": at,
        "first_version": version,
        "last_seen_at": at,
        "occurrences": 1,
        "resolved_at": None,
        "muted_until": None,
        "told_at": LONG_AGO,
        "revision": 0,
        "told": None,
        "moments": "",
    }


@cache
def _open_rows(dialect: str) -> Any:
    """INSERT that leaves what is there, but for an earlier beginning."""
    statement = (
        sqlite.insert(models.failures) if dialect == "sqlite" else mysql.insert(models.failures)
    )
    new = statement.excluded if isinstance(statement, sqlite.Insert) else statement.inserted
    least = func.min if dialect == "sqlite" else func.least
    earlier = new.first_seen_at < _failure.first_seen_at
    # In this order: MariaDB sees in the second what the first has assigned.
    assigned = [
        (
            "first_version",
            case((earlier, new.first_version), else_=_failure.first_version),
        ),
        ("first_seen_at", least(_failure.first_seen_at, new.first_seen_at)),
    ]
    if isinstance(statement, sqlite.Insert):
        return statement.on_conflict_do_update(index_elements=["id"], set_=dict(assigned))
    return statement.on_duplicate_key_update(assigned)
