"""The schema, made of its parts."""

from datetime import datetime

import strawberry
from strawberry.schema.config import StrawberryConfig

from graph.mutations import Mutation
from graph.queries import Query
from graph.scalars import DATE_TIME
from graph.types import Process, Task, Worker


def create_schema() -> strawberry.Schema:
    """The whole schema; `graph/schema.graphql` is its printed form."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        types=[Worker, Process, Task],
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
