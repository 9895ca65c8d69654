"""The frames of a traceback, the program's own told from those of what it called."""

import re
from dataclasses import dataclass

from dash import html

from dashboard.view.failure import Failure
from dashboard.view.words import Content

# Of a longer traceback both ends are shown.
SHOWN_AT_EITHER_END = 20
PYTHON = "Python"

_LINE = re.compile(
    r'^[ |]{0,64}File "([^"\n]{1,4096})", line (\d{1,9}|None)(?:, in ([^\n]{1,512}))?$',
    re.MULTILINE,
)
# The same places that the API's fingerprints leave out; a test compares the two.
_PACKAGE = re.compile(r"[/\\](?:site|dist)-packages[/\\]([^/\\]{1,64})", re.IGNORECASE)
_LIBRARY = re.compile(
    r"[/\\]lib(?:64)?[/\\]python\d[\d.]*t?[/\\]|[/\\]python[\d.]*[/\\]lib[/\\]|python\d+\.zip"
    r"|^<frozen ",
    re.IGNORECASE,
)
_WPIPE = re.compile(
    r"[/\\]wpipe[/\\](?:api_client|checkpoint|composition|decorators|exception|log|parallel|pipe|ram"
    r"|resource_monitor|sqlite|timeout|tracking|util)[/\\]"
)


@dataclass(frozen=True)
class Frame:
    """A call; `whose`: the library that it is in, None where it is the program's own."""

    file: str
    line: str
    function: str
    whose: str | None


def read_frames(failure: Failure) -> list[Frame]:
    """Those that are told, outermost first: as a list, else in the text of the message."""
    text = "\n".join(failure.frames) or failure.message
    return [
        Frame(file, line, function.strip(), whose(file))
        for file, line, function in _LINE.findall(text)
    ]


def whose(file: str) -> str | None:
    """The library that a file is of; None: the program's own."""
    if _WPIPE.search(file):
        return "wpipe"
    if package := _PACKAGE.search(file):
        return re.sub(r"\.pyc?$", "", package[1])
    return PYTHON if _LIBRARY.search(file) else None


def frame_list(frames: list[Frame]) -> Content:
    """The frames as a list, the innermost last."""
    if not frames:
        return []
    rows = [_row(frame) for frame in frames]
    left_out = len(rows) - 2 * SHOWN_AT_EITHER_END
    if left_out > 0:
        rest = html.Li(f"{left_out:,} frames between them are left out.", className="frame")
        rows = [*rows[:SHOWN_AT_EITHER_END], rest, *rows[-SHOWN_AT_EITHER_END:]]
    return [html.Ol(rows, className="frames")]


def _row(frame: Frame) -> html.Li:
    place = frame.file if frame.line == "None" else f"{frame.file}:{frame.line}"
    parts = [html.Code(frame.function or "?", className="frame-function"), html.Code(place)]
    if frame.whose is None:
        return html.Li(parts, className="frame frame-own")
    return html.Li([*parts, html.Span(frame.whose, className="frame-whose")], className="frame")
