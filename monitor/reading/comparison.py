"""One version of a pipeline against another: what became slower, and what fails more often."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ScalarSelect,
    Select,
    Text,
    bindparam,
    func,
    select,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.session import Database
from monitor.errors import InvalidInput
from monitor.limits import VERSION_LENGTH, check_text
from monitor.reading import rows
from monitor.reading.asking import reading
from monitor.reading.parts import Steps, in_parts
from monitor.reading.samples import Sample, Shift
from monitor.reading.statistics import KEPT, Ends
from monitor.reading.windows import start_of_durations
from monitor.slots import LONG_AGO

_durations, _worker = models.durations.c, models.workers.c
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_VERSION: BindParameter[str] = bindparam("version")
_AGAINST: BindParameter[str] = bindparam("against")
_SINCE: BindParameter[Any] = bindparam("since", type_=models.UtcDateTime())
# The pipeline, the step (None: the whole process) and the version.
_Key = tuple[str, str | None, str]
_NOTHING = Sample.of(Ends())


def _newest(version: BindParameter[str]) -> ScalarSelect[str]:
    return (
        select(_worker.id)
        # As of the newest of all (`reading.pipelines`).
        .with_hint(
            models.workers,
            "FORCE INDEX (ix_workers_pipeline_id_version_registered_at)",
            "mariadb",
        )
        .where(_worker.pipeline_id == models.pipelines.c.id, _worker.version == version)
        .order_by(_worker.registered_at.desc())
        .limit(1)
        .scalar_subquery()
    )


NEWEST = select(models.pipelines.c.id, _newest(_VERSION), _newest(_AGAINST)).where(
    models.pipelines.c.id.in_(_IDS)
)
_DEFINITIONS = select(_worker.id, type_coerce(_worker.task_definitions, Text)).where(
    _worker.id.in_(_IDS)
)


def _ends(of: str, pipeline_ids: Any, steps: Sequence[str]) -> Select[Any]:
    by = (_durations.pipeline_id, _durations.step, _durations.version, _durations.bucket)
    return (
        select(*by, func.sum(_durations.succeeded), func.sum(_durations.failed))
        .where(
            _durations.pipeline_id.in_(pipeline_ids),
            _durations.of == of,
            _durations.step.in_(steps),
            *KEPT,
            _durations.slot_at >= _SINCE,
            _durations.version.in_([_VERSION, _AGAINST]),
        )
        .group_by(*by)
    )


def _of_steps(pipeline_ids: Sequence[str], names: Sequence[str]) -> Select[Any]:
    return _ends("TASK", pipeline_ids, names)


_OF_PROCESSES = _ends("PROCESS", _IDS, [""])


@dataclass(frozen=True, slots=True)
class StepShift:
    """A step of either version; `position` in the compared one, None where it has no such step."""

    name: str
    position: int | None
    shift: Shift


@dataclass(frozen=True, slots=True)
class Comparison:
    """`version` against another: of whole processes, and step by step."""

    version: str
    against: str
    processes: Shift
    steps: Sequence[StepShift]


async def compare_versions(
    database: Database,
    pipeline_ids: Collection[str],
    version: str,
    against: str,
    since: datetime | None,
) -> Mapping[str, Comparison]:
    """Of each pipeline what ended of one version against another, since then (None: ever).

    In four statements. Raises InvalidInput for a version against itself; Unavailable.
    """
    of = {"version": version, "against": against}
    begin = _check(of, since)
    ids, window = sorted(pipeline_ids), {**of, "since": begin}
    async with reading(database) as connection:
        positions = await _read_steps(connection, ids, of)
        found = await connection.execute(_OF_PROCESSES, {**window, "ids": ids})
        ended = [(id_, None, *rest) for id_, _, *rest in found]
        steps = [Steps(id_, tuple(names)) for id_, names in positions.items()]
        for part in in_parts(steps, _of_steps):
            ended += [tuple(row) for row in await connection.execute(part, window)]
    samples = _samples(ended)

    def shift(pipeline_id: str, step: str | None) -> Shift:
        return Shift(
            samples.get((pipeline_id, step, against), _NOTHING),
            samples.get((pipeline_id, step, version), _NOTHING),
        )

    def compare(pipeline_id: str) -> Comparison:
        steps = positions[pipeline_id].items()
        shifts = [StepShift(name, place, shift(pipeline_id, name)) for name, place in steps]
        return Comparison(version, against, shift(pipeline_id, None), shifts)

    return {pipeline_id: compare(pipeline_id) for pipeline_id in ids}


def _check(versions: Mapping[str, str], since: datetime | None) -> datetime:
    """From when on ends count. Raises InvalidInput."""
    for name, version in versions.items():
        check_text(name, version, VERSION_LENGTH)
    if versions["version"] == versions["against"]:
        raise InvalidInput("against", "is the same version")
    return LONG_AGO if since is None else start_of_durations(since, datetime.now(UTC))


async def _read_steps(
    connection: AsyncConnection, pipeline_ids: Sequence[str], versions: Mapping[str, str]
) -> Mapping[str, Mapping[str, int | None]]:
    """Of each pipeline the steps of the version with their positions, then what only the other has.

    As of the newest registration of each.
    """
    newest = (await connection.execute(NEWEST, {**versions, "ids": pipeline_ids})).all()
    workers = sorted({id_ for row in newest for id_ in row[1:] if id_ is not None})
    found = await connection.execute(_DEFINITIONS, {"ids": workers})
    definitions = {id_: rows.definitions(text) for id_, text in found}
    steps: dict[str, dict[str, int | None]] = {id_: {} for id_ in pipeline_ids}
    for pipeline_id, after, before in newest:
        for place, definition in enumerate(definitions.get(after, ()), start=1):
            steps[pipeline_id].setdefault(definition.name, place)
        for definition in definitions.get(before, ()):
            steps[pipeline_id].setdefault(definition.name, None)
    return steps


def _samples(found: Iterable[Any]) -> Mapping[_Key, Sample]:
    ends: defaultdict[_Key, Ends] = defaultdict(Ends)
    for pipeline_id, step, version, *counted in found:
        ends[pipeline_id, step, version].add(*counted)
    return {key: Sample.of(each) for key, each in ends.items()}
