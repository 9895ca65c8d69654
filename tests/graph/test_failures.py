"""Failures over HTTP: what went wrong, how often, and what people make of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from fastapi import FastAPI

from app.factory import create_app
from app.settings import Settings
from db.session import Database
from monitor.monitor import Monitor
from tests.client import Client, GraphQLErrors
from tests.conftest import READ_TOKEN, serving
from tests.factories import Run, end, register, report, start
from tests.statements import counting, note_counted, noting_statements_to, statements_to

WHOLE = """
  __typename id fingerprint step title status count firstSeenAt lastSeenAt firstVersion
  lastVersion resolvedAt mutedUntil revision
  pipeline { name } latestProcess { id }
  processes(first: 2) { edges { node { id failure { id } } } pageInfo { hasNextPage } }
"""
ALL = f"""
query ($filter: FailureFilter, $order: FailureOrder, $first: Int, $after: String) {{
  failures(filter: $filter, orderBy: $order, first: $first, after: $after) {{
    edges {{ cursor node {{ {WHOLE} }} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""
ONE = f"query ($id: ID!) {{ failure(id: $id) {{ {WHOLE} }} node(id: $id) {{ __typename id }} }}"
PROCESSES = """
query ($filter: ProcessFilter, $order: ProcessOrder) {
  processes(filter: $filter, orderBy: $order) { edges { node { id status failure { id title } } } }
}
"""
OCCURRENCES = """
query ($since: DateTime!, $until: DateTime, $slot: Int! = 3600) {
  failures { edges { node {
    title occurrences(since: $since, until: $until, slotSeconds: $slot) { at count lastVersion }
  } } }
}
"""
RESOLVE = "mutation ($id: ID!) { resolveFailure(id: $id) { id status resolvedAt revision } }"
REOPEN = "mutation ($id: ID!) { reopenFailure(id: $id) { id status revision } }"
MUTE = """
mutation ($id: ID!, $until: DateTime) {
  muteFailure(id: $id, until: $until) { id status mutedUntil revision }
}
"""
AUDIT = """
{ audit(filter: {actions: ["resolveFailure", "muteFailure", "reopenFailure"]}) {
  edges { node { action summary subjectIds } }
} }
"""


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def database(app: FastAPI) -> Database:
    monitor: Monitor = app.state.monitor
    return monitor.database


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[Client]:
    async with serving(app) as client:
        yield client


async def fail(client: Client, worker_id: str, error: str = "no rows in batch 17") -> Run:
    """A process whose first step fails, which ends it."""
    run = await start(client, worker_id)
    await report(client, run.tasks[0], "start")
    await report(client, run.tasks[0], "error", error)
    await end(client, run.process, "Task failed")
    return run


async def failures(client: Client, **variables: Any) -> list[dict[str, Any]]:
    found = await client.graphql(ALL, **variables)
    return [edge["node"] for edge in found["failures"]["edges"]]


async def statuses(client: Client, *wanted: str) -> list[str]:
    """Of the failures that are found by these."""
    return [f["status"] for f in await failures(client, filter={"status": list(wanted)})]


async def code(client: Client, query: str, **variables: Any) -> str:
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(query, **variables)
    (only,) = refused.value.codes
    return str(only)


async def test_a_failure_has_what_was_alike(client: Client) -> None:
    worker = await register(client, "extract", name="nightly")
    runs = [await fail(client, worker, f"no rows in batch {n}") for n in (17, 8812, 9)]
    (failure,) = await failures(client)
    expected = {
        "__typename": "Failure",
        "step": "extract",
        "title": "no rows in batch <n>",
        "status": "OPEN",
        "count": 3,
        "firstVersion": "v1.0",
        "lastVersion": "v1.0",
        "resolvedAt": None,
        "mutedUntil": None,
        "pipeline": {"name": "nightly"},
        "latestProcess": {"id": runs[2].process},
    }
    assert expected.items() <= failure.items()
    assert failure["fingerprint"].startswith("v1:")
    newest = [{"node": {"id": r.process, "failure": {"id": failure["id"]}}} for r in runs[:0:-1]]
    assert failure["processes"] == {"edges": newest, "pageInfo": {"hasNextPage": True}}
    found = await client.graphql(ONE, id=failure["id"])
    assert found == {
        "failure": failure,
        "node": {"__typename": "Failure", "id": failure["id"]},
    }
    assert (await client.graphql(ONE, id=runs[0].process))["failure"] is None


async def test_processes_are_found_by_their_failure(client: Client) -> None:
    worker = await register(client, "extract")
    runs = [await fail(client, worker, error) for error in ("a lock", "a door", "a lock")]
    fine = await start(client, worker)
    await end(client, fine.process)
    ids = {f["title"]: f["id"] for f in await failures(client)}
    for order in ("STARTED_AT", "UPDATED_AT"):
        found = await client.graphql(
            PROCESSES,
            filter={"failureIds": [ids["a lock"]], "status": ["ERROR"]},
            order={"field": order},
        )
        failure = {"id": ids["a lock"], "title": "a lock"}
        assert [edge["node"] for edge in found["processes"]["edges"]] == [
            {"id": run.process, "status": "ERROR", "failure": failure} for run in (runs[2], runs[0])
        ]
    (node,) = (await client.graphql(PROCESSES, filter={"ids": [fine.process]}))["processes"][
        "edges"
    ]
    assert node["node"]["failure"] is None


async def test_the_failures_of_a_page_are_one_statement(client: Client, database: Database) -> None:
    worker = await register(client, "extract")
    for error in ("a lock", "a door", "a key"):
        await fail(client, worker, error)
    with noting_statements_to(database, note_counted), counting() as statements:
        found = await client.graphql(PROCESSES)
    assert len([s for s in statements if "FROM failures" in s]) == 1
    titles = [edge["node"]["failure"]["title"] for edge in found["processes"]["edges"]]
    assert titles == ["a key", "a door", "a lock"]


@pytest.mark.parametrize(
    ("order", "direction", "titles"),
    [
        ("FIRST_SEEN_AT", "ASC", ["a lock", "a door", "a key"]),
        ("FIRST_SEEN_AT", "DESC", ["a key", "a door", "a lock"]),
        ("LAST_SEEN_AT", "ASC", ["a lock", "a door", "a key"]),
        ("COUNT", "DESC", None),
    ],
)
async def test_pages_follow_each_other_in_every_order(
    client: Client, order: str, direction: str, titles: list[str] | None
) -> None:
    worker = await register(client, "extract")
    for error in ("a lock", "a door", "a key"):
        await fail(client, worker, error)
    listed: list[str] = []
    after = None
    while True:
        found = await client.graphql(
            ALL, order={"field": order, "direction": direction}, first=1, after=after
        )
        listed += [edge["node"]["title"] for edge in found["failures"]["edges"]]
        after = found["failures"]["pageInfo"]["endCursor"]
        if not found["failures"]["pageInfo"]["hasNextPage"]:
            break
    assert listed == titles or (titles is None and sorted(listed) == ["a door", "a key", "a lock"])


async def test_filters_match_together(client: Client) -> None:
    for name in ("one", "two"):
        worker = await register(client, "extract", name=name)
        for error in ("A Lock", "a door"):
            await fail(client, worker, error)
    mine = {f["id"]: f for f in await failures(client) if f["pipeline"]["name"] == "one"}
    lock = next(f for f in mine.values() if f["title"] == "A Lock")
    pipelines = (await client.graphql('{ pipeline(name: "one") { id } }'))["pipeline"]
    of = {"pipelineIds": [pipelines["id"]], "titleContains": "a LOCK", "status": ["OPEN"]}
    assert [f["id"] for f in await failures(client, filter=of)] == [lock["id"]]
    assert await failures(client, filter=of | {"status": ["MUTED"]}) == []
    assert await failures(client, filter={"ids": []}) == []
    assert len(await failures(client, filter={"pipelineIds": [pipelines["id"], "no id"]})) == 2


async def test_what_was_resolved_and_comes_again_has_regressed(client: Client) -> None:
    worker = await register(client, "extract")
    await fail(client, worker)
    (failure,) = await failures(client)
    resolved = (await client.graphql(RESOLVE, id=failure["id"]))["resolveFailure"]
    assert resolved["status"] == "RESOLVED"
    assert resolved["revision"] > failure["revision"]
    again = (await client.graphql(RESOLVE, id=failure["id"]))["resolveFailure"]
    # What was told meanwhile has a revision of its own.
    assert {**again, "revision": 0} == {**resolved, "revision": 0}
    assert await statuses(client, "RESOLVED") == ["RESOLVED"]
    assert await statuses(client, "OPEN", "REGRESSED", "MUTED") == []
    await fail(client, worker)
    assert await statuses(client, "REGRESSED") == ["REGRESSED"]
    assert await statuses(client, "RESOLVED") == []
    assert (await client.graphql(RESOLVE, id=failure["id"]))["resolveFailure"]["status"] == (
        "RESOLVED"
    )
    await client.graphql(REOPEN, id=failure["id"])
    await fail(client, worker)
    assert await statuses(client, "OPEN") == ["OPEN"]


async def test_what_is_muted_is_counted_and_reads_open_after_its_time(client: Client) -> None:
    worker = await register(client, "extract")
    await fail(client, worker)
    (failure,) = await failures(client)
    id_ = failure["id"]
    muted = (await client.graphql(MUTE, id=id_))["muteFailure"]
    assert (muted["status"], muted["mutedUntil"]) == ("MUTED", None)
    await fail(client, worker)
    (failure,) = await failures(client, filter={"status": ["MUTED"]})
    assert failure["count"] == 2
    until = datetime.now(UTC) + timedelta(seconds=0.4)
    muted = (await client.graphql(MUTE, id=id_, until=until.isoformat()))["muteFailure"]
    assert datetime.fromisoformat(muted["mutedUntil"]) - until < timedelta(milliseconds=2)
    while datetime.now(UTC) <= until:
        await statuses(client)
    assert await statuses(client, "OPEN") == ["OPEN"]
    assert await statuses(client, "MUTED") == []
    await client.graphql(MUTE, id=id_)
    assert (await client.graphql(RESOLVE, id=id_))["resolveFailure"]["status"] == "RESOLVED"


async def test_what_cannot_be_done_is_refused(client: Client) -> None:
    worker = await register(client, "extract")
    run = await fail(client, worker)
    (failure,) = await failures(client)
    nobody = failure["id"][:-4] + "0000"
    for query in (RESOLVE, MUTE, REOPEN):
        assert await code(client, query, id=nobody) == "NOT_FOUND"
        assert await code(client, query, id=run.process) == "NOT_FOUND"
        assert await code(client.with_token(READ_TOKEN), query, id=failure["id"]) == "FORBIDDEN"
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    assert await code(client, MUTE, id=failure["id"], until=past) == "BAD_USER_INPUT"
    assert await statuses(client, "OPEN") == ["OPEN"]


async def test_what_people_make_of_it_is_in_the_audit(client: Client) -> None:
    worker = await register(client, "extract")
    await fail(client, worker)
    (failure,) = await failures(client)
    for query in (RESOLVE, RESOLVE, MUTE, REOPEN):
        await client.graphql(query, id=failure["id"])
    acts = [edge["node"] for edge in (await client.graphql(AUDIT))["audit"]["edges"]]
    assert [(act["action"], act["summary"]) for act in acts] == [
        ("reopenFailure", ""),
        ("muteFailure", "for ever"),
        ("resolveFailure", ""),
    ]
    assert all(failure["id"] in act["subjectIds"] for act in acts)


async def test_failures_are_found_by_when_they_were_first_seen(client: Client) -> None:
    worker = await register(client, "extract")
    for error in ("a lock", "a door", "a key"):
        await fail(client, worker, error)
    seen = {f["title"]: f["firstSeenAt"] for f in await failures(client)}
    since, before = {"firstSeenSince": seen["a door"]}, {"firstSeenBefore": seen["a door"]}
    order = {"field": "FIRST_SEEN_AT", "direction": "ASC"}
    for filter_, titles in (
        (since, ["a door", "a key"]),
        (before, ["a lock"]),
        (since | {"firstSeenBefore": seen["a key"]}, ["a door"]),
        (since | before, []),
    ):
        found = await failures(client, filter=filter_, order=order)
        assert [failure["title"] for failure in found] == titles


async def test_when_it_was_seen_is_told_by_the_hour(client: Client) -> None:
    began = datetime.now(UTC)
    for version in ("v1.0", "v1.1"):
        worker = await register(client, "extract", version=version)
        await fail(client, worker)
    await fail(client, worker, "a door")
    since = (began - timedelta(hours=23)).isoformat()
    found = await client.graphql(OCCURRENCES, since=since)
    slots = {e["node"]["title"]: e["node"]["occurrences"] for e in found["failures"]["edges"]}
    counts = [slot["count"] for slot in slots["no rows in batch <n>"]]
    # The hour may end meanwhile.
    assert len(counts) in (24, 25)
    assert (sum(counts), sum(counts[:23])) == (2, 0)
    assert [slot["lastVersion"] for slot in slots["a door"] if slot["count"]] == ["v1.1"]
    assert {slot["lastVersion"] for slot in slots["a door"][:23]} == {None}
    at = [datetime.fromisoformat(slot["at"]) for slot in slots["a door"]]
    assert at[0] <= began - timedelta(hours=23) < at[1]
    assert {later - before for before, later in pairwise(at)} == {timedelta(hours=1)}


async def test_the_occurrences_of_a_page_are_one_statement(
    client: Client, database: Database
) -> None:
    worker = await register(client, "extract")
    for error in ("a lock", "a door", "a key"):
        await fail(client, worker, error)
    since = (datetime.now(UTC) - timedelta(days=7) + timedelta(hours=1)).isoformat()
    with statements_to(database) as statements:
        found = await client.graphql(OCCURRENCES, since=since, slot=86_400)
    assert len([s for s in statements if "GROUP BY failure_figures.failure_id" in s]) == 1
    for edge in found["failures"]["edges"]:
        assert sum(slot["count"] for slot in edge["node"]["occurrences"]) == 1


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("slotSeconds", {"slot": 1800}),
        ("slotSeconds", {"slot": 5400}),
        ("slotSeconds", {"slot": -3600}),
        ("slotSeconds", {"since": "2020-01-01T00:00:00Z"}),
        ("until", {"until": "2020-01-01T00:00:00Z"}),
    ],
)
async def test_occurrences_that_cannot_be_told_are_refused(
    client: Client, field: str, given: dict[str, Any]
) -> None:
    await fail(client, await register(client, "extract"))
    since = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(OCCURRENCES, **{"since": since, **given})
    assert refused.value.codes == ["BAD_USER_INPUT"]
    assert str(refused.value).count(field)
