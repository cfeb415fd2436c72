"""Real and damaged flow-log files, read by content: nothing lost, nothing guessed."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flowlogs_reader import FlowRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netkit import flowlogs
from netkit.core.errors import FieldError, SourceError, WindowError
from netkit.core.model import Window
from netkit.flowlogs.fields import COLUMNS, DEFAULT_V2, FIELDS, INVESTIGATION

DATA = Path(__file__).parent.parent / ".." / "shared" / "data" / "flowlogs"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
V2 = "2 123456789012 eni-1 10.0.0.1 10.0.0.2 50000 443 6 {packets} {bytes} {start} 1700000060 ACCEPT OK"


def line(packets: object = 1, size: object = 60, start: object = 1700000000) -> str:
    return V2.format(packets=packets, bytes=size, start=start)


def write(path: Path, *lines: str, header: bool = False) -> Path:
    head = [" ".join(DEFAULT_V2)] if header else []
    path.write_text("\n".join([*head, *lines]) + "\n")
    return path


def totals(path: Path | str) -> dict[Any, Any]:
    frame = flowlogs.open(path).query("records_by_status")
    return {(row.log_status, row.action): (row.records, row.packets, row.bytes) for row in frame.itertuples()}


# -------------------------------------------------------------------------------------------------- others' files


@needs_data
def test_the_eks_export_has_the_totals_that_others_counted() -> None:
    expected = json.loads((DATA / "eks_cloudwatch_export.expected.json").read_text())
    logs = flowlogs.open(DATA / "eks_cloudwatch_export.gz")
    assert totals(DATA / "eks_cloudwatch_export.gz") == {
        (row["log_status"], None if row["action"] == "-" else row["action"]): (
            row["records"],
            row["packets"],
            row["bytes"],
        )
        for row in expected["by_status_action"]
    }
    (seen,) = logs.coverage().to_dict("records")
    assert (seen["rows"], seen["skipped"], seen["state"]) == (expected["records"], 0, "ok")
    assert (seen["first_seen"], seen["last_seen"]) == (expected["min_start"], expected["max_end"])
    assert logs.window.epoch() == (expected["min_start"], expected["max_end"] + 1)


@needs_data
def test_an_s3_delivery_agrees_with_flowlogs_reader() -> None:
    (path,) = DATA.glob("123456789012_vpcflowlogs_*.log.gz")
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()
    names = [name.replace("-", "_") for name in rows[0].split()]
    read = [FlowRecord(dict(zip(names, row.split(), strict=True))) for row in rows[1:]]
    ours = flowlogs.open(path).query("top_talkers", limit=1000)
    theirs: dict[tuple[str, str], list[int]] = {}
    for one in read:
        if one.action == "ACCEPT":
            sums = theirs.setdefault((one.srcaddr, one.dstaddr), [0, 0, 0])
            for place, value in enumerate((one.bytes, one.packets, 1)):
                sums[place] += value
    found = {(row.srcaddr, row.dstaddr): [row.bytes, row.packets, row.flow_records] for row in ours.itertuples()}
    assert found == theirs
    assert {key: value[0] for key, value in totals(path).items()} == {("OK", "ACCEPT"): 32, ("OK", "REJECT"): 67}


@needs_data
def test_a_line_too_short_is_counted_and_shown() -> None:
    logs = flowlogs.open(DATA / "vpc_flow_log_too_few_fields.log")
    (seen,) = logs.coverage().to_dict("records")
    assert (seen["rows"], seen["skipped"], seen["state"]) == (0, 1, "skipped")
    assert "eni-0eb1e4178af74336c" in seen["note"]
    assert logs.query("records_by_status").empty


@needs_data
def test_a_spreadsheets_account_ids_are_a_doubt_and_never_guessed() -> None:
    logs = flowlogs.open(DATA / "damaged_by_spreadsheet.csv")
    (seen,) = logs.coverage().to_dict("records")
    text = (DATA / "damaged_by_spreadsheet.csv").read_text().splitlines()
    assert (seen["rows"], seen["skipped"], seen["state"]) == (len(text) - 1, 1, "skipped")  # the first row is junk
    assert "6.02485E+11" in seen["note"]
    assert set(logs.records(limit=1)["account_id"]) == {"6.02485E+11"}


@needs_data
@pytest.mark.parametrize(
    ("name", "field", "records"),
    [("valid_tgw_flow_log.log", "tgw-attachment-id", 1), ("valid_vpc_flow_log_ecs.log", "ecs-service-name", 1)],
)
def test_transit_gateway_and_ecs_fields_are_known(name: str, field: str, records: int) -> None:
    logs = flowlogs.open(DATA / name)
    assert field in logs.fields
    assert logs.query("records_by_status")["records"].sum() == records


@needs_data
def test_a_parquet_file_of_strings_is_typed_on_the_way_in() -> None:
    assert totals(DATA / "third_party_all_strings.parquet") == {
        ("OK", "ACCEPT"): (1, 10, 840),
        ("NODATA", None): (2, 0, 0),
    }


@needs_data
def test_every_record_of_aws_guide_is_read_with_its_format(tmp_path: Path) -> None:
    examples = json.loads((DATA / "aws_guide_examples.json").read_text())
    for number, one in enumerate(examples):
        path = tmp_path / f"{number}.log"
        path.write_text(f"{one['format']}\n{one['record']}\n")
        logs = flowlogs.open(path)
        names = [FIELDS[name].column for name in one["format"].split()]
        expected = dict(zip(names, one["record"].split(), strict=True))
        (seen,) = logs.coverage().to_dict("records")
        assert (seen["rows"], seen["skipped"]) == (1, 0), one
        assert read_back(path)[0] == typed(expected)


@needs_data
def test_a_folder_of_layouts_is_read_together(tmp_path: Path) -> None:
    for name in ("eks_cloudwatch_export.gz", "vpc_flow_log_too_few_fields.log", "third_party_all_strings.parquet"):
        shutil.copyfile(DATA / name, tmp_path / name)
    logs = flowlogs.open(tmp_path)
    coverage = logs.coverage().set_index("table")
    assert coverage.loc["eks_cloudwatch_export.gz", "rows"] == 10774
    assert coverage["skipped"].sum() == 1
    assert logs.query("records_by_status")["records"].sum() == 10774 + 3
    assert [row.state for row in logs.coverage_rows()].count("ok") == 2


# ------------------------------------------------------------------------------------ any record, any order, any form


def typed(record: dict[str, str]) -> dict[str, Any]:
    """What a record's text means: whole numbers, None for a missing one, "-" for a missing string."""
    return {
        name: (None if text == "-" else int(text)) if COLUMNS[name].numeric else text for name, text in record.items()
    }


