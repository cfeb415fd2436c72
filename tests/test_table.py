"""The flow-log spec against the facts: request, key layout, table definition, partitions; and back from what AWS describes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import duckdb
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from netkit.core.errors import FieldError, InputError, QueryError
from netkit.core.model import Window
from netkit.flowlogs.fields import DEFAULT_V2, FIELDS, INVESTIGATION
from netkit.flowlogs.keys import Key
from netkit.flowlogs.partitions import Layout, Reads, reads
from netkit.flowlogs.table import RESOURCE_TYPES, FlowLogSpec, check_bucket, check_prefix

FACTS = Path(__file__).parents[1] / ".." / "shared" / "aws-facts.md"
needs_facts = pytest.mark.skipif(not FACTS.exists(), reason="../shared/aws-facts.md is not here")
ACCOUNT, REGION = "123456789012", "us-east-1"
VPC = "vpc-0123456789abcdef0"


def spec(**more: Any) -> FlowLogSpec:
    return FlowLogSpec(**({"account": ACCOUNT, "region": REGION, "resource_ids": (VPC,), "bucket": "my-logs"} | more))


# Any spec that AWS would take.
_VPC_FIELDS = sorted(name for name, field in FIELDS.items() if "vpc" in field.families)
_TGW_FIELDS = sorted(name for name, field in FIELDS.items() if "tgw" in field.families)
_HEX = st.text("0123456789abcdef", min_size=17, max_size=17)


@st.composite
def specs(draw: st.DrawFn) -> FlowLogSpec:
    kind = draw(st.sampled_from(sorted(RESOURCE_TYPES)))
    names = _TGW_FIELDS if kind.startswith("TransitGateway") else _VPC_FIELDS
    where: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"bucket": "my-logs"},
                {"bucket": "my.logs-2", "prefix": "a/b"},
                {
                    "destination": "cloud-watch-logs",
                    "log_group": "/net/flows",
                    "role_arn": f"arn:aws:iam::{ACCOUNT}:role/logs",
                },
                {
                    "destination": "kinesis-data-firehose",
                    "stream_arn": f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/flows",
                },
            ]
        )
    )
    return FlowLogSpec(
        account=ACCOUNT,
        region=REGION,
        resource_type=kind,
        resource_ids=(RESOURCE_TYPES[kind] + draw(_HEX),),
        fields=tuple(draw(st.one_of(st.just([]), st.lists(st.sampled_from(names), min_size=1, unique=True)))),
        traffic=draw(st.sampled_from(["ALL", "ACCEPT", "REJECT"])),
        file_format=draw(st.sampled_from(["parquet", "plain-text"])),
        hive=draw(st.booleans()),
        per_hour=draw(st.booleans()),
        aggregation_s=draw(st.sampled_from([60, 600])),
        **where,
    )


def described(request: dict[str, Any]) -> dict[str, Any]:
    """What DescribeFlowLogs says of a request, by botocore's FlowLog shape: the default format spelled out, one resource."""
    answer = {
        "FlowLogId": "fl-0123456789abcdef0", "ResourceId": request["ResourceIds"][0], "FlowLogStatus": "ACTIVE",
        "LogDestinationType": request["LogDestinationType"], "LogDestination": request["LogDestination"],
        "MaxAggregationInterval": request["MaxAggregationInterval"],
    }  # fmt: skip
    for name in ("TrafficType", "LogFormat", "DestinationOptions", "DeliverLogsPermissionArn"):
        if name in request:
            answer[name] = request[name]
    return answer


@given(specs())
@settings(max_examples=200)
def test_what_aws_describes_gives_the_same_spec_back(wanted: FlowLogSpec) -> None:
    there = FlowLogSpec.from_described(described(wanted.create_request()), ACCOUNT, REGION)
    assert there == wanted
    assert there.writes_like(wanted)
    assert wanted.writes_like(replace(wanted, resource_ids=()))


@given(specs(), specs())
def test_specs_that_write_alike_have_the_same_request(one: FlowLogSpec, other: FlowLogSpec) -> None:
    def written(spec: FlowLogSpec) -> dict[str, Any]:
        return {
            name: value
            for name, value in spec.create_request().items()
            if name not in ("ResourceIds", "ResourceType", "DeliverLogsPermissionArn")
        }

    if one.family == other.family:  # a default format means other fields in the other family
        assert one.writes_like(other) == (written(one) == written(other))


