"""Tables that somebody else made: partition keys of other names, types and spellings, as AWS's guides and crawlers make them."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit import flowlogs
from netkit.core.errors import NetkitError, QueryFailed, SourceError, WindowError
from netkit.core.model import Window
from netkit.core.session import Session, connect
from netkit.flowlogs.catalog import catalogue
from netkit.flowlogs.keys import Key, date_format, layout, name_role, span_of
from netkit.flowlogs.partitions import Layout, Partition, predicates, reads
from netkit.flowlogs.scans import scans
from netkit.flowlogs.textcheck import check_text

ACCOUNTS, REGIONS = ("123456789012", "000123456701"), ("us-east-1", "eu-west-1")
WINDOW = Window.parse("2024-12-14T22:30:00Z", "2024-12-15T01:30:00Z")
COLUMNS = {
    "version": "int", "account_id": "string", "interface_id": "string", "srcaddr": "string", "dstaddr": "string",
    "srcport": "int", "dstport": "int", "protocol": "bigint", "packets": "bigint", "bytes": "bigint", "start": "bigint",
    "end": "bigint", "action": "string", "log_status": "string",
}  # fmt: skip
HOURS = [datetime(2024, 12, 14, 20, tzinfo=UTC) + timedelta(hours=hour) for hour in range(8)]


@pytest.fixture(scope="module")
def session() -> Session:
    return connect(target="sandbox")


def records(account: str, region: str, hour: datetime) -> pd.DataFrame:
    """Two records an hour, one a half; bytes tell account, region and hour apart."""
    size = (1 if account == ACCOUNTS[0] else 100) * (1 if region == REGIONS[0] else 10_000)
    starts = [int((hour + timedelta(minutes=minute)).timestamp()) for minute in (10, 40)]
    rows = [
        (2, account, "eni-0123456789abcdef0", "10.0.0.1", "10.0.0.2", 40000, 443, 6, 1, size, start, start + 59, "ACCEPT", "OK")
        for start in starts
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(("version", "srcport", "dstport"), "int32"))


@pytest.fixture(scope="module")
def bucket(session: Session) -> str:
    """The same records in AWS's layouts: parquet/ by hour, hive/ by hour, text/ by day, flat/ as 2024-12-14."""
    name = f"keys-{uuid.uuid4().hex[:8]}"
    session.call("s3", "create_bucket", Bucket=name)
    session.call("glue", "create_database", DatabaseInput={"Name": name.replace("-", "_")})
    for account in ACCOUNTS:
        for region in REGIONS:
            for hour in HOURS:
                frame = records(account, region, hour)
                out = io.BytesIO()
                pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), out)
                file = f"{account}_vpcflowlogs_{region}_fl-0123456789abcdef0_{hour:%Y%m%dT%H}40Z_{hour:%H}abcdef"
                base = f"{account}/vpcflowlogs/{region}/{hour:%Y/%m/%d}"
                hive = f"aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/year={hour:%Y}/month={hour:%m}/day={hour:%d}/hour={hour:%H}"
                text = (
                    " ".join(name.replace("_", "-") for name in COLUMNS)
                    + "\n"
                    + frame.to_csv(sep=" ", header=False, index=False)
                )
                for key, body in (
                    (f"parquet/AWSLogs/{base}/{hour:%H}/{file}.log.parquet", out.getvalue()),
                    (f"hive/AWSLogs/{hive}/{file}.log.parquet", out.getvalue()),
                    (f"flat/{account}/{region}/{hour:%Y-%m-%d}/{hour:%H}.parquet", out.getvalue()),
                    (f"text/AWSLogs/{base}/{file}.log", text.encode()),
                ):  # fmt: skip
                    session.call("s3", "put_object", Bucket=name, Key=key, Body=body)
    return name


