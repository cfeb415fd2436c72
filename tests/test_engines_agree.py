"""Three engines, one world: same names, same columns, same numbers. And what Athena and Insights cost and refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.client
import pandas as pd
import pytest

import netkit
from netkit import flowlogs
from netkit.core import costs
from netkit.core.errors import BudgetError, FieldError, NetkitError, QueryError, SourceError, WindowError
from netkit.core.model import Window
from netkit.core.session import Session
from netkit.flowlogs import FlowLogs, read
from netkit.flowlogs.catalog import Query, catalogue
from netkit.flowlogs.engines import literal
from netkit.flowlogs.fields import COLUMNS

BUCKET, TABLE, GROUP = (
    "s3://netkit-sandbox-flow-logs/bad-day",
    "netkit_sandbox.flow_logs_bad_day",
    "logs:/netkit/sandbox/bad-day",
)
WINDOW = Window.parse("2026-11-19T09:10:00Z", "2026-11-19T10:10:00Z")
GIVEN = {
    "source": "10.0.10.21",
    "destination": "10.0.20.5",
    "host": "10.0.20.5",
    "cidr": "10.0.20.0/24",
    "baseline_start": WINDOW.epoch()[0] - 3600,
    "server_port": 5432,
    "quiet_s": 1,
}


@pytest.fixture(scope="module")
def session() -> Session:
    return netkit.connect(target="sandbox")


@pytest.fixture(scope="module")
def engines(session: Session) -> dict[str, FlowLogs]:
    return {source: flowlogs.open(source, session, WINDOW) for source in (BUCKET, TABLE, GROUP)}


def needed(query: Query) -> dict[str, Any]:
    """What the query cannot do without, and thresholds so low that there is something to compare."""
    return {
        param.name: GIVEN.get(param.name, 1)
        for param in query.params
        if param.default is None or param.name in GIVEN or param.name.startswith("min_")
    }


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    frame.attrs = {}
    return frame


# Transit Gateway logs have queries of their own; the sandbox's world has VPC flow logs.
VPC_QUERIES = {name: query for name, query in catalogue().items() if not name.startswith("tgw_")}


@pytest.mark.parametrize("name", VPC_QUERIES)
def test_every_query_gives_the_same_rows_from_each_engine(engines: dict[str, FlowLogs], name: str) -> None:
    frames = [plain(logs.query(name, **needed(catalogue()[name]))) for logs in engines.values()]
    assert list(frames[0].columns) == list(catalogue()[name].columns)
    for other in frames[1:]:
        pd.testing.assert_frame_equal(frames[0], other)


def test_the_comparison_compares_something(engines: dict[str, FlowLogs]) -> None:
    empty = [name for name, query in VPC_QUERIES.items() if engines[BUCKET].query(name, **needed(query)).empty]
    assert len(empty) < len(VPC_QUERIES) / 5, empty


def test_names_and_fields_are_the_same(engines: dict[str, FlowLogs]) -> None:
    assert len({tuple(logs.names()) for logs in engines.values()}) == 1
    assert len({frozenset(logs.fields) for logs in engines.values()}) == 1
    assert set(engines[TABLE].names()) == set(VPC_QUERIES)


def test_coverage_counts_the_records_that_records_by_status_counts(engines: dict[str, FlowLogs]) -> None:
    for source in (TABLE, GROUP):
        (row,) = engines[source].coverage_rows()
        assert row.state == "ok"
        assert row.rows == engines[source].query("records_by_status")["records"].sum()
    objects = engines[BUCKET].coverage()
    assert set(objects["state"]) == {"ok"}
    assert set(objects["account"]) == {"123456789012"}
    # whole objects are covered, and they hold more than the window
    assert objects["rows"].sum() > engines[BUCKET].query("records_by_status")["records"].sum()


def test_athena_reads_only_the_columns_of_the_hours_needed(engines: dict[str, FlowLogs], session: Session) -> None:
    logs = engines[TABLE]
    logs.query("top_talkers")
    assert logs.last is not None
    engine: Any = logs.engine
    query = catalogue()["top_talkers"]
    estimate = engine.estimate_bytes(query.reads(engine.columns), WINDOW)
    stored = sum(one["Size"] for one in read.objects(session, "netkit-sandbox-flow-logs", ["bad-day/"], None))
    assert logs.last.scanned_bytes < stored / 10
    assert 0.5 < logs.last.scanned_bytes / estimate < 2
    assert "?" in logs.last.sql
    assert "2026" not in logs.last.sql  # times are bound


def test_the_ledger_has_a_line_after_each_athena_query(session: Session, tmp_path: Path) -> None:
    logs = flowlogs.open(TABLE, session, WINDOW, ledger=tmp_path / "costs.jsonl")
    logs.query("timeline")
    logs.query("top_talkers")
    lines = costs.CostLedger(tmp_path / "costs.jsonl").frame()
    assert lines["what"].tolist() == ["athena timeline", "athena top_talkers"]
    assert logs.last is not None
    assert lines["scanned_bytes"].tolist()[-1] == logs.last.scanned_bytes
    assert (lines["cost_usd"] == costs.athena_cost(10_000_000)).all()  # AWS's least


def test_a_log_group_is_scanned_once_for_a_window(session: Session, tmp_path: Path) -> None:
    short = Window.parse("2026-11-19T09:10:00Z", "2026-11-19T09:20:00Z")
    logs = flowlogs.open(GROUP, session, short, ledger=tmp_path / "costs.jsonl")
    logs.query("timeline")
    logs.query("top_talkers")
    scanned = costs.CostLedger(tmp_path / "costs.jsonl").frame()["scanned_bytes"].tolist()
    assert scanned[0] > 0
    assert scanned[1] == 0


# -------------------------------------------------------------------------------------------- refused before any call


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Operations that start, store or change something."""
    made: list[str] = []
    real: Callable[..., Any] = botocore.client.BaseClient._make_api_call

    def spied(self: Any, operation: str, request: dict[str, Any]) -> Any:
        if operation.startswith(("Start", "Create", "Put")):
            made.append(operation)
        return real(self, operation, request)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", spied)
    return made


