"""Bounds on what clients may send, and the checks that name the field and the reason."""

from collections.abc import Sequence

from monitor.entities import TaskDefinition
from monitor.errors import InvalidInput

NAME_LENGTH = 255
VERSION_LENGTH = 50
DETAILS_BYTES = 1024 * 1024
# What one answer has of them at most.
ANSWER_DETAILS_BYTES = 16 * 1024 * 1024
TASK_DEFINITIONS = 10_000
TASK_UPDATES = 1_000
ARCHIVED_WORKERS = 1_000
IDEMPOTENCY_KEY_LENGTH = 128
MAX_FILTER_VALUES = 1_000


def check_text(field: str, text: str, length: int) -> None:
    """Raises InvalidInput when `text` is longer than `length` characters or is not Unicode."""
    if len(text) > length:
        raise InvalidInput(field, f"is {len(text)} characters long, at most {length} are kept")
    _encoded_length(field, text)


def check_details(field: str, details: str | None) -> None:
    """Raises InvalidInput when `details` take more than 1 MiB of UTF-8."""
    if details is None:
        return
    size = _encoded_length(field, details)
    if size > DETAILS_BYTES:
        raise InvalidInput(field, f"is {size} bytes long, at most {DETAILS_BYTES} are kept")


def check_task_definitions(field: str, definitions: Sequence[TaskDefinition]) -> None:
    """Raises InvalidInput for too many definitions, or a name or version too long."""
    if len(definitions) > TASK_DEFINITIONS:
        raise InvalidInput(field, f"has {len(definitions)} entries, at most {TASK_DEFINITIONS}")
    for index, definition in enumerate(definitions):
        check_text(f"{field}.{index}.name", definition.name, NAME_LENGTH)
        check_text(f"{field}.{index}.version", definition.version, VERSION_LENGTH)


def check_idempotency_key(field: str, key: str) -> None:
    """Raises InvalidInput unless the key has 1 to 128 characters."""
    if not key:
        raise InvalidInput(field, "is empty, 1 to 128 characters are needed")
    check_text(field, key, IDEMPOTENCY_KEY_LENGTH)


def _encoded_length(field: str, text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(field, "has half of a surrogate pair, which is not Unicode") from error
