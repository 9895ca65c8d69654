"""Entities change as dataclasses do."""

from dataclasses import fields, replace
from typing import Any

import pytest

from monitor.entities import Failure, Pipeline, Process, Task, Worker, evolve


@pytest.mark.parametrize("type_", [Worker, Process, Task, Pipeline, Failure])
def test_what_evolves_is_a_new_one_with_these_changes(type_: type[Any]) -> None:
    before = type_(**{field.name: object() for field in fields(type_)})
    same = replace(before)
    assert evolve(before, id="other", revision=2) == replace(before, id="other", revision=2)
    assert before == same
    assert evolve(before) is not before
