"""What an engine is: what FlowLogs asks of it, what it says of a query that ran, and how a window is cut, alike in all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from netkit.core.errors import WindowError
from netkit.core.model import Window
from netkit.flowlogs.catalog import Query, Value

COVERAGE_COLUMNS = ("account", "region", "table", "state", "rows", "skipped", "note", "first_seen", "last_seen")


@dataclass(frozen=True)
class Ran:
    """What the last query was and took: its text as sent, bound values, seconds, scanned bytes and cost (0 for files).

    notes: what was left out, and why
    """

    sql: str
    values: tuple[Value, ...]
    seconds: float
    scanned_bytes: int = 0
    estimated_usd: float = 0.0
    cost_usd: float = 0.0
    notes: tuple[str, ...] = ()


class Engine(Protocol):
    """What FlowLogs asks of an engine."""

    name: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its records."""
        ...

    @property
    def formats(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each format that its records have."""
        ...

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """The rows of a query whose text and values are bound, over the window."""
        ...

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """COVERAGE_COLUMNS, one row a file or table."""
        ...


def overlapping(window: Window | None, columns: Sequence[str]) -> tuple[str, list[Value]]:
    """WHERE with its values: the records that overlap a window, whole. Where records have no end, those that start in it."""
    if window is None:
        return "", []
    start, end = window.epoch()
    if "end" in columns:
        return '\nWHERE "start" < ? AND "end" >= ?', [end, start]
    return '\nWHERE "start" >= ? AND "start" < ?', [start, end]


def bounded(window: Window | None, source: str) -> Window:
    """The window. Raises WindowError where there is none, since a query would read everything."""
    if window is None:
        raise WindowError(
            "a query without a window is refused: it would read everything",
            subject=source,
            hint="give window=Window.parse(…)",
        )
    return window


def one_row(account: str, region: str, table: str, frame: pd.DataFrame, note: str) -> pd.DataFrame:
    """The coverage row of a table or log group from its frame of interface_coverage."""
    rows = int(frame["records"].sum()) if len(frame) else 0
    span = (frame["first_seen"].min(), frame["last_seen"].max()) if rows else (None, None)
    values = (account, region, table, "ok" if rows else "empty", rows, 0, note, *span)
    return pd.DataFrame([dict(zip(COVERAGE_COLUMNS, values, strict=True))])
