"""Running GraphQL operations: prepared once per text, executed, errors named for clients.

graphql-core is driven directly, below Strawberry's own `execute`: a subscription's events are
executed without a generator per subscriber, and parsed and validated documents are kept by their
text, which costs one dictionary look-up instead of hashing the whole document.
"""

import asyncio
from asyncio import Future
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from inspect import isawaitable
from types import CoroutineType
from typing import Any, TypeGuard, cast

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    create_source_event_stream,
    execute,
    parse,
    validate,
    visit,
)
from strawberry import Schema

from graph.context import Context
from graph.execution.coalescing import Coalescer
from graph.execution.executor import ShortExecutor
from graph.execution.limits import MAX_TOKENS, Bill, check_cost, check_document
from graph.execution.responses import Answer, Response, error_of, format_error, respond
from monitor.errors import MonitorError, Unavailable
from monitor.feed.log import Cursor
from monitor.limits import DETAILS_BYTES
from monitor.reading.asking import asking_together

# Characters of all documents that are kept prepared; one takes up to 300 bytes.
CACHED_LENGTH = 400_000
CACHED_DOCUMENT_LENGTH = 20_000
# More are of no use, and locating one takes a pass over the text.
MAX_ERRORS = 10
# A long text has to be read character by character. In variables it is not: they are JSON.
MAX_DOCUMENT_LENGTH = DETAILS_BYTES + 256 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A parsed document, or why it is none that this schema can run; one is kept for each text."""

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]
    operations: Mapping[str | None, OperationType]
    asks_feed_cursor: bool = False
    # What came of the cost of its operations, where no variables matter for that.
    bills: dict[str | None, Bill] = field(default_factory=dict)

    def operation_type(self, name: str | None) -> OperationType | None:
        """Of the operation to run; None when the name does not say which."""
        if name is None:
            return next(iter(self.operations.values())) if len(self.operations) == 1 else None
        return self.operations.get(name)


class Engine:
    """Runs operations of `schema`, each for `timeout_seconds` at most."""

    def __init__(self, schema: Schema, *, timeout_seconds: float) -> None:
        # Strawberry has no public name for the graphql-core schema it builds.
        self.schema = schema._schema
        self._timeout_seconds = timeout_seconds
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()
        self._prepared_length = 0
        self._coalescer: Coalescer[Answer] = Coalescer()

    def prepare(self, query: str) -> Prepared:
        """Parses and validates, or finds what it made of the same text before."""
        prepared = self._prepared.get(query)
        if prepared is not None:
            self._prepared.move_to_end(query)
            return prepared
        prepared = self._prepare(query)
        if len(query) <= CACHED_DOCUMENT_LENGTH:
            self._prepared[query] = prepared
            self._prepared_length += len(query)
            while self._prepared_length > CACHED_LENGTH:
                oldest, _ = self._prepared.popitem(last=False)
                self._prepared_length -= len(oldest)
        return prepared

    def _prepare(self, query: str) -> Prepared:
        if len(query) > MAX_DOCUMENT_LENGTH:
            reason = f"The document has more than {MAX_DOCUMENT_LENGTH} characters; use variables"
            return Prepared(None, (GraphQLError(reason),), {})
        try:
            document = parse(query, max_tokens=MAX_TOKENS, no_location=False)
        except GraphQLError as error:
            return Prepared(None, (error,), {})
        except RecursionError:
            return Prepared(None, (GraphQLError("The document is nested too deeply"),), {})
        operations = {
            node.name.value if node.name else None: node.operation
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode)
        }
        try:
            errors = check_document(document) or validate(
                self.schema, document, max_errors=MAX_ERRORS
            )
        except RecursionError:
            errors = [GraphQLError("The document is nested too deeply")]
        if errors:
            return Prepared(None, tuple(errors), operations)
        finder = _FeedCursorFinder()
        visit(document, finder)
        return Prepared(document, (), operations, finder.found)

    async def run(
        self,
        prepared: Prepared,
        context: Context,
        *,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
    ) -> Answer:
        """The answer to a query or a mutation. Queries that are asked together share it.

        Never raises for what a client sent; a response without `data` was not executed.
        """

        async def run() -> Answer:
            return Answer(await self._run(prepared, context, variables, operation_name))

        if refused := _refuse(self.schema, prepared, variables, operation_name):
            return Answer(refused)
        if prepared.operation_type(operation_name) is not OperationType.QUERY:
            return await run()
        try:
            values = orjson.dumps(variables or {}, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # nested too deeply
            return await run()
        key = (prepared, values, operation_name, context.principal)
        return await self._coalescer.run(key, run)

    async def _run(
        self,
        prepared: Prepared,
        context: Context,
        variables: Mapping[str, Any] | None,
        operation_name: str | None,
    ) -> Response:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                if prepared.asks_feed_cursor:
                    context.feed_cursor = str(Cursor(context.monitor.live.now()))
                with asking_together():
                    result = await self._execute(prepared, context, variables, operation_name)
        except TimeoutError:
            limit = f"It took longer than {self._timeout_seconds:g} s"
            return {"data": None, "errors": [error_of(Unavailable(limit))]}
        except MonitorError as error:
            return {"data": None, "errors": [error_of(error)]}
        return respond(result)

    async def _execute(
        self,
        prepared: Prepared,
        context: Context,
        variables: Mapping[str, Any] | None,
        operation_name: str | None,
    ) -> ExecutionResult:
        assert prepared.document is not None
        result = execute(
            self.schema,
            prepared.document,
            context_value=context,
            variable_values=dict(variables or {}),
            operation_name=operation_name,
            is_awaitable=_is_awaitable,
            hide_suggestions=False,
            executor_class=ShortExecutor,
        )
        return await result if isawaitable(result) else result

    async def subscribe(
        self,
        prepared: Prepared,
        context: Context,
        *,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
    ) -> tuple[Executor[Any], object] | Response:
        """An executor for the events of a subscription, and what its field says to follow.

        A response with errors instead when it cannot be run.
        """
        if refused := _refuse(self.schema, prepared, variables, operation_name):
            return refused
        assert prepared.document is not None
        executor = ShortExecutor.build(
            self.schema,
            prepared.document,
            context_value=context,
            raw_variable_values=dict(variables or {}),
            operation_name=operation_name,
            is_awaitable=_is_awaitable,
        )
        if isinstance(executor, list):
            return {"errors": [format_error(error) for error in executor]}
        try:
            told = await _begin(executor)
        except MonitorError as error:
            return {"errors": [error_of(error)]}
        if isinstance(told, ExecutionResult):
            return {"errors": [format_error(error) for error in told.errors or ()]}
        return executor, told


async def _begin(executor: Executor[Any]) -> object:
    """What the stream of a subscription begins with; a result with errors when it does not."""
    stream = create_source_event_stream(executor)
    if _is_awaitable(stream):
        stream = await stream
    if isinstance(stream, ExecutionResult):
        return stream
    async with aclosing(cast(AsyncGenerator[object, None], stream)) as told:
        return await anext(told)


def _refuse(
    schema: GraphQLSchema,
    prepared: Prepared,
    variables: Mapping[str, Any] | None,
    operation_name: str | None,
) -> Response | None:
    """The response to what cannot be run at all."""
    if prepared.document is None:
        return {"errors": [format_error(error) for error in prepared.errors]}
    bill = prepared.bills.get(operation_name)
    if bill is None:
        bill = check_cost(schema, prepared.document, variables or {}, operation_name)
        if bill.lasting and operation_name in (None, *prepared.operations):
            prepared.bills[operation_name] = bill
    if bill.errors:
        return {"errors": [format_error(error) for error in bill.errors]}
    return None


def _is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    # Resolvers here are plain functions or coroutine functions: cheaper than inspect.isawaitable.
    return type(value) is CoroutineType or isinstance(value, Future)


class _FeedCursorFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.found = self.found or node.name.value == "feedCursor"
