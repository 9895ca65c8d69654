"""Which subscriptions are identical: the same document and variables, wherever they resume."""

from collections.abc import Mapping
from typing import Any

import orjson
from graphql import (
    REMOVE,
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    print_ast,
    visit,
)


def shared_form(document: DocumentNode, variables: Mapping[str, Any] | None) -> tuple[str, bytes]:
    """Document and variables as texts that are equal when every event looks the same.

    `after` of the root field is left out, with the variable that serves only for it: it says where
    a subscription starts, not what its events are.
    """
    stripper = _AfterStripper(_root_fields(document))
    stripped = visit(document, stripper)
    used = _Variables()
    visit(stripped, used)
    values = {name: value for name, value in (variables or {}).items() if name in used.names}
    text = print_ast(visit(stripped, _DefinitionStripper(used.names)))
    return text, orjson.dumps(values, option=orjson.OPT_SORT_KEYS)


def _root_fields(document: DocumentNode) -> list[FieldNode]:
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    fields: list[FieldNode] = []
    visited: set[str] = set()

    def collect(selection_set: SelectionSetNode) -> None:
        for selection in selection_set.selections:
            match selection:
                case FieldNode():
                    fields.append(selection)
                case InlineFragmentNode():
                    collect(selection.selection_set)
                case FragmentSpreadNode(name=name) if name.value not in visited:
                    # Once is enough; fragments that spread each other twice would take for ever.
                    visited.add(name.value)
                    collect(fragments[name.value].selection_set)

    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            collect(node.selection_set)
    return fields


class _AfterStripper(Visitor):
    def __init__(self, fields: list[FieldNode]) -> None:
        super().__init__()
        self._arguments = {
            id(argument)
            for field in fields
            for argument in field.arguments or ()
            if argument.name.value == "after"
        }

    def enter_argument(self, node: ArgumentNode, *_: object) -> Any:
        return REMOVE if id(node) in self._arguments else None


class _Variables(Visitor):
    """The variables that are used, not merely defined."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, key: object, *_: object) -> None:
        if key != "variable":
            self.names.add(node.name.value)


class _DefinitionStripper(Visitor):
    def __init__(self, used: set[str]) -> None:
        super().__init__()
        self._used = used

    def enter_variable_definition(self, node: Any, *_: object) -> Any:
        return None if node.variable.name.value in self._used else REMOVE
