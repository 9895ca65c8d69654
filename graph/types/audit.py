"""The audit as clients see it: what was done, by whom, and to what."""

from datetime import datetime
from typing import Any, Self

import strawberry

from graph.context import GraphInfo
from graph.inputs import convert_actions
from graph.loaders import ActsKey
from monitor.acts import Act
from monitor.errors import InvalidInput

SHOWN = 10
MAX_SHOWN = 50
AUDIT_OF_NODE = (
    f"What was done to it under full-access tokens, newest first: {SHOWN}, or as many as `first` "
    f"says; more than {MAX_SHOWN} is BAD_USER_INPUT. actions: only mutations of these names."
)


@strawberry.type(
    description="Something that was done by a mutation under a full-access token, written by the "
    "transaction that did it."
)
class AuditEntry:
    id: strawberry.ID
    at: datetime
    role: str = strawberry.field(
        description="'dashboard admin' for who acted there; 'token' for who showed a token."
    )
    address: str = strawberry.field(description="Of who acted.")
    action: str = strawberry.field(description="The name of the mutation.")
    summary: str = strawberry.field(
        description="What was asked for, in short: never more of a process's details than a "
        "sentence."
    )

    @classmethod
    def of(cls, act: Act) -> Self:
        return cls(
            id=strawberry.ID(act.id),
            at=act.at,
            role=act.role,
            address=act.address,
            action=act.action,
            summary=act.summary,
        )

    @strawberry.field(
        description="What it was done to: processes (also for reports on their tasks), workers, "
        "pipelines, failures."
    )
    async def subject_ids(self, info: GraphInfo) -> list[strawberry.ID]:
        ids = await info.context.loaders.subjects_of_act.load(self.id)
        return [strawberry.ID(id_) for id_ in ids]


async def audit_of_node(
    self: Any, info: GraphInfo, first: int | None = None, actions: list[str] | None = None
) -> list[AuditEntry]:
    """Resolves the field of what can be acted on."""
    number = SHOWN if first is None else first
    if not 0 <= number <= MAX_SHOWN:
        raise InvalidInput("first", f"is {number}, must be from 0 to {MAX_SHOWN}")
    key = ActsKey(self.id, convert_actions("actions", actions), number)
    return [AuditEntry.of(act) for act in await info.context.loaders.acts_on.load(key)]
