"""What a document may ask for at most, measured in one pass over it.

Every fragment is measured once and its measure reused wherever it is spread, so that a document of
n nodes costs O(n), also one whose fragments spread each other twice per level (which makes limiters
that walk every spread take exponential time).

The form of a document is measured before it is validated: validation compares fields with each
other, which takes a second for a few thousand of them. What it could return is measured when the
variables are known.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_composite_type,
    value_from_ast_untyped,
)

from monitor.reading.occurrences import MAX_OCCURRENCE_SLOTS
from monitor.reading.pages import MAX_PAGE_SIZE, PAGE_SIZE
from monitor.reading.windows import MAX_SLOTS

MAX_TOKENS = 5_000
MAX_DEPTH = 16
MAX_ALIASES = 50
MAX_FIELDS = 500
# Fields of one name that have arguments or fields of their own: validation compares each with each.
MAX_SAME_NAME = 50
# Objects that one request may ask for: page sizes multiplied along the nesting and added up.
MAX_NODES = 100_000
# Fields of all these objects: 100,000 take a second, in which nothing else is answered. Three
# levels of pages of the default size fit in.
MAX_VALUES = 500_000

# Lists without a page size: an estimate, where the real number is known only afterwards.
_LIST_SIZES = {
    ("Query", "activity"): MAX_SLOTS,
    ("Process", "tasks"): 10,
    ("Worker", "taskDefinitions"): 10,
    ("Pipeline", "taskDefinitions"): 10,
    ("Pipeline", "steps"): 10,
    ("Pipeline", "versions"): 10,
    ("Pipeline", "runtimes"): MAX_SLOTS,
    ("Failure", "occurrences"): MAX_OCCURRENCE_SLOTS,
    ("__Schema", "types"): 60,
    ("__Type", "fields"): 8,
    ("__Type", "inputFields"): 3,
    ("__Type", "enumValues"): 3,
    ("__Field", "args"): 2,
}


def check_document(document: DocumentNode) -> list[GraphQLError]:
    """What is wrong with the form of a parsed document, valid or not."""
    meter = _FormMeter(document)
    forms = [meter.measure(node.selection_set) for node in _operations(document)]
    forms += [meter.fragment(name) for name in meter.fragments]
    counts = (
        ("levels of fields", MAX_DEPTH, [form.depth for form in forms]),
        ("aliases", MAX_ALIASES, [form.aliases for form in forms]),
        ("fields", MAX_FIELDS, [meter.visited, *(form.fields for form in forms)]),
        ("fields of the same name", MAX_SAME_NAME, meter.names.values()),
    )
    return [
        GraphQLError(f"The document has too many {what}: at most {limit} are allowed")
        for what, limit, numbers in counts
        if max(numbers, default=0) > limit
    ]


@dataclass(frozen=True, slots=True)
class Bill:
    """What is wrong with the cost of an operation; `lasting`: with other variables, too."""

    errors: Sequence[GraphQLError] = ()
    lasting: bool = True


def check_cost(
    schema: GraphQLSchema,
    document: DocumentNode,
    variables: Mapping[str, Any],
    operation_name: str | None,
) -> Bill:
    """An error when the operation of a valid document that is to run could return too much."""
    lasting = True
    for operation in _operations_named(document, operation_name):
        root = schema.get_root_type(operation.operation)
        assert root is not None, "validated"
        meter = _CostMeter(schema, document, _with_defaults(operation, variables))
        cost = meter.measure(operation.selection_set, root)
        lasting = lasting and not meter.asked_variables
        for what, value, limit in (
            ("objects", cost.nodes, MAX_NODES),
            ("values", cost.values, MAX_VALUES),
        ):
            if value > limit:
                error = GraphQLError(
                    f"The answer could have {value} {what}, at most {limit} are allowed: "
                    "ask for smaller pages (first, last)"
                )
                return Bill([error], lasting)
    return Bill(lasting=lasting)


def _operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]


def _operations_named(document: DocumentNode, name: str | None) -> list[OperationDefinitionNode]:
    """Without a name it is the only one; where there are several, none of them runs."""
    if name is None:
        return _operations(document)
    return [node for node in _operations(document) if node.name and node.name.value == name]


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }


def _with_defaults(
    operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Mapping[str, Any]:
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    return {**defaults, **variables}


@dataclass(frozen=True, slots=True)
class Form:
    """Of a selection: levels of fields, aliases, and fields, each as often as it is spread."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0

    def beside(self, other: "Form") -> "Form":
        return Form(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.fields + other.fields,
        )


