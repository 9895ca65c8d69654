"""The size of a stored text, as both databases say it."""

from typing import Any

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class byte_length(FunctionElement[int]):
    """The bytes of a text in UTF-8."""

    type = Integer()
    inherit_cache = True


@compiles(byte_length)
def _byte_length(element: byte_length, compiler: SQLCompiler, **kw: Any) -> str:
    return f"OCTET_LENGTH({compiler.process(element.clauses, **kw)})"


@compiles(byte_length, "sqlite")
def _byte_length_in_sqlite(element: byte_length, compiler: SQLCompiler, **kw: Any) -> str:
    # LENGTH of a text counts characters, and ends at a NUL.
    return f"LENGTH(CAST({compiler.process(element.clauses, **kw)} AS BLOB))"
