"""Open tabs, each told what changed in what it shows, and no faster than it takes it."""

import asyncio
import contextlib
import time
from itertools import count, islice
from typing import Any, Protocol

from dash.exceptions import WebsocketDisconnected

from dashboard.address import Address
from dashboard.boards.mirror import Mirror, listening
from dashboard.boards.rows import Row
from dashboard.view.view import View

# A tab is told at most this often, and something at least this often.
PUSH_SECONDS = 0.2
TICK_SECONDS = 3.0
# A tab that does not answer for so long was closed.
LEASE_SECONDS = 20.0

# A tab's requests within so long came together.
BURST_SECONDS = 0.1

# What is sent before everything else of a long table.
FIRST_ROWS = 100

# How often it is asked whether it has taken what it was told.
ASK_SECONDS = 0.05

# Never twice the same: a tab may still hold what was told before this process began.
_numbers = count(time.time_ns() // 1_000_000)


class TabSocket(Protocol):
    """The part of Dash's WebSocket callback that is used."""

    @property
    def is_shutdown(self) -> bool: ...

    def set_prop_sync(self, component_id: str, prop_name: str, value: Any) -> None: ...

    async def get_prop(
        self,
        component_id: str,
        prop_name: str,
        timeout: float = ...,  # noqa: ASYNC109  # Dash has it so
    ) -> Any: ...


class Tab:
    """What one open tab was told so far."""

    def __init__(self, mirror: Mirror, socket: TabSocket) -> None:
        self._mirror = mirror
        self._socket = socket
        self._wake = asyncio.Event()
        self._address = Address()
        self._tables: dict[str, dict[str, Row]] = {}
        self._props: dict[tuple[str, str], str] = {}
        self._number = 0  # of what it was told last
        self._ended = False

    @property
    def is_open(self) -> bool:
        return not (self._ended or self._socket.is_shutdown)

    def go(self, address: Address) -> None:
        """Shows something else from now on."""
        self._address = address
        self._wake.set()

    def end(self) -> None:
        """Another connection serves the tab now."""
        self._ended = True
        self._wake.set()

    async def run(self) -> None:
        """Tells the tab what changes until it is closed."""
        try:
            with contextlib.suppress(TimeoutError, WebsocketDisconnected):
                while self.is_open:
                    view = View(self._mirror, self._address)
                    with listening(view.boards, self._wake):
                        await self._show(view)
        finally:
            self._ended = True

    async def _show(self, view: View) -> None:
        while self.is_open and view.address is self._address and view.is_settled:
            self._wake.clear()
            self._tell(view)
            await self._until_taken()
            await asyncio.sleep(PUSH_SECONDS)
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _tell(self, view: View) -> None:
        for key, drawn in view.props().items():
            if self._props.get(key) != drawn.text:
                self._props[key] = drawn.text
                self._socket.set_prop_sync(*key, drawn.value)
        self._number = next(_numbers)
        changes = {name: self._change(name, rows) for name, rows in view.tables().items()}
        tables = {name: change for name, change in changes.items() if change}
        self._socket.set_prop_sync("told", "data", _told(view, self._number, tables))

    async def _until_taken(self) -> None:
        """Waits until the tab has taken all of it: the next change would replace this one.

        Raises TimeoutError when it does not.
        """
        async with asyncio.timeout(LEASE_SECONDS):
            # The tab gives no other sign that can be awaited.
            while await self._socket.get_prop("taken", "data", LEASE_SECONDS) != self._number:  # noqa: ASYNC110
                await asyncio.sleep(ASK_SECONDS)

    def _change(self, table: str, rows: dict[str, Row]) -> dict[str, list[Row]]:
        """What a table has to be told: all its rows (`rows`), or some to add, update and remove."""
        known = self._tables.get(table)
        if known is None and len(rows) > FIRST_ROWS:
            # Something to look at; the rest follows at once.
            rows = dict(islice(rows.items(), FIRST_ROWS))
            self._wake.set()
        self._tables[table] = rows
        if known is None or (rows.keys().isdisjoint(known.keys()) and (known or rows)):
            return {"rows": list(rows.values())}
        change = {
            "add": [row for id_, row in rows.items() if id_ not in known],
            "update": [row for id_, row in rows.items() if id_ in known and known[id_] != row],
            "remove": [{"id": id_} for id_ in known if id_ not in rows],
        }
        return {kind: part for kind, part in change.items() if part}


class Tabs:
    """The open tabs, by the ids that they gave themselves."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._tabs: dict[str, Tab] = {}
        self._latest: dict[str, object] = {}

    async def follow(self, id_: str, address: Address, socket: TabSocket, *, anew: bool) -> None:
        """Serves a tab until it is closed; one that is served already only goes to the address.

        Args:
            anew: the tab hears nothing any more, and another connection has to serve it
        """
        if anew and not await self._is_latest(id_):
            return
        tab = self._tabs.get(id_)
        if tab and tab.is_open and not anew:
            tab.go(address)
            return
        if tab:
            tab.end()
        tab = self._tabs[id_] = Tab(self._mirror, socket)
        tab.go(address)
        try:
            await tab.run()
        finally:
            if self._tabs.get(id_) is tab:
                del self._tabs[id_]

    async def _is_latest(self, id_: str) -> bool:
        """After an outage all that was asked meanwhile comes at once; only the last one counts."""
        request = self._latest[id_] = object()
        await asyncio.sleep(BURST_SECONDS)
        if self._latest.get(id_) is not request:
            return False
        del self._latest[id_]
        return True


def whole(view: View) -> dict[tuple[str, str], Any]:
    """Everything that a tab shows, for tabs that cannot be told of changes."""
    tables = {table: {"rows": list(rows.values())} for table, rows in view.tables().items()}
    props = {key: drawn.value for key, drawn in view.props().items()}
    return props | {("told", "data"): _told(view, None, tables)}


def _told(view: View, number: int | None, tables: dict[str, Any]) -> dict[str, Any]:
    """Rows, with what says how far they can be trusted.

    Args:
        number: None when the tab cannot be told of changes
    """
    return {
        "number": number,
        "status": view.status(live=number is not None),
        "search": view.address.search,
        "loading": view.loading(),
        "tables": tables,
    }


async def loaded(view: View, seconds: float) -> View:
    """Waits for the boards to be loaded, so long at most; then it shows what is there."""
    wake = asyncio.Event()
    with contextlib.suppress(TimeoutError), listening(view.boards, wake):
        async with asyncio.timeout(seconds):
            while not all(board.is_loaded or board.problem for board in view.boards):
                await wake.wait()
                wake.clear()
    return view
