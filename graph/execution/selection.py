"""What a document asks of a field's value, looked at before it is resolved."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionSetNode,
    get_directive_values,
)

from graph.context import GraphInfo

Fragments = Mapping[str, FragmentDefinitionNode]


def selected_fields(info: GraphInfo, *path: str) -> set[str]:
    """Names of the fields that are asked for under `path` of the field that is resolved."""
    raw = info._raw_info
    return {field.name.value for under in _under(raw, path) for field in _selected(raw, under)}


def details_asked(info: GraphInfo, *path: str) -> int:
    """How often the answer will have the details of each object under `path`: under how many names.

    What a field's nodes ask for is the same for each row that has it, so it is found out once.
    """
    raw = info._raw_info
    key = (*map(id, raw.field_nodes), *path)
    asked = info.context.asked.get(key)
    if asked is None:
        asked = sum(len(_named(raw, under, "details")) for under in _under(raw, path))
        info.context.asked[key] = asked
    return asked


def _under(raw: Any, path: tuple[str, ...]) -> list[list[FieldNode]]:
    """The nodes of the fields at the end of `path`: those of one name in the answer together."""
    found: list[list[FieldNode]] = [list(raw.field_nodes)]
    for name in path:
        found = [nodes for under in found for nodes in _named(raw, under, name).values()]
    return found


def _named(raw: Any, nodes: list[FieldNode], field_name: str) -> dict[str, list[FieldNode]]:
    """The selected fields of this name, by the names that they have in the answer."""
    named: dict[str, list[FieldNode]] = {}
    for field in _selected(raw, nodes):
        if field.name.value == field_name:
            named.setdefault((field.alias or field.name).value, []).append(field)
    return named


def _selected(raw: Any, nodes: list[FieldNode]) -> Iterator[FieldNode]:
    for node in nodes:
        yield from _fields(node.selection_set, raw.fragments, raw.variable_values)


def _fields(
    selection: SelectionSetNode | None, fragments: Fragments, variables: Any
) -> Iterator[FieldNode]:
    for node in selection.selections if selection else ():
        if node.directives and not _is_included(node, variables):
            continue
        match node:
            case FieldNode():
                yield node
            case InlineFragmentNode():
                yield from _fields(node.selection_set, fragments, variables)
            case FragmentSpreadNode():
                inner = fragments[node.name.value].selection_set
                yield from _fields(inner, fragments, variables)


def _is_included(node: Any, variables: Any) -> bool:
    skip = get_directive_values(GraphQLSkipDirective, node, variables)
    include = get_directive_values(GraphQLIncludeDirective, node, variables)
    return not (skip and skip["if"]) and not (include and not include["if"])
