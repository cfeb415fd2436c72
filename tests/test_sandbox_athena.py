"""The sandbox's Athena, judged by awswrangler, DuckDB over the same objects, Parquet footers, and the guide's own statements."""

from __future__ import annotations

import io
import random
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import awswrangler as wr
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.core.session import Session, connect
from netkit.sandbox.services.athena import Failed, Source, bind, partitions, table_input

RESULTS = "s3://netkit-sandbox-athena-results/"


@pytest.fixture(scope="module")
def session() -> Session:
    return connect(target="sandbox")


@pytest.fixture(scope="module")
def bucket(session: Session) -> str:
    name = f"athena-tests-{uuid.uuid4().hex[:8]}"
    session.call("s3", "create_bucket", Bucket=name)
    session.call("glue", "create_database", DatabaseInput={"Name": "tests"})
    return name


def ask(session: Session, sql: str, params: list[str] | None = None, **more: Any) -> pd.DataFrame:
    return wr.athena.read_sql_query(
        sql, database="tests", ctas_approach=False, unload_approach=False, workgroup="netkit", boto3_session=session.boto3,
        paramstyle="qmark", params=params, athena_query_wait_polling_delay=0.05, **more,
    )  # fmt: skip


def ddl(session: Session, sql: str) -> None:
    wr.athena.wait_query(
        wr.athena.start_query_execution(sql, database="tests", workgroup="netkit", boto3_session=session.boto3),
        boto3_session=session.boto3,
    )


def put(session: Session, bucket: str, key: str, frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), out, compression="gzip")
    session.call("s3", "put_object", Bucket=bucket, Key=key, Body=out.getvalue())
    return out.getvalue()


def test_partitions_are_projected_pruned_and_paid_for_by_column(session: Session, bucket: str) -> None:
    bodies = {}
    for day in (1, 2, 3):
        for hour in (0, 5):
            frame = pd.DataFrame({"n": range(1000), "pad": [f"{day}-{hour}-{i}" for i in range(1000)]}).astype(
                {"n": "int64"}
            )
            bodies[day, hour] = put(session, bucket, f"t/2026/11/{day:02d}/{hour:02d}/x.parquet", frame)
    ddl(
        session,
        f"""CREATE EXTERNAL TABLE IF NOT EXISTS `tests`.`projected` (`n` bigint, `pad` string) PARTITIONED BY (`dt` string, `hour` string)
        STORED AS PARQUET LOCATION 's3://{bucket}/t/' TBLPROPERTIES ('projection.enabled'='true', 'projection.dt.type'='date',
        'projection.dt.format'='yyyy/MM/dd', 'projection.dt.range'='2026/10/01,2026/12/31', 'projection.hour.type'='integer',
        'projection.hour.range'='0,23', 'projection.hour.digits'='2', 'storage.location.template'='s3://{bucket}/t/${{dt}}/${{hour}}/')""",
    )
    got = ask(
        session,
        "SELECT dt, hour, count(*) AS c, sum(n) AS s FROM projected WHERE dt >= ? AND hour = ? GROUP BY 1, 2 ORDER BY 1",
        ["'2026/11/02'", "'05'"],
    )
    assert got.values.tolist() == [["2026/11/02", "05", 1000, 499500], ["2026/11/03", "05", 1000, 499500]]
    # Objects up to 3 MB are read whole, whatever is asked of them.
    assert got.query_metadata["Statistics"]["DataScannedInBytes"] == sum(len(bodies[day, 5]) for day in (2, 3))
    assert ask(session, "SELECT n FROM projected WHERE dt = '2027/01/01'").shape == (0, 1)


def test_text_is_read_by_position_and_what_does_not_parse_is_null(session: Session, bucket: str) -> None:
    body = b"a b c\nx 1 -\ny - 2\nz nine 3 extra\n"
    session.call("s3", "put_object", Bucket=bucket, Key="text/f.log", Body=body)
    ddl(
        session,
        f"""CREATE EXTERNAL TABLE `texts` (`name` string, `one` int, `two` bigint) ROW FORMAT DELIMITED FIELDS TERMINATED BY ' '
        LOCATION 's3://{bucket}/text/' TBLPROPERTIES ('skip.header.line.count'='1')""",
    )
    got = ask(session, "SELECT name, one, two FROM texts ORDER BY name")
    assert got["name"].tolist()[:2] == ["x", "y"]
    assert got["one"].astype("object").where(got["one"].notna(), None).tolist()[:2] == [1, None]
    assert got["two"].astype("object").where(got["two"].notna(), None).tolist()[:2] == [None, 2]
    assert got.query_metadata["Statistics"]["DataScannedInBytes"] == len(body)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT * FROM nowhere", "TABLE_NOT_FOUND"),
        ("SELECT wrong FROM projected WHERE dt = '2026/11/02'", "COLUMN_NOT_FOUND"),
        ("SELEC 1", "NOT_SUPPORTED|SYNTAX_ERROR"),
        ("SELECT 1 +", "SYNTAX_ERROR"),
        ("SELECT CAST('10.0.0.1' AS IPADDRESS)", "IPADDRESS"),
    ],
)
def test_a_failing_query_is_failed_with_its_reason(session: Session, bucket: str, sql: str, reason: str) -> None:
    started = session.call(
        "athena",
        "start_query_execution",
        QueryString=sql,
        QueryExecutionContext={"Database": "tests"},
        WorkGroup="netkit",
    )
    status = session.call("athena", "get_query_execution", QueryExecutionId=started["QueryExecutionId"])[
        "QueryExecution"
    ]["Status"]
    assert status["State"] == "FAILED"
    assert any(word in status["StateChangeReason"] for word in reason.split("|"))


