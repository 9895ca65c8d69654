"""Query bombs are refused at little cost; all that people and tools ask is answered."""

import time
from typing import Any

import orjson
import pytest
from graphql import get_introspection_query

from tests.client import Client
from tests.graph.execution.bombs import BOMBS, levels, repeat

# Nothing here depends on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def is_refused(client: Client, query: str, **variables: Any) -> bool:
    """Whether it is refused as bad input; either way the answer takes less than a second of
    computing, which is what a bomb would take from everybody else.

    The machine may stand still in one attempt, hardly in three; a comment keeps each from being
    answered out of the cache.
    """
    for attempt in range(3):
        started = time.thread_time()
        response = await client.post(
            "/graphql", {"query": f"{query}#{attempt}", "variables": variables}
        )
        if (seconds := time.thread_time() - started) < 1:
            break
    assert seconds < 1
    body = orjson.loads(response.content)
    if "errors" not in body:
        return False
    assert {error["extensions"]["code"] for error in body["errors"]} == {"BAD_USER_INPUT"}
    assert "data" not in body
    return True


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_refused_within_a_second(client: Client, bomb: str) -> None:
    assert await is_refused(client, BOMBS[bomb])


def pages(first: object, second: object, inner: str) -> str:
    """Pages of processes in a page of workers."""
    processes = f"processes(first: {second}) {{ edges {{ node {{ {inner} }} }} }}"
    return f"workers(first: {first}) {{ edges {{ node {{ {processes} }} }} }}"


TASKS_IN_TASKS = "tasks { process { " * 3 + "id" + " } }" * 3


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (f"{{ {pages(500, 500, 'id')} }}", {}),
        (f"{{ {pages(500, 30, 'tasks { id }')} }}", {}),
        (f"query ($n: Int) {{ {pages('$n', '$n', 'id')} }}", {"n": 500}),
        (f"query ($n: Int) {{ {pages('$n', '$n', 'id')} }}", {"n": 500.0}),
        (f"query ($n: Int = 500) {{ {pages('$n', '$n', 'id')} }}", {}),
        (f"{{ ...A }} fragment A on Query {{ {pages(500, 500, 'id')} }}", {}),
        # A negative size makes no room for what is beside it.
        (f"{{ a: workers(first: -9999) {{ edges {{ cursor }} }} {pages(500, 500, 'id')} }}", {}),
        (f"{{ {repeat(49, 'a#: ' + pages(50, 50, 'id'))} }}", {}),
        (f"{{ processes(first: 500) {{ edges {{ node {{ {TASKS_IN_TASKS} }} }} }} }}", {}),
        (
            "mutation ($i: [UpdateTaskInput!]!) { updateTasks(inputs: $i) {"
            " process { worker { processes(first: 500) { edges { cursor } } } } } }",
            {"i": [{"taskId": "task_1", "status": "RUNNING"}] * 1000},
        ),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_could_return_too_much_is_refused(
    client: Client, query: str, variables: dict[str, Any]
) -> None:
    assert await is_refused(client, query, **variables)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ version }" + "#" * 1_000_000, {}),
        (levels(12), {}),
        (f"{{ {repeat(50, 'a#: version')} }}", {}),
        (f"{{ {'version ' * 500} }}", {}),
        (f"{{ {'summary { workersOnline } ' * 50} }}", {}),
        (f"{{ {pages(500, 2, 'status tasks { name status } currentTask { name }')} }}", {}),
        (f"{{ {pages(50, 50, 'id status details tasks { id name status details }')} }}", {}),
        (f"query ($n: Int) {{ {pages('$n', '$n', 'id')} }}", {"n": None}),
        (f"query ($n: Int = 500) {{ {pages('$n', '$n', 'id')} }}", {"n": 10}),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_people_ask_is_answered(
    client: Client, query: str, variables: dict[str, Any]
) -> None:
    assert not await is_refused(client, query, **variables)


async def test_of_one_document_each_size_is_measured_for_itself(client: Client) -> None:
    query = f"query ($n: Int) {{ {pages('$n', '$n', 'id')} }}"
    for size, refused in ((10, False), (500, True), (10, False)):
        answer = (await client.post("/graphql", {"query": query, "variables": {"n": size}})).json()
        assert ("data" not in answer) is refused
        assert ("at most" in str(answer)) is refused


async def test_a_fragment_costs_what_it_stands_for(client: Client) -> None:
    for size, refused in ((15, False), (20, True)):
        inline = f"{{ {pages(500, size, 'tasks { id }')} }}"
        spread = f"{{ {pages(500, size, 'tasks { ...T }')} }} fragment T on Task {{ id }}"
        assert await is_refused(client, inline) is refused
        assert await is_refused(client, spread) is refused


async def test_only_the_operation_that_runs_is_measured(client: Client) -> None:
    document = f"query Small {{ version }} query Large {{ {pages(500, 500, 'id')} }}"
    for name, refused in (("Small", False), ("Large", True)):
        body = {"query": document, "operationName": name}
        answer = (await client.post("/graphql", body)).json()
        assert ("data" not in answer) is refused
        assert ("at most" in str(answer)) is refused


@pytest.mark.parametrize("everything", [True, False])
async def test_tools_may_read_the_whole_schema(client: Client, everything: bool) -> None:
    query = get_introspection_query(
        descriptions=everything,
        specified_by_url=everything,
        directive_is_repeatable=everything,
        schema_description=everything,
        input_value_deprecation=everything,
    )
    data = await client.graphql(query)
    assert {"Worker", "Mutation"} <= {type_["name"] for type_ in data["__schema"]["types"]}
