"""What a comparison of two versions comes to, in a sentence for people."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from monitor.reading.comparison import Comparison, StepShift
from monitor.reading.samples import Interval, Sample, Shift
from monitor.reading.usual import LEAST_RUNS
from monitor.words import in_words

# A quantile of a histogram is up to 4.4 % off, and so a ratio of two up to 9 %: less is no news.
NOTEWORTHY = 1.1
STEPS_NAMED = 3


def say(comparison: Comparison) -> str:
    """One sentence: `v1.4 against v1.3: takes 1.3 times as long (13 s, was 10 s), step load 2.1
    times; succeeds less often (80%, likely 71% to 87%, was 99%, likely 95% to 100%)`.
    """
    shift = comparison.processes
    parts = [_runtime(shift, comparison.steps), _success(shift)]
    said = [part for part in parts if part is not None] or ["not enough runs to tell"]
    if parts[0] is None and parts[1] is not None:
        said.append("not enough runs to tell whether it takes longer")
    return f"{comparison.version} against {comparison.against}: {'; '.join(said)}"


def _runtime(shift: Shift, steps: Sequence[StepShift]) -> str | None:
    ratio, before, after = shift.p50_ratio, shift.before.runtimes, shift.after.runtimes
    if ratio is None or before.p50 is None or after.p50 is None:
        return None
    said = "takes about as long"
    if _is_noteworthy(ratio):
        medians = f"{_seconds(after.p50)}, was {_seconds(before.p50)}"
        said = f"takes {_times(ratio)} as long ({medians})"
    elif (slowest := shift.p95_ratio) is not None and _is_noteworthy(slowest):
        said += f", but the slowest runs {_times(slowest)} as long"
    return ", ".join([said, *_steps(steps)])


def _steps(steps: Sequence[StepShift]) -> Iterator[str]:
    """Those whose medians changed most, by the time that it makes."""
    changed = []
    for step in steps:
        ratio, before, after = step.shift.p50_ratio, *_medians(step.shift)
        if ratio is not None and _is_noteworthy(ratio):
            changed.append((abs(after - before), step.name, ratio))
    for _, name, ratio in sorted(changed, reverse=True)[:STEPS_NAMED]:
        yield f"step {name} {_times(ratio)}"


def _medians(shift: Shift) -> tuple[float, float]:
    return shift.before.runtimes.p50 or 0.0, shift.after.runtimes.p50 or 0.0


def _success(shift: Shift) -> str | None:
    before, after = shift.before.interval, shift.after.interval
    if before is None or after is None or min(shift.before.ended, shift.after.ended) < LEAST_RUNS:
        return None
    how = "about as often"
    if after.high < before.low:
        how = "less often"
    elif after.low > before.high:
        how = "more often"
    return f"succeeds {how} ({_rate(shift.after, after)}, was {_rate(shift.before, before)})"


def _rate(sample: Sample, interval: Interval) -> str:
    rate = sample.succeeded / sample.ended
    return f"{rate:.0%}, likely {interval.low:.0%} to {interval.high:.0%}"


def _is_noteworthy(ratio: float) -> bool:
    return not 1 / NOTEWORTHY < ratio < NOTEWORTHY


def _times(ratio: float) -> str:
    """With two digits: `0.52 times`, `1.3 times`, `240 times`."""
    return f"{max(ratio, 0.01):.2g} times" if ratio < 10 else f"{ratio:.0f} times"


def _seconds(seconds: float) -> str:
    return in_words(timedelta(seconds=seconds))
