"""What is refused: without the right token, with a body that does not fit, for unknown ids."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.client import Client
from tests.conftest import READ_TOKEN
from tests.factories import register, run_all, start

POSTS = ["/matricula", "/healthchecker", "/newprocess", "/actualizar_task", "/endprocess"]
BODIES: dict[str, dict[str, object]] = {
    "/matricula": {"name": "w", "version": "v1", "tasks": []},
    "/healthchecker": {"id": "ID"},
    "/newprocess": {"id": "ID"},
    "/actualizar_task": {"task_id": "ID", "status": "start"},
    "/endprocess": {"id": "ID", "details": ""},
}
NOBODY = {
    "/healthchecker": "Worker not found",
    "/newprocess": "Worker not found",
    "/actualizar_task": "Task not found",
    "/endprocess": "Process not found",
}
UNKNOWN = "01a20a7b-f116-7e20-82b6-545bc21fedb9"
ODD_IDS = [
    "",
    " ",
    "x",
    f"worker_{UNKNOWN}",
    f"process_{UNKNOWN}",
    f"task_{UNKNOWN}",
    "worker_",
    "tarea_ñandú_🚀",
    "x" * 10_000,
    "worker_" + "1" * 10_000,
    "worker_1\n",
    "nul\0",
    "half \ud83d",
    "' OR 1=1 --",
    "../../etc/passwd",
]


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", "Bearer ", "full-access-token", "Basic eDp5"]
)
async def test_without_a_known_token_only_the_open_routes_answer(
    client: Client, authorization: str | None
) -> None:
    run = await start(client, await register(client, "a"))
    headers = {} if authorization is None else {"Authorization": authorization}
    paths = [f"/dashboard_process/{run.worker}", f"/dashboard_tasks/{run.process}"]
    answers = [await client.http.post(path, json=BODIES[path], headers=headers) for path in POSTS]
    answers += [await client.http.get(path, headers=headers) for path in paths]
    for answer in answers:
        assert answer.status_code == 401, answer.url
        assert answer.json() == {"detail": "Unauthorized"}
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    for path in ("/version", "/dashboard_workers"):
        assert (await client.http.get(path, headers=headers)).status_code == 200
    assert len((await client.get("/dashboard_workers")).json()) == 1


@pytest.mark.parametrize("path", POSTS)
async def test_the_token_is_asked_for_before_the_body_is_looked_at(
    client: Client, path: str
) -> None:
    headers = {"Content-Type": "application/json"}
    response = await client.http.post(path, content=b"no json", headers=headers)
    assert response.status_code == 401


@pytest.mark.parametrize("path", POSTS)
async def test_a_token_that_may_only_read_reports_nothing(client: Client, path: str) -> None:
    response = await client.with_token(READ_TOKEN).post(path, BODIES[path])
    assert response.status_code == 403
    assert response.json() == {"detail": "Forbidden"}
    assert (await client.get("/dashboard_workers")).json() == []


async def test_a_token_that_may_only_read_reads(client: Client) -> None:
    run = await run_all(client, await register(client, "a"))
    reader = client.with_token(READ_TOKEN)
    for path in (f"/dashboard_process/{run.worker}", f"/dashboard_tasks/{run.process}"):
        assert (await reader.get(path)).json() == (await client.get(path)).json()


@pytest.mark.parametrize(("path", "detail"), NOBODY.items())
async def test_a_report_on_something_unknown_says_so(
    client: Client, path: str, detail: str
) -> None:
    headers = {**client.headers, "Content-Type": "application/json"}
    for id_ in ODD_IDS:
        body = {key: id_ if value == "ID" else value for key, value in BODIES[path].items()}
        response = await client.http.post(path, content=json.dumps(body), headers=headers)
        assert response.status_code == 404, id_
        assert response.json() == {"detail": detail}


async def test_the_rows_of_something_unknown_are_not_an_empty_list(client: Client) -> None:
    for id_ in ("x", f"task_{UNKNOWN}", "%F0%9F%9A%80", "%00", "%ff", "1" * 10_000):
        for path, detail in (
            (f"/dashboard_process/{id_}", "Worker not found"),
            (f"/dashboard_tasks/{id_}", "Process not found"),
        ):
            response = await client.get(path)
            assert response.status_code == 404, id_
            assert response.json() == {"detail": detail}


async def test_an_id_of_another_kind_is_unknown(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    assert (await client.post("/newprocess", {"id": run.process})).status_code == 404
    assert (await client.post("/endprocess", {"id": run.tasks[0]})).status_code == 404
    body = {"task_id": run.process, "status": "start"}
    assert (await client.post("/actualizar_task", body)).status_code == 404
    assert (await client.get(f"/dashboard_process/{run.process}")).status_code == 404
    assert (await client.get(f"/dashboard_tasks/{run.worker}")).status_code == 404


async def test_an_id_in_other_letters_is_unknown(client: Client) -> None:
    run = await start(client, await register(client, "a"))
    for id_ in (run.worker.upper(), run.worker + " ", " " + run.worker):
        assert (await client.post("/newprocess", {"id": id_})).status_code == 404


async def test_what_is_no_text_where_a_text_belongs_is_refused_by_name(client: Client) -> None:
    for path, field in (
        ("/healthchecker", "id"),
        ("/newprocess", "id"),
        ("/actualizar_task", "task_id"),
        ("/actualizar_task", "status"),
        ("/endprocess", "id"),
    ):
        for value in (None, 1, 1.5, True, ["x"], {"id": "x"}):
            response = await client.post(path, BODIES[path] | {field: value})
            assert response.status_code == 400, (path, value)
            assert response.json()["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize("path", POSTS)
async def test_a_field_that_is_missing_is_named(client: Client, path: str) -> None:
    response = await client.post(path, {})
    assert response.status_code == 400
    first = next(iter(BODIES[path]))
    assert response.json()["detail"].startswith(f"{first}: Field required")


NO_OBJECTS = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"1",
    b"{oops",
    b"{'id': 'x'}",
    b"id=x",
    b"\xff",
    b"[" * 50_000,
    b"1" * 9_000,
]


async def test_a_body_that_is_no_json_object_is_refused_as_a_body(client: Client) -> None:
    headers = {**client.headers, "Content-Type": "application/json"}
    for path in POSTS:
        for content in NO_OBJECTS:
            response = await client.http.post(path, content=content, headers=headers)
            assert response.status_code == 400, (path, content[:20])
            assert "body" in response.json()["detail"]


async def test_a_body_without_content_type_is_json_as_it_was_for_the_predecessor(
    client: Client,
) -> None:
    worker_id = await register(client)
    response = await client.http.post(
        "/healthchecker", content=json.dumps({"id": worker_id}), headers=client.headers
    )
    assert response.json() == {"health": 1}


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_eight_mebibytes_is_refused(client: Client, chunked: bool) -> None:
    worker_id = await register(client)
    body = json.dumps({"id": worker_id, "padding": "x" * 8 * 1024 * 1024}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start_ in range(0, len(body), 65_536):
            yield body[start_ : start_ + 65_536]

    headers = {**client.headers, "Content-Type": "application/json", "Origin": "http://elsewhere"}
    content = chunks() if chunked else body
    response = await client.http.post("/healthchecker", content=content, headers=headers)
    assert response.status_code == 413
    assert response.json()["detail"].startswith("body: ")
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_unknown_keys_are_ignored(client: Client) -> None:
    worker_id = await register(client)
    response = await client.post("/healthchecker", {"id": worker_id, "version": 2, "x": None})
    assert response.json() == {"health": 1}
