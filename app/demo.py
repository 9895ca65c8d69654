"""`process-monitor demo`: simulated workers over real REST calls, so that there is life to see."""

import asyncio
import sys
from dataclasses import dataclass
from random import Random

import aiohttp

from app.demo_reports import FAULTS, Reports, Say, Tally, reason_of
from app.demo_workers import Loop, Script, Service, Silences, SimulatedWorker
from app.settings import Settings, SettingsError, base_url

PROGRESS_SECONDS = 5
LOOP_EVERY = 3
TIMEOUT_SECONDS = 10
MAX_CONNECTIONS = 32
# The API closes a connection that was idle for 5 s; one used at that moment would seem a failure.
KEEPALIVE_SECONDS = 3


@dataclass(frozen=True)
class Demo:
    """What is simulated; `seconds` None is without end."""

    url: str
    token: str
    workers: int
    speed: float
    seconds: float | None
    seed: int


def run_demo(
    settings: Settings,
    *,
    url: str | None,
    workers: int,
    speed: float,
    seed: int,
    seconds: float | None,
) -> int:
    """Until Ctrl-C, or until its seconds are over; the exit status. Raises SettingsError."""
    where = base_url(url or settings.backend)
    demo = Demo(where, _token(settings), workers, speed, seconds, seed)
    tally = Tally()
    try:
        asyncio.run(simulate(demo, tally, _say))
    except KeyboardInterrupt:
        _say("")  # behind the ^C of the terminal
    _say(str(tally))
    return 0


async def simulate(demo: Demo, tally: Tally, say: Say) -> None:
    """Runs until its seconds are over. Raises SettingsError when the API refuses us."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEPALIVE_SECONDS),
        headers={"Authorization": f"Bearer {demo.token}"},
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
    ) as http:
        await _check_reachable(http, demo.url)
        say(f"{demo.workers} programs report to {demo.url}; Ctrl-C ends it")
        workers = _create_workers(demo, Reports(http, demo.url, tally, say))
        try:
            async with asyncio.timeout(demo.seconds):
                await _run_all(workers, tally, say)
        except TimeoutError:
            return  # its seconds are over


async def _run_all(workers: list[SimulatedWorker], tally: Tally, say: Say) -> None:
    refusal: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_tell_progress(tally, say))
            for worker in workers:
                group.create_task(worker.run())
                if isinstance(worker, Service):
                    group.create_task(worker.beat())
    except* SettingsError as refusals:
        refusal = refusals.exceptions[0]  # all are refused for the same reason
    if refusal:  # raised within `except*` it would be put into a group again
        raise refusal


def _create_workers(demo: Demo, reports: Reports) -> list[SimulatedWorker]:
    """The last one a service; of the others each third a loop."""
    workers: list[SimulatedWorker] = []
    for number in range(demo.workers):
        # Each draws from its own chance, so that the order of answers does not matter to a seed.
        random = Random(f"{demo.seed}/{number}")
        if number == demo.workers - 1:
            silences = Silences(Random(f"{demo.seed}/silences"))
            service = Service(number, reports, random, silences=silences, speed=demo.speed)
            workers.append(service)
        else:
            kind = Loop if number % LOOP_EVERY == 1 else Script
            workers.append(kind(number, reports, random, speed=demo.speed))
    return workers


async def _tell_progress(tally: Tally, say: Say) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        say(str(tally))


async def _check_reachable(http: aiohttp.ClientSession, url: str) -> None:
    try:
        async with http.get(f"{url}/version") as response:
            if response.status == 200:
                return
            reason = f"it answers {response.status}"
    except FAULTS as error:
        reason = reason_of(error)
    raise SettingsError(
        f"--url: no Process Monitor at {url} ({reason}): start `process-monitor up`, or say "
        "where one is with --url or BACKEND."
    )


def _token(settings: Settings) -> str:
    """The first of TOKEN, or the one that was made at the API's first start."""
    if settings.token:
        return settings.token[0]
    try:
        token = settings.token_file.read_text().strip()
        reason = "is empty"
    except OSError as error:
        token, reason = "", f"cannot be read ({error.strerror})"
    if not token:
        raise SettingsError(
            f"TOKEN is not set, and {settings.token_file} {reason}: set TOKEN to the API's token, "
            "or start `process-monitor up`, which makes one."
        )
    return token


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
