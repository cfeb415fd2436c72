"""The query catalogue: headers that hold, SQL that both engines read, values that stay values."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from netkit import flowlogs
from netkit.core.errors import FieldError, NetkitError, QueryError
from netkit.core.model import Window
from netkit.flowlogs.catalog import Param, Query, catalogue, find_query, parse_query
from netkit.flowlogs.fields import COLUMNS, DEFAULT_V2, FIELDS, INVESTIGATION, TGW_DEFAULT

QUERIES = catalogue()
NAMES = list(QUERIES)
GIVEN = {
    "source": "10.0.0.1",
    "interface": "eni-0123456789abcdef0",
    "destination": "10.0.0.2",
    "host": "10.0.0.1",
    "cidr": "10.0.0.0/24",
    "baseline_start": 1699990000,
}
WINDOW = Window.parse("2023-11-14T22:00:00Z", "2023-11-15T00:00:00Z")

# "VPC Flow Logs: Query flow logs using Amazon Athena", Amazon VPC User Guide: the sixteen predefined queries.
PREDEFINED = [
    "AcceptedTraffic",
    "AdminPortTraffic",
    "IPv4Traffic",
    "IPv6Traffic",
    "RejectedTCPTraffic",
    "RejectedTraffic",
    "SshRdpTraffic",
    "TopTalkers",
    "TopTalkersPacketLevel",
    "TopTalkingInstances",
    "TopTalkingSubnets",
    "TopTCPTraffic",
    "TotalBytesTransferred",
    "TotalBytesTransferredPacketLevel",
    "TrafficFrmSrcAddr",
    "TrafficToDstAddr",
]
# Queries that a log in AWS's default format must be able to answer.
MAIN_STORY = [
    "timeline",
    "conversations",
    "reject_clusters",
    "rejects_by_port",
    "rejects_by_target",
    "reject_heatmap",
    "port_scan",
    "host_sweep",
    "new_talkers",
    "interface_coverage",
    "time_gaps",
    "skipped",
    "records_by_status",
    "top_talkers",
    "rejected_connections",
    "interface_performance",
    "host_flows",
    "pair_flows",
    "address_rewrites",
    "interface_addresses",
    "dead_return_paths",
    "login_guessing",
    "egress_spikes",
    "scan_probes",
    "cidr_flows",
]
# https://trino.io/docs/current/language/reserved.html
RESERVED = [
    "alter",
    "and",
    "as",
    "between",
    "by",
    "case",
    "cast",
    "constraint",
    "create",
    "cross",
    "cube",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "deallocate",
    "delete",
    "describe",
    "distinct",
    "drop",
    "else",
    "end",
    "escape",
    "except",
    "execute",
    "exists",
    "extract",
    "false",
    "for",
    "from",
    "full",
    "group",
    "grouping",
    "having",
    "in",
    "inner",
    "insert",
    "intersect",
    "into",
    "is",
    "join",
    "json_array",
    "json_exists",
    "json_object",
    "json_query",
    "json_table",
    "json_value",
    "left",
    "like",
    "listagg",
    "localtime",
    "localtimestamp",
    "natural",
    "normalize",
    "not",
    "null",
    "on",
    "or",
    "order",
    "outer",
    "prepare",
    "recursive",
    "right",
    "rollup",
    "select",
    "skip",
    "table",
    "then",
    "trim",
    "true",
    "uescape",
    "union",
    "unnest",
    "using",
    "values",
    "when",
    "where",
    "with",
]


def needed(query: Query) -> dict[str, Any]:
    return {param.name: GIVEN[param.name] for param in query.params if param.default is None}


def bound(query: Query) -> str:
    """The text as an engine gets it."""
    given = {**needed(query), **({"window_start": 0} if ":window_start" in query.sql else {})}
    extra = (*query.params, Param("window_start", "epoch", None, "")) if ":window_start" in query.sql else query.params
    whole = Query(
        query.name,
        query.question,
        extra,
        query.fields,
        query.optional,
        query.columns,
        query.aws,
        query.notes,
        query.sql,
    )
    text, values = whole.bind(given)
    assert text.count("?") == len(values)
    return query.over('SELECT "version" FROM logs WHERE "start" >= ? AND "start" < ?', text, list(COLUMNS))


def format_of(query: Query) -> tuple[str, ...]:
    """A format that allows the query: the investigation's, or the Transit Gateway default."""
    return INVESTIGATION if not query.missing([FIELDS[name].column for name in INVESTIGATION]) else TGW_DEFAULT


