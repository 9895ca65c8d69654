"""What a search leads to: pipelines by a part of their name, and anything by its id."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from dashboard.api import Api, ApiGone
from dashboard.boards.rows import Node, pipeline_state
from dashboard.view.links import search

MAX_CHARACTERS = 256
# As many as are in sight without scrolling.
FOUND = 12
AN_ID = re.compile(r"(pipeline|worker|process|task|failure)_[0-9A-Za-z-]{1,100}")

Found = dict[str, Any]


class Finding:
    """Answers `GET /find?text=…` with what was found, the likeliest first."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def answer(self, request: Request) -> JSONResponse:
        """`{"found": [{kind, name, search, status?}]}`; 503 with `detail` without the API."""
        text = request.query_params.get("text", "").strip()
        if len(text) > MAX_CHARACTERS:
            return JSONResponse({"detail": f"text: {MAX_CHARACTERS} characters at most"}, 400)
        try:
            found = await self._find(text)
        except ApiGone as gone:
            return JSONResponse({"detail": f"Nothing can be found: {gone}."}, 503)
        return JSONResponse({"found": found})

    async def _find(self, text: str) -> list[Found]:
        by_id = AN_ID.fullmatch(text) is not None
        data = await self._api.query("find", text=text, id=text, byId=by_id, first=FOUND)
        pipelines = [_pipeline(edge["node"]) for edge in data["pipelines"]["edges"]]
        node = data.get("node")
        return ([_by_id(node)] if node else []) + pipelines


def _pipeline(node: Node) -> Found:
    return {
        "kind": "Pipeline",
        "name": node["name"],
        "search": search(pipeline=node["id"]),
        "status": pipeline_state(node),
    }


def _by_id(node: Node) -> Found:
    kind, id_ = node["__typename"], node["id"]
    match kind:
        case "Task":
            name, to = node["name"], search(process=node["process"]["id"])
        case "Process":
            name, to = id_, search(process=id_)
        case "Failure":
            name, to = node["title"], search(failure=id_)
        case "Worker":
            name, to = node["name"], search(worker=id_)
        case _:
            name, to = node["name"], search(pipeline=id_)
    return {"kind": "Run" if kind == "Process" else kind, "name": name, "search": to}
