"""Running operations: defects are masked, nothing runs for ever, documents are prepared once."""

import asyncio
import logging
from typing import Any, cast

import pytest
import strawberry
from graphql import OperationType

from graph.context import Context
from graph.execution import engine
from graph.execution.engine import Engine
from graph.loaders import Loaders
from monitor.auth import READER
from monitor.errors import Conflict, InvalidInput, Unavailable
from monitor.monitor import Monitor


class Defect(Conflict):
    """A class that the table of errors does not know, though its base is there."""


@strawberry.type
class Node:
    name: str = "ok"

    @strawberry.field
    def broken(self) -> str:
        raise KeyError("secret")

    @strawberry.field
    def optional(self) -> str | None:
        raise RuntimeError("secret")


@strawberry.type
class Query:
    @strawberry.field
    def node(self) -> Node:
        return Node()

    @strawberry.field
    def nodes(self, number: int) -> list[Node]:
        return [Node() for _ in range(number)]

    @strawberry.field
    def broken(self) -> str:
        raise ValueError("secret")

    @strawberry.field
    async def broken_later(self) -> str | None:
        await asyncio.sleep(0)
        raise ValueError("secret")

    @strawberry.field
    def wrong_type(self) -> int:
        return cast(int, "secret")

    @strawberry.field
    def nothing(self) -> str:
        return cast(str, None)

    @strawberry.field
    def refused(self) -> str | None:
        raise InvalidInput("number", "is odd")

    @strawberry.field
    def busy(self) -> str | None:
        raise Unavailable

    @strawberry.field
    def unknown(self) -> str | None:
        raise Defect("secret")

    @strawberry.field
    async def forever(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError("it never ends")


@pytest.fixture
def tiny() -> Engine:
    return Engine(strawberry.Schema(Query), timeout_seconds=10)


async def run(tiny: Engine, query: str, **variables: Any) -> dict[str, Any]:
    # These resolvers use no part of the context.
    context = Context(cast(Monitor, None), READER, cast(Loaders, None))
    answer = await tiny.run(tiny.prepare(query), context, variables=variables)
    return answer.response


@pytest.mark.parametrize(
    "query",
    [
        "{ broken }",
        "{ brokenLater }",
        "{ wrongType }",
        "{ nothing }",
        "{ unknown }",
        "{ node { broken } }",
        "{ node { optional } }",
    ],
)
async def test_a_defect_is_masked_and_logged_under_its_id(
    tiny: Engine, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    with caplog.at_level(logging.ERROR):
        response = await run(tiny, query)
    (error,) = response["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["extensions"]["id"] in error["message"]
    assert error["path"] == query.strip("{} ").split(" { ")
    assert "secret" not in str(response)
    (record,) = caplog.records
    assert error["extensions"]["id"] in record.getMessage()
    assert record.exc_info is not None


async def test_a_defect_leaves_the_rest_of_the_answer(tiny: Engine) -> None:
    response = await run(tiny, "{ node { name optional } brokenLater }")
    assert response["data"] == {"node": {"name": "ok", "optional": None}, "brokenLater": None}
    assert len({error["extensions"]["id"] for error in response["errors"]}) == 2


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("{ refused }", "BAD_USER_INPUT", "number: is odd"),
        ("{ busy }", "UNAVAILABLE", "The service is unavailable right now; try again"),
    ],
)
async def test_a_refusal_has_its_code_and_its_text(
    tiny: Engine, caplog: pytest.LogCaptureFixture, query: str, code: str, message: str
) -> None:
    (error,) = (await run(tiny, query))["errors"]
    assert (error["message"], error["extensions"]) == (message, {"code": code})
    assert error["path"] == [query.strip("{} ")]
    assert caplog.records == []


async def test_what_takes_too_long_is_given_up() -> None:
    hurried = Engine(strawberry.Schema(Query), timeout_seconds=0.05)
    response = await run(hurried, "{ node { name } a: forever b: forever }")
    assert response == {
        "data": None,
        "errors": [
            {"message": "It took longer than 0.05 s", "extensions": {"code": "UNAVAILABLE"}}
        ],
    }


async def test_variables_that_cannot_be_are_bad_input(tiny: Engine) -> None:
    query = "query ($n: Int!) { nodes(number: $n) { name } }"
    for wrong in ({"n": "two"}, {"n": None}, {}, {"n": 2**31}, {"n": [1]}):
        response = await run(tiny, query, **wrong)
        assert [error["extensions"] for error in response["errors"]] == [{"code": "BAD_USER_INPUT"}]
        assert "data" not in response
    with_default = "query ($n: Int = 1) { nodes(number: $n) { name } }"
    (error,) = (await run(tiny, with_default, n=None))["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert await run(tiny, query, n=1, unused="x") == {"data": {"nodes": [{"name": "ok"}]}}


def test_a_document_is_prepared_once(tiny: Engine) -> None:
    prepared = tiny.prepare("{ node { name } }")
    assert tiny.prepare("{ node { name } }") is prepared
    assert tiny.prepare("{ node { name  } }") is not prepared
    refused = tiny.prepare("{ nobody }")
    assert tiny.prepare("{ nobody }") is refused


def test_the_memory_of_documents_is_bounded_and_keeps_those_in_use(tiny: Engine) -> None:
    used = "{ node { name } }"
    prepared = tiny.prepare(used)
    first = tiny.prepare("{ broken }")
    filler = "#" * (engine.CACHED_DOCUMENT_LENGTH - 100)
    for number in range(engine.CACHED_LENGTH // len(filler) + 1):
        tiny.prepare(f"{{ broken }} {filler} {number}")
        assert tiny.prepare(used) is prepared
    assert tiny.prepare("{ broken }") is not first
    huge = f"{{ broken }} #{'x' * engine.CACHED_DOCUMENT_LENGTH}"
    assert tiny.prepare(huge) is not tiny.prepare(huge)
    assert tiny.prepare(used) is prepared


def test_the_operation_to_run_is_known_by_its_name(tiny: Engine) -> None:
    several = tiny.prepare("query a { broken } query b { broken }")
    assert several.operation_type("b") is OperationType.QUERY
    assert several.operation_type("c") is None
    assert several.operation_type(None) is None
    assert tiny.prepare("{ broken }").operation_type(None) is OperationType.QUERY
