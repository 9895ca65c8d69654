"""What the dashboard asks is what the API answers."""

from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from dashboard.api import operation

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboard" / "operations"
OPERATIONS = sorted(path.stem for path in FOLDER.glob("*.graphql") if path.stem != "fragments")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_fits_the_printed_schema(name: str) -> None:
    schema = build_schema((ROOT / "graph" / "schema.graphql").read_text())
    assert validate(schema, parse(operation(name))) == []


def test_every_operation_of_the_folder_is_used() -> None:
    code = "".join(path.read_text() for path in (ROOT / "dashboard").rglob("*.py"))
    assert [name for name in OPERATIONS if f'"{name}"' not in code] == []