def read_back(path: Path) -> list[dict[str, Any]]:
    """Every known column of every well-formed record."""
    frame = flowlogs.open(path).records(limit=1_000_000)
    rows = frame.astype("object").where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def values_of(name: str) -> st.SearchStrategy[str]:
    if FIELDS[name].numeric:
        return st.one_of(
            st.just("-"), st.integers(0, 2**31 - 1 if FIELDS[name].parquet == "INT_32" else 10**15).map(str)
        )
    fixed = {
        "account-id": ["123456789012", "000123456701", "unknown"],
        "action": ["ACCEPT", "REJECT", "-"],
        "log-status": ["OK", "NODATA", "SKIPDATA"],
    }
    if name in fixed:
        return st.sampled_from(fixed[name])
    return st.one_of(st.just("-"), st.text("abcdefXYZ0189.:/%-_", min_size=1, max_size=20))


@st.composite
def logs_of_records(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    needed = ["version", "srcaddr", "start", "log-status"]
    others = [name for name, field in FIELDS.items() if "vpc" in field.families and name not in needed]
    names = draw(st.permutations([*needed, *draw(st.lists(st.sampled_from(others), unique=True, max_size=12))]))
    record = st.tuples(*(values_of(name) for name in names)).map(list)
    return list(names), draw(st.lists(record, min_size=1, max_size=6))


def as_parquet(path: Path, names: list[str], records: list[list[str]]) -> None:
    columns: dict[str, Any] = {}
    for place, name in enumerate(names):
        texts = [record[place] for record in records]
        kind = {"INT_32": pa.int32(), "INT_64": pa.int64(), "STRING": pa.string()}[FIELDS[name].parquet]
        values = [None if text == "-" else int(text) for text in texts] if FIELDS[name].numeric else texts
        columns[FIELDS[name].column] = pa.array(values, kind)
    pq.write_table(pa.table(columns), path, compression="gzip")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logs_of_records(), st.sampled_from(["plain", "gzip", "parquet", "tabs", "commas", "wide"]))
