"""The first picture of a page: what is known of it, in its document, for the time until it lives.

It has no ids, answers to nothing, and is taken away when the real page shows as much
(`assets/scripts/picture.js` draws its tables, `making_way.js` takes it away).
"""

from collections import OrderedDict
from heapq import nsmallest
from typing import Any
from weakref import ref

import orjson
from dash import html

from dashboard.address import Address
from dashboard.boards.board import Board
from dashboard.boards.rows import Row
from dashboard.view.drawing import Drawn
from dashboard.view.html_text import escaped, html_text
from dashboard.view.rows import Rows
from dashboard.view.tables import tables
from dashboard.view.view import Frame, View

# As many as the largest screens have.
MOST_ROWS = 40
# Where a timeline has more bars, the end of it is not known from the first ones: there is none.
MOST_BARS = 300
# So many pictures are kept, as long as they show what is known.
MOST_KEPT = 16
# What the browser draws of a table has these of its columns.
OF_COLUMN = ("field", "headerName", "cellRenderer", "type", "width", "minWidth", "flex", "hide")
# In pixels: of a table that is given none, with the fonts and spaces of its theme.
ROW_HEIGHT = 32
# What is told as rows, and is no table.
LISTS = ("reports",)

CONNECTING = {"children": "Connecting …", "className": "connection connection-waiting"}
NOTICE = (
    "This page is not live: its code did not come, or did not start. What you see is as of when "
    "it was asked for. Load it anew, or look at the network."
)


# What a picture shows: boards, each in a version.
State = tuple[tuple[ref[Board], int], ...]


class Pictures:
    """Pictures of views in the layout, each drawn once for all who open it in the same state."""

    def __init__(self, layout: html.Div) -> None:
        self._layout = Drawn.of(layout).value
        shown = tables()
        self._tables = {
            name: {
                "columns": [_of_column(column) for column in table.columnDefs],
                "none": table.dashGridOptions["localeText"]["noRowsToShow"],
                "rowHeight": table.dashGridOptions.get("rowHeight", ROW_HEIGHT),
            }
            for name, table in shown.items()
        }
        self._sorted_by = {name: _sorted_by(table.columnDefs) for name, table in shown.items()}
        self._drawn: OrderedDict[str, tuple[State, str]] = OrderedDict()

    def draw(self, view: View, sent_at: float) -> str:
        """The picture of what is known of a view by now.

        `sent_at`: when the answer that it is a part of began to be sent, in seconds since 1970. The
        browser knows when that came, and counts ages by it.
        """
        panels = escaped(orjson.dumps(view.status(live=False)["panels"]).decode())
        return (
            '<p class="picture-status unseen" role="status">Loading …</p>'
            f'<div class="picture" data-now="{sent_at * 1000:.0f}" data-panels="{panels}">'
            f"{self._known(view)}</div>"
        )

    def _known(self, view: View) -> str:
        """Views come and go, unless a tab looks at them; their boards stay for a while."""
        key, state = view.address.search, tuple((ref(each), each.version) for each in view.boards)
        known, drawn = self._drawn.pop(key, (None, ""))
        if known != state:
            drawn = self._draw(view.address, view.frame())
        self._drawn[key] = state, drawn
        if len(self._drawn) > MOST_KEPT:
            self._drawn.popitem(last=False)
        return drawn

    def _draw(self, address: Address, frame: Frame) -> str:
        drawn = html_text(self._layout, _fills(address, frame))
        return (
            f'<div inert aria-hidden="true">{drawn}</div>'
            f'<p class="picture-notice" role="alert">{NOTICE}</p>'
            f'<script type="application/json">{_in_script(self._told(frame))}</script>'
        )

    def _told(self, frame: Frame) -> dict[str, Any]:
        """What the browser draws by itself."""
        slots = frame.props.get(("slots", "data"))
        names = [name for name in (*frame.tables, *frame.loading) if name not in LISTS]
        return {
            "shown": frame.props["shown", "data"].value,
            "slots": slots.value if slots else None,
            "tables": {
                name: {
                    **self._tables[name],
                    "isLoading": name in frame.loading,
                    "isWhole": name in frame.tables and len(frame.tables[name].rows) <= MOST_BARS,
                    "rows": self._first_rows(name, frame.tables.get(name)),
                }
                for name in names
            },
        }

    def _first_rows(self, table: str, rows: Rows | None) -> list[Row]:
        field = self._sorted_by[table]
        known = rows.rows.values() if rows else ()
        most = MOST_BARS if table == "tasks" else MOST_ROWS
        return nsmallest(most, known, key=lambda row: row[field])


def _of_column(column: dict[str, Any]) -> dict[str, Any]:
    return {name: column[name] for name in OF_COLUMN if name in column}


def _sorted_by(columns: list[dict[str, Any]]) -> str:
    return next(str(column["field"]) for column in columns if "sort" in column)


def _fills(address: Address, frame: Frame) -> dict[str, dict[str, Any]]:
    """What Dash would be told of each component."""
    fills: dict[str, dict[str, Any]] = {}
    for (component, name), drawn in frame.props.items():
        fills.setdefault(component, {})[name] = drawn.value
    hours = fills["runtimes"]["data"] or []
    return fills | {
        "connection": CONNECTING,
        "dashboard": _place(address),
        "runtimes-box": {"hidden": not any(hour["count"] for hour in hours)},
    }


def _place(address: Address) -> dict[str, str]:
    """Which panels are in sight: as `placeOf` in assets/scripts/places.js says it."""
    view, level = address.view, "0"
    if address.worker or address.failure:
        level = "1"
    elif view == "overview" and (address.pipeline or address.process):
        view, level = "pipeline", "1"
    if address.failure and not address.worker:
        view = "failure"
    return {"data-view": view, "data-level": "2" if address.process else level}


def _in_script(told: dict[str, Any]) -> str:
    """JSON in which nothing ends the element that it is in."""
    return orjson.dumps(told).decode().replace("<", "\\u003c")