def log_file(folder: Path, names: tuple[str, ...] = INVESTIGATION, rows: list[dict[str, Any]] | None = None) -> Path:
    path = folder / "flow.log"
    lines = [" ".join(str(row.get(name, "-")) for name in names) for row in rows or []]
    path.write_text("\n".join([" ".join(names), *lines]) + "\n")
    return path


# ------------------------------------------------------------------------------------------------------------ headers


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_all_that_is_needed(name: str) -> None:
    query = QUERIES[name]
    assert query.question.endswith("?")
    assert query.columns
    assert {*query.fields, *query.optional} <= set(COLUMNS)
    assert {kind for kind, _ in query.columns.values()} <= {"int", "float", "str"}
    assert all(meaning for _, meaning in query.columns.values())
    assert {param.kind for param in query.params} <= {
        "int",
        "seconds",
        "float",
        "address",
        "cidr",
        "port",
        "protocol",
        "epoch",
        "word",
    }
    assert all(param.help for param in query.params)
    for param in query.params:
        if param.default is not None:
            param.read(param.default)


@pytest.mark.parametrize("name", NAMES)
def test_the_fields_are_exactly_those_that_the_text_reads(name: str) -> None:
    """One too many costs scanned bytes, one too few fails at run time."""
    query = QUERIES[name]
    words = set(re.findall(r"\w+", query.sql))
    assert {*query.fields, *query.optional} <= words
    unquoted = re.sub(r"'[^']*'", "", query.sql)
    assert not re.search(r'(?<!")\b(start|end)\b(?!")', unquoted.replace("END", "")), "start and end are quoted"


@pytest.mark.parametrize("name", NAMES)
def test_the_text_is_trinos_and_duckdbs(name: str) -> None:
    text = bound(QUERIES[name])
    trees = {dialect: sqlglot.parse_one(text, read=dialect) for dialect in ("athena", "trino", "duckdb")}
    for tree in trees.values():
        assert isinstance(tree, exp.Select)
    # what Trino would write of it is what DuckDB would: no function or operator means another thing there
    assert sqlglot.transpile(text, read="trino", write="trino") == sqlglot.transpile(text, read="duckdb", write="trino")
    calls = {node.name.lower() for node in trees["trino"].find_all(exp.Anonymous)}
    assert not calls, f"functions that sqlglot knows of neither: {calls}"


@pytest.mark.parametrize("name", NAMES)
def test_no_alias_is_a_reserved_word_of_trino(name: str) -> None:
    tree = sqlglot.parse_one(bound(QUERIES[name]), read="trino")
    for node in tree.find_all(exp.Identifier):
        assert node.args.get("quoted") or node.name.lower() not in RESERVED, node


@pytest.mark.parametrize("name", NAMES)
def test_rows_come_in_one_order_and_are_bounded(name: str) -> None:
    tree = sqlglot.parse_one(bound(QUERIES[name]), read="trino")
    assert tree.args.get("order"), "ORDER BY"
    for node in tree.find_all(exp.Limit):
        assert isinstance(node.expression, exp.Placeholder)


def test_all_sixteen_of_aws_are_here_under_its_names_too() -> None:
    by_aws = {alias: query.name for query in QUERIES.values() for alias in query.aws.split()}
    assert set(by_aws) == {f"VpcFlowLogs{name}" for name in PREDEFINED}
    assert len(set(by_aws.values())) == 16
    for alias, name in by_aws.items():
        assert find_query(alias) is QUERIES[name]


def test_the_main_story_needs_only_the_default_format() -> None:
    default = [FIELDS[name].column for name in DEFAULT_V2]
    assert {name: QUERIES[name].missing(default) for name in MAIN_STORY if QUERIES[name].missing(default)} == {}


# ------------------------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_columns_are_the_headers(name: str, tmp_path: Path) -> None:
    """Also of an empty answer, and straight from the engine, before dtypes are set."""
    query = QUERIES[name]
    logs = flowlogs.open(log_file(tmp_path, format_of(query)), window=WINDOW)
    frame = logs.query(name, **needed(query))
    assert list(frame.columns) == list(query.columns)
    assert frame.empty
    kinds = {"int": "Int64", "float": "Float64", "str": "object"}
    assert [str(kind) for kind in frame.dtypes] == [kinds[kind] for kind, _ in query.columns.values()]
    assert logs.last is not None
    engine: Any = logs.engine
    raw = engine._db.execute(logs.last.sql, list(logs.last.values)).df()
    assert set(raw.columns) == set(query.columns)


