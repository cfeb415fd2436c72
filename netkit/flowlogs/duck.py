"""DuckDB, closed: the one way to a connection, and the one function for each kind of word of others that reaches its SQL. Pure.

Names of columns and files are chosen by others. A connection from here reads the files that it was given and no other, writes
none, and cannot be opened again: DuckDB's own `allowed_paths`, `enable_external_access` and `lock_configuration` ("Securing
DuckDB", DuckDB documentation).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb


def connect(paths: Iterable[Path] = (), *, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection in memory that may read these files and nothing else.

    paths  files by their real path; links to them may be read too
    spill  a folder for what does not fit into memory; without one nothing is written to disk at all
    """
    # Unordered streaming keeps memory flat, and every query orders its own answer.
    db = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    allowed = ", ".join(text(str(path.resolve())) for path in paths)
    db.execute(
        "SET TimeZone='UTC'; SET preserve_insertion_order=false;"
        " SET python_enable_replacements=false;"
        f" SET temp_directory={text(str(spill) if spill else '')}; SET allowed_paths=[{allowed}];"
        " SET enable_external_access=false; SET lock_configuration=true"
    )
    return db


def identifier(name: str) -> str:
    """A name as an SQL identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as an SQL string, whatever is in it."""
    return "'" + value.replace("'", "''") + "'"
