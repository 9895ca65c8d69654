"""GraphQL over HTTP: every request gets a JSON answer with the right status, whatever it is."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.client import Client
from tests.conftest import READ_TOKEN
from tests.factories import register

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
VERSION = {"query": "{ version }"}

# Nothing here depends on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def send(
    client: Client, body: object = VERSION, *, method: str = "POST", **headers: str
) -> httpx.Response:
    """A request with these headers, as `content_type`; bytes are sent as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": JSON, **{name.lower(): text for name, text in client.headers.items()}}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.http.request(method, "/graphql", content=content, headers=named)


async def get(client: Client, **parameters: str) -> httpx.Response:
    return await client.http.get("/graphql", params=parameters, headers=client.headers)


def code(response: httpx.Response) -> str:
    """The code of the one error of a JSON answer."""
    assert response.headers["content-type"].endswith("json; charset=utf-8")
    (error,) = response.json()["errors"]
    assert isinstance(error["message"], str)
    assert error["message"]
    return str(error["extensions"]["code"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'"x"',
        b"1",
        b"[]",
        b"true",
        b"{",
        b"{} {}",
        b"\xff\xfe",
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b'{"query": NaN}',
        b"[" * 20_000 + b"]" * 20_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b'[{"query": "{ version }"}]',
        b"{}",
        b'{"query": null}',
        b'{"query": ""}',
        b'{"query": " \\n"}',
        b'{"query": 1}',
        b'{"query": {"version": true}}',
        b'{"query": "{ version }", "variables": []}',
        b'{"query": "{ version }", "variables": "{}"}',
        b'{"query": "{ version }", "operationName": 1}',
        b'{"query": "{ version }", "extensions": "x"}',
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_a_body_that_is_no_operation_is_answered_400(client: Client, body: bytes) -> None:
    for accept in (JSON, GRAPHQL):
        response = await send(client, body, accept=accept)
        assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_a_body_may_be_8_mib_and_no_larger(client: Client) -> None:
    body = json.dumps({"query": "{ version }", "variables": {"x": "y" * 8_300_000}}).encode()
    assert (await send(client, body)).json() == {"data": {"version": "v1.1"}}
    response = await send(client, body + b" " * 200_000)
    assert response.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{"},
        {"query": "version"},
        {"query": "{ nothing }"},
        {"query": "{ worker { id } }"},
        {"query": "{ worker(id: {}) { id } }"},
        {"query": "query ($id: ID!) { worker(id: $id) { id } }"},
        {"query": "query ($n: Int) { workers(first: $n) { edges { cursor } } }"}
        | {"variables": {"n": "many"}},
        {"query": "{ workers(orderBy: {field: SIZE}) { edges { cursor } } }"},
        {"query": "type Query { a: Int }"},
        {"query": "query a { version } query b { version }"},
        {"query": "query a { version }", "operationName": "b"},
        {"query": "fragment a on Query { version }"},
    ],
    ids=lambda body: str(body["query"]),
)
async def test_what_cannot_be_executed_is_bad_input(client: Client, body: dict[str, Any]) -> None:
    plain = await send(client, body, accept=JSON)
    assert (plain.status_code, code(plain)) == (200, "BAD_USER_INPUT")
    assert "data" not in plain.json()
    strict = await send(client, body, accept=GRAPHQL)
    assert (strict.status_code, code(strict)) == (400, "BAD_USER_INPUT")
    assert "data" not in strict.json()


async def test_an_error_says_where_it_is(client: Client) -> None:
    (error,) = (await send(client, {"query": "{\n  wrokers\n}"})).json()["errors"]
    assert error["locations"] == [{"line": 2, "column": 3}]
    assert "'workers'" in error["message"]


async def test_the_named_operation_runs(client: Client) -> None:
    query = "query a { version } query b { __typename }"
    response = await send(client, {"query": query, "operationName": "b"})
    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        ("Application/GraphQL-Response+JSON; Charset=UTF-8", GRAPHQL),
        (f"{GRAPHQL}, {JSON}", GRAPHQL),
        (f"{JSON}, {GRAPHQL}", JSON),
        (f"{JSON};q=0.5, {GRAPHQL};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.1, */*;q=0.05", GRAPHQL),
        (f"text/plain, {JSON};q=0.001", JSON),
        (f"{GRAPHQL};q=high, {JSON};q=0.1", JSON),
        (f"{GRAPHQL};charset=latin-1, {JSON};q=0.1", JSON),
    ],
)
async def test_the_client_chooses_the_media_type(client: Client, accept: str, answer: str) -> None:
    response = await send(client, accept=accept)
    assert response.json() == {"data": {"version": "v1.1"}}
    assert response.headers["content-type"] == f"{answer}; charset=utf-8"


