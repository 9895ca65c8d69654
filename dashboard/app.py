"""The dashboard as an ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dash import Dash, Input, _dash_renderer, ctx, dash_table, html, set_props
from dash.exceptions import DependencyException
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from dashboard.acting.acts import Acts
from dashboard.acting.endpoint import METHODS, PATH, ActEndpoint
from dashboard.acting.mutations import Mutations
from dashboard.address import Address
from dashboard.ahead import Ahead
from dashboard.api import Api
from dashboard.boards.mirror import Mirror
from dashboard.callbacks import CallbackRequests, fault_of
from dashboard.door.gate import Gate
from dashboard.door.hosts import Hosts
from dashboard.door.signin import Attempts
from dashboard.exporting import Exporting
from dashboard.finding import Finding
from dashboard.packing import Packing
from dashboard.supervision import end
from dashboard.tabs import Plainly, Tabs, loaded, plainly, whole
from dashboard.view.browser import add_browser_functions
from dashboard.view.document import (
    RENDERER,
    SCRIPTS,
    STYLES,
    PageDash,
    assets_path,
    document,
)
from dashboard.view.layout import create_layout
from dashboard.view.picture import Pictures
from dashboard.view.views import Views

# A tab that falls back waits so long for what it shows.
LOAD_SECONDS = 5.0


def create_dashboard(
    url: str,
    token: str,
    *,
    password: str | None = None,
    admin_password: str | None = None,
    acting_token: str | None = None,
    hosts: Hosts | None = None,
    folder: Path | None = None,
    attempts: Attempts | None = None,
) -> ASGIApp:
    """The dashboard of the API at `url`.

    Args:
        token: for the API, to read with; it stays here, as does
        acting_token: to act with, where there is an administrator's password; None: the same
        password: that people have to sign in with
        admin_password: the same, for those who may act; neither: nobody has to sign in
        hosts: the names it answers by; None: all
        folder: where it keeps which sessions were signed out; None: until it ends
        attempts: slow down who guesses the password
    """
    mirror = Mirror(Api(url, token))
    server = FastAPI(lifespan=_lifespan(mirror), docs_url=None, redoc_url=None, openapi_url=None)
    _add_health(server, mirror)
    server.add_route("/find", Finding(mirror.api).answer)
    server.add_route("/export", Exporting(mirror.api).answer)
    acting = ActEndpoint(Acts(Mutations(url, acting_token or token)))
    server.add_route(PATH, acting.answer, methods=METHODS)
    layout = create_layout(has_sign_in=bool(password or admin_password))
    dash = _create_dash(server, layout)
    views = Views(mirror)
    _add_callbacks(dash, views)
    add_browser_functions(dash)
    # Before the first request: a socket that comes before any tab would find no callbacks.
    dash._setup_server()
    _add_refusals(server)
    ahead = Ahead(server, views, Pictures(layout))
    checked = CallbackRequests(ahead, dash.callback_map)
    return Gate(
        Packing(GZipMiddleware(checked, compresslevel=4)),
        password=password,
        admin_password=admin_password,
        policy=_policy(dash),
        hosts=hosts,
        folder=folder,
        attempts=attempts,
    )


def _lifespan(mirror: Mirror) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(mirror.run(), name="mirror")
        try:
            yield
        finally:
            await end(following)

    return lifespan


def _add_health(server: FastAPI, mirror: Mirror) -> None:
    @server.get("/health")
    async def health(_: Request) -> JSONResponse:
        """Alive, whatever it says."""
        return JSONResponse(mirror.health)


def _add_refusals(server: FastAPI) -> None:
    """Behind Dash's own assets, and before the document that it answers to any other path."""

    @server.exception_handler(DependencyException)
    async def no_such_component(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"detail": "Not found"}, 404)

    @server.get("/assets/{_:path}")
    async def no_such_asset(_: Request) -> JSONResponse:
        return JSONResponse({"detail": "Not found"}, 404)


def _create_dash(server: FastAPI, layout: html.Div) -> Dash:
    _leave_out_code()
    dash = PageDash(
        "dashboard",
        server=server,  # type: ignore[arg-type]  # declared for Flask, made for both
        title="Process Monitor",
        index_string=document(),
        update_title="",
        assets_folder="assets",
        assets_url_path=assets_path(),
        # It would load each script as a classic one; the styles are in the document.
        assets_path_ignore=[f"^({SCRIPTS}|{STYLES}|uplot)$"],
        add_log_handler=False,
        suppress_callback_exceptions=True,
    )
    dash.renderer = RENDERER
    dash.layout = layout
    return dash


def _leave_out_code() -> None:
    """What Dash loads for browsers that know no modules, and for a table that is not used here."""
    for code in _dash_renderer._js_dist_dependencies:
        paths = code["relative_package_path"]["prod"]
        paths[:] = [path for path in paths if "polyfill" not in path]
    dash_table._js_dist.clear()  # type: ignore[attr-defined]  # declared nowhere


def _policy(dash: Dash) -> str:
    """Nothing but this server. AG Grid sets styles, so these must be allowed inline."""
    scripts = " ".join(dash.csp_hashes())
    return (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _add_callbacks(dash: Dash, views: Views) -> None:
    tabs = Tabs(views)

    @dash.callback(
        Input("request", "data"), websocket=True, persistent=True, prevent_initial_call=True
    )
    async def follow(request: Any) -> None:
        """Serves a tab for as long as its connection lasts; or says what it shows now."""
        tab, address = _read(request)
        if ctx.websocket is None:
            return  # a browser that knows no SharedWorker; it will ask for refreshes
        anew = bool(request.get("anew"))
        socket = Plainly(ctx.websocket) if request.get("plain") else ctx.websocket
        await tabs.follow(tab, address, socket, anew=anew)

    @dash.callback(Input("poll", "data"), prevent_initial_call=True)
    async def refresh(request: Any) -> None:
        """For browsers and networks without WebSocket."""
        _, address = _read(request)
        view = await loaded(views.open(address), LOAD_SECONDS)
        if not view.is_settled:
            view = await loaded(views.open(address), LOAD_SECONDS)
        for component, name, value in plainly(whole(view)):
            set_props(component, {name: value})


def _read(request: Any) -> tuple[str, Address]:
    """The tab and the address of a request; raises ValueError for what no tab sends."""
    if fault := fault_of(request):
        raise ValueError(fault)
    return request["tab"], Address.parse(request["search"])