def test_any_record_in_any_order_and_form_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[list[str], list[list[str]]], form: str
) -> None:
    names, records = made
    path = tmp_path_factory.mktemp("any") / "flow.log"  # no suffix tells what it is
    sign = {"tabs": "\t", "commas": ",", "wide": "   "}.get(form, " ")
    text = "\n".join(sign.join(words) for words in [names, *records]) + "\n"
    if form == "parquet":
        as_parquet(path, names, records)
    else:
        path.write_bytes(gzip.compress(text.encode()) if form == "gzip" else text.encode())
    columns = [FIELDS[name].column for name in names]
    expected = [typed(dict(zip(columns, record, strict=True))) for record in records]
    found = read_back(path)
    key = lambda row: json.dumps(row, sort_keys=True)  # noqa: E731
    assert sorted(found, key=key) == sorted(expected, key=key)


@pytest.mark.parametrize("name", ["plain.gz.txt", "flow.parquet", "no_suffix", "x.csv"])
def test_content_decides_and_not_the_suffix(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress((line() + "\n").encode()))
    assert totals(path) == {("OK", "ACCEPT"): (1, 1, 60)}


@pytest.mark.parametrize("between", [" ", "\t", ",", "\t\t", "  "])
def test_an_export_may_set_the_time_apart_by_any_sign(tmp_path: Path, between: str) -> None:
    path = write(
        tmp_path / "export.log", *(f"2023-11-14T22:13:20.000Z{between}{line(size=size)}" for size in (60, 61, 62))
    )
    assert totals(path) == {("OK", "ACCEPT"): (3, 3, 183)}


def test_unknown_columns_are_not_fatal(tmp_path: Path) -> None:
    path = tmp_path / "new.log"
    path.write_text(f"{' '.join(DEFAULT_V2)} brand-new-field\n{line()} whatever\n")
    assert totals(path) == {("OK", "ACCEPT"): (1, 1, 60)}
    assert "brand-new-field" not in flowlogs.open(path).fields


def test_a_line_with_runs_of_blanks_is_taken_in(tmp_path: Path) -> None:
    path = write(tmp_path / "wide.log", line(), line().replace(" ", "  "), line(), header=True)
    assert totals(path) == {("OK", "ACCEPT"): (3, 3, 180)}
    (seen,) = flowlogs.open(path).coverage().to_dict("records")
    assert (seen["rows"], seen["skipped"], seen["note"]) == (3, 0, "1 with runs of blanks taken in")


def test_mixed_line_ends_blank_lines_and_no_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "mixed.log"
    path.write_bytes(f"\ufeff{line()}\r\n{line()}\n\n{line()}\n{line()}".encode())
    assert totals(path) == {("OK", "ACCEPT"): (4, 4, 240)}


def test_several_gzip_members_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "joined.gz"
    path.write_bytes(gzip.compress((line() + "\n").encode()) * 3)
    assert totals(path) == {("OK", "ACCEPT"): (3, 3, 180)}


def test_hyphens_floats_and_times_in_parquet_are_read(tmp_path: Path) -> None:
    record = dict(zip(DEFAULT_V2, line().split(), strict=True))
    frame = pd.DataFrame([{name: int(text) if FIELDS[name].numeric else text for name, text in record.items()}])
    frame["bytes"] = frame["bytes"].astype("float64")
    frame["start"] = pd.to_datetime(frame["start"], unit="s")
    frame.to_parquet(tmp_path / "pandas.parquet")
    logs = flowlogs.open(tmp_path / "pandas.parquet")
    assert logs.query("records_by_status").to_dict("records") == [
        {"log_status": "OK", "action": "ACCEPT", "records": 1, "packets": 1, "bytes": 60}
    ]
    assert logs.window.epoch()[0] == 1700000000


# ------------------------------------------------------------------------------------------------------- malformed

