"""The tables: their columns, and how AG Grid behaves in them."""

from typing import Any

import dash_ag_grid as dag
from dash import html

# Colours come from the style sheet, so that one theme serves dark and light.
THEME = (
    "themeQuartz.withParams({"
    "backgroundColor: 'var(--surface)', foregroundColor: 'var(--text)',"
    "headerBackgroundColor: 'var(--surface)', headerTextColor: 'var(--muted)',"
    "borderColor: 'var(--line)', accentColor: 'var(--accent)',"
    "selectedRowBackgroundColor: 'var(--selected)', rowHoverColor: 'var(--hover)',"
    "browserColorScheme: 'inherit', fontFamily: 'inherit', fontSize: 13, headerFontSize: 12,"
    "headerFontWeight: 500, spacing: 5, wrapperBorder: false, wrapperBorderRadius: 0})"
)
STATUS = {"cellRenderer": "Status", "width": 118, "minWidth": 104}
NUMBER = {"type": "rightAligned", "width": 92, "minWidth": 70}
MOMENT = {"cellRenderer": "Moment", "width": 112, "minWidth": 90}
RUNTIME = {"cellRenderer": "Runtime", "type": "rightAligned", "width": 104, "minWidth": 84}

# Keeps the order of the list while rows come and change.
RANK = {"field": "rank", "hide": True, "sort": "asc"}

PIPELINES = [
    {"field": "name", "headerName": "Pipeline", "minWidth": 140, "flex": 2},
    {"field": "status", "headerName": "Now", "cellRenderer": "Now", "minWidth": 190, "flex": 2},
    {
        "field": "ticks",
        "headerName": "Latest runs",
        "cellRenderer": "Ticks",
        "cellDataType": False,
        "width": 272,
    },
    {
        "field": "share",
        "headerName": "Success, 24 h",
        "cellRenderer": "Success",
        **NUMBER,
        "width": 110,
    },
    {"field": "p50", "headerName": "p50, 24 h", **RUNTIME, "cellRenderer": "Took"},
    {"field": "p95", "headerName": "p95, 24 h", **RUNTIME, "cellRenderer": "Took"},
    {"field": "alive", "headerName": "Alive", **NUMBER},
    {"field": "started", "headerName": "Last run", **MOMENT, "cellRenderer": "Ago"},
    RANK,
]
WORKERS = [
    {"field": "name", "headerName": "Worker", "minWidth": 130, "flex": 2},
    {"field": "status", "headerName": "Status", **STATUS},
    {"field": "reason", "headerName": "Why", "minWidth": 120, "flex": 2, "tooltipField": "reason"},
    {"field": "running", "headerName": "Running", **NUMBER},
    {"field": "failed", "headerName": "Failed", **NUMBER},
    {"field": "total", "headerName": "Runs", **NUMBER},
    {"field": "mean", "headerName": "Mean time", **RUNTIME, "cellRenderer": "Took"},
    {"field": "seen", "headerName": "Last seen", **MOMENT, "cellRenderer": "Seen"},
    {"field": "registered", "headerName": "Registered", **MOMENT},
    {"field": "version", "headerName": "Version", "width": 92, "minWidth": 70},
    RANK,
]
PROCESSES = [
    {"field": "pipeline", "headerName": "Pipeline", "minWidth": 130, "flex": 1, "hide": True},
    {"field": "status", "headerName": "Status", **STATUS},
    {"field": "progress", "headerName": "Progress", "cellRenderer": "Progress", "width": 112},
    {"field": "step", "headerName": "Step", "minWidth": 100, "flex": 1},
    {"field": "started", "headerName": "Started", **MOMENT},
    {"field": "runtime", "headerName": "Runtime", **RUNTIME},
    {"field": "version", "headerName": "Version", "width": 92, "minWidth": 70},
    {"field": "id", "headerName": "Id", "cellRenderer": "Id", "width": 110},
    RANK,
]
FAILURES = [
    {"field": "status", "headerName": "Status", "cellRenderer": "Life", "width": 168},
    {
        "field": "title",
        "headerName": "Failure",
        "minWidth": 240,
        "flex": 4,
        "tooltipField": "title",
    },
    {"field": "pipeline", "headerName": "Pipeline", "cellRenderer": "OfPipeline", "minWidth": 130},
    {"field": "step", "headerName": "Step", "width": 110},
    {"field": "count", "headerName": "Seen", "cellRenderer": "Count", **NUMBER, "width": 80},
    {
        "field": "hours",
        "headerName": "Last 24 h",
        "cellRenderer": "Hours",
        "cellDataType": False,
        "width": 170,
    },
    {"field": "last", "headerName": "Last seen", **MOMENT, "cellRenderer": "Ago"},
    {"field": "first", "headerName": "First seen", **MOMENT, "width": 138},
    {"field": "lastVersion", "headerName": "Versions", "cellRenderer": "Versions", "width": 124},
    RANK,
]
TASKS = [
    {
        "field": "position",
        "sortable": True,
        "headerName": "#",
        "width": 56,
        "minWidth": 44,
        "sort": "asc",
    },
    {"field": "name", "sortable": True, "headerName": "Task", "minWidth": 110, "flex": 1},
    {"field": "status", "sortable": True, "headerName": "Status", **STATUS},
    {"field": "started", "sortable": True, "headerName": "Started", **MOMENT},
    {"field": "runtime", "sortable": True, "headerName": "Runtime", **RUNTIME},
    {"field": "version", "sortable": True, "headerName": "Version", "width": 84, "minWidth": 70},
]


# Pages of a list have its order: a click on a head would sort the page alone.
COLUMN = {
    "sortable": False,
    "resizable": True,
    "suppressHeaderMenuButton": True,
    "suppressHeaderFilterButton": True,
}
GRID = {
    "theme": {"function": THEME},
    "animateRows": False,
    # Drawn beyond what is in sight: the usual ten are nearly as many as a screen has.
    "rowBuffer": 5,
    "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": False},
    "suppressCellFocus": False,
}


def place(name: str) -> html.Div:
    """Where a table will be: the browser has it drawn when it comes in sight for the first time."""
    return html.Div(id=f"{name}-place", className="grid-place")


def tables() -> dict[str, dag.AgGrid]:
    """The tables by their names."""
    return {
        "pipelines": _table("pipelines", PIPELINES, "No pipeline to show.", rowHeight=34),
        "workers": _table("workers", WORKERS, "No worker to show."),
        "failures": _table("failures", FAILURES, "No failure to show."),
        "processes": _table("processes", PROCESSES, "No process to show."),
        "tasks": _table("tasks", TASKS, "It has no tasks.", domLayout="autoHeight"),
    }


def _table(id_: str, columns: list[dict[str, Any]], none: str, **options: Any) -> dag.AgGrid:
    """A table whose rows are found by their id, and opened by a click or Enter.

    The browser's scripts give it its rows: Dash AG Grid never lets go of a transaction that it was
    given as a property.
    """
    return dag.AgGrid(
        id=id_,
        className="grid",
        style={"height": "100%", "width": "100%"},
        columnDefs=columns,
        getRowId="params.data.id",
        defaultColDef=COLUMN,
        eventListeners={
            "rowClicked": [f"openRow('{id_}', params)"],
            "cellKeyDown": [f"openRowByKey('{id_}', params)"],
            "firstDataRendered": ["markSelection()"],
        },
        # What AG Grid says by itself, in words.
        dashGridOptions={**GRID, "localeText": {"noRowsToShow": none}, **options},
    )
