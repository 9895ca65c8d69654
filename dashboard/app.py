"""The dashboard as an ASGI application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, set_props
from dash.exceptions import DependencyException
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from dashboard.address import Address
from dashboard.api import Api
from dashboard.boards.mirror import Mirror
from dashboard.callbacks import CallbackRequests, fault_of
from dashboard.door.gate import Gate
from dashboard.door.signin import Attempts
from dashboard.tabs import Page, View, loaded, whole
from dashboard.view.layout import create_layout

# A page that falls back waits so long for what it shows.
LOAD_SECONDS = 5.0
BURST_SECONDS = 0.1
CHOICES = ("range", "name", "presence", "state", "period", "order")

# Dash's own has no language, which screen readers need, and asks for the code of the tables when it
# draws them: here it is on its way from the beginning.
TABLES_CODE = "/_dash-component-suites/dash_ag_grid/async-community.js"
INDEX = f"""<!DOCTYPE html>
<html lang="en">
    <head>{{%metas%}}<title>{{%title%}}</title>{{%favicon%}}{{%css%}}
        <link rel="preload" as="script" href="{TABLES_CODE}"></head>
    <body>{{%app_entry%}}<footer>{{%config%}}{{%scripts%}}{{%renderer%}}</footer></body>
</html>"""


def create_dashboard(
    url: str, token: str, password: str | None = None, attempts: Attempts | None = None
) -> ASGIApp:
    """The dashboard of the API at `url`.

    The token stays here. With a password people have to sign in; `attempts` slow down who guesses.
    """
    api = Api(url, token)
    mirror = Mirror(api)
    server = FastAPI(lifespan=_lifespan(mirror), docs_url=None, redoc_url=None, openapi_url=None)

    @server.get("/health")
    async def health(_: Request) -> JSONResponse:
        """Alive; `degraded` while what is shown is not fresh."""
        fresh = api.problem is None and api.health == "ok"
        return JSONResponse({"status": "ok" if fresh else "degraded", "api": api.problem or "ok"})

    @server.exception_handler(DependencyException)
    async def no_such_asset(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"detail": "Not found"}, 404)

    dash = Dash(
        "dashboard",
        server=server,  # type: ignore[arg-type]  # declared for Flask, made for both
        title="Process Monitor",
        index_string=INDEX,
        update_title="",
        assets_folder="assets",
        add_log_handler=False,
        suppress_callback_exceptions=True,
    )
    dash.layout = create_layout()
    _add_callbacks(dash, mirror)
    # Before the first request: a socket that comes before any page would find no callbacks.
    dash._setup_server()
    pages = CallbackRequests(server, dash.callback_map)
    return Gate(
        GZipMiddleware(pages, compresslevel=4),
        password=password,
        policy=_policy(dash),
        attempts=attempts,
    )


def _lifespan(mirror: Mirror) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(mirror.run(), name="mirror")
        try:
            yield
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following

    return lifespan


def _policy(dash: Dash) -> str:
    """Nothing but this server. Mantine and AG Grid set styles, so these must be allowed inline."""
    scripts = " ".join(dash.csp_hashes())
    return (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _add_callbacks(dash: Dash, mirror: Mirror) -> None:
    pages: dict[str, Page] = {}
    latest: dict[str, Any] = {}

    @dash.callback(
        Input("request", "data"), websocket=True, persistent=True, prevent_initial_call=True
    )
    async def follow(request: Any) -> None:
        """Serves a page for as long as its connection lasts; or says what it shows now."""
        tab, address = _read(request)
        if ctx.websocket is None:
            return  # a browser that knows no SharedWorker; it will ask for refreshes
        if request.get("anew"):
            # After an outage all that was asked meanwhile comes at once; only the last one counts.
            latest[tab] = request
            await asyncio.sleep(BURST_SECONDS)
            if latest.get(tab) is not request:
                return
            del latest[tab]
        page = pages.get(tab)
        if page and page.is_open and not request.get("anew"):
            page.go(address)
            return
        if page:
            page.end()
        page = pages[tab] = Page(mirror, ctx.websocket)
        page.go(address)
        try:
            await page.run()
        finally:
            if pages.get(tab) is page:
                del pages[tab]

    @dash.callback(Input("poll", "data"), prevent_initial_call=True)
    async def refresh(request: Any) -> None:
        """For browsers and networks without WebSocket."""
        _, address = _read(request)
        view = await loaded(View(mirror, address), LOAD_SECONDS)
        if not view.is_settled:
            view = await loaded(View(mirror, address), LOAD_SECONDS)
        for (component, name), value in whole(view).items():
            set_props(component, {name: value})

    def in_browser(function: str, *arguments: Any, **options: Any) -> None:
        dash.clientside_callback(ClientsideFunction("monitor", function), *arguments, **options)

    in_browser(
        "tick",
        Output("request", "data"),
        Output("poll", "data"),
        Output("connection", "children"),
        Output("connection", "className"),
        Input("clock", "n_intervals"),
        Input("location", "search"),
    )
    in_browser("take", Output("taken", "data"), Input("told", "data"), prevent_initial_call=True)
    in_browser(
        "show",
        Output("trail", "children"),
        Output("page", "data-level"),
        Output("processes-title", "children"),
        Output("next-page", "disabled"),
        Output("first-page", "disabled"),
        Output("page-note", "children"),
        Input("shown", "data"),
        Input("location", "search"),
    )
    in_browser(
        "slots",
        Output("activity", "aria-label"),
        Output("activity-title", "children"),
        Input("slots", "data"),
    )
    in_browser("scheme", Output("provider", "forceColorScheme"), Input("theme", "value"))
    in_browser(
        "fill",
        *(Output(name, "value") for name in CHOICES),
        Input("location", "search"),
    )
    in_browser(
        "choose",
        *(Input(name, "value") for name in CHOICES),
        Input("next-page", "n_clicks"),
        Input("first-page", "n_clicks"),
        State("shown", "data"),
        prevent_initial_call=True,
    )
    in_browser(
        "filter",
        Output("workers", "filterModel"),
        Input("location", "search"),
    )


def _read(request: Any) -> tuple[str, Address]:
    """The tab and the address of a request; raises ValueError for what no page sends."""
    if fault := fault_of(request):
        raise ValueError(fault)
    return request["tab"], Address.parse(request["search"])
