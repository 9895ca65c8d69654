"""Views share boards, and whoever shows them is woken by their changes."""

import asyncio

from dashboard.address import Address
from dashboard.boards.mirror import Mirror, listening
from dashboard.view.view import View
from tests.dashboard.reporter import Reporter


async def test_a_view_is_one_for_all_that_look_at_it(mirror: Mirror, reporter: Reporter) -> None:
    address = Address.parse(f"?worker={reporter.register('shared')}")
    one, other = View(mirror, address), View(mirror, address)
    assert one.boards == other.boards


async def test_a_change_wakes_who_listens(mirror: Mirror, reporter: Reporter) -> None:
    worker = reporter.register("waking")
    view = View(mirror, Address.parse(f"?worker={worker}"))
    wake = asyncio.Event()
    with listening(view.boards, wake):
        run = reporter.start(worker)
        async with asyncio.timeout(10):
            while run.id not in view.frame().tables["processes"].rows:
                await wake.wait()
                wake.clear()