MALFORMED = {
    "too few": "2 123456789012 eni-1 10.0.0.1",
    "too many": line() + " OK",
    "word for a number": line(packets="many"),
    "decimal": line(packets="1.5"),
    "exponent": line(start="1.7E+09"),
    "hexadecimal": line(size="0x10"),
    "negative": line(size="-5"),
    "too large": line(size="9" * 20),
    "action": line().replace("ACCEPT", "accept"),
    "status": line().replace("OK", "OKAY"),
    "not text": "\x00\x01\x02",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_line_is_counted_shown_and_left_out_of_every_query(tmp_path: Path, kind: str, packed: bool) -> None:
    body = "".join(f"{text}\n" for text in (" ".join(DEFAULT_V2), line(), MALFORMED[kind], line()))
    path = tmp_path / "flow.log"
    path.write_bytes(gzip.compress(body.encode()) if packed else body.encode())
    logs = flowlogs.open(path)
    # neither query reads every field
    assert logs.query("top_talkers")["flow_records"].tolist() == [2]
    assert logs.query("skipped").empty
    assert logs.query("records_by_status")["records"].tolist() == [2]
    (seen,) = logs.coverage().to_dict("records")
    assert (seen["rows"], seen["skipped"], seen["state"]) == (2, 1, "skipped")
    assert MALFORMED[kind].split()[0][:8] in seen["note"]


DOUBTFUL = {"exponent": "1.23456E+11", "a digit short": "12345678901", "a word": "none"}


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_a_record_with_an_account_id_that_is_none_is_a_record_with_a_doubt(tmp_path: Path, kind: str) -> None:
    """A spreadsheet takes the zero in front: the traffic was there all the same."""
    path = write(tmp_path / "flow.log", line(), line(size=61).replace("123456789012", DOUBTFUL[kind]), header=True)
    logs = flowlogs.open(path)
    assert logs.query("records_by_status")["bytes"].tolist() == [121]
    (seen,) = logs.coverage().to_dict("records")
    assert (seen["rows"], seen["skipped"], seen["state"]) == (2, 0, "ok")
    assert f"1 with an account id that is none, as {DOUBTFUL[kind]}" in seen["note"]
    assert DOUBTFUL[kind] in set(logs.records()["account_id"])  # as it was written: nothing is guessed


@pytest.mark.parametrize("packed", [False, True])
def test_header_lines_in_the_middle_are_no_records_and_no_loss(tmp_path: Path, packed: bool) -> None:
    """zcat *.gz > all.log"""
    head = " ".join(DEFAULT_V2)
    body = "".join(f"{text}\n" for text in (head, line(), head, line(size=61), head, head, line(size=62)))
    path = tmp_path / "all.log"
    path.write_bytes(gzip.compress(body.encode()) if packed else body.encode())
    logs = flowlogs.open(path)
    assert logs.query("records_by_status")["bytes"].tolist() == [183]
    (seen,) = logs.coverage().to_dict("records")
    assert (seen["rows"], seen["skipped"], seen["state"], seen["note"]) == (3, 0, "ok", "")


@pytest.mark.parametrize("order", [0, 1])
def test_a_header_in_the_middle_may_name_other_fields(tmp_path: Path, order: int) -> None:
    """Files of two formats joined, of different and of the same width: each line is read by the header before it."""
    other = ["version", "srcaddr", "dstaddr", "bytes", "start", "end", "log-status"]
    wide = [*reversed(DEFAULT_V2)]
    sections = [
        (list(DEFAULT_V2), line(size=60)),
        (other, "2 10.0.0.3 10.0.0.4 61 1700000000 1700000060 OK"),
        (wide, " ".join(reversed(line(size=62).split()))),
    ]
    body = [text for names, record in (sections if order else sections[::-1]) for text in (" ".join(names), record)]
    path = tmp_path / "all.log"
    path.write_text("\n".join(body) + "\n")
    logs = flowlogs.open(path)
    assert sorted(logs.sql("SELECT bytes FROM flows")["bytes"]) == [60, 61, 62]
    assert logs.coverage()["skipped"].tolist() == [0]


# ---------------------------------------------------------------------------------------------- files that are none


def truncated(path: Path) -> Path:
    body = gzip.compress("".join(f"{line(size=number)}\n" for number in range(60000)).encode())
    path.write_bytes(body[: len(body) // 2])
    return path


@pytest.mark.parametrize("first", ["query", "coverage"])
def test_a_truncated_gzip_is_left_out_and_named(tmp_path: Path, first: str) -> None:
    write(tmp_path / "good.log", line())
    truncated(tmp_path / "half.log.gz")
    logs = flowlogs.open(tmp_path)
    if first == "query":
        assert logs.query("top_talkers")["flow_records"].tolist() == [1]
    seen = logs.coverage().set_index("table")
    assert seen.loc["half.log.gz", "state"] == "skipped"
    assert "left out: the file cannot be read to its end" in seen.loc["half.log.gz", "note"]
    assert logs.query("top_talkers")["flow_records"].tolist() == [1]


@pytest.mark.parametrize("first", ["query", "coverage"])
def test_a_truncated_gzip_alone_is_an_error_that_names_it(tmp_path: Path, first: str) -> None:
    bad = truncated(tmp_path / "half.log.gz")
    logs = flowlogs.open(bad)
    with pytest.raises(SourceError, match="half") as caught:
        logs.query("top_talkers") if first == "query" else logs.coverage()
    assert caught.value.subject == str(bad)
    assert len(str(caught.value).splitlines()) <= 3


def test_damage_inside_gzip_is_an_error_and_not_malformed_lines(tmp_path: Path) -> None:
    body = bytearray(gzip.compress("".join(f"{line(size=number)}\n" for number in range(60000)).encode()))
    body[len(body) // 2] ^= 0xFF
    (tmp_path / "flipped.log.gz").write_bytes(bytes(body))
    with pytest.raises(SourceError, match="flipped"):
        flowlogs.open(tmp_path).query("top_talkers")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("plain.gz", b"2 123456789012 eni-1\n"),
        ("empty.log", b""),
        ("empty.gz", gzip.compress(b"", mtime=0)),
        ("random.log", bytes(range(256)) * 20),
        ("cut.gz", gzip.compress(b"x" * 1000, mtime=0)[:20]),
        ("cut.parquet", b"PAR1" + bytes(100)),
        ("page.html", b"<html><body>Access Denied</body></html>"),
        ("unknown.log", b"2 123456789012 eni-1 10.0.0.1 10.0.0.2 6\n" * 5),
    ],
)
def test_what_is_no_flow_log_is_refused_by_name_when_opened(tmp_path: Path, name: str, body: bytes) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(SourceError) as caught:
        flowlogs.open(tmp_path)
    assert caught.value.subject == str(tmp_path / name)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_parquet_file_of_something_else_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"city": ["Rome"], "start": [1]}).to_parquet(tmp_path / "cities.parquet")
    with pytest.raises(SourceError, match="no flow logs") as caught:
        flowlogs.open(tmp_path)
    assert "city" in caught.value.hint


