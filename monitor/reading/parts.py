"""Steps of many pipelines in few statements."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import CompoundSelect, Select, union_all

# SQLite takes 32,766 parameters and 500 parts, and MariaDB 1,000 values in a list that it is to use
# an index for, of which each is looked for under each of the other list.
_VALUES_OF_A_LIST = 500
_PAIRS_OF_A_PART = 2_000
_PARTS = 400
_VALUES = 10_000


class Steps(NamedTuple):
    """Steps of a pipeline, by their names."""

    pipeline_id: str
    names: tuple[str, ...]


def in_parts(
    steps: Collection[Steps],
    make: Callable[[Sequence[str], Sequence[str]], Select[Any]],
    *,
    others: int = 0,
) -> Iterator[CompoundSelect[Any]]:
    """The statements that find all of them; `make` selects steps by ids of pipelines and names, and
    by so many other values.

    One statement, unless they are thousands. Pipelines with the same names are asked for together.
    """
    parts: list[Select[Any]] = []
    values = 0
    for ids, names in _pairs(steps):
        more = len(ids) + len(names) + others
        if parts and (len(parts) == _PARTS or values + more > _VALUES):
            yield union_all(*parts)
            parts, values = [], 0
        parts.append(make(ids, names))
        values += more
    if parts:
        yield union_all(*parts)


def _pairs(steps: Collection[Steps]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    alike: dict[tuple[str, ...], list[str]] = {}
    for pipeline_id, names in sorted(steps):
        alike.setdefault(tuple(sorted(set(names))), []).append(pipeline_id)
    for names, ids in alike.items():
        for start in range(0, len(names), _VALUES_OF_A_LIST):
            some = names[start : start + _VALUES_OF_A_LIST]
            size = min(_VALUES_OF_A_LIST, max(_PAIRS_OF_A_PART // len(some), 1))
            for first in range(0, len(ids), size):
                yield ids[first : first + size], some