class _FormMeter:
    def __init__(self, document: DocumentNode) -> None:
        self.fragments = _fragments(document)
        self.visited = 0
        self.names: Counter[str] = Counter()
        self._measured: dict[str, Form] = {}

    def measure(self, selection_set: SelectionSetNode | None) -> Form:
        total = Form()
        for selection in selection_set.selections if selection_set else ():
            match selection:
                case FieldNode():
                    total = total.beside(self._field(selection))
                case InlineFragmentNode():
                    total = total.beside(self.measure(selection.selection_set))
                case FragmentSpreadNode(name=name) if name.value in self.fragments:
                    total = total.beside(self.fragment(name.value))
        return total

    def fragment(self, name: str) -> Form:
        if name not in self._measured:
            self._measured[name] = Form()  # a cycle ends here
            self._measured[name] = self.measure(self.fragments[name].selection_set)
        return self._measured[name]

    def _field(self, field: FieldNode) -> Form:
        self.visited += 1
        if field.arguments or field.selection_set:
            self.names[(field.alias or field.name).value] += 1
        inner = self.measure(field.selection_set)
        # Introspection is deep by nature; graphql-core has its own rule for what is too deep.
        depth = 1 if field.name.value.startswith("__") else inner.depth + 1
        return Form(depth, inner.aliases + (field.alias is not None), inner.fields + 1)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a selection: objects in lists, and values of fields."""

    nodes: int = 0
    values: int = 0

    def beside(self, other: "Cost") -> "Cost":
        return Cost(self.nodes + other.nodes, self.values + other.values)


class _CostMeter:
    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._fragments = _fragments(document)
        self._variables = variables
        self._measured: dict[str, Cost] = {}
        # Whether a number was looked for among them.
        self.asked_variables = False

    def measure(self, selection_set: SelectionSetNode, parent: GraphQLCompositeType) -> Cost:
        total = Cost()
        for selection in selection_set.selections:
            match selection:
                case FieldNode():
                    total = total.beside(self._field(selection, parent))
                case InlineFragmentNode(type_condition=condition):
                    inner = self._type(condition.name.value) if condition else parent
                    total = total.beside(self.measure(selection.selection_set, inner))
                case FragmentSpreadNode():
                    total = total.beside(self._fragment(selection.name.value))
        return total

    def _fragment(self, name: str) -> Cost:
        if name not in self._measured:
            fragment = self._fragments[name]
            inner = self._type(fragment.type_condition.name.value)
            self._measured[name] = self.measure(fragment.selection_set, inner)
        return self._measured[name]

    def _type(self, name: str) -> GraphQLCompositeType:
        type_ = self._schema.type_map[name]
        assert is_composite_type(type_), "validated"
        return type_

    def _field(self, field: FieldNode, parent: GraphQLCompositeType) -> Cost:
        definition = self._schema.get_field(parent, field.name.value)
        assert definition is not None, "validated"
        inner = Cost()
        type_ = get_named_type(definition.type)
        if field.selection_set is not None and is_composite_type(type_):
            inner = self.measure(field.selection_set, type_)
        size = self._size(field, definition, parent)
        if size is None:
            return Cost(inner.nodes, 1 + inner.values)
        return Cost(size * (1 + inner.nodes), 1 + size * inner.values)

    def _size(
        self, field: FieldNode, definition: GraphQLField, parent: GraphQLCompositeType
    ) -> int | None:
        """How many objects the field may have; None for a single one."""
        given = [
            self._number(argument.value)
            for argument in field.arguments or ()
            if argument.name.value in ("first", "last", "inputs")
        ]
        sizes = [size for size in given if size is not None]
        if "first" in definition.args:
            return min(max(sizes, default=PAGE_SIZE), MAX_PAGE_SIZE)
        return max(sizes, default=_LIST_SIZES.get((parent.name, field.name.value)))

    def _number(self, value: object) -> int | None:
        """A page size, or the length of a list; None when there is none. What is no number, or a
        negative one, is refused when it is used.
        """
        match value:
            case IntValueNode(value=text):
                return max(int(text), 0)
            case ListValueNode(values=values):
                return len(values)
            case VariableNode(name=name):
                self.asked_variables = True
                match self._variables.get(name.value):
                    case int() | float() as number:
                        return max(int(number), 0)
                    case list() as listed:
                        return len(listed)
        return None
