"""How soon a browser shows the first rows of the dashboard and how soon it lives, 5,000 pipelines.

Beside a stock Dash application that shows as many rows out of its layout, in turn with it. The
first rows are those of the picture in the document; the stock application has none, so it is
compared with the page that lives.
"""

import asyncio
import json
import statistics
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from playwright.async_api import BrowserContext, Page, async_playwright

from app.seeding import WORKERS_OF_A_PIPELINE, seed_history
from bench.parts import TOKEN, Parts
from bench.report import Figure, say
from db.migrate import migrate
from db.session import Database
from monitor.reading.filters import ProcessFilter
from monitor.reading.pages import Direction, Order
from monitor.reading.reads import PROCESSES, list_slice
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS
from tests.servers import DashboardServer, MissingProgram, MonitorServer, find_program

PIPELINES = 5_000
# One of each on average, and fifty more of some.
PROCESSES_OF_ALL, PROCESSES_OF_BUSY = 5_000, 5_000
BUSY = 100
VISITS = 7
AIM_MILLISECONDS = 700.0
WARM_AIM_MILLISECONDS = 400.0
# With a header, tiles, a chart and filters, and with rows that a database has.
MOST_OF_STOCK = 1.5
AIM_KIB = 1024.0
PATIENCE_MILLISECONDS = 30_000
DESKTOP = {"width": 1440, "height": 900}

# What is seen first, of the picture or of the page; and what of the page.
PIPELINE_ROWS = (
    '[data-id="pipelines-place"] .picture-row, #pipelines .ag-row',
    "#pipelines .ag-row",
)
STEPS = ('[data-id="timeline"] .bar-row, #timeline .bar-row', "#timeline .bar-row")

# When the first element that each of the selectors finds was painted, in ms since the navigation
# began: looked for before each frame, and noted behind the one that has it.
WATCH = """
window.paintedAt = Promise.all(SELECTORS.map((selector) => new Promise((resolve) => {
  const isSeen = (row) => {
    if (!row.textContent.trim()) return false;
    const { top, height, left, width } = row.getBoundingClientRect();
    // What is inert is never the element at a place.
    if (row.closest("[inert]"))
      return top < innerHeight && row.checkVisibility({ visibilityProperty: true });
    const there = document.elementFromPoint(left + width / 2, top + height / 2);
    return Boolean(there && row.contains(there));
  };
  const look = () => {
    const isThere = [...document.querySelectorAll(selector)].some(isSeen);
    requestAnimationFrame(isThere ? () => resolve(performance.now()) : look);
  };
  requestAnimationFrame(look);
})));
"""

# What a visit took: until the first rows, until the page itself shows them, and the KiB sent.
Visit = tuple[float, float, float]


async def measure(parts: Parts) -> list[Figure]:
    """First visits, visits with a full cache, and links to a process, on both databases."""
    try:
        find_program(*CHROMIUM)
    except MissingProgram as missing:
        say(f"page: left out, since {missing}")
        return []
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="process-monitor-page-") as folder:
        sqlite = f"sqlite:///{Path(folder) / 'page.db'}"
        for name, url in (("MariaDB", parts.new_database()), ("SQLite", sqlite)):
            process = await _seed(url)
            say(f"page: {VISITS} visits of each kind, on {name}")
            with _dashboard(parts, url, Path(folder)) as ours, parts.peer("stock_page") as peer:
                stock = f"http://127.0.0.1:{peer[0]}"
                figures += await _visits(name, ours.url, process, stock)
    return figures


