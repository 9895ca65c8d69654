"""The answers that are kept under idempotency keys."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.writes import Write
from monitor.entities import UNREAD, Entity, Worker
from monitor.errors import Conflict
from monitor.events import decode_entity, encode_entity

# MariaDB takes statements of 16 MiB by default, in which escaping may double a text.
ANSWER_BYTES = 7 * 1024 * 1024
_KEYS = select(
    models.idempotency_keys.c.key,
    models.idempotency_keys.c.fingerprint,
    models.idempotency_keys.c.answer,
).where(models.idempotency_keys.c.key.in_(bindparam("keys", expanding=True)))
_ADD_KEYS = insert(models.idempotency_keys)


async def load_ledger(connection: AsyncConnection, keys: Collection[str]) -> "Ledger":
    """The ledger with what is known of these keys."""
    if not keys:
        return Ledger({})
    found = await connection.execute(_KEYS, {"keys": sorted(keys)})
    return Ledger({key: (fingerprint, answer) for key, fingerprint, answer in found})


class Ledger:
    """The idempotency keys a batch uses.

    Two server processes that get the same key at the same moment both insert it; the database
    refuses one with a duplicate key, its batch runs again, and then finds the first answer.
    """

    def __init__(self, known: dict[str, tuple[str, str]]) -> None:
        self._known = known
        self._new: list[dict[str, Any]] = []

    def answer(self, key: str, fingerprint: str, run: Callable[[], Any], now: datetime) -> Any:
        """The first answer under this key, or else what `run` answers, which is kept.

        Raises Conflict when the key was used with another input.
        """
        if key in self._known:
            first, answer = self._known[key]
            if first != fingerprint:
                raise Conflict("idempotencyKey: was used before with another input")
            return _decode_answer(orjson.loads(answer))
        result = run()
        answer = _encode(result)
        self._known[key] = (fingerprint, answer)
        self._new.append(
            {"key": key, "fingerprint": fingerprint, "answer": answer, "created_at": now}
        )
        return result

    @property
    def changed(self) -> bool:
        """Whether there are new keys to be kept."""
        return bool(self._new)

    def writes(self) -> Write:
        """What keeps the new keys."""
        return _ADD_KEYS, self._new


def _encode(answer: Any) -> str:
    """The answer; of one that is too large, all but its details, which are read anew for it."""
    encoded = orjson.dumps(_encode_answer(answer))
    if len(encoded) > ANSWER_BYTES:
        encoded = orjson.dumps(_encode_answer(_without_details(answer)))
    return encoded.decode()


def _without_details(answer: Any) -> Any:
    if isinstance(answer, list | tuple):
        return [_without_details(part) for part in answer]
    return answer if isinstance(answer, Worker) else replace(answer, details=UNREAD)


def _encode_answer(answer: Any) -> Any:
    """Entities as text, sequences of them as lists."""
    if isinstance(answer, list | tuple):
        return [_encode_answer(part) for part in answer]
    return encode_entity(cast(Entity, answer)).decode()


def _decode_answer(answer: Any) -> Any:
    if isinstance(answer, list):
        return tuple(_decode_answer(part) for part in answer)
    return decode_entity(answer)
