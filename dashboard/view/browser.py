"""What the browser's scripts work out by themselves: from what, and what for."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output

# In the order of TEXTS in assets/scripts/address.js.
TEXTS = ("pipeline-name", "worker-name", "failure-text")
# In the order of TABLES in assets/scripts/tables.js.
TABLES = ("pipelines", "workers", "failures", "processes", "tasks")
# By the names of the functions in assets/scripts/main.js.
ALWAYS: dict[str, list[Any]] = {
    "tick": [
        Output("request", "data"),
        Output("poll", "data"),
        Output("connection", "children"),
        Output("connection", "className"),
        Input("clock", "n_intervals"),
        Input("location", "search"),
    ],
    "show": [
        Output("trail", "children"),
        Output("dashboard", "data-view"),
        Output("dashboard", "data-level"),
        *(Output(f"{name}-place", "children") for name in TABLES),
        Input("shown", "data"),
        Input("location", "search"),
        Input("tables", "data"),
    ],
    "chart": [
        Output("activity", "aria-label"),
        Output("activity-title", "children"),
        Input("slots", "data"),
    ],
    "runtimes": [Output("runtimes-box", "hidden"), Input("runtimes", "data")],
    "fill": [*(Output(name, "value") for name in TEXTS), Input("location", "search")],
}
AFTER_CHANGES: dict[str, list[Any]] = {
    "take": [Output("taken", "data"), Input("told", "data")],
    "type": [Input(name, "value") for name in TEXTS],
}


def add_browser_functions(dash: Dash) -> None:
    """Has the browser call its own functions."""
    for functions in (ALWAYS, AFTER_CHANGES):
        for name, parts in functions.items():
            dash.clientside_callback(
                ClientsideFunction("monitor", name),
                *parts,
                prevent_initial_call=functions is AFTER_CHANGES,
            )
