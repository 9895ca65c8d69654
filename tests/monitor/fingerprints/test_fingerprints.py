"""Errors are grouped as a person would, in a time that does not depend on what is in them."""

import time
from collections import defaultdict
from itertools import product

import pytest

from monitor.fingerprints.fingerprint import Likeness, recognise
from tests.monitor.fingerprints.corpus import ETL, GROUPS, LIBRARY, STEP, Group, sent

PIPELINE = "pipeline_1"
MOST_SPLIT = 0.05
# What made patterns slow, in pairs; on a machine that is busy with other tests.
AWKWARD = (
    *("a", "1-", "a.", "a/", "'", "' ", '"', "1:", "f", "0x", "<", "1,", "1 s", "a@a.", "\\'"),
    *("../", "1.1.", "Jan 1 ", "a_1", "(1, ", "error ", "::", "ab1", "«", '{"a":', "[", "| "),
    *('  File "', 'File "a", line 1\n', "\n", "x://", "2026-", "1h"),
)
LONG_CHARACTERS = 1024 * 1024
AT_MOST_SECONDS = 1.0


def of(details: str | None, step: str | None = STEP, pipeline_id: str = PIPELINE) -> Likeness:
    return recognise(pipeline_id, step, details, None)


def fingerprints(group: Group) -> set[str]:
    return {of(error, group.step).fingerprint for error in group.errors}


def test_no_two_things_that_went_wrong_are_taken_for_one() -> None:
    assert sum(len(group.errors) for group in GROUPS) >= 200
    groups_of = defaultdict(set)
    for group in GROUPS:
        for fingerprint in fingerprints(group):
            groups_of[fingerprint].add(group.name)
    assert [names for names in groups_of.values() if len(names) > 1] == []


def test_the_same_thing_again_is_seldom_taken_for_another() -> None:
    errors = sum(len(group.errors) for group in GROUPS)
    split = {group.name: len(fingerprints(group)) - 1 for group in GROUPS}
    assert sum(split.values()) <= MOST_SPLIT * errors, {k: v for k, v in split.items() if v}


def test_pipelines_have_failures_of_their_own() -> None:
    error = sent("'customer_id'", f"{ETL}load.py:47 load")
    assert of(error).fingerprint != of(error, pipeline_id="pipeline_2").fingerprint


def test_details_of_the_step_are_read_before_those_of_the_process() -> None:
    both = recognise(PIPELINE, STEP, "no rows in batch 3", "Task failed")
    assert both == of("no rows in batch 4")
    assert both.title == "no rows in batch <n>"
    assert recognise(PIPELINE, STEP, None, "Task failed").title == "Task failed"


@pytest.mark.parametrize(
    ("details", "title"),
    [
        ("KeyError: 'customer_id'", "KeyError: <str>"),
        ("HTTP Error 404: Not Found", "HTTP Error 404: Not Found"),
        ("user 6f1f4b62-6c1d-4a2e-9b0e-2f1f6d3f9c11 at 10.0.0.1", "user <uuid> at <addr>"),
        ("took 12.5 s since 2026-03-01 12:00:01", "took <duration> since <time>"),
        ("wrote https://a.example/x and /tmp/y to b@c.de", "wrote <url> and <path> to <email>"),
        ("utf8 and int64 are names", "utf8 and int64 are names"),
        (None, "(no message)"),
        (sent("'customer_id'", f"{ETL}load.py:4 load"), "<str> in load.load"),
        (sent("", f"{ETL}load.py:4 load", f"{LIBRARY}queue.py:1 get"), "(no message) in load.load"),
        (sent("", f"{LIBRARY}queue.py:1 get"), "(no message) in queue.get"),
        ("a\0b", "ab"),
        ("x" * 400, "x" * 300),
    ],
)
def test_a_title_says_what_happened_without_what_varies(details: str | None, title: str) -> None:
    assert of(details).title == title


def test_a_fingerprint_says_which_algorithm_made_it_and_stays_what_it_was() -> None:
    # Kept in databases: whoever changes what comes out here makes another version.
    assert of("no rows").fingerprint == "v1:3066f9e3804293a517a5fb135838bca0"
    framed = of(sent("no rows", f"{ETL}load.py:47 load"))
    assert framed.fingerprint == "v1:cc3ad9325d17c610733f58dcb85afe22"


def test_nothing_takes_long_however_awkward_it_is() -> None:
    for pair in product(AWKWARD, AWKWARD):
        part = "".join(pair)
        began = time.perf_counter()
        of(part * (LONG_CHARACTERS // len(part)))
        assert time.perf_counter() - began < AT_MOST_SECONDS, part


@pytest.mark.parametrize(
    "details",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"message": 5, "error_traceback": [1, null, {"file": 2}]}',
        '"',
        "{",
        '{"error_traceback": {"a": 1}}',
        "null",
        "9" * 10_000,
        '{"n": ' + "9" * 5000 + "}",
    ],
)
def test_whatever_is_told_is_no_reason_to_fail(details: str) -> None:
    assert of(details).fingerprint.startswith("v1:")