@cache
def create_flow_logs() -> Any:
    """The shape of the request; loading the model of EC2 takes far longer than checking against it."""
    return botocore.session.get_session().get_service_model("ec2").operation_model("CreateFlowLogs").input_shape


@given(specs())
def test_every_request_is_valid_by_botocores_model(wanted: FlowLogSpec) -> None:
    report = botocore.validate.ParamValidator().validate(wanted.create_request(), create_flow_logs())
    assert not report.has_errors(), report.generate_report()


def test_the_default_format_is_left_out_of_the_request() -> None:
    assert "LogFormat" not in spec().create_request()
    assert spec(fields=INVESTIGATION).create_request()["LogFormat"].startswith("${version} ${account-id}")
    assert "DeliverLogsPermissionArn" not in spec().create_request()
    assert spec(prefix="/a/b/").log_destination == "arn:aws:s3:::my-logs/a/b/"
    gateway = FlowLogSpec(ACCOUNT, REGION, "TransitGateway", ("tgw-0123456789abcdef0",), bucket="my-logs")
    assert "TrafficType" not in gateway.create_request()
    assert gateway.create_request()["MaxAggregationInterval"] == 60


# Key layout: facts, 1.4, where the examples are AWS's.

WHEN = datetime(2024, 6, 30, 7, 5, tzinfo=UTC)


@needs_facts
@pytest.mark.parametrize(("hive", "per_hour"), [(False, False), (False, True), (True, False), (True, True)])
def test_key_prefixes_are_those_of_the_facts(hive: bool, per_hour: bool) -> None:
    rows = re.findall(r"^\| (no|yes) \| (no|yes) \| `([^`]+)` \|", FACTS.read_text("utf-8"), re.MULTILINE)
    layouts = {(one == "yes", other == "yes"): key for one, other, key in rows}
    assert len(layouts) == 4
    base = "AWSLogs/aws-account-id=<acct>/aws-service=vpcflowlogs/aws-region=<region>"
    filled = layouts[hive, per_hour].replace("...", base)
    for name, value in {"acct": ACCOUNT, "region": REGION, "yyyy": "2024", "mm": "06", "dd": "30", "hh": "07"}.items():
        filled = filled.replace(f"<{name}>", value)
    assert spec(hive=hive, per_hour=per_hour).key_prefix(WHEN) == filled
    assert spec(hive=hive, per_hour=per_hour, prefix="pre").key_prefix(WHEN) == f"pre/{filled}"


@needs_facts
def test_the_full_example_of_the_facts() -> None:
    example = re.search(r"Full hive\+hour example: `s3://b/([^`]+)`", FACTS.read_text("utf-8"))
    assert example
    one = spec(hive=True, per_hour=True, prefix="pre")
    assert one.key_prefix(WHEN) + one.object_name("fl-0a1b2c3d4e5f60718", WHEN, "ab12cd34") == example[1]


@pytest.mark.parametrize("hive", [False, True])
@pytest.mark.parametrize("per_hour", [False, True])
@pytest.mark.parametrize("prefix", ["", "a/b"])
def test_the_partition_template_leads_to_the_objects(hive: bool, per_hour: bool, prefix: str) -> None:
    """Filled with a partition's values, the template of the table is the folder that delivery writes to."""
    one = spec(hive=hive, per_hour=per_hour, prefix=prefix)
    values = {
        "acct": ACCOUNT,
        "rgn": REGION,
        "dt": "2024/06/30",
        "year": "2024",
        "month": "06",
        "day": "30",
        "hour": "07",
    }
    filled = one.location_template
    for key in one.partition_keys:
        assert f"${{{key}}}" in filled
        filled = filled.replace(f"${{{key}}}", values[key])
    assert filled == f"s3://my-logs/{one.key_prefix(WHEN)}"
    assert not set(one.partition_keys) & {field.column for field in FIELDS.values()}


# Table definitions: facts, 2.1.


def parsed(ddl: str) -> dict[str, Any]:
    tree = sqlglot.parse_one(ddl, read="athena")
    properties = {
        one.this.name: one.args["value"].name for one in tree.find_all(exp.Property) if type(one) is exp.Property
    }
    keys = tree.find(exp.PartitionedByProperty)
    assert keys
    columns = [
        (one.name, one.kind.sql("hive").lower())
        for one in tree.this.expressions
        if isinstance(one, exp.ColumnDef) and one.kind
    ]
    location = tree.find(exp.LocationProperty)
    return {
        "columns": columns,
        "keys": [one.name for one in keys.this.expressions],
        "location": location.this.name if location else "",
        "properties": properties,
        "parquet": "PARQUET" in ddl,
    }


