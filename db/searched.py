"""What is searched by its words: the tables, and the index that each database has for them.

MariaDB: FULLTEXT. SQLite: a table of FTS5 beside the rows, which triggers keep. Neither sees a word
as people write it: words come as `monitor.searchable` writes them, of ASCII letters and digits. So
both find the same, whatever the language, and however the server takes short words and stop words.
"""

from collections.abc import Sequence

from sqlalchemy import (
    DDL,
    Column,
    ColumnElement,
    ExecutableDDLElement,
    Index,
    Integer,
    Table,
    Text,
    column,
    event,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects import mysql

from db import models

# A word takes 84 characters at most: InnoDB keeps no longer ones.
WORD_LENGTH = 84
Words = Text().with_variant(
    mysql.MEDIUMTEXT(charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
)


def _create_texts(name: str) -> Table:
    texts = Table(
        name,
        models.metadata,
        Column("number", models.AutoId, primary_key=True, autoincrement=True),
        Column("subject_id", models.Id, nullable=False, unique=True),
        # When the subject failed (first): the order of what is found.
        Column("at", models.UtcDateTime, nullable=False),
        # In the words of whoever said it, and each word of it once, with a blank on either side.
        Column("said", models.LongText, nullable=False),
        Column("words", Words, nullable=False),
        Index(None, "at", "subject_id"),
        Index(None, "words", mariadb_prefix="FULLTEXT", mysql_prefix="FULLTEXT").ddl_if(
            dialect="mariadb"
        ),
        mariadb_default_charset="utf8mb4",
    )
    for statement in _fts5(name):
        event.listen(texts, "after_create", _on_sqlite(statement))
    event.listen(texts, "before_drop", _on_sqlite(f"DROP TABLE IF EXISTS {name}_index"))
    return texts


def _on_sqlite(statement: str) -> ExecutableDDLElement:
    return DDL(statement).execute_if(dialect="sqlite")  # type: ignore[no-untyped-call]


def _fts5(name: str) -> Sequence[str]:
    """The index of the table, with no more in it than is asked for."""
    index = f"{name}_index"
    return (
        f"CREATE VIRTUAL TABLE IF NOT EXISTS {index} USING fts5(words, content='{name}', "
        "content_rowid='number', detail='none', columnsize=0, tokenize='ascii')",
        f"CREATE TRIGGER IF NOT EXISTS {name}_added AFTER INSERT ON {name} BEGIN "
        f"INSERT INTO {index} (rowid, words) VALUES (new.number, new.words); END",
        f"CREATE TRIGGER IF NOT EXISTS {name}_removed AFTER DELETE ON {name} BEGIN "
        f"INSERT INTO {index} ({index}, rowid, words) "
        "VALUES ('delete', old.number, old.words); END",
    )


# Titles of failures; what was said of the errors of failed processes.
failure_texts = _create_texts("failure_texts")
process_texts = _create_texts("process_texts")


def has_words(
    texts: Table, words: Sequence[tuple[str, bool]], *, sqlite: bool
) -> ColumnElement[bool]:
    """All of these words are in it, or where the second is true, any that begin with them; found
    by the index.
    """
    if sqlite:
        index = f"{texts.name}_index"
        wanted = " ".join(f'"{word}"*' if prefix else f'"{word}"' for word, prefix in words)
        matching = literal_column(index).op("MATCH")(literal(wanted))
        found = select(column("rowid", Integer)).select_from(table(index)).where(matching)
        return texts.c.number.in_(found)
    wanted = " ".join(f"+{word}*" if prefix else f"+{word}" for word, prefix in words)
    return mysql.match(texts.c.words, against=literal(wanted), in_boolean_mode=True)
