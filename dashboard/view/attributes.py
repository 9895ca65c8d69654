"""Attributes of HTML elements whose names are no Python names."""

from typing import Any


def attributes(**values: str | None) -> dict[str, Any]:
    """`data_go="x"` as `data-go`; None counts as empty."""
    return {name.replace("_", "-"): value or "" for name, value in values.items()}