def random_rows(count: int) -> list[dict[str, Any]]:
    """Records with many ties, so that an order without tie-breakers would show."""
    made = random.Random(20261123)
    rows = []
    for _ in range(count):
        status = made.choice(["OK"] * 12 + ["NODATA", "SKIPDATA"])
        start = 1700000000 + made.randrange(0, 4000, 600)
        row: dict[str, Any] = {
            "version": 5,
            "account-id": "123456789012",
            "interface-id": made.choice(["eni-a", "eni-b", "eni-c"]),
            "start": start,
        }
        row |= {"end": start + 60, "log-status": status}
        if status == "OK":
            ends = made.sample(["10.0.0.1", "10.0.0.2", "10.0.0.3", "203.0.113.9", "2001:db8::1"], 2)
            row |= {"srcaddr": ends[0], "dstaddr": ends[1], "pkt-srcaddr": ends[0], "pkt-dstaddr": ends[1]}
            row |= {
                "srcport": made.choice([22, 443, 40000, 40001]),
                "dstport": made.choice([22, 443, 5432, 40000]),
                "protocol": made.choice([6, 17]),
            }
            row |= {
                "packets": made.choice([1, 2]),
                "bytes": made.choice([60, 120]),
                "action": made.choice(["ACCEPT", "REJECT"]),
            }
            row |= {
                "type": "IPv4",
                "tcp-flags": made.choice([0, 2, 18, 4]),
                "flow-direction": made.choice(["ingress", "egress"]),
                "traffic-path": made.choice(["-", 8]),
            }
            row |= {
                "instance-id": made.choice(["i-1", "-"]),
                "subnet-id": "subnet-1",
                "pkt-dst-aws-service": made.choice(["-", "S3"]),
                "interface-type": "-",
            }
            row |= {
                "tgw-attachment-id": made.choice(["tgw-attach-1", "tgw-attach-2"]),
                "tgw-pair-attachment-id": "tgw-attach-3",
                "packets-lost-no-route": made.choice([0, 1]),
                "packets-lost-blackhole": made.choice([0, 2]),
            }
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_records_does_not_matter(name: str, tmp_path: Path) -> None:
    rows = random_rows(400)
    frames = []
    for number, order in enumerate((rows, rows[::-1])):
        (tmp_path / str(number)).mkdir()
        logs = flowlogs.open(log_file(tmp_path / str(number), format_of(QUERIES[name]), order), window=WINDOW)
        low = {param.name: 1 for param in QUERIES[name].params if param.name.startswith("min_")}
        frames.append(logs.query(name, **needed(QUERIES[name]), **low))
    pd.testing.assert_frame_equal(frames[0], frames[1])


# ------------------------------------------------------------------------------------------------------------- values

HOSTILE = [
    "'; DROP TABLE flows; --",
    "10.0.0.1' OR '1'='1",
    "10.0.0.1 --",
    "/* */",
    "?",
    ":source",
    "\x00",
    "\uff19",
    "x" * 5000,
    "",
    "10.0.0.1\n",
    "1e3",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("host_flows", "host"),
        ("cidr_flows", "cidr"),
        ("top_talkers", "limit"),
        ("timeline", "bucket_s"),
        ("egress_spikes", "factor"),
    ],
)
def test_a_hostile_value_is_refused_or_stays_a_value(tmp_path: Path, name: str, parameter: str, value: str) -> None:
    logs = flowlogs.open(log_file(tmp_path, rows=random_rows(20)), window=WINDOW)
    given = needed(QUERIES[name]) | {parameter: value}
    try:
        frame = logs.query(name, **given)
    except QueryError as refused:
        assert len(str(refused)) < 400
        assert parameter in str(refused)
    else:
        assert value.strip() in ("10.0.0.1", "\uff19", "1e3"), "only what reads as the value it is meant to be"
        assert list(frame.columns) == list(QUERIES[name].columns)
    assert logs.query("records_by_status")["records"].sum() == 20


