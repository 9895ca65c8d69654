"""graphql-core's executor with a short way for what needs no resolving.

A list of 50 rows has a thousand values, most of them attributes of an object at hand. For each,
graphql-core makes a path and an info object and completes the value by its type, which takes longer
than everything else of a query. Here a selection of such fields is made into functions once per
operation. What is unusual (null where it must not be, a value its type would refuse, an error) goes
the long way, which says what is wrong and where.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from operator import attrgetter
from typing import Any, cast

from graphql import (
    Executor,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLString,
    OperationDefinitionNode,
    Undefined,
)
from graphql.pyutils import Path, gather_with_cancel
from strawberry.types.field import StrawberryField

from graph.scalars import instant_at_hand

Read = Callable[[Any], Any]
# Of a selection: each field's name in the response, how it is read, and what the long way takes.
Shape = list[tuple[str, Read | None, Any]]

# In a field's metadata: how its value is had without its resolver, or raises NotAtHand.
AT_HAND = "at hand"
# Together some 75 MB at worst.
KEPT_PLANS = 100
KEPT_NODES = 500
_INT_RANGE = range(-(2**31), 2**31)


class NotAtHand(Exception):
    """The value has to be resolved after all."""


class Plan:
    """What was found out about an operation: which fields it has where, and how they are read."""

    def __init__(self, operation: OperationDefinitionNode) -> None:
        self.operation = operation
        self.root_fields: Any = None
        self.subfields: dict[Any, Any] = {}
        # By identity, of which the first part of each value keeps the owner alive.
        self.shapes: dict[int, tuple[Any, Shape]] = {}
        self.completers: dict[tuple[int, int], tuple[Any, Read | None]] = {}


class Plans:
    """The plans of the operations that were executed last."""

    def __init__(self) -> None:
        self._plans: OrderedDict[int, Plan] = OrderedDict()

    def of(self, operation: OperationDefinitionNode, fragments: Iterable[Any]) -> Plan:
        """A new one each time, where @skip or @include may say something else then."""
        plan = self._plans.get(id(operation))
        if plan is not None:
            self._plans.move_to_end(id(operation))
            return plan
        plan = Plan(operation)
        if _is_kept([operation, *fragments]):
            self._plans[id(operation)] = plan
            if len(self._plans) > KEPT_PLANS:
                self._plans.popitem(last=False)
        return plan


class ShortExecutor(Executor[Any]):
    """Executes as graphql-core does; objects are taken for what their resolvers say they are."""

    _plans = Plans()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        definitions = (fragment.definition for fragment in self.fragments.values())
        self._plan = self._plans.of(self.operation, definitions)
        self._shapes = self._plan.shapes
        self._completers = self._plan.completers
        self._relevant_sub_fields = self._plan.subfields

    def execute_collected_root_fields(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: Any,
        serially: bool,
        new_defer_usages: Any,
    ) -> Any:
        # The same as the last time, under the identities that the plan knows.
        if self._plan.root_fields is None:
            self._plan.root_fields = grouped_field_set
        return super().execute_collected_root_fields(
            root_type, root_value, self._plan.root_fields, serially, new_defer_usages
        )

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        results: dict[str, Any] = {}
        awaited: list[str] = []
        for name, read, group in self._shape(parent_type, grouped_field_set):
            if read is not None:
                try:
                    results[name] = read(source_value)
                    continue
                except Exception:  # noqa: BLE001 — the long way finds out and says what it is
                    pass
            field_path = Path(path, name, parent_type.name)
            try:
                result = self.execute_field(
                    parent_type, source_value, group, field_path, position_context
                )
            except Exception:
                self.settle_in_background([results[name] for name in awaited])
                raise
            if result is not Undefined:
                results[name] = result
                if self.is_awaitable(result):
                    awaited.append(name)
        return _together(results, awaited) if awaited else results

    def complete_value(
        self,
        return_type: Any,
        field_details_list: Any,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        key = (id(return_type), id(field_details_list))
        known = self._completers.get(key)
        if known is None:
            completer = self._completer(return_type, field_details_list)
            self._completers[key] = known = (field_details_list, completer)
        if known[1] is not None:
            try:
                return known[1](result)
            except Exception:  # noqa: BLE001 — as above
                pass
        return super().complete_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def _shape(self, type_: GraphQLObjectType, grouped: Mapping[str, Any]) -> Shape:
        known = self._shapes.get(id(grouped))
        if known is None:
            shape = [(name, self._reader(type_, group), group) for name, group in grouped.items()]
            self._shapes[id(grouped)] = known = (grouped, shape)
        return known[1]

    def _reader(self, type_: GraphQLObjectType, group: Any) -> Read | None:
        """How a field is read from its object; None for one that has to be resolved."""
        name = group[0].node.name.value
        if name == "__typename":
            return lambda _: type_.name
        field = type_.fields.get(name)
        get = None if field is None else _getter(field)
        if field is None or get is None:
            return None
        complete = self._completer(field.type, group)
        return None if complete is None else lambda source: complete(get(source))

    def _completer(self, type_: Any, group: Any, *, nullable: bool = True) -> Read | None:
        """How a value is made to its type's response; None where something must be resolved."""
        complete: Read | None = None
        match type_:
            case GraphQLNonNull():
                return self._completer(type_.of_type, group, nullable=False)
            case GraphQLList(of_type=GraphQLNonNull(of_type=GraphQLObjectType() as item_type)):
                item = self._object(item_type, group)
                complete = (
                    None if item is None else lambda values: [item(value) for value in values]
                )
            case GraphQLObjectType():
                complete = self._object(type_, group)
            case GraphQLEnumType() | GraphQLScalarType():
                complete = _leaf(type_)
        if complete is None or not nullable:
            return complete
        return lambda value: None if value is None else complete(value)

    def _object(self, type_: GraphQLObjectType, group: Any) -> Read | None:
        """How an object is made to its response; None when a field of it has to be resolved."""
        selection = self.collect_subfields(type_, group).grouped_field_set
        reads = [(name, read) for name, read, _ in self._shape(type_, selection) if read]
        if len(reads) < len(selection):
            return None

        def complete(value: Any) -> dict[str, Any]:
            if value is None:
                raise NotAtHand
            return {name: read(value) for name, read in reads}

        return complete


