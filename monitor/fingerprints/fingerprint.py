"""The fingerprint of a failure: equal where a person would say that it is the same one again.

Of its pipeline, the step that failed, and the frames of the program's own code; where there are
none, of the message without what varies, and of where it was raised as far as that is known. So a
message alone never makes one of two places, and none at all does not either.

VERSION is part of it: a later algorithm makes other fingerprints, and leaves old groups as they
are. Whatever changes what this makes of an error needs another version.
"""

import hashlib
from dataclasses import dataclass

import orjson

from monitor.fingerprints.frames import Frames, sort_out
from monitor.fingerprints.messages import NOTHING, first_line, normalise, says_something, title_of
from monitor.fingerprints.told import Told, read_error

VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Likeness:
    """What failures have in common that are alike; `step`: null outside of all steps."""

    fingerprint: str
    pipeline_id: str
    step: str | None
    title: str


def recognise(
    pipeline_id: str, step: str | None, step_details: str | None, process_details: str | None
) -> Likeness:
    """What the failure of a process is; details of its step are read before its own.

    Takes a bounded time, as details are bounded; never raises.
    """
    told = read_error(step_details)
    if told == Told():
        told = read_error(process_details)
    frames = sort_out(told.calls)
    message = normalise(first_line(told.message))
    parts = [pipeline_id, step, *_place(frames, message)]
    digest = hashlib.sha256(orjson.dumps([_encodable(part) for part in parts])).hexdigest()
    return Likeness(f"{VERSION}:{digest[:32]}", pipeline_id, step, _title(frames, message))


def _place(frames: Frames, message: str) -> tuple[str, ...]:
    """Which way it was recognised by, so that one never looks like another, and by what."""
    if frames.own:
        return "frames", *map("\n".join, frames.own)
    return "message", message, "\n".join(frames.last or ())


def _title(frames: Frames, message: str) -> str:
    """The message, and where it was raised if it says nothing: 'customer_id' is a KeyError's."""
    place = frames.own[-1] if frames.own else frames.last
    if place is None or says_something(message):
        return title_of(message)
    return title_of(f"{message or NOTHING} in {place}")


def _encodable(part: str | None) -> str | None:
    """Half of a surrogate pair, which JSON may have, is no UTF-8."""
    return None if part is None else part.encode("utf-8", "backslashreplace").decode()
