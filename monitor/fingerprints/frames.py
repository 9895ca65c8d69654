"""Frames of a traceback: where in the code something was, whatever line and folder that is in."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

# A line of Python's tracebacks, also of a group's, which are indented by a bar.
LINE = re.compile(
    r'^[ |]{0,64}File "([^"\n]{1,4096})", line \d+(?:, in ([^\n]{1,512}))?$', re.MULTILINE
)
_FOLDERS = re.compile(r"[/\\]")
# What every package has one of says nothing without its folder.
_NAMELESS = ("__init__", "__main__")
_PACKAGES = re.compile(r"[/\\](?:site|dist)-packages[/\\]", re.IGNORECASE)
_LIBRARY = re.compile(
    r"[/\\]lib(?:64)?[/\\]python\d[\d.]*t?[/\\]|[/\\]python[\d.]*[/\\]lib[/\\]|python\d+\.zip"
    r"|^<frozen ",
    re.IGNORECASE,
)
# A copy of wpipe that is not installed: its folder and one of its own.
_WPIPE = re.compile(
    r"[/\\]wpipe[/\\](?:api_client|checkpoint|composition|decorators|exception|log|parallel|pipe|ram"
    r"|resource_monitor|sqlite|timeout|tracking|util)[/\\]"
)
_WPIPE_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]wpipe[/\\]", re.IGNORECASE)
_CELL = re.compile(r"<(ipython-input|cell|stdin|string)[^>]*>")
_NAMES = (("file", "filename"), ("method", "function", "name"))


class Frame(NamedTuple):
    """A module (a file without its folder and ending) and a function in it."""

    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.module}.{self.function}" if self.function else self.module


class Frames(NamedTuple):
    """`own`: those of the program itself, each once. `last`: the innermost of what it called."""

    own: Sequence[Frame]
    last: Frame | None


def read_text(text: str) -> list[tuple[str, str]]:
    """The file and the function of each line of a traceback in a text."""
    return [(file, function or "") for file, function in LINE.findall(text)]


def read_list(entries: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """The same of wpipe's list, and of one of lines."""
    for entry in entries:
        if isinstance(entry, dict):
            file, function = (_first_text(entry, names) for names in _NAMES)
            if file:
                yield file, function
        elif isinstance(entry, str):
            yield from read_text(entry)


def sort_out(calls: Iterable[tuple[str, str]]) -> Frames:
    """Without those of wpipe; those of libraries apart from the program's own."""
    own: dict[Frame, None] = {}
    last = None
    for file, function in calls:
        if _WPIPE.search(file) or _WPIPE_INSTALLED.search(file):
            continue
        frame = Frame(_module(file), function.strip())
        if _PACKAGES.search(file) or _LIBRARY.search(file):
            last = frame
        else:
            own[frame] = None
    return Frames(tuple(own), last)


def _module(file: str) -> str:
    file = _CELL.sub(r"<\1>", file[-1024:])
    *folders, name = _FOLDERS.split(file)
    module = re.sub(r"\.py[cw]?$", "", name)
    return f"{folders[-1]}.{module}" if module in _NAMELESS and folders else module


def _first_text(entry: dict[str, Any], names: Iterable[str]) -> str:
    return next((text for name in names if isinstance(text := entry.get(name), str)), "")
