"""Which installation this is: a name that its database keeps, so that several may use one Redis."""

import secrets
from dataclasses import dataclass

from sqlalchemy import insert, select

from db import models
from db.errors import is_conflict, is_unavailable
from db.session import Database
from monitor.errors import Unavailable
from monitor.reading.asking import reading

_NAME = select(models.installation.c.name)
_EPOCH = select(models.feed_position.c.epoch)


@dataclass(frozen=True, slots=True)
class Installation:
    """Its name, and the epoch of the live feed that its database noted last ('' for none)."""

    name: str
    epoch: str


async def read_installation(database: Database) -> Installation:
    """Gives the database a name when it has none. Raises Unavailable."""
    async with reading(database) as connection:
        name = (await connection.execute(_NAME)).scalar()
        epoch = (await connection.execute(_EPOCH)).scalar() or ""
    if name is None:
        await _add_name(database)
        async with reading(database) as connection:
            name = (await connection.execute(_NAME)).scalar()
        if name is None:
            raise Unavailable  # somebody is about to, or keeps the table to himself
    return Installation(name, epoch)


async def _add_name(database: Database) -> None:
    row = {"id": 1, "name": secrets.token_hex(8)}
    try:
        async with database.writing() as connection:
            await connection.execute(insert(models.installation), [row])
    except Exception as error:
        if is_conflict(error):
            return  # another server process was first, or is about to be
        if is_unavailable(error):
            raise Unavailable from error
        raise
