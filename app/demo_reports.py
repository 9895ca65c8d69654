"""The way that simulated reports take to the API, and what of them is counted."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from app.settings import SettingsError

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 5.0
FAULTS = (aiohttp.ClientError, OSError, TimeoutError)

Say = Callable[[str], None]


class Forgotten(Exception):
    """The API does not know the worker, process or task: its database is a new one."""


def reason_of(fault: BaseException) -> str:
    """A fault for people; those that only mean that time is up have no text."""
    return str(fault) or "no answer in time"


@dataclass
class Tally:
    """What was done so far."""

    workers: int = 0
    started: int = 0
    failed: int = 0
    reports: int = 0

    def __str__(self) -> str:
        return (
            f"{self.workers} workers · {self.started} processes started · "
            f"{self.failed} failed · {self.reports} reports"
        )


class Reports:
    """Sends reports until the API takes them, and tells once that it is gone or back."""

    def __init__(self, http: aiohttp.ClientSession, url: str, tally: Tally, say: Say) -> None:
        self._http = http
        self._url = url
        self.say = say
        self._gone_at: float | None = None
        self.tally = tally

    async def send(self, path: str, **body: object) -> dict[str, Any]:
        """The answer. Raises Forgotten, or SettingsError when the API refuses us."""
        delay = FIRST_RETRY_SECONDS
        while True:
            begun = asyncio.get_running_loop().time()
            try:
                async with self._http.post(f"{self._url}{path}", json=body) as response:
                    if response.status < 500:
                        return await self._taken(response, path, begun)
                    reason = f"it answers {response.status}"
            except FAULTS as error:
                reason = reason_of(error)
            if self._gone_at is None:
                self._gone_at = asyncio.get_running_loop().time()
                self.say(f"{self._url} is gone ({reason}); trying on")
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_RETRY_SECONDS)

    async def _taken(
        self, response: aiohttp.ClientResponse, path: str, begun: float
    ) -> dict[str, Any]:
        # An answer to what was sent before it went proves nothing.
        if self._gone_at is not None and begun > self._gone_at:
            self._gone_at = None
            self.say(f"{self._url} is back")
        if response.status == 404:
            raise Forgotten
        if response.status != 200:
            told = (await response.text())[:200]
            mend = ": set TOKEN to its full-access token" if response.status in (401, 403) else ""
            raise SettingsError(f"{self._url}{path} answers {response.status} {told}{mend}.")
        answer: dict[str, Any] = await response.json()
        self.tally.reports += 1
        return answer