async def test_what_the_client_takes_may_be_said_in_several_lines(client: Client) -> None:
    headers = [("Accept", "text/plain"), ("Accept", GRAPHQL), *client.headers.items()]
    response = await client.http.post("/graphql", json=VERSION, headers=headers)
    assert response.headers["content-type"] == f"{GRAPHQL}; charset=utf-8"


@pytest.mark.parametrize(
    "accept", ["text/plain", "text/html", f"{JSON};q=0", f"{JSON};charset=utf-16", ",", "json"]
)
async def test_what_cannot_be_sent_is_answered_406(client: Client, accept: str) -> None:
    response = await send(client, accept=accept)
    assert (response.status_code, code(response)) == (406, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/graphql",
        "application/jsonx",
        "application/json;charset=utf-16",
    ],
)
async def test_a_body_of_another_type_is_answered_415(client: Client, content_type: str) -> None:
    response = await send(client, content_type=content_type)
    assert (response.status_code, code(response)) == (415, "BAD_USER_INPUT")


async def test_a_body_may_name_its_charset(client: Client) -> None:
    for content_type in (f"{JSON}; charset=utf-8", f'{JSON};charset="UTF-8"', JSON.upper()):
        assert (await send(client, content_type=content_type)).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_only_get_and_post_are_answered(client: Client, method: str) -> None:
    response = await send(client, method=method)
    assert (response.status_code, code(response)) == (405, "BAD_USER_INPUT")
    assert response.headers["allow"] == "GET, POST"


async def test_a_query_may_be_sent_by_get(client: Client) -> None:
    worker_id = await register(client, name="ü&?")
    response = await get(
        client,
        query="query a($id: ID!) { worker(id: $id) { name } } query b { version }",
        operationName="a",
        variables=json.dumps({"id": worker_id}),
    )
    assert response.json() == {"data": {"worker": {"name": "ü&?"}}}


async def test_a_mutation_by_get_is_answered_405_and_not_run(client: Client) -> None:
    query = """mutation a {
      registerWorker(input: {name: "w", version: "v", tasks: []}) { id }
    }"""
    for response in (
        await get(client, query=query),
        await get(client, query=f"{query} query b {{ version }}", operationName="a"),
    ):
        assert (response.status_code, code(response)) == (405, "BAD_USER_INPUT")
        assert response.headers["allow"] == "POST"
    summary = await client.graphql("{ summary { workersOnline } }")
    assert summary == {"summary": {"workersOnline": 0}}


@pytest.mark.parametrize("parameter", ["variables", "extensions"])
async def test_a_parameter_that_is_no_json_is_answered_400(client: Client, parameter: str) -> None:
    for value in ("{", "[]", '"x"', "nul"):
        response = await get(client, query="{ version }", **{parameter: value})
        assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_a_get_without_a_query_is_answered_400(client: Client) -> None:
    response = await get(client)
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_a_subscription_without_a_stream_is_answered_400(client: Client) -> None:
    subscription = {"query": "subscription { workers { kind } }"}
    for accept in (JSON, GRAPHQL):
        response = await send(client, subscription, accept=accept)
        assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic eDp5", "x"])
async def test_without_the_token_nothing_is_answered(
    client: Client, authorization: str | None
) -> None:
    stranger = client.with_token(None)
    headers = {} if authorization is None else {"authorization": authorization}
    for body in (VERSION, {"query": "{ __schema { types { name } } }"}, b"null"):
        response = await send(stranger, body, **headers)
        assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")
        assert response.headers["www-authenticate"] == "Bearer"
    assert (await send(stranger, method="DELETE", **headers)).status_code == 401
    response = await stranger.http.get("/graphql", params=VERSION, headers=headers)
    assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")


async def test_the_word_bearer_is_written_in_any_case(client: Client) -> None:
    authorization = f"bEARER  {client.token} "
    assert (await send(client, authorization=authorization)).status_code == 200


async def test_a_reader_that_changes_something_is_forbidden(client: Client) -> None:
    query = 'mutation { heartbeat(workerId: "worker_0") { id } }'
    response = await send(client.with_token(READ_TOKEN), {"query": query}, accept=GRAPHQL)
    assert (response.status_code, code(response)) == (200, "FORBIDDEN")


async def test_a_browser_gets_the_explorer_without_a_token(client: Client) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await client.http.get("/graphql", headers=browser)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="(graphql/static/[^"]+)"', page.text)
    assert len(loaded) > 4
    for address in loaded:
        assert (await client.http.get(f"/{address}")).status_code == 200
    query = await client.http.get("/graphql", params=VERSION, headers=browser)
    assert (query.status_code, code(query)) == (401, "UNAUTHENTICATED")
