"""Every form in which people hold flow logs opens, and gives the same records; what is none is left out and named."""

from __future__ import annotations

import base64
import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netkit import flowlogs
from netkit.core.errors import FieldError, SourceError
from netkit.flowlogs import copy
from netkit.flowlogs.fields import DEFAULT_V2, FIELDS, TGW_DEFAULT, named_format

START = 1700000000
RECORDS = [
    f"2 123456789012 eni-1 10.0.0.1 10.0.0.2 50000 443 6 3 180 {START} {START + 59} ACCEPT OK",
    f"2 123456789012 eni-1 10.0.0.2 10.0.0.1 443 50000 6 2 120 {START + 1} {START + 60} ACCEPT OK",
    f"2 123456789012 eni-1 203.0.113.9 10.0.0.2 40000 22 6 1 40 {START + 2} {START + 61} REJECT OK",
    f"2 123456789012 eni-2 - - - - - - - {START} {START + 60} - NODATA",
]
HEAD = " ".join(DEFAULT_V2)
EXPECTED = {("NODATA", None): (1, 0, 0), ("OK", "ACCEPT"): (2, 5, 300), ("OK", "REJECT"): (1, 1, 40)}
TRAFFIC = {key: value for key, value in EXPECTED.items() if key[0] == "OK"}
MS = START * 1000
ISO = "2023-11-14T22:13:20.000Z"


def totals(logs: Any) -> dict[Any, Any]:
    frame = logs.query("records_by_status")
    return {(row.log_status, row.action): (row.records, row.packets, row.bytes) for row in frame.itertuples()}


def lines(*texts: str) -> bytes:
    return ("\n".join(texts) + "\n").encode()


def mappings(spell: Callable[[str], str] = str, *, typed: bool = True) -> list[dict[str, Any]]:
    found = []
    for record in RECORDS:
        words = dict(zip(DEFAULT_V2, record.split(), strict=True))
        found.append(
            {
                spell(name): (None if word == "-" else int(word)) if typed and FIELDS[name].numeric else word
                for name, word in words.items()
            }
        )
    return found


def table(header: list[str], rows: list[list[Any]], *, every: bool = False) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def events(**more: Any) -> list[dict[str, Any]]:
    return [{"timestamp": MS, "message": record, "ingestionTime": MS, **more} for record in RECORDS]


def envelope() -> dict[str, Any]:
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": "g",
        "logStream": "eni-1-all",
        "subscriptionFilters": ["f"],
        "logEvents": [{"id": str(number), "timestamp": MS, "message": record} for number, record in enumerate(RECORDS)],
    }


def camel(name: str) -> str:
    special = {"srcaddr": "srcAddr", "dstaddr": "dstAddr", "srcport": "srcPort", "dstport": "dstPort"}
    special |= {"start": "startTime", "end": "endTime", "account-id": "accountId", "interface-id": "interfaceId"}
    return special.get(name, "logStatus" if name == "log-status" else name)


def packed_base64() -> str:
    return base64.b64encode(gzip.compress(json.dumps(envelope()).encode())).decode()


def ocsf() -> list[dict[str, Any]]:
    found = []
    for record in RECORDS:
        one = dict(zip(DEFAULT_V2, record.split(), strict=True))
        number = {name: None if word == "-" else int(word) for name, word in one.items() if FIELDS[name].numeric}
        ends = {end: {"ip": one[f"{end}addr"], "port": number[f"{end}port"], "svc_name": "-"} for end in ("src", "dst")}
        found.append(
            {
                "class_uid": 4001,
                "metadata": {"product": {"version": "2", "name": "Amazon VPC"}, "version": "1.1.0"},
                "cloud": {"account_uid": one["account-id"], "region": "us-east-1", "zone": "use1-az1"},
                "src_endpoint": {**ends["src"], "interface_uid": one["interface-id"], "vpc_uid": "vpc-1"},
                "dst_endpoint": ends["dst"],
                "connection_info": {"protocol_num": number["protocol"], "direction": "Inbound", "tcp_flags": 2},
                "traffic": {"packets": number["packets"], "bytes": number["bytes"]},
                "time": number["start"] * 1000,
                "start_time": number["start"] * 1000,
                "end_time": number["end"] * 1000,
                "disposition": {"ACCEPT": "Allowed", "REJECT": "Blocked", "-": None}[one["action"]],
                "status_code": one["log-status"],
            }
        )
    return found


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in members.items():
            packed.writestr(name, body)
    return out.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


