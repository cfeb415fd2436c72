"""Athena over a table, through awswrangler: priced before, recorded after."""

from __future__ import annotations

import io
import math
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from netkit.core import costs
from netkit.core.errors import QueryFailed
from netkit.core.model import Window
from netkit.core.session import Session
from netkit.flowlogs import duck, read
from netkit.flowlogs.catalog import Query, Value, find_query
from netkit.flowlogs.engine import Ran, bounded, one_row, overlapping
from netkit.flowlogs.fields import COLUMNS
from netkit.flowlogs.table import PARTITIONS_AFTER, PARTITIONS_BEFORE, partition_predicates

LISTING_S = 60.0  # how long a listing of a window's objects serves for estimates


class AthenaEngine:
    """Athena over a table, through awswrangler, with an estimate before and a ledger line after each query."""

    name = "athena"

    def __init__(
        self,
        session: Session,
        shape: read.TableShape,
        workgroup: str,
        results: str,
        account: str,
        budget_usd: float,
        ledger: Path | None,
    ) -> None:
        self._session, self._shape, self._workgroup, self._results = session, shape, workgroup, results
        self._account = account or session.account_id
        self._budget_usd = budget_usd
        self._ledger = costs.CostLedger(ledger) if ledger else None
        self._listed: dict[Window, tuple[float, list[dict[str, Any]]]] = {}
        self._footers: dict[str, dict[str, int]] = {}
        self.columns = tuple(name for name in shape.columns if name in COLUMNS)

    @property
    def formats(self) -> tuple[tuple[str, ...], ...]:
        """The one format that a table has."""
        return (self.columns,)

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """Raises BudgetError before anything is started, QueryFailed with Athena's reason."""
        import awswrangler as wr

        flows, window_values = self._flows(query.reads(self.columns), bounded(window, self._shape.table))
        text, bound = query.over(flows, sql, self.columns), [*window_values, *values]
        estimate = self.estimate_bytes(query.reads(self.columns), bounded(window, self._shape.table))
        estimated_usd = costs.athena_cost(estimate)
        costs.check_budget(estimated_usd, self._budget_usd, f"the query {query.name}")
        begun = time.monotonic()
        try:
            frame = wr.athena.read_sql_query(
                text, database=self._shape.database, ctas_approach=False, unload_approach=False, workgroup=self._workgroup,
                s3_output=self._results or None, paramstyle="qmark", params=[literal(value) for value in bound],
                boto3_session=self._session.boto3, athena_query_wait_polling_delay=0.25,
            )  # fmt: skip
        except wr.exceptions.QueryFailed as problem:
            raise QueryFailed(
                f"Athena failed the query: {duck.first_line(problem)}", subject=self._shape.table
            ) from None
        except wr.exceptions.QueryCancelled as problem:
            raise QueryFailed(
                f"Athena cancelled the query: {duck.first_line(problem)}", hint="the workgroup has a scan limit"
            ) from None
        scanned = int(frame.query_metadata["Statistics"]["DataScannedInBytes"])
        ran = Ran(text, tuple(bound), time.monotonic() - begun, scanned, estimated_usd, costs.athena_cost(scanned))
        if self._ledger:
            self._ledger.record(
                f"athena {query.name}", estimated_usd=estimated_usd, cost_usd=ran.cost_usd, scanned_bytes=scanned
            )
        return frame, ran

    def _flows(self, columns: Sequence[str], window: Window) -> tuple[str, list[Value]]:
        predicates, values = self._partitions(window)
        chosen = ", ".join(f'"{name}"' for name in columns)
        times, bound = overlapping(window, self.columns)
        where = (f"\nWHERE {predicates} AND " if predicates else "\nWHERE ") + times.removeprefix("\nWHERE ")
        text = f'SELECT {chosen}\nFROM "{self._shape.database}"."{self._shape.table}"{where}'
        return text, [*values, *bound]

    def _partitions(self, window: Window) -> tuple[str, list[Value]]:
        """Predicates for account, region and time, by the names that netkit and AWS's own tables give their partitions."""
        keys = self._shape.partition_keys
        clauses: list[str] = []
        values: list[Value] = []
        for names, value in (
            (("acct", "aws-account-id", "account"), self._account),
            (("rgn", "aws-region"), self._session.region),
        ):
            for key in names:
                if key in keys:
                    clauses.append(f'"{key}" = ?')
                    values.append(value)
        date_key = next((key for key in ("dt", "date", "day") if key in keys), "dt")
        date_format = self._shape.parameters.get(f"projection.{date_key}.format", "yyyy/MM/dd")
        times, time_values = partition_predicates(keys, window, date_format=date_format)
        return " AND ".join([*clauses, *([times] if times else [])]), [*values, *time_values]

    def estimate_bytes(self, columns: Sequence[str], window: Window) -> int:
        """Bytes that a query over these columns and this window will scan, about: the objects of the window, and for
        Parquet the columns' share of one of them. An upper bound for text."""
        bucket, prefixes = self._prefixes(window)
        found = self._objects(bucket, prefixes, window)
        total = sum(int(one["Size"]) for one in found)
        if not found or self._shape.file_format != "parquet":
            return total
        largest = max(found, key=lambda one: int(one["Size"]))
        return math.ceil(total * self._share(bucket, largest["Key"], {*columns, "start", "end"}))

    def _objects(self, bucket: str, prefixes: Sequence[str], window: Window) -> list[dict[str, Any]]:
        """The objects of a window, listed once a minute: a notebook asks forty questions about one window, and this is an estimate."""
        listed, found = self._listed.get(window, (0.0, []))
        if not listed or time.monotonic() - listed > LISTING_S:
            found = [
                one
                for prefix in prefixes
                for one in self._session.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix)
            ]
            self._listed[window] = (time.monotonic(), found)
        return found

    def _prefixes(self, window: Window) -> tuple[str, list[str]]:
        template = self._shape.parameters.get("storage.location.template", self._shape.location)
        bucket, _, path = template.removeprefix("s3://").partition("/")
        _, values = partition_predicates(self._shape.partition_keys, window)
        if not values:
            return bucket, [re.split(r"\$\{", path)[0]]
        known = path.replace("${acct}", self._account).replace("${rgn}", self._session.region)
        span = window.widened(before=PARTITIONS_BEFORE, after=PARTITIONS_AFTER)
        parts = {"dt": "%Y/%m/%d", "year": "%Y", "month": "%m", "day": "%d", "hour": "%H"}
        return bucket, sorted({_fill(known, hour, parts) for hour in span.hours()})

    def _share(self, bucket: str, key: str, columns: set[str]) -> float:
        """The share of some columns in the bytes of a Parquet object, from its footer."""
        sizes = self._sizes(bucket, key)
        wanted = sum(size for name, size in sizes.items() if name.replace("-", "_") in columns)
        return wanted / max(sizes[""], 1)

    def _sizes(self, bucket: str, key: str) -> dict[str, int]:
        """Bytes of each column of a Parquet object, and of the whole under ""; read once."""
        if key not in self._footers:
            body = self._session.call("s3", "get_object", Bucket=bucket, Key=key)["Body"].read()
            meta = pq.ParquetFile(io.BytesIO(body)).metadata
            sizes = {"": len(body)}
            for group in range(meta.num_row_groups):
                for column in range(meta.num_columns):
                    chunk = meta.row_group(group).column(column)
                    sizes[chunk.path_in_schema] = sizes.get(chunk.path_in_schema, 0) + chunk.total_compressed_size
            self._footers[key] = sizes
        return self._footers[key]

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """One row, the table: rows of any status in the window. Athena reads a field that is no number as NULL, so that
        malformed lines of text tables cannot be counted here."""
        query = find_query("interface_coverage")
        sql, values = query.bind({})
        frame, _ = self.run(query, sql, values, window)
        note = "" if self._shape.file_format == "parquet" else "Athena hides malformed lines of text"
        return one_row(self._account, self._session.region, f"{self._shape.database}.{self._shape.table}", frame, note)


def _fill(path: str, when: datetime, parts: Mapping[str, str]) -> str:
    for key, fmt in parts.items():
        path = path.replace(f"${{{key}}}", when.strftime(fmt))
    return path


def literal(value: Value) -> str:
    """A value as an Athena execution parameter: a string in single quotes, doubled inside; a number bare."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
