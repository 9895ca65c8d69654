"""What the browser's scripts work out by themselves: from what, and what for."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output

# The controls, in the order of CONTROLS in assets/scripts/address.js.
CHOICES = (
    *("range", "pipeline-name", "condition", "worker-name", "presence"),
    *("state", "period", "order"),
    *("failure-text", "failure-state", "failure-sort"),
    *("compare", "against"),
)
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
        Input("shown", "data"),
        Input("location", "search"),
    ],
    "chart": [
        Output("activity", "aria-label"),
        Output("activity-title", "children"),
        Input("slots", "data"),
    ],
    "runtimes": [Output("runtimes-box", "hidden"), Input("runtimes", "data")],
    "zone": [Output("dashboard", "data-zone"), Input("zone", "value")],
    "scheme": [Output("provider", "forceColorScheme"), Input("theme", "value")],
    "fill": [*(Output(name, "value") for name in CHOICES), Input("location", "search")],
}
AFTER_CHANGES: dict[str, list[Any]] = {
    "take": [Output("taken", "data"), Input("told", "data")],
    "choose": [Input(name, "value") for name in CHOICES],
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
