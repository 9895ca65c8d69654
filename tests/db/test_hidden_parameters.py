"""What people report (details, names, keys) stays out of the text of errors, and so of the log."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.maintenance import MaintenanceDatabase
from db.session import Database

SECRET = "the patient's name"


@pytest.mark.parametrize("engine", ["read_engine", "write_engine"])
@pytest.mark.parametrize("kind", [Database, MaintenanceDatabase])
async def test_an_error_does_not_say_what_a_statement_was_given(
    database: Database, kind: type[Database], engine: str
) -> None:
    other = (
        MaintenanceDatabase(database)
        if kind is MaintenanceDatabase
        else Database(database.url.render_as_string(hide_password=False))
    )
    with pytest.raises(DBAPIError) as failed:
        async with getattr(other, engine).connect() as connection:
            await connection.execute(
                text("UPDATE nowhere SET details = :details"), {"details": SECRET}
            )
    await other.close()
    assert "nowhere" in str(failed.value)
    assert SECRET not in str(failed.value)
