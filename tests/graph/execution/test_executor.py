"""The short way answers what graphql-core's own executor answers, in success and in failure."""

from enum import Enum
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, Executor, execute, parse

from graph.execution.executor import ShortExecutor
from tests.client import Client
from tests.factories import register, report, start

DOCUMENTS = [
    "{ workers { edges { cursor node { id name counts { total } taskDefinitions { name } } } } }",
    "{ workers { __typename edges { node { __typename alias: id id } } pageInfo { endCursor } } }",
    """query { processes { edges { node { ...P worker { name counts { running } } } } } }
       fragment P on Process { id status currentTask { name process { id } } tasks { status } }""",
    "{ processes { edges { node { id @skip(if: true) status @include(if: true) } } } }",
    "{ a: tasks(orderBy: {field: POSITION}) { edges { node { position startedAt details } } } }",
    '{ summary { processes { total } workersOnline } process(id: "process_none") { id } }',
    """{ workers { edges { node {
         processes(first: 1) { edges { node { id currentTask { id } } } } } } } }""",
    "{ processes(first: 501) { edges { node { id } } } summary { workersOnline } }",
]


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_documents_are_answered_the_same(
    client: Client, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    for name in ("one", "two"):
        run = await start(client, await register(client, "a", "b", "c", name=name))
        await report(client, run.tasks[1], "start")
    short = (await client.post("/graphql", {"query": document})).json()
    monkeypatch.setattr("graph.execution.engine.ShortExecutor", Executor)
    assert (await client.post("/graphql", {"query": document})).json() == short
    assert short["data"] is not None or "errors" in short


async def test_what_was_found_out_about_a_document_is_not_taken_for_its_variables(
    client: Client,
) -> None:
    """Each is asked three times, so that what the first time found out is used."""
    run = await start(client, await register(client, "a", "b"))
    by_id = "query ($id: ID!) { node(id: $id) { id __typename } }"
    by_size = "query ($n: Int) { tasks(first: $n) { edges { node { position } } } }"
    skipping = "query ($no: Boolean!) { tasks { edges { node { id @skip(if: $no) position } } } }"
    for _ in range(3):
        for id_, type_ in ((run.process, "Process"), (run.tasks[0], "Task")):
            answer = await client.graphql(by_id, id=id_)
            assert answer["node"] == {"id": id_, "__typename": type_}
        for size in (1, 2):
            assert len((await client.graphql(by_size, n=size))["tasks"]["edges"]) == size
        for no, keys in ((True, {"position"}), (False, {"id", "position"})):
            edges = (await client.graphql(skipping, no=no))["tasks"]["edges"]
            assert all(edge["node"].keys() == keys for edge in edges)


class Colour(Enum):
    RED = "RED"


@strawberry.enum
class Shade(Enum):
    DARK = "DARK"


@strawberry.type
class Thing:
    text: str = "text"
    number: int = 1
    share: float = 0.5
    flag: bool = True
    shade: Shade = Shade.DARK
    maybe: str | None = None

    @strawberry.field
    def method(self) -> str:
        return self.text


def things(**fields: Any) -> list[Thing]:
    return [Thing(), Thing(**fields), Thing()]


FAULTS: list[dict[str, Any]] = [
    {},
    {"text": None},
    {"text": 5},
    {"number": 2**40},
    {"number": 1.0},
    {"number": True},
    {"share": 3},
    {"share": float("nan")},
    {"flag": 1},
    {"shade": Colour.RED},
    {"shade": None},
    {"maybe": 7},
]


@pytest.mark.parametrize("fields", FAULTS, ids=str)
@pytest.mark.parametrize("nullable", [False, True])
def test_values_that_their_type_refuses_are_said_in_the_same_words(
    fields: dict[str, Any], *, nullable: bool
) -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def all(self) -> list[Thing]:
            return things(**fields)

        @strawberry.field
        def some(self) -> list[Thing | None]:
            return [*things(**fields)]

    schema = strawberry.Schema(Query)._schema
    document = parse(
        "{ things: %s { text number share flag shade maybe method } }"
        % ("some" if nullable else "all")
    )
    stock, short = (
        execute(schema, document, root_value=Query(), executor_class=class_)
        for class_ in (Executor, ShortExecutor)
    )
    assert isinstance(stock, ExecutionResult)
    assert isinstance(short, ExecutionResult)
    assert stock.formatted == short.formatted
