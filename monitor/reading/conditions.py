"""What filters are made of, as SQL."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Integer, and_, exists, false, func, literal, select, true

from db.models import pipelines, processes, workers
from monitor.entities import fold
from monitor.ids import kind_of

Condition = ColumnElement[bool]

# Of a row of pipelines.
_ended = processes.alias()
FAILING = (
    func.coalesce(
        select(_ended.c.status)
        # As of the newest (`reading.pipelines`).
        .with_hint(_ended, "FORCE INDEX (ix_processes_pipeline_id_ended_at_id)", "mariadb")
        .where(_ended.c.pipeline_id == pipelines.c.id, _ended.c.ended_at.is_not(None))
        .order_by(_ended.c.ended_at.desc(), _ended.c.id.desc())
        .limit(1)
        .scalar_subquery(),
        "",
    )
    == "ERROR"
)
RUNNING = exists().where(processes.c.pipeline_id == pipelines.c.id, processes.c.status == "RUNNING")
LOST = exists().where(
    workers.c.archived == false(),
    workers.c.pipeline_id == pipelines.c.id,
    workers.c.liveness == "LOST",
)


def all_of(*conditions: Condition | None) -> Condition:
    """Those that are given, together."""
    return and_(true(), *(condition for condition in conditions if condition is not None))


def in_values(column: ColumnElement[str], values: Sequence[str] | None) -> Condition | None:
    """Any of the values; None: no condition."""
    if values is None:
        return None
    if len(values) == 1:
        # SQLite sorts what it finds by an IN, also of one value.
        return column == str(values[0])
    return column.in_([str(value) for value in values])


def in_ids(column: ColumnElement[str], ids: Sequence[str] | None) -> Condition | None:
    """Any of the ids; None: no condition."""
    # What can be no id is left out: MariaDB refuses to compare it with an ASCII column.
    return None if ids is None else in_values(column, [id_ for id_ in ids if kind_of(id_)])


def of_one_name(pipeline_ids: Sequence[str] | None) -> Condition | None:
    """Implied by a single pipeline: for the index that begins with the name."""
    if pipeline_ids is None or len(pipeline_ids) != 1 or not kind_of(pipeline_ids[0]):
        return None
    name = select(pipelines.c.name_folded).where(pipelines.c.id == pipeline_ids[0])
    return workers.c.name_folded == name.scalar_subquery()


def contains(folded: ColumnElement[str], part: str | None) -> Condition | None:
    """The folded name has this part, in whatever case; None: no condition."""
    if part is None:
        return None
    # INSTR knows no wildcards, so % and _ in a name mean themselves; both databases have it.
    return func.instr(folded, literal(fold(part)), type_=Integer()) > 0


def is_part(part: str | None, name: str) -> bool:
    """The same decision on a name at hand."""
    return part is None or fold(part) in fold(name)