S3 = lines(HEAD, *RECORDS)
CONSOLE = [[MS, record] for record in RECORDS]
AT = "2023-11-14 22:13:20.000"
TEXT_EVENTS = [f"EVENTS\t3712\t{MS}\teni-1-all\t{record}\t{MS}" for record in RECORDS]

# what people hold, by name: the file as it is, and what it must give
FORMS: dict[str, bytes] = {
    "S3 text with its header": S3,
    "S3 gzip": gzip.compress(S3),
    "headless default": lines(*RECORDS),
    "CloudWatch export, time in front": gzip.compress(lines(*(f"{ISO} {record}" for record in RECORDS))),
    "Athena result CSV, every value quoted": table(
        [name.replace("-", "_") for name in DEFAULT_V2],
        [["" if value in (None, "-") else value for value in row.values()] for row in mappings()],
        every=True,
    ),
    "Athena result CSV, dashes kept": table(
        [*(name.replace("-", "_") for name in DEFAULT_V2), "dt", "acct"],
        [[*record.split(), "2023/11/14", "1"] for record in RECORDS],
        every=True,
    ),
    "Athena get-query-results": json.dumps(
        {
            "ResultSet": {
                "Rows": [
                    {"Data": [{"VarCharValue": word} if word != "-" else {} for word in row]}
                    for row in [[name.replace("-", "_") for name in DEFAULT_V2], *(one.split() for one in RECORDS)]
                ]
            }
        }
    ).encode(),
    "Firehose lines": lines(*(json.dumps({"message": record}) for record in RECORDS)),
    "Firehose without line ends, gzip": gzip.compress(
        "".join(json.dumps({"message": record}) for record in RECORDS).encode()
    ),
    "subscription envelope": json.dumps(envelope()).encode(),
    "subscription envelopes, gzip members": gzip.compress(
        json.dumps({"messageType": "CONTROL_MESSAGE", "logEvents": []}).encode()
    )
    + gzip.compress(json.dumps(envelope()).encode()),
    "lines of base64 of gzip": lines(packed_base64()),
    "Kinesis get-records": json.dumps(
        {"Records": [{"SequenceNumber": "1", "Data": packed_base64(), "PartitionKey": "a"}]}
    ).encode(),
    "Lambda's event": json.dumps({"awslogs": {"data": packed_base64()}}).encode(),
    "filter-log-events": json.dumps(
        {"events": events(logStreamName="eni-1-all", eventId="1"), "searchedLogStreams": []}, indent=4
    ).encode(),
    "get-log-events": json.dumps({"events": events(), "nextForwardToken": "f/1", "nextBackwardToken": "b/1"}).encode(),
    "events as text": lines("b/1\tf/1", *TEXT_EVENTS),
    "get-log-events as text": lines(*(f"EVENTS\t{MS}\t{record}\t{MS}" for record in RECORDS)),
    "aws logs tail": lines(*(f"2023-11-14T22:13:20+00:00 eni-1-all {record}" for record in RECORDS)),
    "aws logs tail --format short": lines(*(f"2023-11-14T22:13:20 {record}" for record in RECORDS)),
    "console CSV": table(["timestamp", "message"], CONSOLE),
    "console CSV, quoted": table(
        ["timestamp", "message", "logStreamName"], [[*row, "eni-1-all"] for row in CONSOLE], every=True
    ),
    "Insights CSV of messages": table(["@timestamp", "@message", "@ptr"], [[AT, record, "x"] for record in RECORDS]),
    "Insights CSV of discovered fields": table(
        ["@timestamp", *(camel(name) for name in DEFAULT_V2)], [[AT, *record.split()] for record in RECORDS]
    ),
    "Insights JSON of messages": json.dumps([{"@timestamp": AT, "@message": record} for record in RECORDS]).encode(),
    "Insights JSON of discovered fields": json.dumps(mappings(camel)).encode(),
    "get-query-results": json.dumps(
        {
            "status": "Complete",
            "statistics": {"bytesScanned": 1.0},
            "results": [
                [{"field": "@timestamp", "value": AT}, {"field": "@message", "value": record}] for record in RECORDS
            ],
        }
    ).encode(),
    "structured JSON lines": lines(*(json.dumps(row) for row in mappings(lambda name: name.replace("-", "_")))),
    "structured JSON lines, strings": lines(*(json.dumps(row) for row in mappings(typed=False))),
    "structured JSON array": json.dumps(mappings(), indent=2).encode(),
    "OCSF JSON": lines(*(json.dumps(one) for one in ocsf())),
    "Security Lake Parquet": parquet(ocsf()),
    "Parquet": parquet(mappings(lambda name: name.replace("-", "_"))),
    "Parquet in capitals": parquet(mappings(lambda name: name.replace("-", "_").upper())),
    "Parquet with hyphens": parquet(mappings()),
    "double gzip": gzip.compress(gzip.compress(S3)),
    "zip": zipped(**{"flow.log": S3}),
    "zip of gzip among others": zipped(**{"a/flow.log.gz": gzip.compress(S3), "README.txt": b"hello\n"}),
    "bzip2": bz2.compress(S3),
    "xz": lzma.compress(S3),
    "byte-order mark and CRLF": b"\xef\xbb\xbf" + S3.replace(b"\n", b"\r\n"),
    "UTF-16 of PowerShell": S3.decode().replace("\n", "\r\n").encode("utf-16"),
    "CSV of a spreadsheet": lines(HEAD.replace(" ", ","), *(record.replace(" ", ",") for record in RECORDS)),
    "CSV with semicolons": lines(HEAD.replace(" ", ";"), *(record.replace(" ", ";") for record in RECORDS)),
    "tabs": lines(HEAD.replace(" ", "\t"), *(record.replace(" ", "\t") for record in RECORDS)),
    "old names of Athena": table(
        [
            "version",
            "account",
            "interfaceid",
            "sourceaddress",
            "destinationaddress",
            "sourceport",
            "destinationport",
            "protocol",
            "numpackets",
            "numbytes",
            "starttime",
            "endtime",
            "action",
            "logstatus",
        ],
        [record.split() for record in RECORDS],
    ),
}


