"""The query string says what a tab shows, and nothing in it can break one."""

import pytest

from dashboard.address import Address, ProcessList


def test_an_empty_address_is_the_overview() -> None:
    assert Address.parse("") == Address()


def test_an_address_names_worker_process_and_filters() -> None:
    address = Address.parse("?worker=w1&process=p1&range=6h&status=failed&period=24h&order=errors")
    assert address == Address(
        "w1", "p1", "6h", ProcessList("w1", status="failed", period="24h", order="errors")
    )


@pytest.mark.parametrize(
    "search", ["?range=9y", "?status=none&worker=", "?order=%00", "?&&==", "?range=1h&range="]
)
def test_what_is_not_known_counts_as_not_given(search: str) -> None:
    assert Address.parse(search) == Address()


@pytest.mark.parametrize("part", ["first", "rest"])
def test_a_start_is_found_again(part: str) -> None:
    wanted = ProcessList("w1", start=ProcessList.start_after(part, "2026-11-24|ñ"))
    assert wanted.after == (part == "rest", "2026-11-24|ñ")


@pytest.mark.parametrize("start", ["", "x", "%%%", "ñ", "Zmlyc3Q", "b3RoZXI6eA"])
def test_a_start_that_cannot_be_read_is_the_beginning(start: str) -> None:
    assert ProcessList("w1", start=start).after == (False, None)
