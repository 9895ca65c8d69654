"""What is searched, at a million processes and ten thousand failures, and searches in it."""

from sqlalchemy import Table

from bench.report import say
from db import models
from db.searched import failure_texts, process_texts
from tests.servers import MariaDb

FAILURES = 10
# What all have; what one in a hundred has, and the index has to look for elsewhere; what one
# begins with; what none has, by itself and beside what all have.
TEXTS = ("lost", "customer 13", "custo", "nothing", "lost nothing")


def error_of(number: int) -> str:
    """What the process of this number says when it fails."""
    return f"lost {'abcdefghij'[number // 10 % FAILURES]} rows of customer {number}"


def multiply_texts(server: MariaDb, database: str, times: int) -> None:
    """What was said of the processes and failures that `history.multiply` copies, and as many
    failures as that, each with a word of its own.
    """
    copies = f"seq_1_to_{times - 1}"
    word = "CONCAT('x', LOWER(HEX(CONCAT('copy', seq))), ' ')"

    def copied(table: Table, key: str, id_: str, **changed: str) -> str:
        given = (c.name for c in table.c if c.name != "number" and c.computed is None)
        columns = {name: name for name in given} | changed | {key: id_}
        return (
            f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
            f"FROM {table.name} JOIN {copies} ORDER BY seq DESC;"
        )

    def new_id(column: str, kept: int) -> str:
        return f"CONCAT(LEFT({column}, {kept}), LPAD(LOWER(HEX(seq)), 12, '0'))"

    said = {"said": "CONCAT(said, ' copy', seq)", "words": f"CONCAT(words, {word})"}
    at = {"at": "at - INTERVAL seq HOUR"}
    statements = (
        copied(process_texts, "subject_id", new_id("subject_id", 32), **said, **at),
        copied(failure_texts, "subject_id", new_id("subject_id", 32), **said, **at),
        copied(models.failures, "id", new_id("id", 32)),
        copied(models.failure_figures, "failure_id", new_id("failure_id", 32)),
    )
    say(f"writing {FAILURES * times:,} failures, and what was said of all that failed")
    names = ", ".join(t.name for t in (process_texts, failure_texts, models.failures))
    server.execute(f"USE {database}; {' '.join(statements)} ANALYZE TABLE {names};")
