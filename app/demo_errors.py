"""What goes wrong in the demo's pipelines, told as `wpipe` tells of exceptions.

It sends the text of the exception without its type, and the frames of its traceback: its own first,
which called the step, then the step's, then those of what that called. A fault is always in the
same place; what its text says of numbers and ids is of the run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

_PACKAGES = "/srv/{pipeline}/.venv/lib/python3.11/site-packages"
_LIBRARY = "/usr/lib/python3.11"


@dataclass(frozen=True)
class Frame:
    """A call in a traceback; `file` may name the pipeline."""

    file: str
    line: int
    method: str


@dataclass(frozen=True)
class Fault:
    """An exception with this text, in which may be an {id}, a {number} or an {amount}."""

    message: str
    frames: tuple[Frame, ...]


def _at(module: str, line: int, method: str | None = None) -> Frame:
    """In the pipeline's own code; a step is a function named as its module."""
    return Frame(f"/srv/{{pipeline}}/steps/{module}.py", line, method or module)


_CALLER = Frame(f"{_PACKAGES}/wpipe/pipe/pipe.py", 574, "_task_invoke_with_report")
_URLOPEN = (
    Frame(f"{_LIBRARY}/urllib/request.py", 216, "urlopen"),
    Frame(f"{_LIBRARY}/urllib/request.py", 634, "http_response"),
    Frame(f"{_LIBRARY}/urllib/request.py", 643, "http_error_default"),
)
_READ = (Frame(f"{_LIBRARY}/ssl.py", 1167, "read"),)

# By pipeline and step; of a step with several each is as likely.
_FAULTS: Mapping[tuple[str, str], tuple[Fault, ...]] = {
    ("nightly-etl", "validate"): (
        Fault(
            "could not convert string to float: '{number},{amount}'",
            (_at("validate", 58), _at("rows", 23, "parse_amount")),
        ),
    ),
    ("nightly-etl", "transform"): (
        Fault("'customer_id'", (_at("transform", 41), _at("transform", 88, "join_customers"))),
    ),
    ("invoice-ocr", "recognise"): (
        Fault(
            "no total found on invoice {number}, page {amount}",
            (_at("recognise", 77), _at("layout", 132, "find_total")),
        ),
        Fault(
            "cannot identify image file '/var/spool/invoices/{id}.tif'",
            (_at("recognise", 64), Frame(f"{_PACKAGES}/PIL/Image.py", 3498, "open")),
        ),
    ),
    ("image-thumbnails", "download"): (
        Fault("HTTP Error 404: Not Found", (_at("download", 19), *_URLOPEN)),
    ),
    ("fraud-scoring", "notify"): (
        Fault(
            "[Errno 111] Connection refused",
            (_at("notify", 30), Frame(f"{_LIBRARY}/socket.py", 836, "create_connection")),
        ),
    ),
    ("report-mailer", "query"): (
        Fault(
            "(2013, 'Lost connection to MySQL server during query')",
            (_at("query", 52), Frame(f"{_PACKAGES}/pymysql/connections.py", 759, "_read_bytes")),
        ),
    ),
    ("report-mailer", "send"): (
        Fault(
            "(421, b'4.7.0 {id} Try again later, closing connection')",
            (_at("send", 35), Frame(f"{_LIBRARY}/smtplib.py", 341, "connect")),
        ),
    ),
    ("backup-offsite", "copy"): (
        Fault(
            "[Errno 28] No space left on device: '/mnt/offsite/{id}.tar.zst'",
            (_at("copy", 47), Frame(f"{_LIBRARY}/shutil.py", 259, "copyfile")),
        ),
    ),
    ("price-crawler", "crawl"): (
        Fault("HTTP Error 429: Too Many Requests", (_at("crawl", 71, "fetch"), *_URLOPEN)),
        Fault("The read operation timed out", (_at("crawl", 71, "fetch"), *_READ)),
    ),
    ("price-crawler", "parse"): (
        Fault(
            "'NoneType' object has no attribute 'text'",
            (_at("parse", 26), _at("parse", 61, "price_of")),
        ),
    ),
    ("model-training", "fit"): (
        Fault(
            "Input X contains NaN.",
            (
                _at("fit", 83),
                Frame(f"{_PACKAGES}/sklearn/utils/validation.py", 147, "_assert_all_finite"),
            ),
        ),
    ),
}


def draw_fault(pipeline: str, step: str, random: Random) -> Fault:
    """One of those that this step of the pipeline has."""
    return random.choice(_FAULTS[pipeline, step])


def hanging(step: str) -> Fault:
    """What gives up a step that hangs."""
    return Fault(
        "no batch from the loader within 60 s",
        (_at(step, 97), _at("loader", 41, "next_batch"), Frame(f"{_LIBRARY}/queue.py", 179, "get")),
    )


def cut_off(step: str) -> Fault:
    """What becomes of a step while the network is gone."""
    connect = Frame(f"{_LIBRARY}/socket.py", 836, "create_connection")
    return Fault("[Errno 110] Connection timed out", (_at(step, 22), connect))


def describe(fault: Fault, pipeline: str, step: str, random: Random) -> str:
    """The details that `wpipe` sends for the task, without its id."""
    frames = [
        {"file": frame.file.format(pipeline=pipeline), "line": frame.line, "method": frame.method}
        for frame in (_CALLER, *fault.frames)
    ]
    message = fault.message.format(
        id=f"{random.getrandbits(48):012x}",
        number=random.randint(100_000, 999_999),
        amount=random.randint(1, 99),
    )
    return json.dumps({"task_name": step, "error_traceback": frames, "error_message": message})