async def _visits(name: str, url: str, process: str, stock: str) -> list[Figure]:
    link = f"{url}/?process={process}"
    async with _browser() as context:
        # What is begun with the first tab after a start is not what is measured.
        await _visit(context, url, PIPELINE_ROWS)
        await _visit(context, link, STEPS)
        await _visit(context, stock, PIPELINE_ROWS)
    cold: list[Visit] = []
    linked: list[Visit] = []
    beside: list[Visit] = []
    for _ in range(VISITS):
        for visits, address, selectors in (
            (cold, url, PIPELINE_ROWS),
            (linked, link, STEPS),
            (beside, stock, PIPELINE_ROWS),
        ):
            async with _browser() as context:
                visits.append(await _visit(context, address, selectors))
    async with _browser() as context:
        await _visit(context, url, PIPELINE_ROWS)
        warm = [await _visit(context, url, PIPELINE_ROWS) for _ in range(VISITS)]
    at = f"at {PIPELINES:,} pipelines, {name}"
    first, lives, sent = _medians(cold)
    return [
        _figure(f"first rows of the page, cold, {at}", "ms", first, AIM_MILLISECONDS),
        Figure(
            f"first rows of a page that lives, cold, {at}",
            "ms",
            lives,
            MOST_OF_STOCK,
            "stock Dash with one table",
            _medians(beside)[1],
            lower_is_better=True,
        ),
        _figure(
            f"first rows of the page, warm, {at}", "ms", _medians(warm)[0], WARM_AIM_MILLISECONDS
        ),
        _figure(
            f"steps of a process by its link, cold, {at}",
            "ms",
            _medians(linked)[0],
            AIM_MILLISECONDS,
        ),
        _figure(f"sent for the first rows, cold, {at}", "KiB", sent, AIM_KIB),
    ]


def _medians(visits: list[Visit]) -> Visit:
    first, lives, sent = (statistics.median(each) for each in zip(*visits, strict=True))
    return first, lives, sent


def _figure(name: str, unit: str, value: float, aim: float) -> Figure:
    return Figure(name, unit, value, aim, lower_is_better=True)


async def _seed(url: str) -> str:
    """PIPELINES of three workers with some runs; the id of one of these."""
    say(f"page: {PIPELINES:,} pipelines")
    database = Database(url)
    await migrate(database)
    for pipelines, processes in ((PIPELINES, PROCESSES_OF_ALL), (BUSY, PROCESSES_OF_BUSY)):
        workers = pipelines * WORKERS_OF_A_PIPELINE
        await seed_history(database, processes=processes, workers=workers, random=Random(1))
    order = Order("STARTED_AT", Direction.DESC)
    (latest,) = await list_slice(database, PROCESSES, ProcessFilter(), order, limit=1, offset=0)
    await database.close()
    return latest.id


@contextmanager
def _dashboard(parts: Parts, url: str, folder: Path) -> Iterator[DashboardServer]:
    """The dashboard of a monitor on this database."""
    if url.startswith("sqlite"):
        monitor = MonitorServer(folder, {"DATABASE_URL": url, "TOKEN": TOKEN})
        monitor.start()
        try:
            with _dashboard_of(monitor.port, folder) as dashboard:
                yield dashboard
        finally:
            monitor.stop()
    else:
        with parts.monitor(url) as monitor, _dashboard_of(monitor.port, folder) as dashboard:
            yield dashboard


@contextmanager
def _dashboard_of(port: int, folder: Path) -> Iterator[DashboardServer]:
    dashboard = DashboardServer(folder, {"TOKEN": TOKEN, "BACKEND": f"127.0.0.1:{port}"})
    dashboard.start()
    try:
        yield dashboard
    finally:
        dashboard.stop()


@asynccontextmanager
async def _browser() -> AsyncIterator[BrowserContext]:
    """Chromium with a new profile, so with nothing kept."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program(*CHROMIUM), args=CHROMIUM_FLAGS
        )
        try:
            context = await browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]  # a TypedDict
            yield context
        finally:
            await browser.close()


async def _visit(context: BrowserContext, url: str, selectors: tuple[str, str]) -> Visit:
    """Until what the selectors find was painted, in ms; and what was sent until then, in KiB."""
    page = await context.new_page()
    try:
        await page.add_init_script(WATCH.replace("SELECTORS", json.dumps(selectors)))
        sent = await _counting(page)
        await page.goto(url, wait_until="commit")
        async with asyncio.timeout(PATIENCE_MILLISECONDS / 1000):
            first, lives = await page.evaluate("window.paintedAt")
        return first, lives, sum(sent) / 1024
    finally:
        await page.close()


async def _counting(page: Page) -> list[float]:
    """The sizes of the answers of all requests of the page, as they come over the network."""
    sizes: list[float] = []
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    session.on("Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"]))
    return sizes
