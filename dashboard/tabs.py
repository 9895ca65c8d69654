"""Open tabs, each told what changed in what it shows, and no faster than it takes it."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from itertools import count
from typing import Any, Protocol

import orjson
from dash.exceptions import WebsocketDisconnected

from dashboard.address import Address
from dashboard.boards.mirror import listening
from dashboard.view.rows import NONE, Rows
from dashboard.view.view import Frame, View
from dashboard.view.views import Views

# A tab is told at most this often, and something at least this often.
PUSH_SECONDS = 0.2
TICK_SECONDS = 3.0
# What an address shows is waited for before a tab is told that it is not known.
FIRST_SECONDS = 0.15
# A tab that does not answer for so long was closed.
LEASE_SECONDS = 20.0

# A tab's requests within so long came together.
BURST_SECONDS = 0.1

# How often it is asked whether it has taken what it was told.
ASK_SECONDS = 0.05

# Whose rows go when they are out of sight.
TABLES = ("pipelines", "workers", "failures", "processes", "tasks", "reports")

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


class Plainly:
    """The socket of a tab whose scripts cannot set properties: told of each by itself."""

    def __init__(self, socket: TabSocket) -> None:
        self._socket = socket

    @property
    def is_shutdown(self) -> bool:
        return self._socket.is_shutdown

    def set_prop_sync(self, component_id: str, prop_name: str, value: Any) -> None:
        props = [(component_id, prop_name, value)]
        for each in plainly(value) if component_id == "told" else props:
            self._socket.set_prop_sync(*each)

    async def get_prop(self, component_id: str, prop_name: str, timeout: float = 30) -> Any:  # noqa: ASYNC109  # Dash has it so
        return await self._socket.get_prop(component_id, prop_name, timeout)


class Tab:
    """What one open tab was told so far."""

    def __init__(self, views: Views, socket: TabSocket) -> None:
        self._views = views
        self._socket = socket
        self._wake = asyncio.Event()
        self._address = Address()
        self._tables: dict[str, Rows] = {}
        self._props: dict[tuple[str, str], str] = {}
        self._panels: dict[str, Any] = {}  # how fresh they are
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
                    view = self._views.open(self._address)
                    with listening(view.boards, self._wake):
                        await self._show(view)
        finally:
            self._ended = True

    async def _show(self, view: View) -> None:
        # What is loaded by then need not be told by itself.
        await loaded(view, FIRST_SECONDS)
        while self.is_open and view.address.search == self._address.search and view.is_settled:
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
        frame = view.frame()
        props = [
            (*key, drawn.text)
            for key, drawn in frame.props.items()
            if self._props.get(key) != drawn.text
        ]
        self._props |= {key: drawn.text for key, drawn in frame.props.items()}
        self._number = next(_numbers)
        told = _told(view, self._number, props, self._changes(frame))
        panels = told["status"]["panels"]
        if panels == self._panels:
            del told["status"]["panels"]
        self._panels = panels
        self._socket.set_prop_sync("told", "data", told)

    async def _until_taken(self) -> None:
        """Waits until the tab has taken all of it: the next change would replace this one.

        Raises TimeoutError when it does not.
        """
        async with asyncio.timeout(LEASE_SECONDS):
            # The tab gives no other sign that can be awaited.
            while await self._socket.get_prop("taken", "data", LEASE_SECONDS) != self._number:  # noqa: ASYNC110
                await asyncio.sleep(ASK_SECONDS)

    def _changes(self, frame: Frame) -> dict[str, str]:
        """What each table has to be told, those that went out of sight, too."""
        gone = {name: NONE for name in self._tables if name not in frame.tables}
        changes = {
            name: self._change(name, rows) for name, rows in {**frame.tables, **gone}.items()
        }
        return {name: change for name, change in changes.items() if change is not None}

    def _change(self, table: str, rows: Rows) -> str | None:
        """All its rows (`rows`), or some to add, update and remove."""
        known = self._tables.get(table)
        if known is None and rows.first is not rows:
            rows = rows.first
            self._wake.set()  # the rest follows at once
        self._tables[table] = rows
        return rows.whole if known is None else rows.since(known)


class Tabs:
    """The open tabs, by the ids that they gave themselves."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._tabs: dict[str, Tab] = {}
        self._latest: dict[str, object] = {}

    async def follow(
        self,
        id_: str,
        address: Address,
        socket: TabSocket,
        *,
        anew: bool = False,
    ) -> None:
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
        tab = self._tabs[id_] = Tab(self._views, socket)
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


def whole(view: View) -> dict[str, Any]:
    """Everything that a tab shows, for tabs that cannot be told of changes."""
    frame = view.frame()
    props = [(*key, drawn.text) for key, drawn in frame.props.items()]
    tables = {name: frame.tables.get(name, NONE).whole for name in TABLES}
    return _told(view, None, props, tables)


def plainly(told: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """What is told at once, as properties of their own: component, name and value."""
    for component, name, text in told["props"]:
        yield component, name, orjson.loads(text)
    yield "told", "data", {**told, "props": []}


def _told(
    view: View, number: int | None, props: list[tuple[str, str, str]], tables: dict[str, str]
) -> dict[str, Any]:
    """What is shown, with what says how far it can be trusted.

    Args:
        number: None when the tab cannot be told of changes
        props: components, properties of theirs, and their values as JSON: it was made for all tabs
        tables: what each has to be told, as JSON as well
    """
    return {
        "number": number,
        "status": view.status(live=number is not None),
        "search": view.address.search,
        "loading": view.frame().loading,
        "props": props,
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
