"""A stock Dash application: one table of as many rows, and nothing else, out of memory."""

import sys
from datetime import UTC, datetime

import dash_ag_grid as dag
import uvicorn
from dash import Dash, html
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

ROWS = 100
NOW = datetime.now(UTC).isoformat()
FIELDS = ("name", "status", "ticks", "share", "p50", "p95", "alive", "started")


def create_app() -> GZipMiddleware:
    """The rows are in the layout, and need not be asked for."""
    server = FastAPI()
    dash = Dash("stock", server=server)  # type: ignore[arg-type]  # declared for Flask
    rows = [
        {"id": str(number)} | {field: f"{field} {number} {NOW}" for field in FIELDS}
        for number in range(ROWS)
    ]
    columns = [{"field": field} for field in FIELDS]
    dash.layout = html.Div(
        dag.AgGrid(id="pipelines", columnDefs=columns, rowData=rows, getRowId="params.data.id")
    )
    dash._setup_server()  # type: ignore[no-untyped-call]  # Dash has no types here
    return GZipMiddleware(server)


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(sys.argv[1]), log_level="warning")
