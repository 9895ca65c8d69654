"""What is usual is known as it is, and costs no more the longer the history is."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db import models
from db.migrate import migrate
from db.session import Database
from db.writes import write_rows
from monitor.histogram import bucket_of
from monitor.reading.histograms import Step
from monitor.reading.usual import NotKnown, Usual
from monitor.slots import DAY_SECONDS, HOUR_SECONDS, oldest_hours, slot_start
from monitor.writing.tally import DURATIONS
from tests.servers import MariaDb
from tests.statements import statements_to

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
DAYS = oldest_hours(NOW)
PIPELINE = "pipeline_00000000-0000-8000-8000-000000000000"
LOAD, WHOLE = Step(PIPELINE, "load"), Step(PIPELINE, None)


async def ended(database: Database, step: Step, at: datetime, *seconds: float) -> None:
    """Successful ones ended then, and took so long."""
    slot_seconds = HOUR_SECONDS if at >= DAYS else DAY_SECONDS
    async with database.writing() as connection:
        for each in seconds:
            row = {
                "pipeline_id": step.pipeline_id,
                "of": "PROCESS" if step.name is None else "TASK",
                "step": step.name or "",
                "slot_seconds": slot_seconds,
                "slot_at": slot_start(at, slot_seconds),
                "version": "v1",
                "bucket": bucket_of(timedelta(seconds=each)),
                "shard": 0,
                "succeeded": 1,
                "failed": 0,
            }
            await write_rows(connection, models.durations, [row], add=DURATIONS)


async def count_of(usual: Usual, step: Step) -> int:
    found = (await usual.find([step])).get(step)
    return 0 if found is None else found.count


@pytest.mark.parametrize("step", [LOAD, WHOLE])
async def test_what_ends_later_is_added_to_what_is_known_of_history(
    database: Database, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    usual = Usual(database)
    monkeypatch.setattr("monitor.reading.usual.FRESH_SECONDS", 0.0)
    for at in (DAYS - timedelta(days=9), DAYS, NOW - 2 * HOUR, NOW - HOUR, NOW):
        await ended(database, step, at, 10)
    assert await count_of(usual, step) == 5
    await ended(database, step, NOW, 10, 10, 20)
    with statements_to(database) as statements:
        assert await count_of(usual, step) == 8
    [statement] = statements
    assert "CASE" not in statement
    assert (await usual.find([step])) == (await Usual(database).find([step]))


async def test_fresh_knowledge_is_given_without_asking(database: Database) -> None:
    usual = Usual(database)
    with pytest.raises(NotKnown):
        usual.recall(LOAD)
    await ended(database, LOAD, NOW, *[10] * 5)
    found = await usual.find([LOAD, WHOLE])
    with statements_to(database) as statements:
        assert usual.recall(LOAD) == found[LOAD]
        assert usual.recall(WHOLE) is None
        assert await usual.find([LOAD, WHOLE]) == found
    assert statements == []


async def test_a_step_without_a_name_is_not_the_whole_process(database: Database) -> None:
    nameless = Step(PIPELINE, "")
    await ended(database, nameless, NOW, *[10] * 5)
    await ended(database, WHOLE, NOW, *[20] * 6)
    found = await Usual(database).find([nameless, WHOLE])
    assert (found[nameless].count, found[WHOLE].count) == (5, 6)


async def test_pipelines_with_steps_of_their_own_are_found_together(database: Database) -> None:
    steps = [Step(f"pipeline_{n:08}-0000-8000-8000-000000000000", f"step {n}") for n in range(300)]
    for step in (steps[0], steps[-1]):
        await ended(database, step, NOW, *[10] * 5)
    with statements_to(database) as statements:
        found = await Usual(database).find(steps)
    assert found.keys() == {steps[0], steps[-1]}
    assert len(statements) == 1


async def test_only_so_many_are_known(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.reading.usual.MAX_STEPS", 2)
    steps = [Step(PIPELINE, name) for name in ("a", "b", "c")]
    for step in steps:
        await ended(database, step, NOW, *[10] * 5)
    usual = Usual(database)
    # All are answered, also those that are forgotten at once.
    assert (await usual.find(steps)).keys() == set(steps)
    known = 0
    for step in steps:
        try:
            known += usual.recall(step) is not None
        except NotKnown:
            continue
    assert known == 2


async def test_a_year_of_history_is_not_read_each_time(
    mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(mariadb.create_database())
    await migrate(database)
    monkeypatch.setattr("monitor.reading.usual.FRESH_SECONDS", 0.0)
    for day in range(1, 365):
        await ended(database, LOAD, DAYS - timedelta(days=day), 10, 20)
    for _ in range(5):
        await ended(database, LOAD, NOW, 30)
    usual = Usual(database)

    async def reads() -> int:
        async with database.reading() as connection:
            await connection.execute(text("FLUSH STATUS"))
        assert await count_of(usual, LOAD) == 2 * 364 + 5
        async with database.reading() as connection:
            counts = await connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read_next'"))
            return sum(int(count) for _, count in counts)

    assert await reads() > 700
    assert await reads() < 20
    await database.close()
