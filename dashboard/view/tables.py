"""The three tables: their columns, and how AG Grid behaves in them."""

from typing import Any

import dash_ag_grid as dag

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

WORKERS = [
    {
        "field": "name",
        "headerName": "Worker",
        "minWidth": 130,
        "flex": 2,
        "filter": True,
        "sort": "asc",
    },
    {"field": "status", "headerName": "Status", **STATUS, "filter": True},
    {"field": "running", "headerName": "Running", **NUMBER},
    {"field": "failed", "headerName": "Failed", **NUMBER},
    {"field": "share", "headerName": "Failed %", "cellRenderer": "Share", **NUMBER},
    {"field": "total", "headerName": "Runs", **NUMBER},
    {"field": "mean", "headerName": "Mean time", **RUNTIME},
    {"field": "seen", "headerName": "Last seen", **MOMENT, "cellRenderer": "Seen"},
    {"field": "version", "headerName": "Version", "width": 92, "minWidth": 70},
]
PROCESSES = [
    {"field": "status", "headerName": "Status", **STATUS},
    {"field": "progress", "headerName": "Progress", "cellRenderer": "Progress", "width": 112},
    {"field": "step", "headerName": "Step", "minWidth": 100, "flex": 1},
    {"field": "started", "headerName": "Started", **MOMENT},
    {"field": "runtime", "headerName": "Runtime", **RUNTIME},
    {"field": "id", "headerName": "Id", "cellRenderer": "Id", "width": 110},
    # Keeps the order of the list while rows come and change.
    {"field": "rank", "hide": True, "sort": "desc"},
]
TASKS = [
    {"field": "position", "headerName": "#", "width": 56, "minWidth": 44, "sort": "asc"},
    {"field": "name", "headerName": "Task", "minWidth": 110, "flex": 1},
    {"field": "status", "headerName": "Status", **STATUS},
    {"field": "started", "headerName": "Started", **MOMENT},
    {"field": "runtime", "headerName": "Runtime", **RUNTIME},
    {"field": "version", "headerName": "Version", "width": 84, "minWidth": 70},
]


# A click sorts; sorting and filtering stay as they are while rows change.
COLUMN = {
    "sortable": True,
    "resizable": True,
    "suppressHeaderMenuButton": True,
    "suppressHeaderFilterButton": True,
}
GRID = {
    "theme": {"function": THEME},
    "animateRows": False,
    "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": False},
    "suppressCellFocus": False,
}


def table(id_: str, columns: list[dict[str, Any]], none: str, **options: Any) -> dag.AgGrid:
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