def table(
    session: Session,
    bucket: str,
    keys: dict[str, str],
    *,
    where: str,
    properties: dict[str, str] | None = None,
    partitions: list[tuple[list[str], str]] | None = None,
    text: bool = False,
) -> str:
    """A table made through Glue, as crawlers and templates make it; the name to open it by."""
    database, name = bucket.replace("-", "_"), f"t{uuid.uuid4().hex[:8]}"
    serde = (
        "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
        if text
        else "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    )
    storage: dict[str, Any] = {
        "Columns": [{"Name": column, "Type": kind} for column, kind in COLUMNS.items()],
        "Location": f"s3://{bucket}/{where}",
        "InputFormat": "org.apache.hadoop.mapred.TextInputFormat" if text else "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "x",
        "SerdeInfo": {"SerializationLibrary": serde, "Parameters": {"field.delim": " "}},
    }  # fmt: skip
    made = {
        "Name": name, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage,
        "PartitionKeys": [{"Name": key, "Type": kind} for key, kind in keys.items()],
        "Parameters": {"EXTERNAL": "TRUE", **({"skip.header.line.count": "1"} if text else {}), **(properties or {})},
    }  # fmt: skip
    session.call("glue", "create_table", DatabaseName=database, TableInput=made)
    for values, location in partitions or []:
        one = {"Values": values, "StorageDescriptor": {**storage, "Location": f"s3://{bucket}/{location}"}}
        session.call("glue", "create_partition", DatabaseName=database, TableName=name, PartitionInput=one)
    return f"{database}.{name}"


def projection(template: str, **keys: str) -> dict[str, str]:
    """Properties: projection's settings a key as "type=enum;values=a,b"."""
    found = {"projection.enabled": "true", "storage.location.template": template}
    for key, text in keys.items():
        for pair in text.split(";"):
            name, _, value = pair.partition("=")
            found[f"projection.{key}.{name}"] = value
    return found


ENUM_A, ENUM_R = f"type=enum;values={','.join(ACCOUNTS)}", f"type=enum;values={','.join(REGIONS)}"
DAY = "type=date;format=yyyy/MM/dd;range=2024/01/01,NOW;interval=1;interval.unit=DAYS"
PROJECTED: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "aws sample": (
        {"accid": "string", "region": "string", "day": "string"},
        "parquet/AWSLogs/${accid}/vpcflowlogs/${region}/${day}",
        {"accid": ENUM_A, "region": ENUM_R, "day": DAY},
    ),
    "uppercase, injected, hour": (
        {"AccountID": "string", "RGN": "string", "Tag": "string", "H": "string"},
        "parquet/AWSLogs/${AccountID}/vpcflowlogs/${RGN}/${Tag}/${H}/",
        {"AccountID": "type=injected", "RGN": ENUM_R, "Tag": DAY, "H": "type=integer;range=0,23;digits=2"},
    ),
    "integers in AWS's place": (
        {"a": "bigint", "b": "string", "c": "int", "d": "int", "e": "int", "f": "int"},
        "parquet/AWSLogs/${a}/vpcflowlogs/${b}/${c}/${d}/${e}/${f}/",
        {"a": f"type=enum;values={ACCOUNTS[0]},{ACCOUNTS[1]}", "b": ENUM_R, "c": "type=integer;range=2023,2030",
         "d": "type=integer;range=1,12;digits=2", "e": "type=integer;range=1,31;digits=2", "f": "type=integer;range=0,23;digits=2"},
    ),
    "hive keys of AWS": (
        {"aws-account-id": "string", "aws-service": "string", "aws-region": "string", "year": "string", "month": "string", "day": "string", "hour": "string"},
        "hive/AWSLogs/aws-account-id=${aws-account-id}/aws-service=${aws-service}/aws-region=${aws-region}/year=${year}/month=${month}/day=${day}/hour=${hour}/",
        {"aws-account-id": ENUM_A, "aws-service": "type=enum;values=vpcflowlogs", "aws-region": ENUM_R, "year": "type=integer;range=2023,2030",
         "month": "type=enum;values=" + ",".join(f"{one:02d}" for one in range(1, 13)), "day": "type=integer;range=1,31;digits=2", "hour": "type=integer;range=0,23;digits=2"},
    ),
    "one key to the hour": (
        {"owner": "string", "reg": "string", "datehour": "string"},
        "parquet/AWSLogs/${owner}/vpcflowlogs/${reg}/${datehour}/",
        {"owner": ENUM_A, "reg": ENUM_R, "datehour": "type=date;format=yyyy/MM/dd/HH;range=2024/01/01/00,NOW;interval=1;interval.unit=HOURS"},
    ),
    "date type": (
        {"account": "string", "region": "string", "when_": "date"},
        "parquet/AWSLogs/${account}/vpcflowlogs/${region}/${when_}/",
        {"account": ENUM_A, "region": ENUM_R, "when_": DAY},
    ),
    "dashes, months": (
        {"acct": "string", "rgn": "string", "dt": "string"},
        "flat/${acct}/${rgn}/${dt}/",
        {"acct": "type=injected", "rgn": "type=injected", "dt": "type=date;format=yyyy-MM-dd;range=NOW-20YEARS,NOW;interval=1;interval.unit=DAYS"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("name", PROJECTED)
def test_projected_keys_are_bound_in_their_own_spelling(session: Session, bucket: str, name: str, account: str) -> None:
    keys, template, settings = PROJECTED[name]
    source = table(
        session, bucket, keys, where="nowhere/", properties=projection(f"s3://{bucket}/{template}", **settings)
    )
    check(session, source, account, bound=3)


def check(session: Session, source: str, account: str, *, bound: int) -> None:
    """What everything says of the window, one account and one region: 6 records, and few objects."""
    logs = flowlogs.open(source, session, WINDOW, account=account)
    got = logs.query("records_by_status")
    assert (got["records"].sum(), got["bytes"].sum()) == (6, 6 * (1 if account == ACCOUNTS[0] else 100))
    assert logs.last is not None
    (where,) = [line for line in logs.last.sql.splitlines() if line.startswith("WHERE") and '"end" >= ?' in line]
    assert where.count('" = ') + where.count('" IN ') >= bound, where
    (row,) = logs.coverage_rows()
    assert (row.account, row.region, row.state, row.rows) == (account, REGIONS[0], "ok", 6), str(row)


def by_day(spell: str, *, types: tuple[str, ...] = ()) -> list[tuple[list[str], str]]:
    days = sorted({hour.replace(hour=0) for hour in HOURS})
    return [
        ([f"{day:{part}}" for part in spell.split()], f"text/AWSLogs/{ACCOUNTS[0]}/vpcflowlogs/{REGIONS[0]}/{day:%Y/%m/%d}")
        for day in days
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "spell"),
    [
        ({"date": "date"}, "%Y-%m-%d"),  # AWS's own text table
        ({"date": "string"}, "%Y-%m-%d"),
        ({"dt": "string"}, "%Y%m%d"),
        ({"dt": "int"}, "%Y%m%d"),
        ({"day": "string"}, "%d.%m.%Y"),  # its spelling tells nothing, its location all
        ({"year": "int", "month": "int", "day": "int"}, "%Y %m %d"),
        ({"Year": "string", "Month": "string", "Day": "string"}, "%Y %-m %-d"),
        ({"y": "smallint", "mm": "tinyint", "dd": "string"}, "%Y %-m %d"),
        ({"p0": "string", "p1": "string"}, "%A %j"),
    ],
)
def test_listed_partitions_are_bound_as_they_are_spelled(
    session: Session, bucket: str, keys: dict[str, str], spell: str
) -> None:
    source = table(session, bucket, keys, where="text/", partitions=by_day(spell), text=True)
    logs = flowlogs.open(source, session, WINDOW)
    assert logs.query("records_by_status")["records"].sum() == 6
    (row,) = logs.coverage_rows()
    assert (row.account, row.region, row.rows) == (ACCOUNTS[0], REGIONS[0], 6)


def listed(bucket: str) -> tuple[dict[str, str], list[tuple[list[str], str]]]:
    keys = {"who": "string", "place": "string", "date": "date", "hh": "int"}
    rows = [
        ([account, region, f"{hour:%Y-%m-%d}", f"{hour.hour}"], f"parquet/AWSLogs/{account}/vpcflowlogs/{region}/{hour:%Y/%m/%d/%H}")
        for account in ACCOUNTS for region in REGIONS for hour in HOURS
    ]  # fmt: skip
    return keys, rows


@pytest.mark.parametrize("account", ACCOUNTS)
def test_listed_accounts_regions_days_and_hours(session: Session, bucket: str, account: str) -> None:
    keys, rows = listed(bucket)
    source = table(session, bucket, keys, where="x/", partitions=rows)
    check(session, source, account, bound=4)
    last = flowlogs.open(source, session, WINDOW, account=account)
    last.query("timeline")
    estimate = last.engine.estimate_bytes(("bytes",), WINDOW)  # type: ignore[attr-defined]
    assert last.last is not None
    assert last.last.scanned_bytes == estimate  # small objects are read whole


def test_nothing_is_empty_where_the_table_lacks_it(session: Session, bucket: str) -> None:
    keys, rows = listed(bucket)
    source = table(session, bucket, keys, where="x/", partitions=rows)
    with pytest.raises(SourceError, match=r"no partition of account 999999999999.*000123456701, 123456789012"):
        flowlogs.open(source, session, WINDOW, account="999999999999").query("timeline")
    later = Window.parse("2025-03-01T00:00:00Z", "2025-03-01T01:00:00Z")
    with pytest.raises(WindowError, match=r"no partition .* reach from 2024-12-14T20:00Z to 2024-12-15T04:00Z"):
        flowlogs.open(source, session, later).query("timeline")
    with pytest.raises(SourceError, match=r"no partition, so that every answer would be empty"):
        flowlogs.open(table(session, bucket, {"dt": "string"}, where="x/"), session, WINDOW).query("timeline")
    projected = table(
        session, bucket, {"acct": "string", "dt": "string"}, where="x/",
        properties=projection(f"s3://{bucket}/parquet/AWSLogs/${{acct}}/vpcflowlogs/us-east-1/${{dt}}/", acct=ENUM_A, dt=DAY.replace("2024/01/01,NOW", "2025/01/01,NOW")),
    )  # fmt: skip
    with pytest.raises(WindowError, match="projection does not cover"):
        flowlogs.open(projected, session, WINDOW).query("timeline")
    with pytest.raises(SourceError, match=r"no partition of account"):
        flowlogs.open(projected, session, later, account="999999999999").query("timeline")


def test_a_part_of_the_window_without_partitions_is_said(session: Session, bucket: str) -> None:
    keys, rows = listed(bucket)
    source = table(session, bucket, keys, where="x/", partitions=[row for row in rows if row[0][3] != "0"])
    (row,) = flowlogs.open(source, session, WINDOW).coverage_rows()
    assert (row.rows, "no partition covers 2024-12-15T00:00Z to 2024-12-15T01:00Z" in row.note) == (4, True)


def test_a_key_that_tells_nothing_is_left_and_said(session: Session, bucket: str) -> None:
    source = table(
        session, bucket, {"team": "string", "dt": "string"}, where="x/",
        properties=projection(f"s3://{bucket}/flat/{ACCOUNTS[0]}/${{team}}/${{dt}}/", team="type=enum;values=us-east-1,core", dt=DAY.replace("/", "-")),
    )  # fmt: skip
    logs = flowlogs.open(source, session, WINDOW)
    assert logs.query("records_by_status")["records"].sum() == 6
    assert "team is not bound" in logs.coverage_rows()[0].note
    injected = table(
        session, bucket, {"team": "string"}, where="x/",
        properties=projection(f"s3://{bucket}/flat/${{team}}/", team="type=injected"),
    )  # fmt: skip
    with pytest.raises(SourceError, match="team is injected"):
        flowlogs.open(injected, session, WINDOW).query("timeline")


def test_a_table_without_keys_says_which_accounts_its_objects_are_of(session: Session, bucket: str) -> None:
    source = table(session, bucket, {}, where="parquet/AWSLogs/")
    (row,) = flowlogs.open(source, session, WINDOW).coverage_rows()
    assert (row.account, row.region, row.rows) == ("000123456701, 123456789012", "eu-west-1, us-east-1", 24)


# -------------------------------------------------------------------------------------------------------------- text tables

GOOD = b"2 123456789012 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1734214000 1734214059 ACCEPT OK\n"
HEADER = (" ".join(name.replace("_", "-") for name in COLUMNS) + "\n").encode()


@pytest.mark.parametrize(
    ("body", "skip", "says"),
    [
        (HEADER + GOOD, 1, ""),
        (HEADER + GOOD.replace(b" OK", b" NODATA").replace(b" 40 ", b" - "), 1, ""),
        (HEADER + b" " + GOOD, 1, "blank"),
        (HEADER + GOOD.replace(b" eni", b"  eni"), 1, "blank"),
        (HEADER + GOOD.replace(b" eni", b"\teni"), 1, "blank"),
        (GOOD + GOOD, 1, "first record is skipped"),
        (HEADER + GOOD, 0, "header is read"),
        (HEADER.replace(b"srcaddr dstaddr", b"dstaddr srcaddr") + GOOD, 1, "another order"),
        (HEADER + GOOD.replace(b" 40 ", b" 8.4E+02 "), 1, "number in bytes"),
        (HEADER + GOOD.replace(b" 1 2 ", b" 1 99999999999 "), 1, "number in dstport"),
        (HEADER + GOOD.replace(b" OK", b""), 1, "13 fields"),
    ],
)
def test_what_a_text_table_cannot_show(body: bytes, skip: int, says: str) -> None:
    check = check_text(body, "a/b.log", COLUMNS, skip)
    assert bool(check.bad) == bool(says), check
    assert says in " ".join(check.notes)


def test_a_gz_that_is_none_is_named_when_the_query_fails(session: Session, bucket: str) -> None:
    prefix = f"broken-{uuid.uuid4().hex[:6]}"
    session.call("s3", "put_object", Bucket=bucket, Key=f"{prefix}/a.log.gz", Body=HEADER + GOOD)
    source = table(session, bucket, {}, where=f"{prefix}/", text=True)
    with pytest.raises(QueryFailed) as caught:
        flowlogs.open(source, session, WINDOW).query("timeline")
    assert "a.log.gz" in caught.value.hint


def test_coverage_says_what_the_sample_shows(session: Session, bucket: str) -> None:
    prefix = f"odd-{uuid.uuid4().hex[:6]}"
    session.call("s3", "put_object", Bucket=bucket, Key=f"{prefix}/a.log", Body=HEADER + GOOD + b" " + GOOD)
    source = table(session, bucket, {}, where=f"{prefix}/", text=True)
    (row,) = flowlogs.open(source, session, WINDOW).coverage_rows()
    assert (row.state, row.skipped) == ("skipped", 1)
    assert "blank" in row.note


# ---------------------------------------------------------------------------------------------------------------------- pure


def test_every_query_reads_its_table_once() -> None:
    often = {name: scans(query.sql, "flows") for name, query in catalogue().items()}
    assert {name: count for name, count in often.items() if count != 1} == {}


@pytest.mark.parametrize(
    ("sql", "often"),
    [
        ("SELECT 1 FROM flows", 1),
        ("WITH a AS (SELECT * FROM flows) SELECT * FROM a", 1),
        ("WITH a AS (SELECT * FROM flows) SELECT * FROM a x JOIN a y ON x.bytes = y.bytes", 2),
        (
            "WITH a AS (SELECT * FROM flows), b AS (SELECT * FROM a UNION ALL SELECT * FROM a) SELECT * FROM b, b AS c",
            4,
        ),
        ("SELECT * FROM flows WHERE bytes > (SELECT avg(bytes) FROM flows)", 2),
        ("SELECT * FROM (WITH z AS (SELECT * FROM flows) SELECT z.* FROM z, z AS q) AS k", 2),
        ("WITH unused AS (SELECT * FROM flows) SELECT * FROM flows", 1),
    ],
)
def test_scans_are_references(sql: str, often: int) -> None:
    assert scans(sql, "flows") == often


@pytest.mark.parametrize(
    ("text", "start", "hours"),
    [
        ("2024-12-14", (2024, 12, 14, 0), 24), ("2024/12/14", (2024, 12, 14, 0), 24), ("20241214", (2024, 12, 14, 0), 24),
        ("2024-12-14-09", (2024, 12, 14, 9), 1), ("2024/12/14/09", (2024, 12, 14, 9), 1), ("2024121409", (2024, 12, 14, 9), 1),
        ("2024-12-14 09:00:00", (2024, 12, 14, 9), 0), ("2024-12", (2024, 12, 1, 0), 31 * 24), ("2024-1-5", (2024, 1, 5, 0), 24),
    ],
)  # fmt: skip
def test_spellings_of_a_date(text: str, start: tuple[int, int, int, int], hours: int) -> None:
    span = span_of(text)
    assert span is not None
    assert span[0] == datetime(*start, tzinfo=UTC)
    assert hours in (0, (span[1] - span[0]) / timedelta(hours=1))


@pytest.mark.parametrize("text", ["2024-13-01", "20240230", "", "14", "core", "123456789012", "2024-12-14x"])
def test_what_is_no_date(text: str) -> None:
    assert span_of(text) is None


def test_names_and_places_of_aws() -> None:
    assert [name_role(one) for one in ("accid", "aws-account-id", "ACCOUNT", "rgn", "AWS_REGION", "log_year", "dt", "team")] == [
        "account", "account", "account", "region", "region", "year", "date", "other",
    ]  # fmt: skip
    assert layout("s3://b/p/AWSLogs/123456789012/vpcflowlogs/eu-west-1/2024/12/14/") == {
        "account": "123456789012", "region": "eu-west-1", "year": "2024", "month": "12", "day": "14",
    }  # fmt: skip


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_a_date_format_reads_what_it_spells(when: datetime) -> None:
    for pattern in (
        "yyyy/MM/dd",
        "yyyy-MM-dd-HH",
        "dd-MMM-yyyy",
        "yyyyMMdd",
        "yyyy-MM-dd'T'HH:mm",
        "d.M.uuuu",
        "yyyy/MM",
    ):
        form = date_format(pattern)
        assert form is not None
        again = form.read(form.spell(when))
        assert again is not None
        assert form.spell(again) == form.spell(when)
    assert date_format("EEE, yyyy") is None


_SPELLS = {
    "days": ("type=date;format=yyyy-MM-dd;range=2020-01-01,NOW", 1440), "weeks": ("type=date;format=yyyy-MM-dd;range=2020-01-01,NOW;interval=1;interval.unit=WEEKS", 7 * 1440),
    "six hours": ("type=date;format=yyyy-MM-dd-HH;range=2020-01-01-00,NOW;interval=6;interval.unit=HOURS", 360),
    "minutes": ("type=date;format=yyyy-MM-dd-HH-mm;range=2020-01-01-00-00,NOW;interval=5;interval.unit=MINUTES", 5),
    "months": ("type=date;format=yyyy-MM;range=2020-01,NOW;interval=1;interval.unit=MONTHS", 1440),
}  # fmt: skip


@given(
    kind=st.sampled_from(sorted(_SPELLS)),
    start=st.datetimes(datetime(2021, 1, 1), datetime(2024, 1, 1), timezones=st.just(UTC)),
    length_s=st.integers(1, 3 * 86400),
    into=st.floats(0, 1),
)
def test_no_interval_loses_a_record(kind: str, start: datetime, length_s: int, into: float) -> None:
    """The partition of a record, which is the last one of the grid not after it, is among those that are read."""
    settings, minutes = _SPELLS[kind]
    window = Window(start, start + timedelta(seconds=length_s))
    projection_ = dict(pair.partition("=")[::2] for pair in settings.split(";"))
    key = Key("p", "string", projection_)
    found = reads(Layout("d.t", (key,), "s3://b/${p}/", "s3://b/"), window, account="1" * 12, region="us-east-1", now=datetime(2026, 1, 1, tzinfo=UTC))  # fmt: skip
    moment = start + timedelta(seconds=into * length_s)
    grid = datetime(2020, 1, 1, tzinfo=UTC)
    part = grid + (moment - grid) // timedelta(minutes=minutes) * timedelta(minutes=minutes)
    form = date_format(projection_["format"])
    assert form is not None
    assert form.spell(part) in found.values


_ROWS = st.sets(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 3)), min_size=1)


