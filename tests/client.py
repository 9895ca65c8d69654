"""A small client: REST calls and GraphQL operations with a token."""

from dataclasses import dataclass
from typing import Any

import httpx


class GraphQLErrors(Exception):
    """The answer had errors; `codes` are their extensions.code."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors)
        self.codes = [error["extensions"]["code"] for error in errors]
        self.messages = [error["message"] for error in errors]


@dataclass(frozen=True)
class Client:
    http: httpx.AsyncClient
    token: str | None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def with_token(self, token: str | None) -> "Client":
        return Client(self.http, token)

    async def post(self, path: str, body: object) -> httpx.Response:
        return await self.http.post(path, json=body, headers=self.headers)

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path, headers=self.headers)

    async def graphql(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """The data of the answer. Raises GraphQLErrors."""
        response = await self.post("/graphql", {"query": query, "variables": variables})
        body: dict[str, Any] = response.json()
        if "errors" in body:
            raise GraphQLErrors(body["errors"])
        data: dict[str, Any] = body["data"]
        return data