@given(st.text(max_size=60))
def test_a_word_or_address_never_reaches_the_text(text: str) -> None:
    query = QUERIES["host_flows"]
    try:
        sql, values = query.bind({"host": text})
    except QueryError:
        return
    assert sql == query.bind({"host": "10.0.0.1"})[0]
    assert len(values) == sql.count("?")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"limt": 5}, "did you mean limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": None}, "limit"),
        ({"limit": "ten"}, "limit"),
    ],
)
def test_a_wrong_parameter_names_itself(tmp_path: Path, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(QueryError) as caught:
        flowlogs.open(log_file(tmp_path)).query("top_talkers", **parameters)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("protocol", "tcp", {"p": 6}), ("protocol", 17, {"p": 17}), ("port", "443", {"p": 443}), ("float", "2.5", {"p": 2.5}),
        ("cidr", "10.0.0.0/24", {"p_low": 167772160, "p_high": 167772415}), ("address", "2001:DB8::0:1", {"p": "2001:db8::1"}),
        ("epoch", 1700000000, {"p": 1700000000}), ("word", "eni-1", {"p": "eni-1"}),
    ],
)  # fmt: skip
def test_each_kind_reads_its_values(kind: str, value: Any, read: dict[str, Any]) -> None:
    assert Param("p", kind, None, "").read(value) == read


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("protocol", "tpc"), ("protocol", 256), ("port", 65536), ("port", -1), ("float", "nan"), ("float", "inf"), ("cidr", "10.0.0.1/24"),
        ("cidr", "2001:db8::/32"), ("address", "10.0.0.256"), ("address", 5), ("epoch", "2026-11-19"), ("epoch", 2**52), ("word", "a b"),
        ("seconds", 0), ("int", 2**60), ("address", None), ("cidr", 5),
    ],
)  # fmt: skip
def test_each_kind_refuses_what_it_is_not(kind: str, value: Any) -> None:
    with pytest.raises(QueryError, match="parameter p"):
        Param("p", kind, None, "").read(value)


def test_an_unknown_query_names_the_nearest(tmp_path: Path) -> None:
    logs = flowlogs.open(log_file(tmp_path))
    with pytest.raises(QueryError, match="top_talkers"):
        logs.query("top_talker")
    with pytest.raises(QueryError):
        logs.query("'; DROP TABLE flows; --" * 100)


def test_a_field_that_lacks_is_named_with_the_format_to_add(tmp_path: Path) -> None:
    logs = flowlogs.open(log_file(tmp_path, DEFAULT_V2))
    assert "tcp_outcomes" not in logs.names()
    assert "tcp_outcomes" in logs.names(all_queries=True)
    with pytest.raises(FieldError, match="tcp-flags") as caught:
        logs.query("tcp_outcomes")
    assert "${version}" in caught.value.hint
    assert caught.value.hint.endswith("${tcp-flags}")


def test_explain_has_question_notes_and_text(tmp_path: Path) -> None:
    text = flowlogs.open(log_file(tmp_path)).explain("top_talkers")
    assert "Who sends most bytes to whom?" in text
    assert "does not count connections" in text
    assert "GROUP BY srcaddr, dstaddr" in text


def test_the_seeds_mistakes_are_said() -> None:
    """aws-facts, section 7: 21 (records are not connections), 22 (OK only), 23 (weighted mean), 24 (REJECT), 25 (intervals)."""
    assert "connection_count" in QUERIES["top_talkers"].columns
    assert any("counted at every logged interface" in note for note in QUERIES["top_talkers"].notes)
    assert any("closed" in note for note in QUERIES["rejected_connections"].notes)
    assert any("intervals" in note for note in QUERIES["interface_performance"].notes)
    assert all("log_status" in query.sql for query in QUERIES.values())


def test_a_header_without_sense_is_not_read_as_sql() -> None:
    query = parse_query(
        "x", "-- question: Why?\n-- just a comment\n-- column a: int | one\nSELECT 1 AS a FROM flows;\n"
    )
    assert query.sql == "SELECT 1 AS a FROM flows"
    assert duckdb.execute(query.over("SELECT 1 AS version", query.bind({})[0], ["version"])).fetchall() == [(1,)]


def test_every_refusal_is_a_netkit_error() -> None:
    assert issubclass(QueryError, NetkitError)
    assert issubclass(FieldError, ValueError)
