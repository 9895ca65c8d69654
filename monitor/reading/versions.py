"""The versions of pipelines, each with what runs and ended of it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, select

from db import models
from db.session import Database
from monitor.reading.asking import reading
from monitor.reading.statistics import PROCESSES_BY_VERSION, Ends, Runtimes
from monitor.reading.windows import start_of_durations

# The newest: there are pipelines with a version for each commit.
MAX_VERSIONS = 100

_worker, _process = models.workers.c, models.processes.c
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_RUNNING = (
    select(_process.pipeline_id, _process.version, func.count())
    .where(_process.pipeline_id.in_(_IDS), _process.status == "RUNNING")
    .group_by(_process.pipeline_id, _process.version)
)
# MariaDB goes from group to group along the index, and reads one entry of each.
_SEEN = (
    select(_worker.pipeline_id, _worker.version, func.min(_worker.registered_at))
    .where(_worker.pipeline_id.in_(_IDS))
    .group_by(_worker.pipeline_id, _worker.version)
)


def _hop() -> Select[Any]:
    """The same on SQLite, which would read all entries: from each version to the next."""
    pipeline = models.pipelines.c
    first = (
        select(func.min(_worker.version)).where(_worker.pipeline_id == pipeline.id)
    ).scalar_subquery()
    seen = (
        select(pipeline.id.label("pipeline_id"), first.label("version"))
        .where(pipeline.id.in_(_IDS))
        .cte("seen", recursive=True)
    )
    following = (
        select(func.min(_worker.version))
        .where(_worker.pipeline_id == seen.c.pipeline_id, _worker.version > seen.c.version)
        .correlate(seen)
        .scalar_subquery()
    )
    seen = seen.union_all(select(seen.c.pipeline_id, following).where(seen.c.version.is_not(None)))
    since = (
        select(func.min(_worker.registered_at))
        .where(_worker.pipeline_id == seen.c.pipeline_id, _worker.version == seen.c.version)
        .correlate(seen)
        .scalar_subquery()
    )
    return select(seen.c.pipeline_id, seen.c.version, since).where(seen.c.version.is_not(None))


_HOPPING = _hop()
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """A version of a pipeline: what runs of it now, and what ended of it since an instant."""

    version: str
    first_seen_at: datetime
    running: int
    succeeded: int
    failed: int
    runtimes: Runtimes


async def find_versions(
    database: Database, pipeline_ids: Collection[str], since: datetime | None
) -> Mapping[str, Sequence[VersionFigures]]:
    """Of each pipeline the MAX_VERSIONS that were registered last for the first time, newest first.

    In three statements. Raises Unavailable.
    """
    ids = sorted(pipeline_ids)
    window = {"ids": ids, "since": start_of_durations(since, datetime.now(UTC))}
    ends: defaultdict[_Key, Ends] = defaultdict(Ends)
    async with reading(database) as connection:
        seen_by = _HOPPING if database.is_sqlite else _SEEN
        seen = (await connection.execute(seen_by, {"ids": ids})).all()
        running = {
            (pipeline_id, version): count
            for pipeline_id, version, count in await connection.execute(_RUNNING, {"ids": ids})
        }
        for pipeline_id, version, *counted in await connection.execute(
            PROCESSES_BY_VERSION, window
        ):
            ends[pipeline_id, version].add(*counted)
    versions: dict[str, list[VersionFigures]] = {id_: [] for id_ in ids}
    for pipeline_id, version, first_seen_at in _newest(seen):
        key = (pipeline_id, version)
        versions[pipeline_id].append(
            _figures(version, first_seen_at, running.get(key, 0), ends.get(key, Ends()))
        )
    return versions


def _newest(seen: Sequence[Any]) -> Iterator[Any]:
    """Of each pipeline the versions to be shown, in their order."""
    shown: Counter[str] = Counter()
    for row in sorted(seen, key=lambda row: (row[2], row[1]), reverse=True):
        shown[row[0]] += 1
        if shown[row[0]] <= MAX_VERSIONS:
            yield row


def _figures(version: str, first_seen_at: datetime, running: int, ends: Ends) -> VersionFigures:
    return VersionFigures(
        version=version,
        first_seen_at=first_seen_at,
        running=running,
        succeeded=ends.succeeded,
        failed=ends.failed,
        runtimes=Runtimes.of(ends.counts),
    )
