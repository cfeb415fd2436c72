"""A CloudWatch log group: Logs Insights finds and cuts the messages of a window, DuckDB runs the SQL on their records."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from netkit.core import costs, insights
from netkit.core.errors import AwsError, SourceError
from netkit.core.model import Window
from netkit.core.session import Session, error_code
from netkit.flowlogs.catalog import Query, Value
from netkit.flowlogs.engine import COVERAGE_COLUMNS, Ran, bounded
from netkit.flowlogs.fields import family_of
from netkit.flowlogs.files import V2, match_format
from netkit.flowlogs.local import FileEngine
from netkit.flowlogs.table import FlowLogSpec

# An event's time is its record's start, and a record may be as long as the longest aggregation interval.
_BEFORE = timedelta(seconds=600)
_COUNTED = Query("coverage", "", (), (), ("start", "end"), {}, "", (), "")


class InsightsEngine:
    """Logs Insights over a log group.

    Insights gives at most 10,000 rows a query, so the window is cut by the number of events in it. It charges by bytes scanned
    whatever the fields, so the messages of a window are fetched once and later queries within it cost nothing.

    The format of the records is read from DescribeFlowLogs; where flow logs of several formats write to the group each record
    is of the one that it fits. In a central account, where no flow log writes to it, the format is AWS's default or `formats`.
    """

    name = "insights"

    def __init__(
        self,
        session: Session,
        group: str,
        window: Window,
        budget_usd: float,
        ledger: Path | None,
        formats: Sequence[tuple[str, ...]] = (),
    ) -> None:
        self._session, self._group, self._budget_usd = session, group, budget_usd
        self._ledger = costs.CostLedger(ledger) if ledger else None
        found = session.pages(
            "ec2", "describe_flow_logs", "FlowLogs", Filter=[{"Name": "log-group-name", "Values": [group]}]
        )
        described = [FlowLogSpec.from_described(one, session.account_id, session.region).columns for one in found]
        self._given = tuple(dict.fromkeys((*formats, *described)))
        self._foreign = not self._given
        if self._foreign:
            self._given = (self._sampled(window),)
        self.scanned_bytes = 0
        self._span: Window | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="netkit-events-")
        self._files: FileEngine | None = None

    def _sampled(self, window: Window) -> tuple[str, ...]:
        """The format of a group that no flow log of this account writes to. Raises SourceError unless it is AWS's default."""
        start, end = window.epoch()
        request = {"logGroupName": self._group, "startTime": start * 1000, "endTime": end * 1000, "limit": 100}
        try:
            events = self._session.call("logs", "filter_log_events", **request)["events"]
        except AwsError as error:
            if error_code(error) == "ResourceNotFoundException":
                raise SourceError(
                    "there is no such log group", subject=self._group, hint="look at its name and region"
                ) from None
            raise
        if not events or any(match_format(event["message"].split(), ()) for event in events):
            return V2
        raise SourceError(
            f"no flow log of this account writes to this log group, and its records are not of AWS's default format, as: {events[0]['message'][:80]}",
            subject=self._group,
            hint='say which fields they have: format="v5", or format="${version} ${srcaddr} …"',
        )

    @property
    def formats(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each format that records of the group may have, VPC flow logs first."""
        return tuple(sorted(self._given, key=lambda columns: (family_of(columns) == "tgw", -len(columns))))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its records, of VPC flow logs where there are any."""
        family = family_of(self.formats[0])
        return tuple(dict.fromkeys(name for one in self.formats if family_of(one) == family for name in one))

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """Raises BudgetError before anything is started, QueryFailed with Insights' reason."""
        begun, self.scanned_bytes = time.monotonic(), 0
        span = bounded(window, self._group)
        estimated_usd = 0.0 if self._has(span) else costs.insights_cost(self._stored_bytes())
        costs.check_budget(estimated_usd, self._budget_usd, f"the query {query.name}")
        if not self._has(span):
            self._fetch(span)
        if self._files is None:
            frame, ran = pd.DataFrame(), Ran(sql, tuple(values), 0.0)
            frame = pd.DataFrame({name: pd.Series(dtype="object") for name in query.columns})
        else:
            frame, ran = self._files.run(query, sql, values, span)
        cost = costs.insights_cost(self.scanned_bytes)
        seconds = time.monotonic() - begun
        ran = Ran(ran.sql, ran.values, seconds, self.scanned_bytes, estimated_usd, cost, ran.notes)
        if self._ledger:
            self._ledger.record(
                f"insights {query.name}", estimated_usd=estimated_usd, cost_usd=cost, scanned_bytes=self.scanned_bytes
            )
        return frame, ran

    def _has(self, window: Window) -> bool:
        return self._span is not None and self._span.start <= window.start and window.end <= self._span.end

    def _fetch(self, window: Window) -> None:
        """The messages of a window into a private file, slice by slice."""
        path = Path(self._folder.name) / "events.txt"
        count = 0
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for messages in self._messages(window):
                file.writelines(" ".join(message.split()) + "\n" for message in messages)
                count += len(messages)
        if self._files is not None:
            self._files.close()
        self._files = (
            FileEngine([path], formats=self._given, names={path: self._group}, strict=False) if count else None
        )
        if self._files is not None:
            self._files.coverage(None)  # read at once, since the file is written anew for a wider window
        self._span = window

    def _stored_bytes(self) -> int:
        """What the whole group stores: an upper bound of what a query of it scans."""
        groups = self._session.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=self._group)
        return sum(int(one.get("storedBytes", 0)) for one in groups if one["logGroupName"] == self._group)

    def _messages(self, window: Window) -> Iterator[list[str]]:
        """The messages of a window, a slice at a time."""
        wanted = f"fields @message | limit {insights.MOST_ROWS}"
        start, end = window.widened(before=_BEFORE).epoch()
        slices, self.scanned_bytes = insights.slices(self._session, [self._group], start, end - 1)
        for first, last in tqdm(slices, desc="Logs Insights", unit="slice", leave=False, disable=len(slices) < 3):
            answer = insights.ask(self._session, [self._group], wanted, first, last)
            self.scanned_bytes += answer.scanned_bytes
            yield [row.get("@message", "") for row in answer.rows]

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """One row, the log group: records of any status in the window, and events that are no record of it as skipped."""
        present = [name for name in ("start", "end") if name in self.columns]
        times = {name: f'"{name}"' if name in present else "CAST(NULL AS BIGINT)" for name in ("start", "end")}
        sql = f"SELECT COUNT(*) AS records, MIN({times['start']}) AS a, MAX({times['end']}) AS b FROM flows"
        frame, _ = self.run(_COUNTED, sql, [], window)
        rows = int(frame["records"].sum()) if len(frame) else 0
        seen_all = self._files.coverage(None).iloc[0] if self._files else pd.Series({"skipped": 0, "note": ""})
        skipped = int(seen_all["skipped"])
        note = str(seen_all["note"])
        if self._foreign:
            told = "no flow log of this account writes to it: AWS's default format is taken"
            note = f"{note}; {told}" if note else told
        if len(self.formats) > 1:
            told = f"records of {len(self.formats)} formats, each by itself"
            note = f"{note}; {told}" if note else told
        state = "skipped" if skipped else "ok" if rows else "empty"
        seen = (frame["a"].iloc[0], frame["b"].iloc[0]) if rows else (None, None)
        values = (self._session.account_id, self._session.region, self._group, state, rows, skipped, note, *seen)
        return pd.DataFrame([dict(zip(COVERAGE_COLUMNS, values, strict=True))])
