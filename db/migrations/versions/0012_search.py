"""What is searched by its words: titles of failures, and what was said of failed processes.

May run again after a crash at any point. The tables begin empty, so that the start waits for no
index to be built: what failed before is filled in by the server processes, step by step
(`monitor.upkeep.indexing`, `monitor.upkeep.grouping`), and what fails meanwhile under a server of
the release before, too.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_MARIADB = ("mysql", "mariadb")
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MARIADB)
_ID = sa.String(64).with_variant(
    mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), *_MARIADB
)
_SAID = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_nopad_bin"), *_MARIADB
)
_WORDS = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="ascii", collation="ascii_bin"), *_MARIADB)


def upgrade() -> None:
    for name in ("failure_texts", "process_texts"):
        _create(name)


def _create(name: str) -> None:
    op.create_table(
        name,
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("subject_id", _ID, nullable=False, unique=True),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("said", _SAID, nullable=False),
        sa.Column("words", _WORDS, nullable=False),
        mariadb_default_charset="utf8mb4",
        if_not_exists=True,
    )
    op.create_index(f"ix_{name}_at_subject_id", name, ["at", "subject_id"], if_not_exists=True)
    if op.get_bind().dialect.name == "sqlite":
        for statement in _fts5(name):
            op.execute(statement)
    else:
        op.execute(f"CREATE FULLTEXT INDEX IF NOT EXISTS ix_{name}_words ON {name} (words)")


def _fts5(name: str) -> tuple[str, ...]:
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
