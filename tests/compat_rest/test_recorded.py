"""Every exchange with the predecessor, replayed; what the contract changes is told one by one."""

import json
import re
from pathlib import Path
from typing import Any

from tests.client import Client

RECORDED = json.loads((Path(__file__).parent / "rest_recorded.json").read_text())["exchanges"]

# Where the documentation wins over what the original did (rest.md): the answer we give instead.
DIFFERENT: dict[str, tuple[int, Any]] = {
    "register missing tasks": (400, {"detail": "tasks: Field required"}),
    "register not json": (400, None),
    "heartbeat unknown worker": (404, {"detail": "Worker not found"}),
    "new process unknown worker": (404, {"detail": "Worker not found"}),
    "task completed (the documented example)": (200, {"status": "ok"}),
    "task unknown id": (404, {"detail": "Task not found"}),
    "task unknown status": (400, None),
    "end process without details": (200, {"status": True}),
    "end process unknown": (404, {"detail": "Process not found"}),
    "process list of unknown worker": (404, {"detail": "Worker not found"}),
    "task list of unknown process": (404, {"detail": "Process not found"}),
    "process list without token": (401, {"detail": "Unauthorized"}),
    "task list without token": (401, {"detail": "Unauthorized"}),
}
# Consequences of these differences: the recorded values that ours are not.
CHANGED_FIELDS: dict[str, list[dict[str, Any]]] = {
    "processes 1 of 3 done": [{"status": "running"}],
    "tasks mid way": [
        {"step": "1/3"},
        {"step": "2/3"},
        {"step": "3/3", "state": "success", "details": "Task completed successfully"},
    ],
    "processes mid way": [
        {"status": "running", "step": "Tercera_funcion", "progress": "100%"},
    ],
    "processes after failure": [
        {"status": "error", "step": "Tercera_funcion", "progress": "100%"},
    ],
    "processes after success": [
        {"status": "success", "step": "Tercera_funcion", "progress": "100%"},
        {"status": "error", "step": "Tercera_funcion", "progress": "100%"},
    ],
    # Ended without details is a success here, and ended before the documented example came.
    "workers at the end": [{"successed": 2, "failed": 1}, {}, {}, {}],
}
VOLATILE = {"id", "father", "received", "started", "last_update", "runtime", "load_average"}
ID = re.compile(r"(?:worker|process|task)_[0-9a-f-]{36}")


async def test_the_recorded_exchanges_go_on_as_the_contract_says(client: Client) -> None:
    ours: dict[str, str] = {}
    for exchange in RECORDED:
        label, request = exchange["label"], exchange["request"]
        caller = client if request["auth"] else client.with_token(None)
        if label == "register wrong token":
            caller = client.with_token("wrong")
        path = translate(request["path"], ours)
        if request["method"] == "GET":
            response = await caller.get(path)
        elif isinstance(request["body"], str):
            headers = {**caller.headers, "Content-Type": "application/json"}
            response = await caller.http.post(path, content=request["body"], headers=headers)
        else:
            response = await caller.post(
                path, json.loads(translate(json.dumps(request["body"]), ours))
            )
        status, body = DIFFERENT.get(label, (exchange["status"], exchange["response"]))
        assert response.status_code == status, (label, response.text)
        if label in DIFFERENT:
            assert body is None or response.json() == body, label
        else:
            compare(label, response.json(), body)
            learn(response.json(), exchange["response"], ours)


def translate(text: str, ours: dict[str, str]) -> str:
    """The recorded ids in a path or body, as the ids that this run was given."""
    return ID.sub(lambda match: ours.get(match[0], match[0]), text)


def learn(given: Any, recorded: Any, ours: dict[str, str]) -> None:
    """Remembers which of our ids stands for which recorded one."""
    if isinstance(recorded, dict):
        for key in recorded.keys() & given.keys():
            learn(given[key], recorded[key], ours)
    elif isinstance(recorded, list):
        for one, other in zip(given, recorded, strict=False):
            learn(one, other, ours)
    elif isinstance(recorded, str) and ID.fullmatch(recorded):
        ours.setdefault(recorded, given)


def compare(label: str, given: Any, recorded: Any) -> None:
    """Equal keys and types everywhere, equal values but for ids, times and what is changed."""
    if not isinstance(recorded, list):
        assert given.keys() == recorded.keys(), label
        for key, value in recorded.items():
            if key not in VOLATILE and key != "sons":
                assert given[key] == value, (label, key)
        return
    if "tasks" in label:
        recorded = sorted(recorded, key=lambda row: row["step"])
    changes = CHANGED_FIELDS.get(label, [{}] * len(recorded))
    assert len(given) == len(recorded), label
    for one, other, changed in zip(given, recorded, changes, strict=True):
        assert one.keys() == other.keys(), label
        for key, value in (other | changed).items():
            if key not in VOLATILE:
                assert one[key] == value, (label, key, one)
