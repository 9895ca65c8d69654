"""The query string says what a tab shows, and nothing in it can break one."""

import pytest

from dashboard.address import (
    Address,
    FailureList,
    PipelineList,
    ProcessList,
    Start,
    WorkerList,
)


def test_an_empty_address_is_the_overview() -> None:
    assert Address.parse("") == Address()


def test_an_address_names_what_is_shown_and_filters() -> None:
    address = Address.parse("?worker=w1&process=p1&range=6h&status=failed&period=24h&order=errors")
    assert address == Address(
        "workers",
        worker="w1",
        process="p1",
        range="6h",
        processes=ProcessList("w1", status="failed", period="24h", order="errors"),
    )


def test_each_list_begins_where_the_address_says() -> None:
    address = Address.parse("?pipeline=p1&name=etl&show=lost&presence=lost&from=a&start=b")
    assert address.pipelines == PipelineList("etl", "lost", "a")
    assert address.workers == WorkerList("p1", "etl", "lost", "a")
    assert address.processes == ProcessList(pipeline="p1", start="b")


@pytest.mark.parametrize(
    "search", ["?range=9y", "?status=none&worker=", "?order=%00", "?&&==", "?range=1h&range="]
)
def test_what_is_not_known_counts_as_not_given(search: str) -> None:
    assert Address.parse(search) == Address()


@pytest.mark.parametrize("part", [0, 1])
def test_a_start_is_found_again(part: int) -> None:
    start = Start(part, "2026-11-24|ñ")
    assert Start.parse(str(start)) == start


@pytest.mark.parametrize("start", ["", "x", "%%%", "ñ", "Zmlyc3Q", "b3RoZXI6eA"])
def test_a_start_that_cannot_be_read_is_the_beginning(start: str) -> None:
    assert Start.parse(start) == Start()


def test_a_failure_is_shown_with_its_runs_alone() -> None:
    address = Address.parse("?view=runs&failure=failure_1&pipeline=pipeline_1&version=v2")
    assert (address.view, address.failure) == ("failures", "failure_1")
    assert address.processes == ProcessList(failure="failure_1", version="v2")
    of_worker = Address.parse("?worker=worker_1&failure=failure_1")
    assert (of_worker.view, of_worker.failure) == ("workers", None)


def test_failures_are_narrowed_by_what_is_known_of_them() -> None:
    asked = Address.parse("?view=failures&text=no+rows&state=muted&sort=count&pipeline=p&from=x")
    assert asked.failures == FailureList("p", "no rows", "muted", "count", "x")
    unknown = Address.parse("?view=failures&state=gone&sort=colour")
    assert unknown.failures == FailureList()


def test_two_versions_may_be_side_by_side() -> None:
    address = Address.parse("?pipeline=p1&compare=v1.4&against=v1.3%2B5")
    assert (address.compare, address.against) == ("v1.4", "v1.3+5")
    assert Address.parse("?pipeline=p1&compare=").compare == ""
