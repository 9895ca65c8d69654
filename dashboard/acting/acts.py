"""The acts: each a mutation, or as many of one as it takes, and what is said of it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from dashboard.acting.asked import PERIODS, Asked
from dashboard.acting.mutations import Mutations
from dashboard.api import ApiGone

# Archiving goes on for so long at most; each step takes some 4 s.
ARCHIVING_SECONDS = 15.0
# In the details of the process.
ENDED = "Ended by an operator: "


class NothingDone(Exception):
    """It is no longer as the page showed it; the text says how, for people."""


class Acts:
    """What can be asked for. Each answers what was done, in a sentence.

    Raises NothingDone, Refused for what the API refuses, and ApiGone.
    """

    def __init__(
        self, mutations: Mutations, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._mutations = mutations
        self._monotonic = monotonic

    async def do(self, asked: Asked, address: str) -> str:
        """Does it for who sits at this address."""
        match asked.action:
            case "endProcess":
                return await self._end_process(asked, address)
            case "archiveWorker":
                return await self._archive_worker(asked, address)
            case "archiveFinished":
                return await self._archive_finished(asked, address)
            case "resolveFailure":
                await self._mutations.run("resolve_failure", address, id=asked.id)
                return "The failure is resolved. If it is seen again, it has regressed."
            case "muteFailure":
                return await self._mute_failure(asked, address)
            case "reopenFailure":
                await self._mutations.run("reopen_failure", address, id=asked.id)
                return "The failure is open."

    async def _end_process(self, asked: Asked, address: str) -> str:
        await self._mutations.run(
            "end_process",
            address,
            id=asked.id,
            details=ENDED + asked.reason,
            key=f"act-{asked.key}",
        )
        return "The process was ended as ERROR."

    async def _archive_worker(self, asked: Asked, address: str) -> str:
        if not await self._archive(address, ids=[asked.id]):
            raise NothingDone("The worker is alive again, or was archived already.")
        return _told(1)

    async def _archive_finished(self, asked: Asked, address: str) -> str:
        until = self._monotonic() + ARCHIVING_SECONDS
        archived = 0
        while self._monotonic() < until:
            try:
                some = await self._archive(address, of=asked.id)
            except ApiGone as gone:
                if archived:
                    raise ApiGone(f"{_told(archived)} Then: {gone}") from gone
                raise
            if not some:
                return _told(archived) if archived else "There was nothing to archive."
            archived += some
        return f"{_told(archived)} There are more: archive again."

    async def _mute_failure(self, asked: Asked, address: str) -> str:
        period = PERIODS[asked.period]
        until = None if period is None else (datetime.now(UTC) + period).isoformat()
        await self._mutations.run("mute_failure", address, id=asked.id, until=until)
        return "The failure is muted: it is counted, and nobody is alerted."

    async def _archive(self, address: str, **which: object) -> int:
        data = await self._mutations.run("archive_workers", address, **which)
        return int(data["archiveWorkers"])


def _told(archived: int) -> str:
    return "1 worker was archived." if archived == 1 else f"{archived:,} workers were archived."
