"""Logs Insights: one query started and awaited, and a window cut so that no answer is cut off.

Source: CloudWatch Logs API Reference, StartQuery and GetQueryResults (times in whole seconds, both ends in; a query ends after
60 minutes; it is charged by the bytes that it scans, whatever it answers).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from netkit.core.errors import QueryFailed

MOST_ROWS = 10_000  # of one answer
_POLL_S = (0.05, 2.0)
_SLICE_S = 60


class Caller(Protocol):
    """Who calls AWS: a Session, or anything with its `call`."""

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """The answer of one operation."""
        ...


@dataclass(frozen=True)
class Answer:
    """What a query gave: its rows, field to text, and the bytes that it scanned."""

    rows: tuple[dict[str, str], ...]
    scanned_bytes: int


def ask(session: Caller, groups: Sequence[str], text: str, start: int, end: int, *, limit: int = MOST_ROWS) -> Answer:
    """Start a query over log groups from `start` to `end` (Unix seconds, both in) and await its answer.

    Raises QueryFailed when Logs Insights ends it any other way than complete, and what Session.call raises.
    """
    begun = session.call(
        "logs", "start_query", logGroupNames=list(groups), startTime=start, endTime=end, queryString=text, limit=limit
    )
    pause = _POLL_S[0]
    while True:
        answer = session.call("logs", "get_query_results", queryId=begun["queryId"])
        if answer["status"] == "Complete":
            rows = tuple({cell["field"]: cell.get("value", "") for cell in row} for row in answer["results"])
            return Answer(rows, int(answer.get("statistics", {}).get("bytesScanned", 0)))
        if answer["status"] not in ("Scheduled", "Running"):
            raise QueryFailed(f"Logs Insights ended the query as {answer['status']}", subject=", ".join(groups))
        time.sleep(pause)
        pause = min(pause * 2, _POLL_S[1])


def slices(
    session: Caller, groups: Sequence[str], start: int, end: int, *, where: str = ""
) -> tuple[list[tuple[int, int]], int]:
    """Spans (Unix seconds, both ends in) with at most 10,000 events each, earliest first, and the bytes scanned to find them.

    where: commands that choose among the events, as "filter …"; a span without any event is left out. Raises QueryFailed
    where a single minute holds more.
    """
    before = f"{where} | " if where else ""
    text = f"{before}stats count(*) as n by bin({_SLICE_S}s) as minute | sort minute asc | limit {MOST_ROWS}"
    found: list[tuple[int, int]] = []
    room, scanned = 0, 0
    # One answer holds so many minutes, which is about a week.
    for first in range(start, end + 1, (MOST_ROWS - 1) * _SLICE_S):
        counted = ask(session, groups, text, first, min(first + (MOST_ROWS - 1) * _SLICE_S - 1, end))
        scanned += counted.scanned_bytes
        for row in counted.rows:
            minute = int(datetime.fromisoformat(row["minute"]).replace(tzinfo=UTC).timestamp())
            count = int(float(row["n"]))
            if count > MOST_ROWS:
                raise QueryFailed(
                    f"{count} records in one minute are more than Logs Insights gives",
                    subject=", ".join(groups), hint="narrow the query, or deliver to S3 and use Athena",
                )  # fmt: skip
            if not found or count > room:
                # A minute that two answers share is counted in parts.
                found.append((max(minute, first), 0))
                room = MOST_ROWS
            room -= count
            found[-1] = (found[-1][0], min(minute + _SLICE_S - 1, end))
    return found, scanned
