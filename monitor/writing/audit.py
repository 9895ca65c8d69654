"""The audit: what is done in a transaction on somebody's behalf, written by that transaction.

So an act is in it exactly if it happened. Reports of workers are on nobody's behalf, and cost no
statement.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from db import models
from db.writes import Write
from monitor.acts import SUMMARY_LENGTH, Actor
from monitor.ids import new_id

_ADD_ACTS = insert(models.audit)
_ADD_SUBJECTS = insert(models.audit_subjects)


class Audit:
    """The acts of one transaction; those that are run again are noted anew."""

    def __init__(self) -> None:
        self._by: Actor | None = None
        self._at: datetime | None = None
        self._acts: list[dict[str, Any]] = []
        self._subjects: list[dict[str, Any]] = []

    def begin(self, by: Actor | None, at: datetime) -> None:
        """What is noted from now on was asked for by this one, and arrived then."""
        self._by, self._at = by, at

    def note(self, action: str, subject_ids: Iterable[str], summary: str = "") -> None:
        """Operations note what they did once nothing can refuse it any more.

        Args:
            action: the name of the mutation
            subject_ids: what it was done to: what people look it up by
            summary: what was asked for, without what could be long or secret
        """
        if self._by is None:
            return
        act = {"id": new_id("audit"), "at": self._at, "action": action}
        summary = summary[:SUMMARY_LENGTH]
        self._acts.append(
            {**act, "role": self._by.role, "address": self._by.address, "summary": summary}
        )
        self._subjects += [
            {"audit_id": act["id"], "subject_id": id_, "at": self._at, "action": action}
            for id_ in sorted(set(subject_ids))
        ]

    def writes(self) -> Sequence[Write]:
        """What was noted, to be written."""
        return [(_ADD_ACTS, self._acts), (_ADD_SUBJECTS, self._subjects)]
