"""On whose behalf a request acts: of who shows a token, or of whom a client with full access names.

The dashboard acts for people with its own token, and says for whom. Only the holder of a
full-access token is believed, who may do anything anyway; whoever may only read cannot act.
"""

from starlette.requests import Request

from graph.transports.requests import BadRequest
from monitor.acts import ADDRESS_LENGTH, ROLE_LENGTH, TOKEN, Actor
from monitor.auth import Principal

ROLE_HEADER = "X-Monitor-Actor"
ADDRESS_HEADER = "X-Monitor-Actor-Address"


def actor_of(request: Request, principal: Principal) -> Actor | None:
    """Who acts by this request; None for who may not.

    Raises BadRequest for a name or address that is too long or cannot be printed.
    """
    if not principal.can_write:
        return None
    own = token_holder(request.client.host if request.client else "")
    role = _given(request, ROLE_HEADER, ROLE_LENGTH)
    address = _given(request, ADDRESS_HEADER, ADDRESS_LENGTH)
    if role is None and address is not None:
        raise BadRequest(400, f"{ROLE_HEADER}: is needed with {ADDRESS_HEADER}")
    return own if role is None else Actor(role, address or own.address)


def token_holder(address: str) -> Actor:
    """Who says no more than a full-access token."""
    return Actor(TOKEN, address[:ADDRESS_LENGTH])


def _given(request: Request, name: str, length: int) -> str | None:
    values = request.headers.getlist(name)
    if not values:
        return None
    value = values[0].strip()
    is_fit = len(values) == 1 and 0 < len(value) <= length
    if not is_fit or not value.isascii() or not value.isprintable():
        raise BadRequest(400, f"{name}: must be 1 to {length} printable ASCII characters, once")
    return value
