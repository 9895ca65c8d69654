"""Who may do what: a principal from a token."""

import hashlib
import hmac
import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from monitor.errors import Forbidden, TooManyAttempts, Unauthenticated

# Shorter ones can be guessed, when people made them up.
STRONG_LENGTH = 16
# Clients with short tokens that are remembered.
MAX_PROVEN = 10_000


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


class Attempts(Protocol):
    """Who failed how often, by address."""

    def wait_seconds(self, address: str) -> float:
        """Until the next attempt is looked at; 0 when it is looked at now."""

    def failed(self, address: str) -> None:
        """One more that was looked at, and was wrong."""

    def held_back(self) -> None:
        """One that came too soon."""


class Authenticator:
    """Knows the tokens; several of a kind may be valid at a time, so that they can be rotated.

    `attempts` slow down those who guess. A token that nobody can guess is looked at all the same:
    of many clients behind one address, a bad one harms no other. A short one is not, unless it was
    right from there before: else guessing would go on, whatever the wrong ones are answered.
    """

    def __init__(
        self,
        tokens: Iterable[str],
        read_tokens: Iterable[str] = (),
        attempts: Attempts | None = None,
    ) -> None:
        self._known = [(_digest(token), WRITER) for token in tokens]
        self._known += [(_digest(token), READER) for token in read_tokens]
        self._attempts = attempts
        self._proven: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def principal(self, token: str | None, address: str = "") -> Principal:
        """The holder of `token`. Raises Unauthenticated, TooManyAttempts."""
        if not token:
            raise Unauthenticated
        digest = _digest(token)
        if self._attempts is None:
            return self._find(digest)
        is_short = len(token) < STRONG_LENGTH
        if is_short and (address, digest) not in self._proven:
            self._hold_back(self._attempts, address)
        try:
            principal = self._find(digest)
        except Unauthenticated:
            self._hold_back(self._attempts, address)
            self._attempts.failed(address)
            raise
        if is_short:
            self._prove(address, digest)
        return principal

    def _find(self, given: bytes) -> Principal:
        """Digests are compared, all of them, in constant time: neither the length of a token nor
        where a guess goes wrong can be measured.
        """
        found: Principal | None = None
        for digest, principal in self._known:
            if hmac.compare_digest(digest, given) and found is None:
                found = principal
        if found is None:
            raise Unauthenticated
        return found

    def _hold_back(self, attempts: Attempts, address: str) -> None:
        wait = attempts.wait_seconds(address)
        if wait > 0:
            attempts.held_back()
            raise TooManyAttempts(math.ceil(wait))

    def _prove(self, address: str, digest: bytes) -> None:
        self._proven[address, digest] = None
        self._proven.move_to_end((address, digest))
        if len(self._proven) > MAX_PROVEN:
            self._proven.popitem(last=False)


def bearer_token(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer …` header (RFC 6750); None when there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