def test_a_large_object_is_paid_for_by_column_and_once_a_reference(session: Session, bucket: str) -> None:
    noise = random.Random(1)
    frame = pd.DataFrame({"n": range(80_000), "pad": [noise.randbytes(40).hex() for _ in range(80_000)]})
    body = put(session, bucket, "big/x.parquet", frame)
    assert len(body) > 3 * 1024 * 1024
    ddl(session, f"CREATE EXTERNAL TABLE big (n bigint, pad string) STORED AS PARQUET LOCATION 's3://{bucket}/big/'")
    group = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0)
    chunk = group.column(0).total_compressed_size
    for sql, times in (
        ("SELECT sum(n) AS s FROM big", 1),
        ("WITH a AS (SELECT n FROM big) SELECT count(*) AS c FROM a", 1),
        ("WITH a AS (SELECT n FROM big) SELECT count(*) AS c FROM a JOIN a AS b ON a.n = b.n", 2),
        ("WITH a AS (SELECT n FROM big), b AS (SELECT n FROM a UNION ALL SELECT n FROM a) SELECT (SELECT max(n) FROM b) - min(n) AS d FROM b", 4),
        ("SELECT x.n FROM big AS x JOIN big AS y ON x.n = y.n LIMIT 1", 2),
    ):  # fmt: skip
        assert ask(session, sql).query_metadata["Statistics"]["DataScannedInBytes"] == times * chunk, sql


@pytest.mark.parametrize(("value", "refused"), [(2, False), (2**31 - 1, False), (2**31, True), (-(2**40), True)])
def test_an_int64_declared_as_int_is_refused_on_overflow_only(
    session: Session, bucket: str, value: int, refused: bool
) -> None:
    name = f"bad_{abs(value)}"
    put(session, bucket, f"{name}/x.parquet", pd.DataFrame({"packets": [1, value]}).astype("int64"))
    ddl(session, f"CREATE EXTERNAL TABLE {name} (packets int) STORED AS PARQUET LOCATION 's3://{bucket}/{name}/'")
    if refused:
        with pytest.raises(wr.exceptions.QueryFailed, match="HIVE_BAD_DATA"):
            ask(session, f"SELECT max(packets) AS m FROM {name}")
    else:
        assert ask(session, f"SELECT max(packets) AS m FROM {name}")["m"].tolist() == [value]


def test_tables_have_both_formats(session: Session, bucket: str) -> None:
    for stored, word in (("STORED AS PARQUET", "Parquet"), ("ROW FORMAT DELIMITED FIELDS TERMINATED BY ' '", "Text")):
        ddl(session, f"CREATE EXTERNAL TABLE formats_{word.lower()} (a int) {stored} LOCATION 's3://{bucket}/none/'")
        got = session.call("glue", "get_table", DatabaseName="tests", Name=f"formats_{word.lower()}")["Table"]
        storage = got["StorageDescriptor"]
        assert (word in storage["InputFormat"], word in storage["OutputFormat"]) == (True, True)


def test_a_workgroup_cuts_off_what_scans_too_much(session: Session, bucket: str) -> None:
    group = {
        "ResultConfiguration": {"OutputLocation": RESULTS},
        "BytesScannedCutoffPerQuery": 10_000_000,
        "EnforceWorkGroupConfiguration": True,
    }
    session.call("athena", "create_work_group", Name="small", Configuration=group)
    session.call("s3", "put_object", Bucket=bucket, Key="large/f.log", Body=b"x\n" * 6_000_000)
    ddl(session, f"CREATE EXTERNAL TABLE large (name string) LOCATION 's3://{bucket}/large/'")
    started = session.call(
        "athena", "start_query_execution", QueryString="SELECT count(*) FROM tests.large", WorkGroup="small"
    )
    status = session.call("athena", "get_query_execution", QueryExecutionId=started["QueryExecutionId"])[
        "QueryExecution"
    ]["Status"]
    assert (status["State"], "limit" in status["StateChangeReason"]) == ("CANCELLED", True)


def test_no_output_location_is_refused(session: Session) -> None:
    from netkit.core.errors import AwsError

    with pytest.raises(AwsError, match="No output location"):
        session.call("athena", "start_query_execution", QueryString="SELECT 1", WorkGroup="primary")


