"""Figures of several processes put together."""

import asyncio
from pathlib import Path

import pytest

from app.figures import Figures, Histogram, Slot
from app.metrics import Metrics
from monitor.errors import Unavailable
from tests.metrics import read


def figures(count: float) -> Figures:
    return Figures(
        totals={("done",): [count], ("seconds", "a"): [count, 0.0, count / 10]},
        levels={("open",): [count]},
        peaks={("age",): [count]},
    )


def together(slot: Slot, own: Figures) -> Figures:
    put = slot.publish(own)
    for others in slot.others():
        put.add(others)
    return put


def test_totals_and_levels_are_added_and_of_peaks_the_largest_counts(tmp_path: Path) -> None:
    first, second = Slot(tmp_path), Slot(tmp_path)
    first.publish(figures(1))
    put = together(second, figures(4))
    assert put.totals == {("done",): [5], ("seconds", "a"): [5, 0, 0.5]}
    assert put.levels == {("open",): [5]}
    assert put.peaks == {("age",): [4]}
    assert together(first, figures(1)) == put


def test_the_totals_of_the_dead_stay_and_what_they_had_goes(tmp_path: Path) -> None:
    first, second = Slot(tmp_path), Slot(tmp_path)
    first.publish(figures(1))
    first.close()
    put = together(second, figures(4))
    assert put.totals["done",] == [5]
    assert (put.levels["open",], put.peaks["age",]) == ([4], [4])


def test_whoever_comes_next_goes_on_with_the_totals_of_the_dead(tmp_path: Path) -> None:
    first, second = Slot(tmp_path), Slot(tmp_path)
    first.publish(figures(1))
    second.publish(figures(4))
    for _ in range(3):
        first.close()
        first = Slot(tmp_path)
        put = together(first, figures(1))
        first.publish(figures(2))  # once more than it was asked for
    assert put.totals["done",] == [1 + 2 + 2 + 1 + 4]
    assert put.levels["open",] == [5]
    assert len(list(tmp_path.glob("*.lock"))) == 2


def test_a_histogram_counts_each_in_the_first_bucket_that_holds_it() -> None:
    histogram = Histogram("seconds", (0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 2.0):
        histogram.observe(seconds, "a")
    histogram.observe(0.25, "b")
    assert histogram.numbers() == {
        ("seconds", "a"): [2, 1, 1, 2.65],
        ("seconds", "b"): [0, 1, 0, 0.25],
    }


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_database_that_does_not_answer_leaves_out_its_figure(hangs: bool) -> None:
    async def count() -> int:
        if hangs:
            await asyncio.Event().wait()
        raise Unavailable

    metrics = Metrics()
    metrics.read(counters={}, levels={}, peaks={}, refusals=(), backlog=count)
    samples = read((await metrics.text()).decode())
    assert ("outbox_backlog",) not in samples
    assert samples["server_processes",] == 1