def _is_kept(nodes: Iterable[Any]) -> bool:
    """Whether it is of a usual size, and has no directive."""
    pending = list(nodes)
    count = 0
    while pending:
        node = pending.pop()
        count += 1
        if node.directives or count > KEPT_NODES:
            return False
        selection = getattr(node, "selection_set", None)
        pending += selection.selections if selection else ()
    return True


async def _together(results: dict[str, Any], awaited: list[str]) -> dict[str, Any]:
    if len(awaited) == 1:
        results[awaited[0]] = await results[awaited[0]]
    else:
        values = await gather_with_cancel(*(results[name] for name in awaited))
        results.update(zip(awaited, values, strict=True))
    return results


def _getter(field: GraphQLField) -> Read | None:
    """What is at hand, an attribute, or a method that takes nothing else; None for the others."""
    definition = (field.extensions or {}).get("strawberry-definition")
    if not isinstance(definition, StrawberryField) or definition.extensions or field.args:
        return None
    if at_hand := definition.metadata.get(AT_HAND):
        return cast(Read, at_hand)
    resolver = definition.base_resolver
    if resolver is None:
        return attrgetter(definition.python_name)
    if resolver.is_async or resolver.info_parameter is not None:
        return None
    return cast(Read, resolver.wrapped_func)


def _leaf(type_: GraphQLEnumType | GraphQLScalarType) -> Read:
    """A value as its type has it in a response. Raises for every other value."""
    if isinstance(type_, GraphQLEnumType):
        return {value.value: name for name, value in type_.values.items()}.__getitem__
    return _LEAVES.get(type_.name, type_.coerce_output_value)


def _exactly(type_: type) -> Read:
    def check(value: Any) -> Any:
        if type(value) is not type_:
            raise NotAtHand
        return value

    return check


def _int(value: Any) -> int:
    if type(value) is not int or value not in _INT_RANGE:
        raise NotAtHand
    return value


def _float(value: Any) -> float:
    if type(value) is not float or not isfinite(value):
        raise NotAtHand
    return value


_LEAVES: dict[str, Read] = {
    GraphQLString.name: _exactly(str),
    GraphQLID.name: _exactly(str),
    GraphQLBoolean.name: _exactly(bool),
    GraphQLInt.name: _int,
    GraphQLFloat.name: _float,
    "DateTime": instant_at_hand,
}