def test_parameters_are_literals_and_nothing_else() -> None:
    assert bind("SELECT ?, '?' FROM t WHERE a = ?", ["'it''s'", "3"]) == "SELECT 'it''s', '?' FROM t WHERE a = 3"
    assert bind("SELECT ?", ["CAST('2024-01-01' AS DATE)"]) == "SELECT CAST('2024-01-01' AS DATE)"
    for wrong in ("'x'; DROP TABLE t", "1 OR 1 = 1", "a", "(SELECT 1)", "'x' || name", "'x", "1 -- c\n, 2"):
        with pytest.raises(Failed, match="INVALID_PARAMETER_USAGE"):
            bind("SELECT ?", [wrong])
    with pytest.raises(Failed, match="expected 1 but found 2"):
        bind("SELECT ?", ["1", "2"])


@given(st.text(max_size=40))
def test_any_text_comes_through_as_itself(text: str) -> None:
    from netkit.flowlogs.engines import literal

    if "\x00" in text:
        return
    sql = bind("SELECT ?", [literal(text)])
    assert duckdb.connect().execute(sqlglot.transpile(sql, read="athena", write="duckdb")[0]).fetchall() == [(text,)]


SOURCE = Source(
    "db.t", {"n": "bigint"}, ("acct", "dt", "hour"),
    {
        "projection.enabled": "true", "projection.acct.type": "enum", "projection.acct.values": "111122223333,444455556666",
        "projection.dt.type": "date", "projection.dt.format": "yyyy/MM/dd", "projection.dt.range": "NOW-6DAYS,NOW",
        "projection.hour.type": "integer", "projection.hour.range": "0,23", "projection.hour.digits": "2",
        "storage.location.template": "s3://b/${acct}/${dt}/${hour}/",
    },
    "s3://b/", True, " ", (),
)  # fmt: skip
NOW = datetime(2026, 11, 19, 8, tzinfo=UTC)


def test_an_unfiltered_projection_has_every_value() -> None:
    every = partitions(SOURCE, [], NOW)
    assert len(every) == 2 * 7 * 24
    assert every[0] == (("111122223333", "2026/11/13", "00"), "s3://b/111122223333/2026/11/13/00/")
    assert every[-1][0] == ("444455556666", "2026/11/19", "23")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["acct = '111122223333'", "acct IN ('444455556666', '9')", "dt >= '2026/11/17'", "dt BETWEEN '2026/11/14' AND '2026/11/15'", "hour = '05'",
             "hour < '03' OR hour > '21'", "dt || hour BETWEEN '2026/11/1421' AND '2026/11/1502'", "CAST(hour AS integer) % 2 = 0", "NOT dt = '2026/11/19'"]
        ), max_size=4,
    )
)  # fmt: skip
def test_pruning_is_filtering(conjuncts: list[str]) -> None:
    """What is pruned column by column is what a filter over all partitions keeps."""
    kept = {
        values for values, _ in partitions(SOURCE, [sqlglot.parse_one(one, read="athena") for one in conjuncts], NOW)
    }
    db = duckdb.connect()
    db.register(
        "parts", pd.DataFrame([values for values, _ in partitions(SOURCE, [], NOW)], columns=["acct", "dt", "hour"])
    )
    where = " AND ".join(f"({one})" for one in conjuncts) or "true"
    assert kept == set(db.execute(f"SELECT * FROM parts WHERE {where}").fetchall())


def test_an_injected_column_needs_its_value() -> None:
    injected = Source(
        "db.t",
        {},
        ("acct",),
        {"projection.enabled": "true", "projection.acct.type": "injected"},
        "s3://b/",
        True,
        " ",
        (),
    )
    with pytest.raises(Failed, match="CONSTRAINT_VIOLATION"):
        partitions(injected, [], NOW)
    assert partitions(injected, [sqlglot.parse_one("acct = '111122223333'")], NOW) == [
        (("111122223333",), "s3://b/acct=111122223333/")
    ]


FACTS = Path(__file__).parents[2] / "shared/aws-facts.md"


@pytest.mark.skipif(not FACTS.exists(), reason="../shared is not here: the guide's table definition is read from it")
def test_the_documented_definition_is_read() -> None:
    text = FACTS.read_text("utf-8")
    statement = text[text.index("CREATE EXTERNAL TABLE IF NOT EXISTS `DB`") :].partition("```")[0]
    made = table_input(sqlglot.parse_one(statement, read="athena"))  # type: ignore[arg-type]
    assert [one["Name"] for one in made["PartitionKeys"]] == ["acct", "rgn", "year", "month", "day", "hour"]
    assert made["Parameters"]["projection.month.digits"] == "2"
    assert {one["Name"]: one["Type"] for one in made["StorageDescriptor"]["Columns"]}["packets"] == "bigint"
