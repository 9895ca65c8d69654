"""The activity chart: what started and ended in each slot of time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from db import models
from db.session import Database
from monitor.entities import Process, ProcessStatus, Worker
from tests.client import Client, GraphQLErrors
from tests.factories import end, register, run_all, start
from tests.stored import a_process, a_worker, store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACTIVITY = """
query ($since: DateTime!, $until: DateTime, $slot: Int!, $worker: ID) {
  activity(since: $since, until: $until, slotSeconds: $slot, workerId: $worker) {
    at started succeeded failed averageRuntimeSeconds
  }
}
"""
# The way to leave the default of slotSeconds alone.
WITHOUT_SLOT = ACTIVITY.replace("$slot: Int!, ", "").replace("slotSeconds: $slot, ", "")
EMPTY = {"started": 0, "succeeded": 0, "failed": 0, "averageRuntimeSeconds": None}


def after_noon(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def activity(
    client: Client, since: datetime, until: datetime, slot: int, worker: str | None = None
) -> list[dict[str, Any]]:
    data = await client.graphql(
        ACTIVITY, since=text(since), until=text(until), slot=slot, worker=worker
    )
    points: list[dict[str, Any]] = data["activity"]
    return points


async def refusal(client: Client, **arguments: Any) -> str:
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(ACTIVITY, **arguments)
    (code,) = refused.value.codes
    return str(code)


def ran(worker: Worker, started: float, ended: float | None = None, **fields: Any) -> Process:
    """A process of the worker, its times in seconds after noon."""
    if ended is None:
        return a_process(worker, started_at=after_noon(started), **fields)
    return a_process(worker, started_at=after_noon(started), ended_at=after_noon(ended), **fields)


async def store_slots(database: Database, *slots: tuple[str, int, float, int, int, int]) -> None:
    """Rolled-up activity: worker, slot length, seconds after noon, shard, starts, successes."""
    names = ("subject_id", "slot_seconds", "slot_at", "shard", "started", "succeeded")
    rows = [dict(zip(names, slot, strict=True)) for slot in slots]
    for row in rows:
        row["slot_at"] = after_noon(row["slot_at"])  # type: ignore[arg-type]  # the third is a number
        row |= {"failed": 0, "runtime_microseconds": row["succeeded"] * 2_000_000}  # type: ignore[operator]
    async with database.writing() as connection:
        await connection.execute(insert(models.activity), rows)


async def test_what_is_reported_shows_at_once(client: Client) -> None:
    before = datetime.now(UTC)
    worker_id, other = await register(client, "a"), await register(client)
    await run_all(client, worker_id)
    await end(client, (await start(client, worker_id)).process, "it broke")
    await start(client, other)
    data = await client.graphql(WITHOUT_SLOT, since=text(before))
    assert sum(point["started"] for point in data["activity"]) == 3
    assert sum(point["succeeded"] for point in data["activity"]) == 1
    assert sum(point["failed"] for point in data["activity"]) == 1
    averages = [point["averageRuntimeSeconds"] for point in data["activity"]]
    assert any(average is not None and 0 < average < 60 for average in averages)
    assert data["activity"][0]["at"] == text(before.replace(second=0, microsecond=0))
    for slot in (1, 60, 3600):
        points = await activity(client, before, datetime.now(UTC), slot, worker_id)
        assert sum(point["started"] for point in points) == 2


async def test_slots_without_activity_are_there_too(client: Client) -> None:
    points = await activity(client, after_noon(0), after_noon(180), 60)
    assert points == [{"at": text(after_noon(n * 60)), **EMPTY} for n in range(3)]


@pytest.mark.parametrize(
    ("since", "until", "starts"),
    [
        (0, 120, [0, 60]),
        (59.999999, 60, [0]),
        (59.999999, 60.000001, [0, 60]),
        (30, 30, [0]),
        (60, 60, []),
        (0, 0, []),
        (-0.5, 0, [-60]),
    ],
)
async def test_slots_go_from_that_of_since_to_the_last_before_until(
    client: Client, since: float, until: float, starts: list[int]
) -> None:
    points = await activity(client, after_noon(since), after_noon(until), 60)
    assert [point["at"] for point in points] == [text(after_noon(start)) for start in starts]


async def test_minutes_of_all_shards_are_added_up_to_longer_slots(
    client: Client, database: Database
) -> None:
    await store_slots(
        database,
        ("", 60, -60, 0, 100, 100),
        ("", 60, 0, 0, 1, 0),
        ("", 60, 0, 7, 2, 1),
        ("", 60, 240, 0, 4, 3),
        ("", 60, 300, 0, 8, 0),
        ("", 60, 600, 0, 100, 100),
        ("worker_1", 60, 0, 0, 3, 0),
        ("", 3600, 0, 0, 100, 100),
    )
    points = await activity(client, after_noon(0), after_noon(600), 300)
    assert points == [
        {
            "at": text(after_noon(0)),
            "started": 7,
            "succeeded": 4,
            "failed": 0,
            "averageRuntimeSeconds": 2,
        },
        {"at": text(after_noon(300)), **EMPTY, "started": 8},
    ]


@pytest.mark.parametrize("hours", [1, 2, 24])
async def test_hours_come_from_hours(client: Client, database: Database, hours: int) -> None:
    await store_slots(
        database,
        ("", 3600, 0, 0, 5, 0),
        ("", 3600, 3600, 3, 6, 0),
        ("", 60, 0, 0, 100, 0),
    )
    midnight = NOON.replace(hour=0)
    points = await activity(client, midnight, midnight + timedelta(days=1), hours * 3600)
    expected = {1: {12: 5, 13: 6}, 2: {6: 11}, 24: {0: 11}}[hours]
    assert len(points) == 24 // hours
    assert {n: p["started"] for n, p in enumerate(points) if p["started"]} == expected


async def test_seconds_are_counted_exactly(client: Client, database: Database) -> None:
    worker = a_worker()
    await store(
        database,
        worker,
        ran(worker, -0.000001),
        ran(worker, 0, 12.25, status=ProcessStatus.SUCCESS),
        ran(worker, 9.999999, 19.9999, status=ProcessStatus.ERROR),
        ran(worker, 10),
        ran(worker, 29.9999, 30, status=ProcessStatus.SUCCESS),
        ran(worker, 30),
    )
    points = await activity(client, after_noon(0), after_noon(30), 10)
    average = points[1].pop("averageRuntimeSeconds")
    assert average == pytest.approx((12.25 + 9.999901) / 2, abs=1e-6)
    assert points == [
        {"at": text(after_noon(0)), **EMPTY, "started": 2},
        {"at": text(after_noon(10)), "started": 1, "succeeded": 1, "failed": 1},
        {"at": text(after_noon(20)), **EMPTY, "started": 1},
    ]


@pytest.mark.parametrize("slot", [10, 60, 3600])
async def test_a_worker_has_its_own_activity(client: Client, database: Database, slot: int) -> None:
    one, other = a_worker(), a_worker()
    await store(database, one, other, ran(one, 1), ran(other, 2), ran(other, 3))
    for worker, number in ((one, 1), (other, 2)):
        rolled = [(worker.id, length, 0.0, 0, number, 0) for length in (60, 3600)]
        await store_slots(database, *rolled)
        (point,) = await activity(client, NOON, after_noon(slot), slot, worker.id)
        assert point["started"] == number


@pytest.mark.parametrize("slot", [10, 60, 3600])
@pytest.mark.parametrize("worker", ["", "worker_0", "wörker_1"])
async def test_an_unknown_worker_has_no_activity(
    client: Client, database: Database, slot: int, worker: str
) -> None:
    await store_slots(database, ("", 60, 0, 0, 1, 0), ("", 3600, 0, 0, 1, 0))
    points = await activity(client, NOON, after_noon(slot), slot, worker)
    assert points == [{"at": text(NOON), **EMPTY}]


async def test_a_thousand_slots_are_the_most(client: Client) -> None:
    for slot in (1, 60, 3600):
        points = await activity(client, NOON, after_noon(1000 * slot), slot)
        assert len(points) == 1000
        until = text(after_noon(1000 * slot + 0.001))
        code = await refusal(client, since=text(NOON), until=until, slot=slot)
        assert code == "BAD_USER_INPUT"


@pytest.mark.parametrize("slot", [0, -60, 61, 90, 3601, -(2**31)])
async def test_slots_of_odd_lengths_are_refused(client: Client, slot: int) -> None:
    until = text(after_noon(1))
    assert await refusal(client, since=text(NOON), until=until, slot=slot) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T11:59:59.999999Z"),
        ("9999-12-31T23:59:50Z", "9999-12-31T23:59:59.999Z"),
        ("0001-01-01T00:00:00+23:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("2026-03-01T12:00:00", None),
        ("yesterday", None),
        ("", None),
        (1772366400, None),
        (None, None),
    ],
)
async def test_times_that_cannot_be_are_refused(
    client: Client, since: object, until: str | None
) -> None:
    assert await refusal(client, since=since, until=until, slot=60) == "BAD_USER_INPUT"


async def test_a_window_that_begins_in_the_future_is_refused_by_the_name_of_what_was_given(
    client: Client,
) -> None:
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql('{ activity(since: "2999-01-01T00:00:00Z") { at } }')
    assert refused.value.messages == ["since: lies in the future"]
