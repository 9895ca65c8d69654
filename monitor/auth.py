"""Who may do what: a principal from a token."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from monitor.errors import Forbidden, Unauthenticated


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a token; `can_write` tells the two kinds of token apart."""

    can_write: bool

    def require_write(self) -> None:
        """Raises Forbidden for a token that may only read."""
        if not self.can_write:
            raise Forbidden


WRITER = Principal(can_write=True)
READER = Principal(can_write=False)


class Authenticator:
    """Knows the tokens; several of a kind may be valid at a time, so that they can be rotated."""

    def __init__(self, tokens: Iterable[str], read_tokens: Iterable[str] = ()) -> None:
        self._known = [(_digest(token), WRITER) for token in tokens]
        self._known += [(_digest(token), READER) for token in read_tokens]

    def principal(self, token: str | None) -> Principal:
        """The holder of `token`. Raises Unauthenticated.

        Digests are compared, all of them, in constant time: neither the length of a token nor
        where a guess goes wrong can be measured.
        """
        found: Principal | None = None
        given = _digest(token or "")
        for digest, principal in self._known:
            if hmac.compare_digest(digest, given) and found is None:
                found = principal
        if not token or found is None:
            raise Unauthenticated
        return found


def bearer_token(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer …` header (RFC 6750); None when there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
