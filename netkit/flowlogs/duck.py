"""DuckDB, closed: the one way to a connection, and the one function for each kind of word of others that reaches its SQL. Pure.

Names of columns and files are chosen by others. A connection from here reads the files that it was given and no other, writes
none, and cannot be opened again: DuckDB's own `allowed_paths`, `enable_external_access` and `lock_configuration` ("Securing
DuckDB", DuckDB documentation).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb

MEMORY = "2GB"  # what one connection holds; the rest is spilled into its folder


def connect(paths: Iterable[Path] = (), *, folder: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection in memory that may read these files, and nothing else.

    paths   files by their real path; links to them may be read too
    folder  a private one that may be written as well, and that takes what does not fit into memory; without one nothing is
            written to disk at all
    """
    off = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }
    db = duckdb.connect(config={**off, "memory_limit": MEMORY})
    allowed = ", ".join(text(str(path.resolve())) for path in paths)
    folders = text(f"{folder.resolve()}/") if folder else ""
    # Unordered streaming keeps memory flat, and every query orders its own answer.
    db.execute(
        "SET TimeZone='UTC'; SET preserve_insertion_order=false; SET enable_progress_bar=false; SET parquet_metadata_cache=true;"
        f" SET temp_directory={text(str(folder / 'spill') if folder else '')};"
        f" SET allowed_paths=[{allowed}]; SET allowed_directories=[{folders}];"
        " SET enable_external_access=false; SET lock_configuration=true"
    )
    return db


def run(db: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
    """Execute. Ctrl-C is KeyboardInterrupt, which DuckDB turns into an error of its own."""
    try:
        return db.execute(sql, list(values))
    except RuntimeError as problem:
        if isinstance(problem, duckdb.InterruptException) or "interrupt" in str(problem).lower():
            raise KeyboardInterrupt from None
        raise


def first_line(problem: Exception) -> str:
    """What DuckDB says, in short, without the numbers that netkit gives to files."""
    return re.sub(r"\S*/(in|out)/\d{6}\S*", "the file", str(problem).strip().splitlines()[0])[:300]


def identifier(name: str) -> str:
    """A name as an SQL identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as an SQL string, whatever is in it."""
    return "'" + value.replace("'", "''") + "'"
