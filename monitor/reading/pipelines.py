"""Pipelines: read by id, by name and by page, with figures that cost the same however many runs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ScalarSelect, Text, bindparam, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.session import Database
from monitor.entities import Pipeline, fold
from monitor.reading import rows
from monitor.reading.asking import reading
from monitor.reading.conditions import FAILING
from monitor.reading.filters import PipelineFilter
from monitor.reading.pages import Listing, Order, Page, PageRequest
from monitor.reading.reads import page_statement

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_pipeline = models.pipelines.c
_figures = models.pipeline_figures.c
FIGURES = tuple(
    field.name
    for field in fields(Pipeline)
    if field.name in _figures and field.name != "last_seen_at"
)


def _newest(table: Any, order: str) -> ScalarSelect[str]:
    """The id of the pipeline's newest worker or process.

    MariaDB is told the index: it goes by how many a pipeline has in the middle, and would sort all
    of one that has millions beside thousands of small ones.
    """
    index = f"ix_{table.name}_pipeline_id_{order}_id"
    return (
        select(table.c.id)
        .with_hint(table, f"FORCE INDEX ({index})", "mariadb")
        .where(table.c.pipeline_id == _pipeline.id)
        .order_by(table.c[order].desc(), table.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )


_SUMS = (
    select(
        _figures.pipeline_id,
        *(func.sum(_figures[name]).label(name) for name in FIGURES),
        func.max(_figures.last_seen_at).label("last_seen_at"),
    )
    .where(_figures.pipeline_id.in_(_IDS))
    .group_by(_figures.pipeline_id)
    .subquery()
)
STATES = (
    select(
        *(_pipeline.id, _pipeline.name, _pipeline.first_seen_at, _pipeline.revision),
        *(_SUMS.c[name] for name in (*FIGURES, "last_seen_at")),
        FAILING.label("failing"),
        _newest(models.processes, "started_at").label("latest_process_id"),
        _newest(models.workers, "registered_at").label("newest_worker_id"),
    )
    .join(_SUMS, _SUMS.c.pipeline_id == _pipeline.id)
    .where(_pipeline.id.in_(_IDS))
)
_NEWEST = select(
    models.workers.c.id,
    models.workers.c.version,
    type_coerce(models.workers.c.task_definitions, Text),
).where(models.workers.c.id.in_(_IDS))


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the list; what is shown of it is read with `find_pipelines`."""

    id: str
    name: str
    last_seen_at: datetime


PIPELINES: Listing[Listed] = Listing(
    (_pipeline.id, _pipeline.name, _pipeline.last_seen_at),
    lambda row: Listed(row.id, row.name, row.last_seen_at),
    _pipeline.id,
    {
        "NAME": (_pipeline.name_folded, lambda listed: fold(listed.name)),
        "LAST_SEEN_AT": (_pipeline.last_seen_at, lambda listed: listed.last_seen_at),
    },
    {"NAME": ((),), "LAST_SEEN_AT": ((),)},
)


async def find_pipelines(database: Database, ids: Collection[str]) -> dict[str, Pipeline]:
    """Those of the pipelines that exist, as they stand now. Raises Unavailable."""
    if not ids:
        return {}
    async with reading(database) as connection:
        return await read_pipelines(connection, ids)


async def read_pipelines(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Pipeline]:
    """As `find_pipelines`, in two statements on this connection."""
    found = (await connection.execute(STATES, {"ids": sorted(ids)})).all()
    newest = await _read_newest(connection, [row.newest_worker_id for row in found])
    return {
        row.id: Pipeline(
            id=row.id,
            name=row.name,
            version=newest[row.newest_worker_id][0],
            task_definitions=newest[row.newest_worker_id][1],
            first_seen_at=row.first_seen_at,
            last_seen_at=row.last_seen_at,
            **{name: int(getattr(row, name)) for name in FIGURES},
            failing=bool(row.failing),
            latest_process_id=row.latest_process_id,
            revision=row.revision,
        )
        for row in found
        if row.newest_worker_id in newest
    }


async def _read_newest(
    connection: AsyncConnection, worker_ids: Sequence[str]
) -> Mapping[str, tuple[str, Any]]:
    if not worker_ids:
        return {}
    found = await connection.execute(_NEWEST, {"ids": sorted(worker_ids)})
    return {id_: (version, rows.definitions(text)) for id_, version, text in found}


async def list_pipelines(
    database: Database, matching: PipelineFilter, order: Order, request: PageRequest
) -> Page[Pipeline]:
    """One page of what matches. Raises InvalidInput for a size or cursor that cannot be."""
    statement = page_statement(PIPELINES, matching, order, request)
    async with reading(database) as connection:
        page = PIPELINES.page((await connection.execute(statement)).all(), order, request)
        if not page.items:
            return Page([], [], page.has_next, page.has_previous)
        states = await read_pipelines(connection, [listed.id for listed in page.items])
    shown = [
        (states[listed.id], cursor)
        for listed, cursor in zip(page.items, page.cursors, strict=True)
        if listed.id in states
    ]
    return Page(
        [pipeline for pipeline, _ in shown],
        [cursor for _, cursor in shown],
        has_next=page.has_next,
        has_previous=page.has_previous,
    )
