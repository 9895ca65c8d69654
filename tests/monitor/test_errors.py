"""The table of errors: what each is called on the wire."""

import pytest

from monitor.errors import INTERNAL, WIRE, Conflict, MonitorError, WorkerNotFound, wire

CODES = {
    ("UNAUTHENTICATED", 401),
    ("UNAUTHENTICATED", 429),
    ("FORBIDDEN", 403),
    ("NOT_FOUND", 404),
    ("BAD_USER_INPUT", 400),
    ("CONFLICT", 409),
    ("CURSOR_EXPIRED", 200),
    ("UNAVAILABLE", 503),
}


def subclasses(of: type[Exception]) -> set[type[Exception]]:
    return {class_ for direct in of.__subclasses__() for class_ in {direct, *subclasses(direct)}}


def test_every_error_of_the_monitor_has_a_row() -> None:
    # Of the product's own: tests make classes, too.
    ours = {class_ for class_ in subclasses(MonitorError) if class_.__module__ == "monitor.errors"}
    assert ours == set(WIRE)


def test_every_row_has_a_code_of_the_contract_with_its_status() -> None:
    assert {(named.code, named.status) for named in WIRE.values()} == CODES


@pytest.mark.parametrize("error", [ValueError(), KeyError("x"), MonitorError(), TimeoutError()])
def test_what_is_not_in_the_table_is_internal(error: Exception) -> None:
    assert wire(error) is INTERNAL
    assert (INTERNAL.code, INTERNAL.status) == ("INTERNAL", 500)


def test_an_error_is_found_by_its_class() -> None:
    assert wire(WorkerNotFound()).code == "NOT_FOUND"
    assert wire(Conflict("text")).code == "CONFLICT"
