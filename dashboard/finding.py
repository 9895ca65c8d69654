"""What a search leads to: pipelines by a part of their name, anything by its id, and failures and
runs by the words of their errors.
"""

import asyncio
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from dashboard.api import Api, ApiGone, Refused
from dashboard.boards.rows import Node, pipeline_state
from dashboard.view.links import search

MAX_CHARACTERS = 256
# As many as are in sight without scrolling.
FOUND = 12
# Searches by words, and how many of them there are at most with those that wait for these.
AT_ONCE = 2
MOST = 16
# For which names and ids wait at most.
SEARCH_SECONDS = 2.5
AN_ID = re.compile(r"(pipeline|worker|process|task|failure)_[0-9A-Za-z-]{1,100}")

Found = dict[str, Any]


class Finding:
    """Answers `GET /find?text=…` with what was found, the likeliest first."""

    def __init__(self, api: Api) -> None:
        self._api = api
        # A search may take seconds: what is shown all the time waits for none.
        self._searches = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def answer(self, request: Request) -> JSONResponse:
        """`{"found": [{kind, name, search, status?, line?, at?}]}`, with a `note` when it is not
        all; 503 with `detail` without the API.
        """
        text = request.query_params.get("text", "").strip()
        if len(text) > MAX_CHARACTERS:
            return JSONResponse({"detail": f"text: {MAX_CHARACTERS} characters at most"}, 400)
        problem: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                named = group.create_task(self._find(text))
                told = group.create_task(self._search(text))
        except* ApiGone as gone:
            problem = gone.exceptions[0]
        if problem is not None:
            return JSONResponse({"detail": f"Nothing can be found: {problem}."}, 503)
        found, note = told.result()
        answer: dict[str, Any] = {"found": named.result() + found}
        return JSONResponse(answer | ({"note": note} if note else {}))

    async def _find(self, text: str) -> list[Found]:
        by_id = AN_ID.fullmatch(text) is not None
        data = await self._api.query("find", text=text, id=text, byId=by_id, first=FOUND)
        pipelines = [_pipeline(edge["node"]) for edge in data["pipelines"]["edges"]]
        node = data.get("node")
        return ([_by_id(node)] if node else []) + pipelines

    async def _search(self, text: str) -> tuple[list[Found], str]:
        """What was found by its words, or why it cannot be looked for."""
        if not text or AN_ID.fullmatch(text):
            return [], ""
        if self._waiting >= MOST:
            return [], "Too many search at the same time: failures and runs are left out."
        self._waiting += 1
        try:
            async with asyncio.timeout(SEARCH_SECONDS), self._searches:
                data = await self._api.query("search", text=text, first=FOUND)
        except TimeoutError:
            return [], "Failures and runs take too long to search: they are left out."
        except Refused as refused:
            return [], f"Failures and runs cannot be searched for this: {refused}."
        except ApiGone as gone:
            return [], f"Failures and runs cannot be searched: {gone}."
        finally:
            self._waiting -= 1
        return [_by_words(edge) for edge in data["search"]["edges"]], ""


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


def _by_words(edge: Node) -> Found:
    node = edge["node"]
    pipeline = node["pipeline"]["name"]
    if node["__typename"] == "Process":
        found = {"kind": "Run", "name": edge["line"], "search": search(process=node["id"])}
        return found | {"line": pipeline, "at": node["endedAt"]}
    where = f"{pipeline} · {node['step']}" if node["step"] else pipeline
    found = {"kind": "Failure", "name": node["title"], "search": search(failure=node["id"])}
    return found | {"line": where}
