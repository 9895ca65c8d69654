"""Lists of failures: in each order, of each status, of all and of one pipeline, and by title."""

import json
from collections.abc import Iterator
from itertools import product

from bench.report import say
from bench.search import FAILURES
from db import models
from monitor.entities import FailureStatus
from monitor.ids import pipeline_id
from tests.servers import MariaDb

FEW = 1_000
MANY = 10_000
# However many there are, so few have regressed, and so few are muted.
SOME = 20
ORDERS = ("LAST_SEEN_AT", "FIRST_SEEN_AT", "COUNT")
_LATEST = "SELECT MAX(last_seen_at) FROM failure_figures WHERE failure_id = failures.id"
_SHOWN = "id title status count lastSeenAt pipeline { name }"


def multiply_failures(server: MariaDb, database: str, times: int) -> None:
    """Copies all failures, each copy an hour earlier; every other one is resolved, then."""
    new_id = "CONCAT(LEFT({}, 32), LPAD(LOWER(HEX(seq)), 12, '0'))"
    earlier = ("first_seen_at", "last_seen_at")

    def copied(table: str, **changed: str) -> str:
        columns = {c.name: c.name for c in models.metadata.tables[table].c if c.computed is None}
        columns |= {name: f"{name} - INTERVAL seq HOUR" for name in earlier if name in columns}
        columns |= changed
        return (
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
            f"FROM {table} JOIN seq_1_to_{times - 1};"
        )

    say(f"writing {FAILURES * times:,} failures")
    regressed, muted = (
        f"UPDATE failures SET {changed} WHERE CRC32(id) % 2 = {which} "
        f"ORDER BY CRC32(REVERSE(id)) LIMIT {SOME};"
        for changed, which in (
            ("resolved_at = last_seen_at - INTERVAL 1 MINUTE", 0),
            ("muted_until = '9999-12-31'", 1),
        )
    )
    server.execute(
        f"USE {database}; "
        f"{copied('failures', id=new_id.format('id'))} "
        f"{copied('failure_figures', failure_id=new_id.format('failure_id'))} "
        "UPDATE failure_figures SET untold = 0; "
        f"UPDATE failures SET last_seen_at = ({_LATEST}); "
        "UPDATE failures SET resolved_at = last_seen_at WHERE CRC32(id) % 2 = 0; "
        f"{regressed} {muted} ANALYZE TABLE failures, failure_figures;"
    )


def list_queries(name: str, first: int) -> Iterator[str]:
    """Pages of so many; of the pipeline of this name, which all of them are of."""
    statuses = [
        "",
        *(f"status: [{status}]" for status in FailureStatus),
        "status: [OPEN, REGRESSED]",
    ]
    others = ["", f"pipelineIds: {json.dumps([pipeline_id(name)])}", 'titleContains: "LOST"']
    for status, other, field, way in product(statuses, others, ORDERS, ("ASC", "DESC")):
        filter_ = ", ".join(filter(None, (status, other)))
        order = f"{{field: {field}, direction: {way}}}"
        given = f"first: {first}, filter: {{{filter_}}}, orderBy: {order}"
        yield f"{{ failures({given}) {{ edges {{ node {{ {_SHOWN} }} }} }} }}"