@needs_facts
def test_the_hive_hourly_table_is_that_of_the_facts() -> None:
    section = FACTS.read_text("utf-8").partition("A. Parquet + Hive prefixes")[2]
    theirs = parsed(
        section.partition("```sql")[2].partition("```")[0].replace("BUCKET", "my-logs").replace("PREFIX", "pre")
    )
    ours = parsed(spec(hive=True, prefix="pre").ddl("db", "vpc_flow_logs"))
    assert len(theirs["columns"]) == len(DEFAULT_V2)
    for part in ("columns", "keys", "location", "parquet"):
        assert ours[part] == theirs[part], part
    # The range of years and the accounts and regions are the user's; everything else has to agree.
    own = {"projection.year.range", "projection.acct.values", "projection.rgn.values"}
    assert {name: value for name, value in ours["properties"].items() if name not in own} == {
        name: value for name, value in theirs["properties"].items() if name not in own
    }


@needs_facts
def test_the_date_tables_are_those_of_the_facts() -> None:
    text = FACTS.read_text("utf-8").partition("B. Parquet, *non*-Hive")[2].partition("Type mismatch")[0]
    hourly, daily = (
        piece.replace("BUCKET", "my-logs").replace("PREFIX", "pre") for piece in text.split("C. Plain text")
    )
    parquet = parsed(spec(prefix="pre").ddl("db", "t"))
    plain = parsed(spec(prefix="pre", file_format="plain-text", per_hour=False).ddl("db", "t"))
    for ours, said in ((parquet, hourly), (plain, daily)):
        template = re.search(r"template `([^`]+)`", said)
        assert template
        assert ours["properties"]["storage.location.template"] == template[1]
    for name, value in re.findall(r"'(projection\.[a-z.]+)'='([^']+)'", hourly):
        assert parquet["properties"][name] == value
    assert (parquet["keys"], plain["keys"]) == (["acct", "rgn", "dt", "hour"], ["acct", "rgn", "dt"])
    assert parquet["properties"]["projection.hour.range"] == "0,23"
    assert plain["properties"]["skip.header.line.count"] == "1"
    assert "skip.header.line.count" not in parquet["properties"]
    assert "FIELDS TERMINATED BY ' '" in spec(file_format="plain-text").ddl("db", "t")


@given(specs())
def test_every_spec_to_s3_has_a_table_that_parses_with_its_columns_in_order(wanted: FlowLogSpec) -> None:
    if wanted.destination == "s3":
        table = parsed(wanted.ddl("db", "flows"))
        assert [name for name, _ in table["columns"]] == list(wanted.columns)
        assert table["keys"] == list(wanted.partition_keys)
        assert table["location"] == f"s3://{wanted.bucket}/{wanted.base_key}"
        assert table["properties"] == wanted.table_properties()


# Partitions never lose a record.

_MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 30)).map(
    lambda one: one.replace(microsecond=0, tzinfo=UTC)
)


def read_by(one: FlowLogSpec, window: Window) -> Reads:
    """The partitions that a window has in the spec's own table."""
    properties = one.table_properties(since="2000")
    keys = tuple(
        Key(name, "string", {key.removeprefix(f"projection.{name}."): value for key, value in properties.items() if key.startswith(f"projection.{name}.")})
        for name in one.partition_keys
    )  # fmt: skip
    layout = Layout("net.flow_logs", keys, one.location_template, f"s3://{one.bucket}/{one.base_key}")
    return reads(layout, window, account=one.account, region=one.region, now=datetime(2040, 1, 1, tzinfo=UTC))