@pytest.mark.parametrize("name", ["x.log", "x.gz"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_records(tmp_path: Path, form: str, name: str) -> None:
    """Whatever the file is called: text that is called .gz is text."""
    (tmp_path / name).write_bytes(FORMS[form])
    logs = flowlogs.open(tmp_path / name)
    assert totals(logs) == EXPECTED, logs.coverage().to_dict("records")
    (seen,) = logs.coverage().to_dict("records")
    assert (seen["rows"], seen["skipped"], seen["state"], seen["first_seen"]) == (4, 0, "ok", START), seen
    first = logs.records(status="OK", limit=1).iloc[0]
    assert (first["srcaddr"], first["dstport"], first["start"], first["interface_id"]) == (
        "10.0.0.1",
        443,
        START,
        "eni-1",
    )
    assert logs.fields
    if "old names" not in form:
        assert first["account_id"] == "123456789012"


def test_hive_folders_add_no_columns(tmp_path: Path) -> None:
    folder = tmp_path / "aws-account-id=123456789012" / "aws-region=us-east-1" / "year=2023" / "action=REJECT"
    folder.mkdir(parents=True)
    (folder / "x.parquet").write_bytes(FORMS["Parquet"])
    assert totals(flowlogs.open(tmp_path)) == EXPECTED


# ------------------------------------------------------------------------------------------------ formats without names

V5 = " ".join(named_format("v5"))
V5_RECORD = (
    f"5 123456789012 eni-1 10.0.0.1 10.0.0.2 50000 443 6 3 180 {START} {START + 59} ACCEPT OK vpc-1 subnet-1 i-1 2 IPv4"
    " 10.0.0.1 10.0.0.2 us-east-1 use1-az1 - - - - egress 1"
)
CUSTOM = "${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${bytes} ${packets} ${start} ${end} ${action} ${log-status}"
CUSTOM_RECORD = f"10.0.0.1 10.0.0.2 50000 443 6 180 3 {START} {START + 59} ACCEPT OK"


@pytest.mark.parametrize("front", ["", f"{ISO} ", "2023-11-14T22:13:20+00:00 eni-1-all "])
@pytest.mark.parametrize(
    ("format", "record"),
    [
        ("v5", V5_RECORD),
        (V5, V5_RECORD),
        (CUSTOM, CUSTOM_RECORD),
        (["v5", CUSTOM], CUSTOM_RECORD),
        (CUSTOM.replace("${", "").replace("}", ""), CUSTOM_RECORD),
    ],
)
@pytest.mark.parametrize("wrap", [None, "message"])
def test_a_headless_format_is_read_by_its_name_and_refused_without(
    tmp_path: Path, format: Any, record: str, front: str, wrap: str | None
) -> None:
    path = tmp_path / "x.log"
    texts = [front + record] * 3
    path.write_bytes(lines(*(json.dumps({wrap: one}) if wrap else one for one in texts)))
    assert totals(flowlogs.open(path, format=format)) == {("OK", "ACCEPT"): (3, 9, 540)}
    with pytest.raises(SourceError, match="no header line") as caught:
        flowlogs.open(path)
    assert "format=" in caught.value.hint
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize("format", ["v12", "${srcadr}", "srcaddr dstaddr nothing", "${srcaddr} and"])
def test_a_format_that_is_none_is_refused_first(tmp_path: Path, format: str) -> None:
    (tmp_path / "x.log").write_bytes(S3)
    with pytest.raises(FieldError):
        flowlogs.open(tmp_path, format=format)


@pytest.mark.parametrize("wrap", [None, "message"])
def test_two_formats_in_one_group_are_told_apart_record_by_record(tmp_path: Path, wrap: str | None) -> None:
    path = tmp_path / "x.log"
    texts = [RECORDS[0], V5_RECORD.replace(" 180 ", " 181 "), RECORDS[2], V5_RECORD.replace(" 180 ", " 182 ")]
    path.write_bytes(lines(*(json.dumps({wrap: one}) if wrap else one for one in texts)))
    logs = flowlogs.open(path, format="v5")
    assert totals(logs) == {("OK", "ACCEPT"): (3, 9, 543), ("OK", "REJECT"): (1, 1, 40)}
    assert logs.sql("SELECT SUM(bytes) AS n FROM flows WHERE tcp_flags = 2")["n"].tolist() == [363]
    assert "left out" in logs.last.notes[0]
    assert logs.coverage()["skipped"].tolist() == [0]


def test_the_other_format_far_down_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(lines(*RECORDS[:3] * 1000, *[V5_RECORD.replace(" 180 ", " 1 ")] * 5))
    logs = flowlogs.open(tmp_path / "x.log", format="v5")
    assert totals(logs)[("OK", "ACCEPT")] == (2005, 5015, 300_005)
    assert logs.coverage()["skipped"].tolist() == [0]


# ----------------------------------------------------------------------------------------------------- without a status

SEED = "srcaddr dstaddr srcport dstport protocol packets bytes start end action vpc-id subnet-id instance-id interface-id region az-id"


def test_the_seeds_own_format_answers_the_seeds_queries(tmp_path: Path) -> None:
    rest = "vpc-1 subnet-1 i-1 eni-1 us-east-1 use1-az1"
    body = [
        f"10.0.0.1 10.0.0.2 50000 443 6 3 180 {START} {START + 59} ACCEPT {rest}",
        f"- - - - - - - {START} {START + 59} - {rest}",
    ]
    (tmp_path / "x.log").write_bytes(lines(SEED, *body))
    logs = flowlogs.open(tmp_path)
    assert "log-status" not in logs.fields
    assert {"top_talkers", "rejected_connections", "interface_performance"} <= set(logs.names())
    assert logs.query("top_talkers")["bytes"].tolist() == [180]
    # what carries no traffic is not OK, and nobody knows whether NODATA or SKIPDATA
    assert totals(logs) == {("OK", "ACCEPT"): (1, 3, 180), (None, None): (1, 0, 0)}
    assert "no log-status: records are taken for OK" in logs.coverage()["note"][0]


# ------------------------------------------------------------------------------------------------------ Transit Gateway


def tgw_record() -> str:
    named = dict.fromkeys(TGW_DEFAULT, "-") | {
        **{"version": "6", "resource-type": "TransitGateway", "account-id": "123456789012", "tgw-id": "tgw-1"},
        **{"tgw-attachment-id": "tgw-attach-1", "srcaddr": "10.0.0.1", "dstaddr": "10.1.0.1", "srcport": "50000"},
        **{
            "dstport": "443",
            "protocol": "6",
            "packets": "3",
            "bytes": "180",
            "start": str(START),
            "end": str(START + 59),
        },
        **{"log-status": "OK", "packets-lost-no-route": "7", "packets-lost-blackhole": "0", "tcp-flags": "2"},
    }
    return " ".join(named.values())


@pytest.mark.parametrize("form", ["header", "headless", "envelope"])
def test_transit_gateway_logs_open_typed(tmp_path: Path, form: str) -> None:
    head = [" ".join(TGW_DEFAULT)] if form == "header" else []
    body = [json.dumps({"message": tgw_record()})] if form == "envelope" else [*head, tgw_record()]
    (tmp_path / "x.log").write_bytes(lines(*body))
    logs = flowlogs.open(tmp_path, format=None if form == "header" else "tgw")
    assert logs.sql("SELECT SUM(packets_lost_no_route) AS n FROM flows")["n"].tolist() == [7]
    assert totals(logs) == {("OK", None): (1, 3, 180)}


def test_vpc_and_transit_gateway_records_are_never_added_up(tmp_path: Path) -> None:
    (tmp_path / "vpc.log").write_bytes(S3)
    (tmp_path / "tgw.log").write_bytes(lines(" ".join(TGW_DEFAULT), tgw_record()))
    logs = flowlogs.open(tmp_path)
    assert totals(logs) == EXPECTED
    assert logs.sql("SELECT tgw_id, packets_lost_no_route AS lost FROM flows")["lost"].tolist() == [7]
    assert "tcp_outcomes" not in logs.names()
    assert "Transit Gateway" in logs.coverage().set_index("table").loc["tgw.log", "note"]


# ------------------------------------------------------------------------------------------ odd ones, and the same twice

ODD: dict[str, tuple[bytes, str]] = {
    "README.txt": (b"Flow logs of the incident.\nAsk Anna.\n", "empty"),
    "aws-logs-write-test": (b"Permission Check Successful", "empty"),
    "empty.log": (b"", "empty"),
    "empty.gz": (gzip.compress(b""), "empty"),
    "cloudtrail.json.gz": (
        gzip.compress(json.dumps({"Records": [{"eventName": "RunInstances", "eventVersion": "1"}]}).encode()),
        "empty",
    ),
    "cut.gz": (gzip.compress(S3 * 50)[:60], "skipped"),
    "cut.parquet": (b"PAR1" + bytes(100), "skipped"),
    "cities.parquet": (parquet([{"city": "Rome", "start": 1}]), "empty"),
    "picture.png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "empty"),
    "other.csv": (b"city,region\nRome,Lazio\n", "empty"),
    "notes.zip": (zipped(**{"a.txt": b"hello\n"}), "empty"),
    "deep.json": (b"[" * 100_000, "empty"),
}


@pytest.mark.parametrize("name", ODD)
def test_one_odd_file_does_not_sink_a_folder(tmp_path: Path, name: str) -> None:
    body, state = ODD[name]
    (tmp_path / "good.log").write_bytes(S3)
    (tmp_path / name).write_bytes(body)
    logs = flowlogs.open(tmp_path)
    assert totals(logs) == EXPECTED
    seen = logs.coverage().set_index("table")
    assert seen.loc[name, "state"] == state
    assert seen.loc[name, "note"].startswith("left out: ")
    assert seen.loc["good.log", "state"] == "ok"


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_alone_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(ODD[name][0])
    with pytest.raises(SourceError) as caught:
        flowlogs.open(tmp_path).coverage()
    assert caught.value.subject == str(tmp_path / name)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize("other", ["x.log", "fl.log.gz", "y.json", "z.parquet", "wide.log"])
def test_the_same_record_in_two_files_counts_once(tmp_path: Path, other: str) -> None:
    """x.log.gz beside x.log; a VPC's flow log and its subnet's; the same export in another form."""
    extra = f"2 123456789012 eni-9 10.0.0.9 10.0.0.2 50000 443 6 1 5 {START} {START + 59} ACCEPT OK"
    (tmp_path / "x.log.gz").write_bytes(gzip.compress(lines(HEAD, *RECORDS)))
    wide = [f"{HEAD} tcp-flags", *(f"{record} {'-' if 'NODATA' in record else 2}" for record in RECORDS), f"{extra} 2"]
    bodies = {
        "x.log": lines(HEAD, *RECORDS, extra),
        "fl.log.gz": gzip.compress(lines(*RECORDS, extra)),
        "y.json": lines(*(json.dumps({"message": record}) for record in (*RECORDS, extra))),
        "z.parquet": parquet([*mappings(), dict(mappings()[0], **{"interface-id": "eni-9", "bytes": 5, "packets": 1})]),
        "wide.log": lines(*wide),
    }
    (tmp_path / other).write_bytes(bodies[other])
    logs = flowlogs.open(tmp_path)
    assert totals(logs) == EXPECTED | {("OK", "ACCEPT"): (3, 6, 305)}
    notes = " ".join(logs.coverage()["note"])
    assert "4 dropped, records that another file has too" in notes
    assert logs.coverage()["rows"].sum() == 5


def test_within_a_file_and_without_what_tells_them_apart_nothing_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(lines(HEAD, RECORDS[0], RECORDS[0]))
    (tmp_path / "b.log").write_bytes(lines(HEAD, RECORDS[0]))
    assert totals(flowlogs.open(tmp_path)) == {("OK", "ACCEPT"): (2, 6, 360)}
    bare = tmp_path / "bare"
    bare.mkdir()
    for name, size in (("a.log", 60), ("b.log", 60), ("c.log", 61)):
        (bare / name).write_bytes(lines("srcaddr dstaddr bytes", f"10.0.0.1 10.0.0.2 {size}"))
    logs = flowlogs.open(bare)
    assert logs.sql("SELECT SUM(bytes) AS n FROM flows")["n"].tolist() == [121]
    assert "the same lines as" in " ".join(logs.coverage()["note"])


def test_a_record_differs_by_action_or_direction(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(lines(HEAD, RECORDS[0]))
    (tmp_path / "b.log").write_bytes(lines(HEAD, RECORDS[0].replace("ACCEPT", "REJECT")))
    assert totals(flowlogs.open(tmp_path)) == {("OK", "ACCEPT"): (1, 3, 180), ("OK", "REJECT"): (1, 3, 180)}


# ------------------------------------------------------------------------------------------------------------ the copy


def test_the_copy_is_private_said_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.log").write_bytes(S3)
    monkeypatch.setattr(copy, "_HELD_BYTES", 0)  # little text is held in memory, and there is no copy on disk
    logs = flowlogs.open(tmp_path / "x.log")
    logs.query("top_talkers")
    folder = logs.engine._copy.folder
    assert folder.stat().st_mode & 0o077 == 0
    assert list((folder / "out").iterdir())
    logs.engine.close()
    assert not folder.exists()
    again = flowlogs.open(tmp_path / "x.log")
    folder = again.engine._copy.folder
    del again
    assert not folder.exists()


def test_a_copy_too_large_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for name in ("a.log", "b.json"):
        (tmp_path / name).write_bytes(S3 if name == "a.log" else FORMS["Firehose lines"])
    with pytest.raises(SourceError, match="private copy") as caught:
        flowlogs.open(tmp_path, disk_bytes=0).query("top_talkers")
    assert "disk_bytes" in caught.value.hint


def test_a_record_that_is_read_is_the_record_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(S3)
    frame = flowlogs.open(tmp_path / "x.log").records()
    assert list(frame.columns) == [FIELDS[name].column for name in FIELDS if name in DEFAULT_V2]
    assert str(frame["bytes"].dtype) == "Int64"
    back = [" ".join("-" if pd.isna(word) else str(word) for word in row) for row in frame.itertuples(index=False)]
    assert sorted(back) == sorted(RECORDS)
    assert datetime.fromtimestamp(int(frame["start"][0]), UTC).year == 2023
