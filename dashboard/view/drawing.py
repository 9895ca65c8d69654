"""What is drawn, as the browser gets it: once for all tabs that show it."""

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from plotly.utils import PlotlyJSONEncoder

from dashboard.boards.board import Board


@dataclass(frozen=True)
class Drawn:
    """A property of a component; one with the same text looks the same."""

    text: str

    @classmethod
    def of(cls, content: Any) -> "Drawn":
        """Components become JSON here, and not again for each tab."""
        return cls(json.dumps(content, cls=PlotlyJSONEncoder))

    @property
    def value(self) -> Any:
        """What the text says."""
        return json.loads(self.text)


# Of a component without content.
NOTHING = Drawn.of([])


def draw_once(board: Board, name: str, key: Hashable, draw: Callable[[], Any]) -> Drawn:
    """What `draw` makes of the board; again only under another key.

    Args:
        name: of the property, among those drawn of this board
        key: everything that it depends on
    """
    known: tuple[Hashable, Drawn] | None = board.drawings.get(name)
    if known is None or known[0] != key:
        known = board.drawings[name] = (key, Drawn.of(draw()))
    return known[1]
