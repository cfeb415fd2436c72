"""The seed's command lines as specs, translated with a notice; what is not plain is refused with a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from netkit.core.errors import FieldError, InputError
from netkit.flowlogs.commands import spec_from_command
from netkit.flowlogs.fields import DEFAULT_V2
from netkit.flowlogs.table import FlowLogSpec

SEED = Path(__file__).parents[1] / ".." / "shared" / "seed.txt"
needs_seed = pytest.mark.skipif(not SEED.exists(), reason="../shared/seed.txt is not here")
ACCOUNT, REGION = "123456789012", "us-east-1"
CREATE = "aws ec2 create-flow-logs --resource-type VPC --resource-ids vpc-12345678 --traffic-type ALL "
TO_S3 = CREATE + "--log-destination-type s3 --log-destination arn:aws:s3:::my-logs "


def read(text: str) -> FlowLogSpec:
    (spec,), _ = spec_from_command(text, ACCOUNT, REGION)
    return spec


@needs_seed
def test_the_seeds_three_flow_logs() -> None:
    vpc, subnets, rejects = spec_from_command(SEED.read_text("utf-8"), ACCOUNT, REGION)[0]
    assert vpc.fields == (
        "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "action", "vpc-id", "subnet-id",
        "instance-id", "interface-id", "region", "az-id",
    )  # fmt: skip
    # Its table reads Parquet under year=/month=/day=/hour=, so that is what the flow log has to write.
    assert (vpc.file_format, vpc.hive, vpc.per_hour, vpc.bucket) == (
        "parquet",
        True,
        True,
        "vpc-flow-logs-bucket-unique-name",
    )
    assert (subnets.resource_type, subnets.resource_ids) == ("Subnet", ("subnet-12345678", "subnet-87654321"))
    assert (subnets.destination, subnets.log_group, subnets.fields) == ("cloud-watch-logs", "VPCFlowLogs", DEFAULT_V2)
    assert subnets.role_arn == "arn:aws:iam::123456789012:role/flowlogsRole"
    assert (rejects.traffic, rejects.prefix, rejects.resource_ids) == ("REJECT", "rejected-traffic", ("eni-12345678",))


@needs_seed
@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("${windowstart}", "${start}"),
        ("${windowend}", "${end}"),
        ("no --destination-options", "FileFormat=parquet,HiveCompatiblePartitions=true,PerHourPartition=true"),
        ("packets int", "packets bigint"),
        ("column windowstart", "column start"),
        ("AWSLogDeliveryCheck", "AWSLogDeliveryAclCheck"),
        ("AWSLogDeliveryWrite without conditions", "AWSLogDeliveryWrite with conditions"),
        ("aws iam create-role", "nothing for S3"),
        ("aws s3api put-bucket-policy", "a merge into what is there"),
        ("aws s3 mb s3://vpc-flow-logs-bucket-unique-name --region us-east-1", "a plan for the bucket"),
        ("LOCATION s3://vpc-flow-logs-bucket-unique-name/", "s3://vpc-flow-logs-bucket-unique-name/AWSLogs/"),
    ],
)
def test_every_translation_of_the_seed_is_said(written: str, read_as: str) -> None:
    _, notices = spec_from_command(SEED.read_text("utf-8"), ACCOUNT, REGION)
    (notice,) = [one for one in notices if one.written == written]
    assert notice.read_as == read_as
    assert str(notice) == f"{written} is read as {read_as}: {notice.why}"


@needs_seed
def test_its_template_is_named_as_one_that_finds_nothing() -> None:
    _, notices = spec_from_command(SEED.read_text("utf-8"), ACCOUNT, REGION)
    (notice,) = [one for one in notices if one.written.startswith("storage.location.template")]
    assert "finds no object" in notice.why
    assert len(notices) == len(set(notices))


def test_aws_defaults_where_no_table_asks_for_more() -> None:
    spec = read(TO_S3)
    assert (spec.file_format, spec.hive, spec.per_hour, spec.aggregation_s, spec.fields) == (
        "plain-text",
        False,
        False,
        600,
        DEFAULT_V2,
    )


@pytest.mark.parametrize(
    "options",
    [
        "--destination-options FileFormat=parquet,HiveCompatiblePartitions=true,PerHourPartition=false",
        '--destination-options \'{"FileFormat": "parquet", "HiveCompatiblePartitions": true, "PerHourPartition": false}\'',
        "--destination-options=FileFormat=parquet,HiveCompatiblePartitions=True",
    ],
)
def test_options_that_are_given_are_taken(options: str) -> None:
    spec = read(TO_S3 + options)
    assert (spec.file_format, spec.hive, spec.per_hour) == ("parquet", True, False)


def test_continuation_lines_quotes_and_other_commands() -> None:
    text = "\n".join(
        [
            "aws ec2 describe-vpcs",
            TO_S3 + "\\",
            "  --log-format '${srcaddr}",
            "${dstaddr}' \\",
            "  --region eu-west-1",
            "echo done",
        ]
    )
    spec = read(text)
    assert (spec.fields, spec.region) == (("srcaddr", "dstaddr"), "eu-west-1")


def test_a_table_over_another_bucket_says_nothing_about_this_flow_log() -> None:
    table = (
        "CREATE EXTERNAL TABLE t (a string) PARTITIONED BY (year string) STORED AS PARQUET LOCATION 's3://my-logs-2/'"
    )
    assert read(f"{TO_S3}\n{table}").file_format == "plain-text"
    assert read(f"{TO_S3}\n{table.replace('my-logs-2', 'my-logs')}").file_format == "parquet"


def test_transit_gateway_and_firehose() -> None:
    gateway = read(
        "aws ec2 create-flow-logs --resource-type TransitGateway --resource-ids tgw-12345678 --log-destination-type s3 "
        "--log-destination arn:aws:s3:::my-logs --log-format '${tgw-id} ${srcaddr}' --max-aggregation-interval 60"
    )
    assert (gateway.fields, gateway.aggregation_s) == (("tgw-id", "srcaddr"), 60)
    arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/flows"
    assert read(f"{CREATE} --log-destination-type kinesis-data-firehose --log-destination {arn}").stream_arn == arn


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TO_S3.replace("vpc-12345678", "vpc-source123456"), "8 or 17 hex digits"),
        (TO_S3 + "--retention-in-days 30", "no option '--retention-in-days'"),
        (TO_S3 + "--traffic-type DROP", "ALL, ACCEPT, REJECT"),
        (TO_S3 + "--destination-options Compression=gzip", "has no 'Compression'"),
        (TO_S3 + "--destination-options '{\"FileFormat\"'", "not JSON"),
        (TO_S3 + "--max-aggregation-interval ten", "not a number of seconds"),
        (TO_S3 + "--max-aggregation-interval 300", "60, 600"),
        (TO_S3 + "--log-format ${srcaddr} ${dstaddr}", "one value, and has 2"),
        (TO_S3 + "--log-format '${srcaddr}", "open quote"),
        (CREATE + "--log-destination-type s3 --log-destination my-logs", "not a bucket ARN"),
        (CREATE + "--log-destination-type s3 --log-destination arn:aws:s3:::my-logs/AWSLogs/", "may not be AWSLogs"),
        (CREATE + "--log-destination-type kafka", "none of s3"),
        (CREATE, "needs a log group"),
        ("aws ec2 create-flow-logs vpc-12345678", "before any option"),
    ],
)
def test_what_is_refused_and_what_it_says(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        spec_from_command(text, ACCOUNT, REGION)
    assert says in str(refused.value)


def test_an_unknown_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(FieldError, match="did you mean dstaddr"):
        spec_from_command(TO_S3 + "--log-format '${srcaddr} ${destaddr}'", ACCOUNT, REGION)


def test_a_text_without_commands() -> None:
    assert spec_from_command("nothing here; rm -rf /", ACCOUNT, REGION) == ([], [])
