"""What the demo's workers run: believable pipelines, and how long and how well they go."""

import json
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Step:
    """A step that takes `seconds` in the middle, and fails with this probability."""

    name: str
    seconds: float
    failure: float = 0.0


@dataclass(frozen=True)
class Pipeline:
    """What a worker registers."""

    name: str
    version: str
    steps: tuple[Step, ...]


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
    ),
    Pipeline(
        "model-training",
        "v2.7",
        (
            Step("sample", 1.5),
            Step("split", 0.4),
            Step("fit", 8.0, 0.05),
            Step("evaluate", 2.0),
            Step("register", 0.5),
        ),
    ),
)
ERRORS = (
    ("KeyError", "'customer_id'"),
    ("ConnectionError", "no route to warehouse.internal:5432"),
    ("ValueError", "could not convert string to float: '12,50'"),
    ("TimeoutError", "no answer within 30 s"),
)
SPREAD = 0.35
REPEATS = 0.05


def role_of(number: int) -> tuple[str, Pipeline]:
    """The name of a worker and its pipeline: each pipeline in turn, numbered from its second on."""
    lap, position = divmod(number, len(PIPELINES))
    pipeline = PIPELINES[position]
    return f"{pipeline.name}-{lap + 1}" if lap else pipeline.name, pipeline


def draw_run(pipeline: Pipeline, random: Random) -> list[Outcome]:
    """How a run goes, up to the step that fails; durations are log-normal around the step's own."""
    outcomes: list[Outcome] = []
    for step in pipeline.steps:
        seconds = step.seconds * random.lognormvariate(0, SPREAD)
        if random.random() < step.failure:
            outcomes.append(Outcome(step, seconds, draw_error(pipeline, step, random)))
            break
        outcomes.append(Outcome(step, seconds, repeats=random.random() < REPEATS))
    return outcomes


def draw_error(pipeline: Pipeline, step: Step, random: Random) -> str:
    """An error as `wpipe` sends it for a task."""
    kind, message = random.choice(ERRORS)
    folder = f"/srv/{pipeline.name}"
    frames = [
        {"file": f"{folder}/pipeline.py", "line": 41, "method": "run"},
        {"file": f"{folder}/{step.name}.py", "line": random.randint(12, 180), "method": step.name},
    ]
    return json.dumps(
        {
            "task_name": step.name,
            "error_traceback": frames,
            "error_message": f"{kind}: {message}",
        }
    )
