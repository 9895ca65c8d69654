"""Mutations of the API, on behalf of a person: one request each, never sent again by itself."""

from typing import Any

import aiohttp

from dashboard.api import FAULTS, GONE, ApiGone, Refused, operation, refusal_of

# The API says after 10 s that something took too long.
TIMEOUT = aiohttp.ClientTimeout(total=12, sock_connect=4)
# As the API knows who acts here (`graph.transports.actors`).
ROLE = "dashboard admin"
MAX_ADDRESS_CHARACTERS = 64
LATE = "the API does not answer; it may have been done, so look before you try again"


class Mutations:
    """Sends mutations with a token that may write, and says for whom."""

    def __init__(self, url: str, token: str) -> None:
        self._graphql = f"{url}/graphql"
        self._authorization = {"Authorization": f"Bearer {token}"}

    async def run(self, name: str, address: str, **variables: Any) -> dict[str, Any]:
        """The data that `operations/<name>.graphql` answers. Raises ApiGone, Refused.

        Not over the dashboard's socket: a request can say on whose behalf it comes, and a socket
        that breaks leaves nothing half done.
        """
        question = {"query": operation(name), "variables": variables}
        headers = self._authorization | _actor(address)
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as http,
                http.post(self._graphql, json=question, headers=headers) as response,
            ):
                answer = await response.json()
        except aiohttp.ClientConnectorError as error:
            raise ApiGone(GONE) from error
        except (*FAULTS, ValueError) as error:
            raise ApiGone(LATE) from error
        return _data(answer)


def _actor(address: str) -> dict[str, str]:
    fits = 0 < len(address) <= MAX_ADDRESS_CHARACTERS
    of = {"X-Monitor-Actor-Address": address}
    return {"X-Monitor-Actor": ROLE} | (of if fits and _is_plain(address) else {})


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _data(answer: Any) -> dict[str, Any]:
    match answer:
        case {"errors": [{"message": str()} as error, *_]}:
            refusal = refusal_of(error)
            if isinstance(refusal, Refused) and refusal.code in ("UNAUTHENTICATED", "FORBIDDEN"):
                raise ApiGone("the API lets the dashboard's token (TOKEN) do nothing")
            raise refusal
        case {"data": dict() as data}:
            return data
        case _:
            raise ApiGone(LATE)
