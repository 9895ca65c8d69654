"""What a transaction adds to what is searched, and takes from it."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Table, bindparam, delete
from sqlalchemy.dialects import mysql, sqlite

from db.searched import failure_texts, process_texts
from db.writes import Write
from monitor.searchable.said import said_of
from monitor.searchable.words import words_of

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
REMOVE_FAILURE_TEXTS = delete(failure_texts).where(failure_texts.c.subject_id.in_(_IDS))
REMOVE_PROCESS_TEXTS = delete(process_texts).where(process_texts.c.subject_id.in_(_IDS))

Row = dict[str, Any]


class Texts:
    """The texts of one transaction. What is there stays as it is."""

    def __init__(self) -> None:
        self._processes: dict[str, Row] = {}
        self._failures: dict[str, Row] = {}
        self._removed: list[str] = []

    def add_process(
        self, id_: str, ended_at: datetime, step_details: str | None, details: str | None
    ) -> None:
        """What was said of its failed step, and of itself."""
        self._processes[id_] = text_row(id_, ended_at, said_of(step_details, details))

    def add_failure(self, id_: str, first_seen_at: datetime, title: str, step: str | None) -> None:
        """Its title, and the name of its step."""
        self._failures[id_] = failure_row(id_, first_seen_at, title, step)

    def remove_process(self, id_: str) -> None:
        self._removed.append(id_)

    @property
    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._processes)

    def writes(self, dialect: str) -> Sequence[Write]:
        """What was noted, to be written."""
        removed = [{"ids": sorted(self._removed)}] if self._removed else []
        return [
            (add_texts(failure_texts, dialect), _in_order(self._failures)),
            (add_texts(process_texts, dialect), _in_order(self._processes)),
            (REMOVE_PROCESS_TEXTS, removed),
        ]


def _in_order(rows: dict[str, Row]) -> list[Row]:
    return [rows[id_] for id_ in sorted(rows)]


def failure_row(id_: str, first_seen_at: datetime, title: str, step: str | None) -> Row:
    """The row of a failure."""
    return text_row(id_, first_seen_at, title if step is None else f"{title}\n{step}")


def text_row(id_: str, at: datetime, said: str) -> Row:
    return {"subject_id": id_, "at": at, "said": said, "words": words_of(said)}


@cache
def add_texts(texts: Table, dialect: str) -> Any:
    """INSERT that leaves what is there."""
    if dialect == "sqlite":
        return sqlite.insert(texts).on_conflict_do_nothing(index_elements=["subject_id"])
    return mysql.insert(texts).on_duplicate_key_update(subject_id=texts.c.subject_id)
