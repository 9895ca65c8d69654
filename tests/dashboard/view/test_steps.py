"""How the runtimes of a step are drawn, and what is said of steps that are flaky."""

from typing import Any

import pytest

from dashboard.view.steps import WIDTH, distribution, steps_section


def histogram(*counts: int) -> dict[str, Any]:
    """From a second on, each column twice as long as the one before."""
    return {"fromSeconds": 1.0, "toSeconds": 2.0 ** len(counts), "counts": list(counts)}


def heights(*counts: int) -> list[float]:
    """Of the columns of the silhouette, from 0 to 100."""
    drawn: Any = distribution(histogram(*counts))
    shape = drawn.children.style["clipPath"]
    corners = shape.removeprefix("polygon(").removesuffix(")").split(", ")
    tops = [100 - float(corner.split()[1].rstrip("%")) for corner in corners[1:-1]]
    assert tops[::2] == tops[1::2]
    return tops[::2]


def test_columns_are_as_high_as_many_took_so_long() -> None:
    assert heights(*[5] * 12, 10, 0) == [*[50] * 12, 100, 0]


def test_one_of_thousands_is_seen() -> None:
    assert heights(*[1000] * 12, 1)[-1] == 8


def test_what_took_equally_long_is_a_peak_in_the_middle() -> None:
    drawn = heights(100)
    assert len(drawn) == WIDTH
    assert [place for place, height in enumerate(drawn) if height] == [5]


def test_it_is_told_in_words() -> None:
    drawn: Any = distribution(histogram(1, 5, 2))
    assert drawn.title == "8 that succeeded took 1.00 s to 8.00 s, most of them about 2.83 s"
    assert getattr(drawn, "aria-label") == drawn.title


def test_nothing_is_drawn_of_what_never_succeeded() -> None:
    assert distribution(None) == ""


def a_step(name: str, position: int) -> dict[str, Any]:
    runtime = {"p50Seconds": None, "p95Seconds": None}
    ended = {"succeeded": 0, "failed": 0}
    return {"name": name, "position": position, **ended, "runtime": runtime, "histogram": None}


@pytest.mark.parametrize("versions", [1, 2])
def test_what_a_step_is_called_flaky_by_is_said_of_each_version(versions: int) -> None:
    flaky = [
        {"name": "load", "version": f"v{number}", "succeeded": 1200 + number, "failed": 3}
        for number in range(1, versions + 1)
    ]
    steps = [a_step("extract", 1), a_step("load", 2)]
    said = str(steps_section({"steps": steps, "flakySteps": flaky}))
    counted = ", ".join(["3 of 1,204 in v1", "3 of 1,205 in v2"][:versions])
    assert f"load is flaky: it fails and succeeds by turns. Failed were {counted}." in said
    assert said.count("className='flaky'") == 1
    assert "extract is flaky" not in said
