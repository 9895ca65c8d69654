"""What a document asks of a field's value, looked at before it is resolved."""

from collections.abc import Iterator

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)

from graph.context import GraphInfo


def selected_fields(info: GraphInfo, *path: str) -> set[str]:
    """Names of the fields that are asked for under `path` of the field that is resolved.

    Also those that `@skip` or `@include` may leave out: they are rare, and loaded in vain at worst.
    """
    raw = info._raw_info
    nodes = list(raw.field_nodes)
    for name in path:
        nodes = [
            field
            for node in nodes
            for field in _fields(node.selection_set, raw.fragments)
            if field.name.value == name
        ]
    return {
        field.name.value for node in nodes for field in _fields(node.selection_set, raw.fragments)
    }


def _fields(
    selection: SelectionSetNode | None, fragments: dict[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    for node in selection.selections if selection else ():
        match node:
            case FieldNode():
                yield node
            case InlineFragmentNode():
                yield from _fields(node.selection_set, fragments)
            case FragmentSpreadNode():
                yield from _fields(fragments[node.name.value].selection_set, fragments)
