"""The schema is written down, and keeps the promises of the contract."""

import re
from collections.abc import Iterator
from pathlib import Path

from graphql import (
    DocumentNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    parse,
    print_ast,
    validate,
    validate_schema,
)
from graphql.utilities import get_default_value_ast

import graph
from graph.schema import create_schema

PRINTED = Path(graph.__file__).parent / "schema.graphql"
README = Path(__file__).parents[2] / "README.md"
CONTRACT = Path(__file__).parent / "contract.graphql"


def test_the_schema_file_is_what_the_code_prints() -> None:
    refresh = "run `process-monitor export-schema > graph/schema.graphql`"
    assert PRINTED.read_text() == create_schema().as_str() + "\n", refresh


def test_the_schema_has_everything_of_the_contract() -> None:
    ours = build_schema(PRINTED.read_text())
    contract = build_schema(CONTRACT.read_text())
    assert not validate_schema(ours)
    promised = set(lines_of(contract))
    assert len(promised) > 200
    assert sorted(promised - set(lines_of(ours))) == []


def lines_of(schema: GraphQLSchema) -> Iterator[str]:
    """Each part that a client can rely on, with its exact type, as a line of text."""
    for name, type_ in schema.type_map.items():
        if not name.startswith("__"):
            yield f"{type(type_).__name__} {name}"
            yield from (f"{name} {part}" for part in _parts(type_))


def _parts(type_: GraphQLNamedType) -> Iterator[str]:
    match type_:
        case GraphQLEnumType(values=values):
            yield from values
        case GraphQLInputObjectType(fields=inputs):
            yield from (_input(name, input_) for name, input_ in inputs.items())
        case GraphQLObjectType() | GraphQLInterfaceType():
            yield from (f"implements {interface.name}" for interface in type_.interfaces)
            for name, field in type_.fields.items():
                yield from _field(name, field)


def _field(name: str, field: GraphQLField) -> Iterator[str]:
    yield f"{name}: {field.type}"
    for argument, definition in field.args.items():
        yield f"{name}({_input(argument, definition)})"


def _input(name: str, input_: GraphQLArgument | GraphQLInputField) -> str:
    default = get_default_value_ast(input_)
    return f"{name}: {input_.type}" + (f" = {print_ast(default)}" if default else "")


def test_the_readme_asks_for_what_there_is() -> None:
    documents = re.findall(r"```graphql\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(documents) == 3
    schema = build_schema(PRINTED.read_text())
    # Several operations in one document have names; the README's are sent one by one.
    operations = [part for each in documents for part in parse(each).definitions]
    for operation in operations:
        assert validate(schema, DocumentNode(definitions=(operation,))) == []


def test_optional_arguments_have_no_default_unless_the_contract_gives_one() -> None:
    defaults = {line for line in lines_of(build_schema(PRINTED.read_text())) if " = " in line}
    assert defaults == {
        line for line in lines_of(build_schema(CONTRACT.read_text())) if " = " in line
    }
