"""What the demo's workers run: believable pipelines, and how long and how well they go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from app.demo_errors import describe, draw_fault, hanging

SPREAD = 0.35
REPEATS = 0.05
# A step that hangs is given up after so many times of what it usually takes: it takes longer than
# usual by then, but its worker, silent meanwhile, is not lost.
HANGS = 2.5
# What the next version of a pipeline takes for its longest step, and how often it fails.
NEXT_TAKES = 1.4
NEXT_FAILS = 0.5

# What befalls its programs now and then: they are killed on the way, or a step of theirs hangs.
Accident = Literal["killed", "hangs"]


@dataclass(frozen=True)
class Step:
    """A step that takes `seconds` in the middle, and fails with this probability."""

    name: str
    seconds: float
    failure: float = 0.0
    spread: float = SPREAD


@dataclass(frozen=True)
class Pipeline:
    """What a worker registers."""

    name: str
    version: str
    steps: tuple[Step, ...]
    accident: Accident | None = None

    @property
    def longest(self) -> Step:
        return max(self.steps, key=lambda step: step.seconds)


@dataclass(frozen=True)
class Outcome:
    """How one step of one run goes."""

    step: Step
    seconds: float
    # The error as the worker reports it; None: it succeeds.
    error: str | None = None
    # It is started once more after it ended, as loops do.
    repeats: bool = False


PIPELINES = (
    Pipeline(
        "nightly-etl",
        "v3.2",
        (
            Step("extract", 2.5),
            Step("validate", 0.8, 0.04),
            Step("transform", 3.0, 0.06),
            Step("load", 1.8),
            Step("publish", 0.5),
        ),
    ),
    Pipeline(
        "invoice-ocr",
        "v1.9",
        (Step("fetch", 0.7), Step("deskew", 1.2), Step("recognise", 5.0, 0.12), Step("post", 0.6)),
    ),
    Pipeline(
        "image-thumbnails",
        "v2.0",
        (Step("download", 0.9, 0.02), Step("resize", 1.4), Step("upload", 0.8)),
    ),
    Pipeline(
        "fraud-scoring",
        "v5.1",
        (
            Step("features", 1.6),
            Step("score", 0.9),
            Step("explain", 1.1),
            Step("notify", 0.3, 0.03),
        ),
    ),
    Pipeline(
        "report-mailer",
        "v1.0",
        (Step("query", 2.2, 0.05), Step("render", 1.5), Step("send", 0.7, 0.2)),
    ),
    Pipeline(
        "backup-offsite",
        "v4.4",
        (Step("snapshot", 4.0), Step("encrypt", 3.0), Step("copy", 6.0, 0.08), Step("verify", 2.0)),
    ),
    Pipeline(
        "price-crawler",
        "v0.8",
        (Step("plan", 0.4), Step("crawl", 4.5, 0.25), Step("parse", 1.0, 0.05), Step("store", 0.6)),
        accident="killed",
    ),
    Pipeline(
        "model-training",
        "v2.7",
        (
            Step("sample", 1.5),
            Step("split", 0.4),
            Step("fit", 24.0, 0.05, spread=0.08),
            Step("evaluate", 2.0),
            Step("register", 0.5),
        ),
        accident="hangs",
    ),
)


def pipeline_of(number: int) -> tuple[str, Pipeline]:
    """One of as many pipelines as there may be, and its name: numbered from the second lap on."""
    lap, position = divmod(number, len(PIPELINES))
    pipeline = PIPELINES[position]
    return f"{pipeline.name}-{lap + 1}" if lap else pipeline.name, pipeline


def next_version(pipeline: Pipeline) -> Pipeline:
    """The same as it is released next: its longest step takes longer, and all fail less often."""
    major, minor = pipeline.version.split(".")
    steps = [
        replace(
            step,
            seconds=step.seconds * (NEXT_TAKES if step == pipeline.longest else 1),
            failure=step.failure * NEXT_FAILS,
        )
        for step in pipeline.steps
    ]
    return replace(pipeline, version=f"{major}.{int(minor) + 1}", steps=tuple(steps))


def draw_run(pipeline: Pipeline, random: Random) -> list[Outcome]:
    """How a run goes, up to the step that fails; durations are log-normal around the step's own."""
    outcomes: list[Outcome] = []
    for step in pipeline.steps:
        seconds = step.seconds * random.lognormvariate(0, step.spread)
        if random.random() < step.failure:
            fault = draw_fault(pipeline.name, step.name, random)
            outcomes.append(
                Outcome(step, seconds, describe(fault, pipeline.name, step.name, random))
            )
            break
        outcomes.append(Outcome(step, seconds, repeats=random.random() < REPEATS))
    return outcomes


def draw_hanging_run(pipeline: Pipeline, random: Random) -> Sequence[Outcome]:
    """A run whose longest step hangs, until it is given up."""
    position = pipeline.steps.index(pipeline.longest)
    before = [Outcome(step, step.seconds) for step in pipeline.steps[:position]]
    step = pipeline.longest
    error = describe(hanging(step.name), pipeline.name, step.name, random)
    return [*before, Outcome(step, step.seconds * HANGS, error)]