@pytest.mark.parametrize("source", [TABLE, GROUP])
def test_above_the_budget_nothing_is_started(session: Session, started: list[str], source: str) -> None:
    logs = flowlogs.open(source, session, WINDOW, budget_usd=0.0)
    with pytest.raises(BudgetError, match="budget"):
        logs.query("top_talkers")
    assert started == []


@pytest.mark.parametrize("source", [TABLE, GROUP])
def test_an_unbounded_query_is_refused(session: Session, started: list[str], source: str) -> None:
    with pytest.raises(WindowError, match="window"):
        flowlogs.open(source, session)
    assert started == []


BAD = [
    ("top_talkerz", {}),
    ("top_talkers", {"limt": 5}),
    ("top_talkers", {"limit": "5; DROP TABLE flows"}),
    ("host_flows", {"host": "10.0.0.1'; DROP TABLE flows; --"}),
    ("host_flows", {"host": "x" * 100_000}),
    ("cidr_flows", {"cidr": "10.0.0.1/16"}),
    ("timeline", {"bucket_s": 0}),
    ("new_talkers", {"baseline_start": WINDOW.epoch()[1]}),
    ("new_talkers", {"baseline_start": 2**52}),
]


@pytest.mark.parametrize(("name", "parameters"), BAD)
@pytest.mark.parametrize("source", [BUCKET, TABLE, GROUP])
def test_bad_input_is_one_clear_error_before_any_call(
    engines: dict[str, FlowLogs], started: list[str], source: str, name: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(QueryError) as caught:
        engines[source].query(name, **parameters)
    assert len(str(caught.value).splitlines()) <= 3
    assert len(str(caught.value)) < 500
    assert started == []


@pytest.mark.parametrize(
    "source",
    [
        "netkit_sandbox.no_such_table",
        "no_such_database.flow_logs",
        "s3://netkit-sandbox-flow-logs/nothing",
        "logs:/no/such/group",
    ],
)
def test_a_source_that_is_none_is_named(session: Session, source: str) -> None:
    with pytest.raises(SourceError):
        flowlogs.open(source, session, WINDOW)


@pytest.mark.parametrize(
    "source",
    [
        "s3://UPPER_case/x",
        's3://a"b/x',
        "s3://ab/x",
        'netkit_sandbox.x";drop table y',
        "netkit_sandbox.flow_logs; DROP",
    ],
)
def test_names_out_of_the_allow_list_reach_no_call(
    session: Session, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def called(self: Any, operation: str, request: dict[str, Any]) -> Any:
        raise AssertionError(operation)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", called)
    with pytest.raises(NetkitError):
        flowlogs.open(source, session, WINDOW)


@pytest.mark.parametrize("source", [BUCKET, TABLE, GROUP])
def test_sources_in_aws_need_a_session(source: str) -> None:
    with pytest.raises(SourceError):
        flowlogs.open(source, None, WINDOW)


def test_a_string_parameter_cannot_leave_its_quotes() -> None:
    assert literal("a'; DROP TABLE flows; --") == "'a''; DROP TABLE flows; --'"
    assert literal(5) == "5"


def test_a_table_without_a_field_is_refused_with_the_format_to_add(engines: dict[str, FlowLogs]) -> None:
    engine: Any = engines[TABLE].engine
    whole = engine.columns
    try:
        engine.columns = tuple(name for name in whole if name != "tcp_flags")
        with pytest.raises(FieldError, match="tcp-flags") as caught:
            engines[TABLE].query("tcp_outcomes")
        assert "${tcp-flags}" in caught.value.hint
        assert "tcp_outcomes" not in engines[TABLE].names()
        assert "timeline" in engines[TABLE].names()
    finally:
        engine.columns = whole


def test_columns_are_fields(engines: dict[str, FlowLogs]) -> None:
    for logs in engines.values():
        assert {COLUMNS[name.replace("-", "_")].name for name in logs.fields} == set(logs.fields)
        assert json.dumps(logs.fields)
