"""SQL of somebody's own over `flows`: it reads, only flows, only the window, values bound; and whole records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netkit import flowlogs
from netkit.core.errors import FieldError, QueryError, QueryFailed
from netkit.flowlogs import FlowLogs
from netkit.flowlogs.fields import DEFAULT_V2

LINE = "2 123456789012 eni-1 10.0.0.1 10.0.0.2 50000 {port} 6 1 {bytes} 1700000000 1700000060 ACCEPT OK"


@pytest.fixture
def logs(tmp_path: Path) -> FlowLogs:
    body = [" ".join(DEFAULT_V2), *(LINE.format(port=port, bytes=port) for port in (443, 5432, 22))]
    (tmp_path / "x.log").write_text("\n".join(body) + "\n")
    return flowlogs.open(tmp_path / "x.log")


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("SELECT SUM(bytes) AS n FROM flows", {}, 5897),
        ("SELECT COUNT(*) AS n FROM flows", {}, 3),
        ("select bytes AS n from FLOWS where dstport = :port;", {"port": 22}, 22),
        ("SELECT SUM(bytes) AS n FROM flows WHERE dstport IN (:ports)", {"ports": [22, 443]}, 465),
        ("WITH a AS (SELECT * FROM flows) SELECT COUNT(*) AS n FROM a", {}, 3),
        (
            "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 3) SELECT COUNT(*) AS n FROM a, flows",
            {},
            9,
        ),
        ("SELECT COUNT(*) AS n FROM flows WHERE srcaddr <> ':port' -- :nothing ?", {}, 3),
        ("SELECT COUNT(*) AS n FROM flows WHERE srcaddr = :it", {"it": "x' OR '1'='1"}, 0),
        ('SELECT MAX("end") - MIN("start") AS n FROM flows', {}, 60),
    ],
)
def test_a_select_is_answered(logs: FlowLogs, text: str, values: dict[str, Any], expected: int) -> None:
    assert logs.sql(text, **values)["n"].tolist() == [expected]


REFUSED = [
    "",
    "SELECT 1",
    "DROP TABLE flows",
    "DELETE FROM flows",
    "INSERT INTO flows SELECT * FROM flows",
    "CREATE TABLE a AS SELECT * FROM flows",
    "SELECT * FROM flows; SELECT * FROM flows",
    "SELECT * FROM flows; COPY (SELECT 1) TO 'owned.txt'",
    "COPY (SELECT * FROM flows) TO 'owned.txt'",
    "ATTACH 'owned.db'",
    "SET enable_external_access=true",
    "PRAGMA database_list",
    "SELECT * FROM flows, read_text('{secret}')",
    "SELECT * FROM flows, read_csv('{secret}')",
    "SELECT * FROM flows, '{secret}'",
    "SELECT (SELECT content FROM read_text('{secret}')) FROM flows",
    "SELECT * FROM flows UNION ALL SELECT * FROM information_schema.tables",
    "SELECT * FROM other.flows",
    "SELECT * FROM flows, duckdb_settings()",
    "SELECT * FROM flows, query('SELECT 1')",
    "WITH flows AS (SELECT 1 AS bytes) SELECT * FROM flows",
    "SELECT * FROM flows WHERE bytes = ?",
    "SELECT * FROM flows WHERE bytes = $1",
    "SELECT * FROM flows WHERE bytes = :missing",
    "SELECT ((((",
]


@pytest.mark.parametrize("text", REFUSED)
def test_anything_but_one_select_over_flows_is_refused(logs: FlowLogs, tmp_path: Path, text: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(QueryError) as caught:
        logs.sql(text.format(secret=tmp_path / "secret.txt"))
    assert len(str(caught.value).splitlines()) <= 3
    assert {path.name for path in tmp_path.iterdir()} == {"x.log", "secret.txt"}


@pytest.mark.parametrize("value", [None, True, float("nan"), b"x", {"a": 1}, [], "x" * 2000])
def test_a_value_that_is_none_is_refused(logs: FlowLogs, value: Any) -> None:
    with pytest.raises(QueryError):
        logs.sql("SELECT * FROM flows WHERE srcaddr = :it", it=value)


def test_what_lacks_is_said(logs: FlowLogs) -> None:
    with pytest.raises(FieldError, match="tcp-flags"):
        logs.sql("SELECT tcp_flags FROM flows")
    with pytest.raises(QueryFailed, match="nothing"):
        logs.sql("SELECT nothing FROM flows")
    with pytest.raises(QueryError, match="no :other"):
        logs.sql("SELECT * FROM flows", other=1)


def test_records_by_what_they_carry(logs: FlowLogs) -> None:
    assert logs.records(port=5432)["bytes"].tolist() == [5432]
    assert logs.records(host="10.0.0.2", limit=2).shape == (2, 14)
    assert logs.records(source="10.0.0.2").empty
    with pytest.raises(QueryError, match="no filter"):
        logs.records(prot=6)
    with pytest.raises(QueryError):
        logs.records(host="10.0.0.1' OR 1=1 --")