def test_a_parquet_file_broken_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.parquet"
    records = [line(size=number).split() for number in range(20000)]
    as_parquet(path, list(DEFAULT_V2), records)
    body = bytearray(path.read_bytes())
    body[2000 : len(body) - 4000] = bytes(len(body) - 6000)
    path.write_bytes(bytes(body))
    with pytest.raises(SourceError, match="broken"):
        flowlogs.open(path).query("top_talkers")


@pytest.mark.parametrize("source", ["nowhere/at/all", "nothing*.gz", "."])
def test_no_file_is_an_error(tmp_path: Path, source: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError, match="no flow-log files"):
        flowlogs.open(tmp_path / "folder" / source)


def test_a_header_alone_is_empty_and_not_an_error(tmp_path: Path) -> None:
    logs = flowlogs.open(write(tmp_path / "quiet.log", header=True))
    assert logs.coverage()["state"].tolist() == ["empty"]
    assert logs.query("top_talkers").empty


WINDOW = Window.parse("2023-11-14T16:55:00Z", "2023-11-14T17:05:00Z")


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        ("16:50:00", "16:59:59", True),
        ("16:59:00", "17:10:00", True),
        ("16:00:00", "18:00:00", True),
        ("16:55:00", "16:55:00", True),
        ("16:45:00", "16:55:00", True),
        ("16:45:00", "16:54:59", False),
        ("17:04:59", "17:06:00", True),
        ("17:05:00", "17:06:00", False),
    ],
)
def test_records_that_overlap_the_window_are_in_it(tmp_path: Path, start: str, end: str, inside: bool) -> None:
    at = [int(datetime.fromisoformat(f"2023-11-14T{one}+00:00").timestamp()) for one in (start, end)]
    middle = WINDOW.epoch()[0] + 120
    fields = V2.replace("1700000060", "{end}")
    other = fields.format(packets=1, bytes=7, start=middle, end=middle + 10)
    path = write(tmp_path / "flow.log", other, fields.format(packets=1, bytes=60, start=at[0], end=at[1]))
    logs = flowlogs.open(path, window=WINDOW)
    assert logs.query("records_by_status")["bytes"].tolist() == [67 if inside else 7]
    note = logs.coverage()["note"][0]
    assert ("begin before the window" in note) == (inside and at[0] < WINDOW.epoch()[0])
    assert ("end after it" in note) == (inside and at[1] >= WINDOW.epoch()[1])