@given(_ROWS)
def test_predicates_keep_exactly_the_rows(rows: set[tuple[str, int, int]]) -> None:
    keys = (Key("a"), Key("b", "int"), Key("c", "int"))
    where, values = predicates(keys, rows)
    every = "SELECT * FROM (VALUES ('a'), ('b')) AS x(a), range(4) AS y(b), range(4) AS z(c)"
    kept = duckdb.execute(f"SELECT * FROM ({every}) WHERE {where}", list(values)).fetchall()
    assert set(kept) == rows
    assert where.count("?") == len(values)


def test_names_of_keys_stay_names() -> None:
    where, values = predicates([Key('a" OR 1=1 --')], {("x",)})
    assert (where, values) == ('"a"" or 1=1 --" = ?', ("x",))


def test_a_value_that_its_type_has_not_is_one_error() -> None:
    broken = Layout("d.t", (Key("dt", "int"), Key("x", "int")), "", "s3://b/", (Partition(("20241214", "oops"), "s3://b/1"), Partition(("20241213", "oops2"), "s3://b/2")))  # fmt: skip
    with pytest.raises(NetkitError):
        reads(
            broken, Window.parse("2024-12-14T05:00:00Z", "2024-12-14T06:00:00Z"), account="1" * 12, region="us-east-1"
        )
