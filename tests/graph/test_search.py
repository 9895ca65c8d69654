"""What failed is searched over HTTP by the words of its errors."""

import json
from typing import Any

import pytest

from tests.client import Client, GraphQLErrors
from tests.conftest import READ_TOKEN
from tests.factories import Run, end, register, report, start

SEARCH = """
query ($text: String!, $first: Int, $after: String) {
  search(text: $text, first: $first, after: $after) {
    edges {
      cursor line
      node {
        __typename
        ... on Failure { id title pipeline { name } latestProcess { id } }
        ... on Process {
          id status details worker { name } pipeline { name } currentTask { name details }
          failure { title }
        }
      }
    }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


async def fail(client: Client, worker_id: str, error: str) -> Run:
    """A process whose first step fails, which ends it."""
    run = await start(client, worker_id)
    await report(client, run.tasks[0], "start")
    await report(client, run.tasks[0], "error", error)
    await end(client, run.process, "Task failed")
    return run


async def search(client: Client, text: str, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await client.graphql(SEARCH, text=text, **variables))["search"]
    return found


async def test_a_failure_and_its_processes_are_found_with_what_is_asked_of_them(
    client: Client,
) -> None:
    worker = await register(client, "load", name="etl")
    told = json.dumps({"error_message": "no rows of customer 4711", "task_name": "load"})
    run = await fail(client, worker, told)
    found = await search(client, "ROWS customer")
    failure, process = found["edges"]
    assert failure["node"] == {
        "__typename": "Failure",
        "id": failure["node"]["id"],
        "title": "no rows of customer <n>",
        "pipeline": {"name": "etl"},
        "latestProcess": {"id": run.process},
    }
    assert process["node"] == {
        "__typename": "Process",
        "id": run.process,
        "status": "ERROR",
        "details": "Task failed",
        "worker": {"name": "etl"},
        "pipeline": {"name": "etl"},
        "currentTask": {"name": "load", "details": told},
        "failure": {"title": "no rows of customer <n>"},
    }
    assert [edge["line"] for edge in found["edges"]] == [
        "no rows of customer <n>",
        "no rows of customer 4711",
    ]
    assert found["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": failure["cursor"],
        "endCursor": process["cursor"],
    }
    assert (await search(client, "4711"))["edges"] == [process]


async def test_pages_follow_each_other(client: Client) -> None:
    worker = await register(client, "load")
    runs = [await fail(client, worker, f"no rows in batch {number}") for number in range(4)]
    seen, after = [], None
    for more in (True, True, False):
        found = await search(client, "rows", first=2, after=after)
        assert found["pageInfo"]["hasNextPage"] is more
        seen += [edge["node"]["id"] for edge in found["edges"]]
        after = found["pageInfo"]["endCursor"]
    assert seen[1:] == [run.process for run in reversed(runs)]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"text": "x" * 257}, "text: is 257 characters long, at most 256 are kept"),
        ({"text": "rows", "first": 501}, "first: is 501, must be from 0 to 500"),
        ({"text": "rows", "after": "x"}, "after: is not a cursor that a list has given out"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(
    client: Client, variables: dict[str, Any], message: str
) -> None:
    with pytest.raises(GraphQLErrors) as refused:
        await client.graphql(SEARCH, **variables)
    assert (refused.value.messages, refused.value.codes) == ([message], ["BAD_USER_INPUT"])


async def test_a_text_without_a_word_finds_nothing(client: Client) -> None:
    await fail(client, await register(client, "load"), "no rows")
    assert (await search(client, " %* "))["edges"] == []


async def test_who_may_read_may_search(client: Client) -> None:
    await fail(client, await register(client, "load"), "no rows")
    assert len((await search(client.with_token(READ_TOKEN), "rows"))["edges"]) == 2
    with pytest.raises(GraphQLErrors) as refused:
        await search(client.with_token(None), "rows")
    assert refused.value.codes == ["UNAUTHENTICATED"]


async def test_a_page_of_more_than_is_allowed_is_refused_before_it_is_read(
    client: Client,
) -> None:
    tasks = "... on Process { tasks { id name details status position version } }"
    document = "".join(
        f'a{n}: search(text: "rows", first: 500) {{ edges {{ node {{ {tasks} }} }} }} '
        for n in range(30)
    )
    with pytest.raises(GraphQLErrors, match="at most"):
        await client.graphql(f"{{ {document} }}")
