"""What is newest of a pipeline or a failure is found by its index, however unlike they are.

MariaDB goes by how many rows they have in the middle, and would sort the millions of one. In a
small database nothing shows that, but it can be seen that it has no choice.
"""

from typing import Any

import pytest

from db.session import Database
from monitor.reading import comparison, failures, pipelines
from tests.servers import MariaDb

NEWEST: dict[str, tuple[Any, set[str]]] = {
    "pipelines": (
        pipelines.STATES,
        {
            "ix_processes_pipeline_id_ended_at_id",
            "ix_processes_pipeline_id_started_at_id",
            "ix_workers_pipeline_id_registered_at_id",
        },
    ),
    "failures": (failures.STATES, {"ix_processes_failure_id_started_at_id"}),
    "versions": (
        comparison.NEWEST.params(version="v1", against="v2"),
        {"ix_workers_pipeline_id_version_registered_at"},
    ),
}


@pytest.mark.parametrize("what", NEWEST)
async def test_the_newest_can_only_be_found_by_its_index(
    migrated_mariadb: MariaDb, what: str
) -> None:
    database = Database(migrated_mariadb.url("suite"))
    statement, indexes = NEWEST[what]
    async with database.reading() as connection:
        compiled = statement.params(ids=["pipeline_1", "failure_1"]).compile(
            dialect=connection.dialect, compile_kwargs={"literal_binds": True}
        )
        found = (await connection.exec_driver_sql(f"EXPLAIN {compiled}")).all()
    await database.close()
    read = [row for row in found if "SUBQUERY" in row.select_type]
    assert {row.possible_keys for row in read if "ix_" in (row.possible_keys or "")} == indexes
