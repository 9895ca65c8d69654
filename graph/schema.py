"""The schema, made of its parts."""

from collections.abc import Iterator
from datetime import datetime

import strawberry
from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
)
from strawberry.schema.config import StrawberryConfig

from graph.mutations import Mutation
from graph.queries import Query
from graph.scalars import DATE_TIME
from graph.subscriptions import Subscription
from graph.types.failures import Failure
from graph.types.nodes import Process, Task, Worker
from graph.types.pipelines import Pipeline


def create_schema() -> strawberry.Schema:
    """The whole schema; `process-monitor export-schema > graph/schema.graphql` prints it."""
    schema = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Pipeline, Worker, Process, Task, Failure],
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
    for input_ in _inputs(schema._schema):
        # Strawberry makes `= null` of Python's `= None`. Without it nothing is passed on, and
        # Python's default applies: the same value, in a schema as short as the contract.
        if input_.default_value is None:
            input_.default_value = Undefined
    return schema


def _inputs(schema: GraphQLSchema) -> Iterator[GraphQLArgument | GraphQLInputField]:
    for type_ in schema.type_map.values():
        match type_:
            case GraphQLInputObjectType(fields=fields):
                yield from fields.values()
            case GraphQLObjectType(fields=fields) | GraphQLInterfaceType(fields=fields):
                for field in fields.values():
                    yield from field.args.values()
