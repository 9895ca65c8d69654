"""The audit: what mutations did, on whose behalf, and what to; each exactly once."""

import asyncio
import json
import re
from typing import Any

import pytest

from app.factory import create_app
from app.settings import Settings
from db.session import Database
from monitor.entities import Liveness
from monitor.ids import new_id, pipeline_id
from tests.client import Client, GraphQLErrors
from tests.conftest import READ_TOKEN, TOKEN
from tests.factories import register, run_all, start
from tests.graph.live import Socket, serving_live
from tests.stored import a_worker, store

AUDIT = """
query ($filter: AuditFilter, $first: Int, $after: String, $last: Int, $before: String) {
  audit(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { id at role address action summary subjectIds } }
    pageInfo { hasNextPage hasPreviousPage }
  }
}
"""
REGISTER = """
mutation ($key: String) {
  registerWorker(
    input: { name: "job", version: "v2", tasks: [{ name: "a", version: "1" }] }
    idempotencyKey: $key
  ) { id pipeline { id } }
}
"""
START = """
mutation ($id: ID!, $key: String) {
  startProcess(workerId: $id, idempotencyKey: $key) { id tasks { id } }
}
"""
UPDATE = "mutation ($input: UpdateTaskInput!) { updateTask(input: $input) { id } }"
UPDATE_ALL = "mutation ($inputs: [UpdateTaskInput!]!) { updateTasks(inputs: $inputs) { id } }"
END = "mutation ($input: EndProcessInput!) { endProcess(input: $input) { id } }"
ARCHIVE = "mutation ($of: ID) { archiveWorkers(pipelineId: $of) }"
HEARTBEAT = "mutation ($id: ID!) { heartbeat(workerId: $id) { id } }"


async def audit_of(client: Client, **variables: Any) -> list[dict[str, Any]]:
    """The entries of a page, newest first."""
    page = (await client.graphql(AUDIT, **variables))["audit"]
    return [edge["node"] for edge in page["edges"]]


async def acts_of(client: Client, **filter_: Any) -> list[tuple[str, str]]:
    """What was done and asked for, oldest first."""
    entries = await audit_of(client, filter=filter_)
    return [(entry["action"], entry["summary"]) for entry in reversed(entries)]


async def run_over_graphql(client: Client) -> tuple[str, str]:
    """The ids of a worker and of its process, from its registration to its end."""
    worker_id = (await client.graphql(REGISTER))["registerWorker"]["id"]
    process = (await client.graphql(START, id=worker_id))["startProcess"]
    report = {"taskId": process["tasks"][0]["id"], "status": "RUNNING"}
    await client.graphql(UPDATE, input=report)
    await client.graphql(UPDATE_ALL, inputs=[report, report])
    await client.graphql(HEARTBEAT, id=worker_id)
    end = {"processId": process["id"], "status": "ERROR", "details": "out of disk"}
    await client.graphql(END, input=end)
    return worker_id, process["id"]


async def test_every_mutation_is_in_it_once_but_heartbeats(
    client: Client, database: Database
) -> None:
    worker_id, process_id = await run_over_graphql(client)
    many = [a_worker(name="many", liveness=Liveness.FINISHED) for _ in range(3)]
    await store(database, *many)
    assert (await client.graphql(ARCHIVE, of=pipeline_id("many")))["archiveWorkers"] == 3
    found = await audit_of(client)
    assert [(entry["action"], entry["summary"], entry["subjectIds"]) for entry in found] == [
        ("archiveWorkers", "3 workers", sorted([pipeline_id("many"), *(w.id for w in many)])),
        ("endProcess", "ERROR: out of disk", [pipeline_id("job"), process_id, worker_id]),
        ("updateTasks", "2 reports", [process_id]),
        ("updateTask", "task 1: RUNNING", [process_id]),
        ("startProcess", "", [process_id, worker_id]),
        ("registerWorker", "job v2", [pipeline_id("job"), worker_id]),
    ]
    assert {(entry["role"], entry["address"]) for entry in found} == {("token", "127.0.0.1")}
    assert [entry["at"] for entry in found] == sorted((e["at"] for e in found), reverse=True)
    assert all(entry["id"].startswith("audit_") for entry in found)


async def test_reports_over_rest_are_not_in_it(client: Client) -> None:
    await run_all(client, await register(client, "a", "b"))
    assert await audit_of(client) == []