def test_without_an_end_those_that_start_in_the_window_are_in_it_and_without_a_start_there_is_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "flow.log"
    path.write_text("srcaddr start bytes\n" + "".join(f"10.0.0.1 {1700000000 + number} 1\n" for number in range(10)))
    window = Window.parse("2023-11-14T22:13:22Z", "2023-11-14T22:13:25Z")
    assert flowlogs.open(path, window=window).sql("SELECT COUNT(*) AS n FROM flows")["n"].tolist() == [3]
    bare = tmp_path / "bare.log"
    bare.write_text("srcaddr dstaddr bytes packets action log-status\n10.0.0.1 10.0.0.2 60 1 ACCEPT OK\n")
    assert flowlogs.open(bare).query("top_talkers")["bytes"].tolist() == [60]
    with pytest.raises(FieldError, match="start"):
        flowlogs.open(bare, window=window).query("top_talkers")


@pytest.mark.parametrize(
    ("start", "end"), [("2026-11-19", "2026-11-20"), ("2023-11-13", "2023-11-14"), ("2000-01-01", "2023-11-14")]
)
def test_a_window_of_another_day_says_which_span_the_file_has(tmp_path: Path, start: str, end: str) -> None:
    path = write(tmp_path / "flow.log", line())
    logs = flowlogs.open(path, window=Window.parse(f"{start}T00:00:00Z", f"{end}T00:00:00Z"))
    with pytest.raises(WindowError, match="2023-11-14T22:13:20Z to 2023-11-14T22:14:21Z") as caught:
        logs.query("top_talkers")
    assert caught.value.subject == str(path)
    assert logs.coverage()["rows"].tolist() == [1]
    assert flowlogs.open(path).window.epoch() == (1700000000, 1700000061)


def test_files_of_two_formats_are_asked_each_for_what_it_has(tmp_path: Path) -> None:
    write(tmp_path / "a.log", line(), header=True)
    names = [*DEFAULT_V2, *(name for name in INVESTIGATION if name not in DEFAULT_V2)]
    words = ["19" if name == "tcp-flags" else "-" for name in names[14:]]
    (tmp_path / "b.log").write_text(f"{' '.join(names)}\n{line(size=61)} {' '.join(words)}\n")
    logs = flowlogs.open(tmp_path)
    assert set(logs.fields) == set(names)
    assert logs.query("top_talkers")["flow_records"].tolist() == [2]
    assert not logs.last.notes
    outcomes = logs.query("tcp_outcomes")
    assert logs.last.notes == ("1 records of 1 files left out: tcp-flags",)
    assert outcomes.attrs["left_out"] == list(logs.last.notes)
    notes = logs.coverage().set_index("table")["note"]
    assert "has no vpc-id" in notes["a.log"]
    assert notes["b.log"] == ""
    with pytest.raises(FieldError, match="ecs-service-name"):
        logs.sql("SELECT ecs_service_name FROM flows")


def test_names_with_quotes_are_only_names(tmp_path: Path) -> None:
    path = write(tmp_path / "it's; DROP TABLE flows --.log", line())
    assert totals(path) == {("OK", "ACCEPT"): (1, 1, 60)}
