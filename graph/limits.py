"""What a document may ask for at most, measured in one pass over it.

Every fragment is measured once and its measure reused wherever it is spread, so that a document of
n nodes costs O(n), also one whose fragments spread each other twice per level (which makes limiters
that walk every spread take exponential time).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from monitor.pages import MAX_PAGE_SIZE, PAGE_SIZE

MAX_TOKENS = 5_000
MAX_DEPTH = 16
MAX_ALIASES = 50
MAX_FIELDS = 1_000
# Objects that one request may ask for: page sizes multiplied along the nesting and added up.
MAX_NODES = 20_000

_CONNECTIONS = {"workers", "processes", "tasks"}
# A process has as many tasks as its worker has steps; the real number is known only afterwards.
_TASKS_OF_A_PROCESS = 10


@dataclass(frozen=True, slots=True)
class Measure:
    """Of a selection: levels of fields, aliases, fields, and objects of connections."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0
    nodes: int = 0

    def beside(self, other: "Measure") -> "Measure":
        return Measure(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.fields + other.fields,
            self.nodes + other.nodes,
        )


def check_document(document: DocumentNode) -> list[GraphQLError]:
    """What is wrong with the document whatever its variables are; page sizes given by variables
    are checked by `check_cost`. To be called on valid documents: fragments exist, no cycles.
    """
    errors = []
    for operation in _operations(document):
        measure = _Meter(document, {}).measure(operation.selection_set)
        for name, value, limit in (
            ("depth", measure.depth, MAX_DEPTH),
            ("number of aliases", measure.aliases, MAX_ALIASES),
            ("number of fields", measure.fields, MAX_FIELDS),
        ):
            if value > limit:
                errors.append(GraphQLError(f"The {name} is {value}, at most {limit} is allowed"))
    return errors


def check_cost(document: DocumentNode, variables: Mapping[str, Any]) -> list[GraphQLError]:
    """An error when an operation could return more than MAX_NODES objects."""
    meter = _Meter(document, variables)
    for operation in _operations(document):
        nodes = meter.measure(operation.selection_set).nodes
        if nodes > MAX_NODES:
            return [
                GraphQLError(
                    f"The query could return {nodes} objects, at most {MAX_NODES} are allowed: "
                    "ask for smaller pages (first, last)"
                )
            ]
    return []


def _operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]


class _Meter:
    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._measured: dict[str, Measure] = {}
        self._variables = variables

    def measure(self, selection_set: SelectionSetNode | None) -> Measure:
        total = Measure()
        for selection in selection_set.selections if selection_set else ():
            match selection:
                case FieldNode():
                    total = total.beside(self._field(selection))
                case InlineFragmentNode():
                    total = total.beside(self.measure(selection.selection_set))
                case FragmentSpreadNode():
                    total = total.beside(self._fragment(selection.name.value))
        return total

    def _fragment(self, name: str) -> Measure:
        if name not in self._measured:
            self._measured[name] = Measure()  # a cycle, were there one, ends here
            self._measured[name] = self.measure(self._fragments[name].selection_set)
        return self._measured[name]

    def _field(self, field: FieldNode) -> Measure:
        if field.name.value.startswith("__"):
            return Measure(fields=1)  # introspection: graphql-core has its own rule for it
        inner = self.measure(field.selection_set)
        size = self._page_size(field)
        return Measure(
            depth=inner.depth + 1,
            aliases=inner.aliases + (field.alias is not None),
            fields=inner.fields + 1,
            nodes=size * (1 + inner.nodes) if size else inner.nodes,
        )

    def _page_size(self, field: FieldNode) -> int:
        if field.name.value not in _CONNECTIONS:
            return 0
        is_connection = field.selection_set is not None and any(
            not isinstance(selection, FieldNode) or selection.name.value in ("edges", "pageInfo")
            for selection in field.selection_set.selections
        )
        if not is_connection:
            return _TASKS_OF_A_PROCESS
        for argument in field.arguments or ():
            if argument.name.value in ("first", "last"):
                match argument.value:
                    case IntValueNode(value=text):
                        return min(int(text), MAX_PAGE_SIZE)
                    case VariableNode(name=name):
                        value = self._variables.get(name.value)
                        if isinstance(value, int):
                            return min(max(value, 0), MAX_PAGE_SIZE)
        return PAGE_SIZE