async def test_what_was_refused_is_not_in_it(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    report = {"taskId": run.tasks[0], "status": "RUNNING"}
    end = {"processId": run.process, "status": "ERROR"}
    refused: list[tuple[str, dict[str, Any]]] = [
        (START, {"id": new_id("worker")}),
        (UPDATE, {"input": {"taskId": new_id("task"), "status": "RUNNING"}}),
        (UPDATE_ALL, {"inputs": [report, {**report, "details": "x" * 2**21}]}),
        (END, {"input": {**end, "status": "RUNNING"}}),
        (END, {"input": {**end, "onlyStalled": True}}),
        (ARCHIVE, {"of": pipeline_id("nobody")}),
        (ARCHIVE, {}),
    ]
    for mutation, variables in refused:
        with pytest.raises(GraphQLErrors):
            await client.graphql(mutation, **variables)
    with pytest.raises(GraphQLErrors):
        await client.with_token(READ_TOKEN).graphql(END, input=end)
    assert await audit_of(client) == []


async def test_what_changed_nothing_is_not_in_it(client: Client) -> None:
    run = await run_all(client, await register(client, "a", name="job"))
    await client.graphql(END, input={"processId": run.process, "status": "ERROR"})
    await client.graphql(ARCHIVE, of=pipeline_id("job"))
    await client.graphql(UPDATE_ALL, inputs=[])
    assert await audit_of(client) == []


async def test_what_is_repeated_under_its_key_is_in_it_once(client: Client) -> None:
    first = await client.graphql(REGISTER, key="once")
    assert await client.graphql(REGISTER, key="once") == first
    assert await acts_of(client) == [("registerWorker", "job v2")]


async def test_what_a_program_wrote_is_left_where_it_is(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    output = "secret " * 150_000
    end = {"processId": run.process, "status": "ERROR", "details": output[: 2**20]}
    await client.graphql(END, input=end)
    said = "ERROR, with details of 1048576 characters"
    assert await acts_of(client) == [("endProcess", said)]


async def test_a_reason_may_be_in_any_script(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    reason = "Ended by an operator: " + "🛑" * 500
    end = {"processId": run.process, "status": "ERROR", "details": reason}
    await client.graphql(END, input=end)
    assert await acts_of(client) == [("endProcess", f"ERROR: {reason}")]


async def test_only_full_access_shows_it(client: Client) -> None:
    with pytest.raises(GraphQLErrors) as refused:
        await client.with_token(READ_TOKEN).graphql(AUDIT)
    assert refused.value.codes == ["FORBIDDEN"]


async def test_a_process_shows_what_was_done_to_it(client: Client) -> None:
    _, process_id = await run_over_graphql(client)
    await run_over_graphql(client)
    query = f'{{ process(id: "{process_id}") {{ audit# {{ action subjectIds }} }} }}'

    async def shown(arguments: str) -> list[str]:
        data = await client.with_token(READ_TOKEN).graphql(query.replace("#", arguments))
        entries = data["process"]["audit"]
        assert all(process_id in entry["subjectIds"] for entry in entries)
        return [entry["action"] for entry in entries]

    actions = ["endProcess", "updateTasks", "updateTask", "startProcess"]
    assert await shown("") == actions
    assert await shown("(first: 2)") == actions[:2]
    assert await shown("(first: 0)") == []
    assert await shown('(actions: ["startProcess", "endProcess"], first: 1)') == ["endProcess"]
    assert await shown('(actions: ["☃", "none"])') == []
    for number in (-1, 51):
        with pytest.raises(GraphQLErrors) as refused:
            await shown(f"(first: {number})")
        assert refused.value.codes == ["BAD_USER_INPUT"]


async def test_pages_of_it_can_be_turned_both_ways(client: Client) -> None:
    await run_over_graphql(client)
    every = await audit_of(client)
    for filter_ in ({}, {"subjectIds": [s for entry in every for s in entry["subjectIds"]]}):
        seen, cursor = [], None
        while True:
            page = (await client.graphql(AUDIT, filter=filter_, first=2, after=cursor))["audit"]
            seen += [edge["node"] for edge in page["edges"]]
            cursor = page["edges"][-1]["cursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert seen == every
        back = (await client.graphql(AUDIT, filter=filter_, last=2, before=cursor))["audit"]
        assert [edge["node"] for edge in back["edges"]] == every[-3:-1]
        assert back["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": True}


async def test_it_is_filtered_by_subject_action_and_time(client: Client) -> None:
    worker_id, process_id = await run_over_graphql(client)
    every = await audit_of(client)

    async def found(**filter_: Any) -> list[str]:
        return [action for action, _ in await acts_of(client, **filter_)]

    assert await found(subjectIds=[worker_id]) == ["registerWorker", "startProcess", "endProcess"]
    # What was done to both is in it once.
    assert await found(subjectIds=[worker_id, process_id, process_id]) == [
        *("registerWorker", "startProcess", "updateTask", "updateTasks", "endProcess"),
    ]
    both = ["endProcess", "registerWorker"]
    assert await found(actions=both) == both[::-1]
    assert await found(actions=both, subjectIds=[process_id]) == ["endProcess"]
    assert await found(subjectIds=[]) == await found(actions=[]) == []
    assert await found(subjectIds=["no id", "☃"]) == await found(actions=["☃"]) == []
    third = every[2]["at"]
    assert await found(since=third) == ["updateTask", "updateTasks", "endProcess"]
    assert await found(until=third) == ["registerWorker", "startProcess"]
    between = {"since": third, "until": every[0]["at"]}
    assert await found(subjectIds=[process_id], **between) == ["updateTask", "updateTasks"]


async def test_too_many_subjects_are_refused(client: Client) -> None:
    with pytest.raises(GraphQLErrors) as refused:
        await acts_of(client, subjectIds=[new_id("process") for _ in range(101)])
    assert refused.value.codes == ["BAD_USER_INPUT"]
    assert refused.value.messages == ["filter.subjectIds: has 101 values, at most 100"]


async def acting(client: Client, *headers: tuple[str, str | bytes]) -> int:
    """The status of a registration with these headers beside the token."""
    sent = [*client.headers.items(), *headers]
    answer = await client.http.post("/graphql", json={"query": REGISTER}, headers=sent)  # type: ignore[arg-type]  # bytes go beside texts
    return answer.status_code


async def test_who_has_full_access_may_say_for_whom(client: Client) -> None:
    role = ("X-Monitor-Actor", "dashboard admin")
    assert await acting(client, role, ("X-Monitor-Actor-Address", "fe80::1%eth0")) == 200
    assert await acting(client, role) == 200
    assert await acting(client) == 200
    found = [(entry["role"], entry["address"]) for entry in await audit_of(client)]
    assert found == [
        ("token", "127.0.0.1"),
        ("dashboard admin", "127.0.0.1"),
        ("dashboard admin", "fe80::1%eth0"),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Monitor-Actor", "")],
        [("X-Monitor-Actor", "x" * 65)],
        [("X-Monitor-Actor", b"\xff\xfe")],
        [("X-Monitor-Actor", b"a\tb")],
        [("X-Monitor-Actor", "one"), ("X-Monitor-Actor", "two")],
        [("X-Monitor-Actor-Address", "10.0.0.7")],
        [("X-Monitor-Actor", "one"), ("X-Monitor-Actor-Address", "x" * 65)],
        [("X-Monitor-Actor", "one"), ("X-Monitor-Actor-Address", b"\x80")],
    ],
)
async def test_whom_nobody_could_read_is_refused(
    client: Client, headers: list[tuple[str, str | bytes]]
) -> None:
    assert await acting(client, *headers) == 400
    assert await audit_of(client) == []


async def test_over_a_socket_one_acts_as_who_shows_the_token(settings: Settings) -> None:
    async with serving_live(create_app(settings)) as server:
        headers = {"X-Monitor-Actor": "somebody else"}
        async with Socket.open(server, additional_headers=headers) as socket:
            await socket.subscribe(REGISTER)
            assert "registerWorker" in await socket.next_event()
        async with server.client() as client:
            (entry,) = await audit_of(client)
    assert (entry["role"], entry["address"]) == ("token", "127.0.0.1")


def sent(path: str, body: object) -> bytes:
    """A request as it goes over a connection."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: monitor\r\nAuthorization: Bearer {TOKEN}\r\n"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return (head + kind).encode() + content


async def test_a_report_behind_a_mutation_on_one_connection_is_a_report(
    settings: Settings,
) -> None:
    worker = {"name": "job", "version": "v1", "tasks": []}
    async with serving_live(create_app(settings)) as server, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        # Nothing is waited for in between, so the server runs one within the other.
        requests = [("/graphql", {"query": REGISTER}), ("/matricula", worker)] * 3
        writer.write(b"".join(sent(path, body) for path, body in requests))
        for _ in requests:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
        writer.close()
        async with server.client() as client:
            assert await acts_of(client) == [("registerWorker", "job v2")] * 3


async def test_who_may_only_read_speaks_for_nobody(client: Client) -> None:
    reader = client.with_token(READ_TOKEN)
    with pytest.raises(GraphQLErrors) as refused:
        await reader.graphql(REGISTER)
    assert refused.value.codes == ["FORBIDDEN"]
    await acting(reader, ("X-Monitor-Actor", "dashboard admin"))
    await acting(reader, ("X-Monitor-Actor", b"\xff"))
    assert await audit_of(client) == []
