"""Athena over a table, through awswrangler: priced before, recorded after."""

from __future__ import annotations

import io
import math
import re
import time
from collections.abc import Mapping, Sequence
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
from netkit.flowlogs.partitions import Layout, Reads, reads
from netkit.flowlogs.scans import scans
from netkit.flowlogs.textcheck import TextCheck, check_text, shown_name

LISTING_S = 60.0  # how long a listing of a window's objects serves for estimates
SMALL_OBJECT = 3 * 1024 * 1024  # Trino reads a Parquet object up to this size whole (parquet.small-file-threshold)
SAMPLED, SAMPLE_BYTES = 3, 1 << 20  # objects of a text table that are looked into, and how far
MOST_LOOKED = 500  # objects whose first bytes are read to tell why a query failed
_DELIVERED = re.compile(r"(?:^|/)([0-9]{12})_vpcflowlogs_([a-z0-9-]+)_fl-[0-9a-f]+_[^/]*$")


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
        self._layout: tuple[float, Layout] | None = None
        self.columns = tuple(name for name in shape.columns if name in COLUMNS)

    @property
    def formats(self) -> tuple[tuple[str, ...], ...]:
        """The one format that a table has."""
        return (self.columns,)

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """Raises BudgetError before anything is started, QueryFailed with Athena's reason."""
        import awswrangler as wr

        span = bounded(window, self._shape.table)
        text, bound = self.statement(query, sql, values, span)
        estimate = self.estimate_bytes(query.reads(self.columns), span, scans=scans(sql, "flows"))
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
                f"Athena failed the query: {duck.first_line(problem)}",
                subject=self._shape.table,
                hint=self._no_gzip(span),
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

    def statement(self, query: Query, sql: str, values: list[Value], window: Window) -> tuple[str, list[Value]]:
        """The text of a bound query over the window's partitions, and the values for its marks."""
        flows, window_values = self._flows(query.reads(self.columns), window)
        return query.over(flows, sql, self.columns), [*window_values, *values]

    def _flows(self, columns: Sequence[str], window: Window) -> tuple[str, list[Value]]:
        partitions = self.reads(window)
        chosen = ", ".join(f'"{name}"' for name in columns)
        times, bound = overlapping(window, self.columns)
        where = (f"\nWHERE {partitions.where} AND " if partitions.where else "\nWHERE ") + times.removeprefix(
            "\nWHERE "
        )
        text = f'SELECT {chosen}\nFROM "{self._shape.database}"."{self._shape.table}"{where}'
        return text, [*partitions.values, *bound]

    def reads(self, window: Window) -> Reads:
        """The partitions that the window, the account and the region fix. Raises as partitions.reads() does."""
        if self._layout is None or time.monotonic() - self._layout[0] > LISTING_S:
            self._layout = time.monotonic(), read.table_layout(self._session, self._shape)
        return reads(self._layout[1], window, account=self._account, region=self._session.region)

    def estimate_bytes(self, columns: Sequence[str], window: Window, *, scans: int = 1) -> int:
        """Bytes that a query over these columns and this window will scan, about: the objects of the window, and of Parquet
        objects over 3 MB the columns' share, once for each of its scans. An upper bound for text."""
        found = self._objects(window)
        if self._shape.file_format != "parquet":
            return scans * sum(int(one["Size"]) for one in found)
        whole = sum(int(one["Size"]) for one in found if int(one["Size"]) <= SMALL_OBJECT)
        large = [one for one in found if int(one["Size"]) > SMALL_OBJECT]
        if not large:
            return scans * whole
        largest = max(large, key=lambda one: int(one["Size"]))
        share = self._share(largest["Bucket"], largest["Key"], {*columns, "start", "end"})
        return scans * (whole + math.ceil(share * sum(int(one["Size"]) for one in large)))

    def _objects(self, window: Window) -> list[dict[str, Any]]:
        """The objects of a window, listed once a minute: a notebook asks forty questions about one window, and this is an estimate."""
        listed, found = self._listed.get(window, (0.0, []))
        if not listed or time.monotonic() - listed > LISTING_S:
            kept: dict[tuple[str, str], dict[str, Any]] = {}
            for location in self.reads(window).locations:
                bucket, _, prefix = location.partition("://")[2].partition("/")
                for one in self._session.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix):
                    if one["Size"] and not one["Key"].rsplit("/", 1)[-1].startswith((".", "_")):
                        kept[bucket, one["Key"]] = {**one, "Bucket": bucket}
            found = list(kept.values())
            self._listed[window] = (time.monotonic(), found)
        return found

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
        """One row, the table: rows of any status in the window, the accounts and regions that were read.

        Athena reads a field that is no number as NULL and a line by its blanks alone, so that what is lost of a text table
        cannot be counted: some of its objects are looked into, and skipped counts the lines there that are no records.
        """
        span = bounded(window, self._shape.table)
        query = find_query("interface_coverage")
        sql, values = query.bind({})
        frame, _ = self.run(query, sql, values, span)
        partitions, found = self.reads(span), self._objects(span)
        checked = self._sampled(found) if self._shape.file_format != "parquet" else TextCheck()
        accounts, regions = _named(partitions, found)
        notes = [*partitions.notes, *checked.notes, *([] if found else [f"no object in {partitions.locations[0]}"])]
        name = f"{self._shape.database}.{self._shape.table}"
        row = one_row(_listed(accounts), _listed(regions), name, frame, "; ".join(notes))
        if checked.bad:
            row["skipped"], row["state"] = checked.bad, "skipped"
        return row

    def _sampled(self, found: Sequence[Mapping[str, Any]]) -> TextCheck:
        """What some objects of a text table hold that Athena cannot show: the first, one in the middle, the last."""
        chosen = {place: found[place] for place in (0, len(found) // 2, len(found) - 1)[:SAMPLED] if found}
        check = TextCheck((f"{len(chosen)} of {len(found)} objects looked into: Athena hides malformed lines of text",))
        skip = int(self._shape.parameters.get("skip.header.line.count", "0") or 0)
        for one in chosen.values():
            body = self._body(one, SAMPLE_BYTES)
            check = check + check_text(
                body, one["Key"], self._shape.columns, skip, whole=int(one["Size"]) <= SAMPLE_BYTES
            )
        return check

    def _body(self, one: Mapping[str, Any], most: int) -> bytes:
        body: bytes = self._session.call("s3", "get_object", Bucket=one["Bucket"], Key=one["Key"])["Body"].read(most)
        return body

    def _no_gzip(self, window: Window) -> str:
        """Which object's name says gzip while its content is none, which fails every query over it; "" where none does."""
        if self._shape.file_format == "parquet":
            return ""
        named = [one for one in self._objects(window) if one["Key"].endswith(".gz")][:MOST_LOOKED]
        wrong = [one["Key"] for one in named if self._body(one, 2) != b"\x1f\x8b"]
        return f"its name ends in .gz and it is no gzip: {shown_name(wrong[0])}" if wrong else ""


def _named(partitions: Reads, found: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Accounts and regions that were read: as the partitions say, else as the names of the objects do."""
    said = [match for one in found if (match := _DELIVERED.search(one["Key"]))]
    accounts = partitions.accounts or sorted({match[1] for match in said})
    regions = partitions.regions or sorted({match[2] for match in said})
    return list(accounts), list(regions)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def literal(value: Value) -> str:
    """A value as an Athena execution parameter: a string in single quotes, doubled inside; a number bare."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