@given(
    start=_MOMENTS,
    length_s=st.one_of(st.integers(1, 7200), st.integers(1, 10 * 86400)),
    into=st.floats(0, 1, exclude_max=True),
    lasts_s=st.integers(0, 600),
    hive=st.booleans(),
    per_hour=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_no_record_of_the_window_is_in_a_partition_left_out(
    *, start: datetime, length_s: int, into: float, lasts_s: int, hive: bool, per_hour: bool
) -> None:
    """A record that starts in the window lies in the object of the five minutes of its end: the predicates must keep that."""
    window = Window(start, start + timedelta(seconds=length_s))
    record_end = start + timedelta(seconds=int(into * length_s) + lasts_s)
    file_time = record_end - timedelta(minutes=record_end.minute % 5, seconds=record_end.second)
    one = spec(hive=hive, per_hour=per_hour)
    values = {"acct": ACCOUNT, "rgn": REGION, "dt": f"{file_time:%Y/%m/%d}", "year": f"{file_time:%Y}"}
    values |= {"month": f"{file_time:%m}", "day": f"{file_time:%d}", "hour": f"{file_time:%H}"}
    asked = read_by(one, window)
    where, bound = asked.where, list(asked.values)
    row = ", ".join(f"'{values[key]}' AS \"{key}\"" for key in one.partition_keys)
    counted = duckdb.execute(f"SELECT count(*) FROM (SELECT {row}) WHERE {where}", bound).fetchone()
    assert counted == (1,), (str(window), str(record_end), where, bound)


@pytest.mark.parametrize("hive", [False, True])
def test_a_window_of_an_hour_keeps_few_partitions(hive: bool) -> None:
    one = spec(hive=hive)
    window = Window.parse("2026-11-19T23:00:00Z", "2026-11-20T00:00:00Z")
    asked = read_by(one, window)
    where, bound = asked.where, list(asked.values)
    days = [datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24 * 40)]
    rows = " UNION ALL ".join(
        f"SELECT '{ACCOUNT}' AS acct, '{REGION}' AS rgn, '{when:%Y/%m/%d}' AS dt, '{when:%Y}' AS year, '{when:%m}' AS month, '{when:%d}' AS day, '{when:%H}' AS hour"
        for when in days
    )
    kept = duckdb.execute(f"SELECT count(*) FROM ({rows}) WHERE {where}", bound).fetchone()
    assert kept == (3,)  # the hour before for clocks, the hour, and the hour after for records that end late


# Bad input.


@pytest.mark.parametrize("account", ["12345678901", "1234567890123", "12345678901a", "", "42798829357"])
def test_an_account_that_yaml_mangled(account: str) -> None:
    with pytest.raises(InputError, match="twelve digits"):
        spec(account=account)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"resource_type": "Instance"}, "none of VPC"),
        ({"resource_ids": ("vpc-source123456",)}, "8 or 17 hex"),
        ({"resource_ids": ("subnet-12345678",)}, "not the id of a VPC"),
        ({"resource_ids": (VPC,) * 301}, "AWS takes 300"),
        ({"traffic": "DROP"}, "ALL, ACCEPT, REJECT"),
        ({"aggregation_s": 300}, "60, 600"),
        ({"file_format": "csv"}, "plain-text, parquet"),
        ({"destination": "kafka"}, "s3, cloud-watch-logs"),
        ({"prefix": "AWSLogs/x"}, "may not be AWSLogs"),
        ({"destination": "cloud-watch-logs"}, "log group"),
        ({"destination": "kinesis-data-firehose"}, "delivery stream"),
        ({"bucket": "My_Bucket"}, "bucket name"),
    ],
)
def test_what_a_spec_refuses(more: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as refused:
        spec(**more)
    assert says in str(refused.value)


def test_a_field_of_the_other_family_in_a_spec() -> None:
    with pytest.raises(FieldError, match="not for VPC"):
        spec(fields=("tgw-id",))


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "-abc",
        "abc-",
        "a..b",
        "192.168.1.1",
        "ABC",
        "a_b",
        "xn--abc",
        "abc-s3alias",
        "a b",
        "a/b",
        "",
        "abc\n",
        "abc;",
    ],
)
def test_bucket_names_that_aws_refuses(name: str) -> None:
    with pytest.raises(InputError):
        check_bucket(name)


@pytest.mark.parametrize("name", ["abc", "a" * 63, "my.logs-2026", "1bucket1"])
def test_bucket_names_that_aws_takes(name: str) -> None:
    assert check_bucket(name) == name


@pytest.mark.parametrize("name", ["Flows", "a-b", "1table", "t; DROP TABLE x", "", "a" * 129, "`t`", "flöws", "t\n"])
def test_table_names_out_of_the_allow_list(name: str) -> None:
    with pytest.raises(QueryError):
        spec().ddl("db", name)
    with pytest.raises(QueryError):
        spec().ddl(name, "flows")


@pytest.mark.parametrize("prefix", ["a'b${x}", "a b", 'x"', "a\\b", "AWSLogs"])
def test_prefixes_that_are_refused(prefix: str) -> None:
    with pytest.raises(InputError):
        check_prefix(prefix)


@pytest.mark.parametrize("since", ["24", "2024'", "now"])
def test_a_year_that_is_none(since: str) -> None:
    with pytest.raises(InputError):
        spec().ddl("db", "t", since=since)
