"""One flow-log spec, and all that must agree with it: request, key layout, table definition.

A FlowLogSpec says what a flow log writes and where. From it come the CreateFlowLogs request, the S3 key prefix and the
Athena table; DescribeFlowLogs gives the same spec back. What a Window is in a table's partitions: partitions.py. Nothing
here sees AWS.

Sources: Amazon VPC User Guide "Flow log files" (key layout), "Publish flow logs to Amazon S3"; Amazon Athena User Guide
"Query Amazon VPC flow logs" and "Use partition projection"; botocore's EC2 model (CreateFlowLogs, DescribeFlowLogs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from netkit.core.errors import InputError, QueryError
from netkit.flowlogs.fields import (
    COLUMNS,
    DEFAULT_V2,
    FIELDS,
    TGW_DEFAULT,
    Family,
    check_fields,
    log_format,
    parse_format,
)

Destination = Literal["s3", "cloud-watch-logs", "kinesis-data-firehose"]
FileFormat = Literal["plain-text", "parquet"]

RESOURCE_TYPES: dict[str, str] = {
    "VPC": "vpc-",
    "Subnet": "subnet-",
    "NetworkInterface": "eni-",
    "TransitGateway": "tgw-",
    "TransitGatewayAttachment": "tgw-attach-",
    "RegionalNatGateway": "nat-",
}
TRAFFIC_TYPES = ("ALL", "ACCEPT", "REJECT")


@dataclass(frozen=True)
class FlowLogSpec:
    """What one or more flow logs write, and where.

    fields               field names in record order; () means AWS's default format
    resource_type        VPC, Subnet, NetworkInterface, TransitGateway, TransitGatewayAttachment, RegionalNatGateway
    resource_ids         what is logged, all of that type
    traffic              ALL, ACCEPT or REJECT; not for Transit Gateways
    destination          s3, cloud-watch-logs or kinesis-data-firehose
    bucket, prefix       for s3; the prefix is without slashes at its ends and never "AWSLogs"
    log_group, role_arn  for cloud-watch-logs
    stream_arn           for kinesis-data-firehose
    file_format, hive, per_hour   for s3: plain-text or parquet, Hive-compatible keys, a folder per hour
    aggregation_s        60 or 600 seconds

    Raises InputError (FieldError for a field) for values that AWS refuses.
    """

    account: str
    region: str
    resource_type: str = "VPC"
    resource_ids: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    traffic: str = "ALL"
    destination: Destination = "s3"
    bucket: str = ""
    prefix: str = ""
    log_group: str = ""
    role_arn: str = ""
    stream_arn: str = ""
    file_format: FileFormat = "parquet"
    hive: bool = False
    per_hour: bool = True
    aggregation_s: int = 600

    def __post_init__(self) -> None:
        check_account(self.account)
        check_region(self.region)
        if self.resource_type not in RESOURCE_TYPES:
            raise InputError(f"resource type {self.resource_type!r} is none of {', '.join(RESOURCE_TYPES)}")
        names, _ = check_fields(self.fields or self.default_fields, self.family)
        object.__setattr__(self, "fields", names)
        if self.is_tgw:
            object.__setattr__(self, "aggregation_s", 60)
            object.__setattr__(self, "traffic", "ALL")
        self._check_choices()
        self._check_resources()
        self._check_destination()
        self._drop_what_does_not_apply()

    def _drop_what_does_not_apply(self) -> None:
        """Blank what another destination would need, so that two specs which write the same are equal."""
        s3 = {"bucket": "", "prefix": "", "file_format": "plain-text", "hive": False, "per_hour": False}
        unused: dict[str, object] = s3 if self.destination != "s3" else {}
        if self.destination != "cloud-watch-logs":
            unused = unused | {"log_group": "", "role_arn": ""}
        if self.destination != "kinesis-data-firehose":
            unused = unused | {"stream_arn": ""}
        for name, value in unused.items():
            object.__setattr__(self, name, value)

    def _check_choices(self) -> None:
        choices: tuple[tuple[str, object, tuple[object, ...]], ...] = (
            ("traffic", self.traffic, TRAFFIC_TYPES),
            ("destination", self.destination, ("s3", "cloud-watch-logs", "kinesis-data-firehose")),
            ("file_format", self.file_format, ("plain-text", "parquet")),
            ("aggregation_s", self.aggregation_s, (60, 600)),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                raise InputError(f"{name} {value!r} is none of {', '.join(map(str, allowed))}")

    def _check_resources(self) -> None:
        limit = 25 if self.is_tgw else 300
        if len(self.resource_ids) > limit:
            raise InputError(
                f"{len(self.resource_ids)} resources in one flow-log request; AWS takes {limit}", hint="split them"
            )
        start = RESOURCE_TYPES[self.resource_type]
        for one in self.resource_ids:
            if not re.fullmatch(rf"{start}([0-9a-f]{{8}}|[0-9a-f]{{17}})", one):
                raise InputError(
                    f"{one!r} is not the id of a {self.resource_type}", hint=f"{start} and 8 or 17 hex digits"
                )

    def _check_destination(self) -> None:
        if self.destination == "s3":
            check_bucket(self.bucket)
            object.__setattr__(self, "prefix", check_prefix(self.prefix))
        elif self.destination == "cloud-watch-logs" and not self.log_group:
            raise InputError("a flow log to CloudWatch Logs needs a log group", hint="set log_group")
        elif self.destination == "kinesis-data-firehose" and not self.stream_arn.startswith("arn:"):
            raise InputError("a flow log to Firehose needs the ARN of its delivery stream", hint="set stream_arn")

    @property
    def is_tgw(self) -> bool:
        """Whether this is a Transit Gateway flow log, which has its own fields and always 60 seconds."""
        return self.resource_type.startswith("TransitGateway")

    @property
    def family(self) -> Family:
        """The family of fields: "vpc" or "tgw"."""
        return "tgw" if self.is_tgw else "vpc"

    @property
    def default_fields(self) -> tuple[str, ...]:
        """What AWS logs when no format is given."""
        return TGW_DEFAULT if self.is_tgw else DEFAULT_V2

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields as column names, in record order."""
        return tuple(FIELDS[name].column for name in self.fields)

    @property
    def log_destination(self) -> str:
        """The LogDestination ARN."""
        if self.destination == "s3":
            return f"arn:aws:s3:::{self.bucket}" + (f"/{self.prefix}/" if self.prefix else "")
        if self.destination == "cloud-watch-logs":
            return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.log_group}"
        return self.stream_arn

    def create_request(self) -> dict[str, Any]:
        """Parameters of CreateFlowLogs, without tags and client token. The default format is left out, as AWS asks."""
        request: dict[str, Any] = {
            "ResourceIds": list(self.resource_ids),
            "ResourceType": self.resource_type,
            "LogDestinationType": self.destination,
            "LogDestination": self.log_destination,
            "MaxAggregationInterval": self.aggregation_s,
        }
        if not self.is_tgw:
            request["TrafficType"] = self.traffic
        if self.fields != self.default_fields:
            request["LogFormat"] = log_format(self.fields)
        if self.destination == "s3":
            request["DestinationOptions"] = {
                "FileFormat": self.file_format,
                "HiveCompatiblePartitions": self.hive,
                "PerHourPartition": self.per_hour,
            }
        if self.destination == "cloud-watch-logs":
            request["DeliverLogsPermissionArn"] = self.role_arn
        return request

    @classmethod
    def from_described(cls, flow_log: Mapping[str, Any], account: str, region: str) -> FlowLogSpec:
        """The spec of one entry of DescribeFlowLogs. Its resource type follows from the id of the resource."""
        resource = flow_log["ResourceId"]
        kind = resource_type_of(resource)
        options = flow_log.get("DestinationOptions") or {}
        destination = flow_log.get("LogDestinationType", "cloud-watch-logs")
        where = flow_log.get("LogDestination", "")
        bucket, _, prefix = where.removeprefix("arn:aws:s3:::").partition("/") if destination == "s3" else ("", "", "")
        names, _ = parse_format(flow_log.get("LogFormat", ""), "tgw" if kind.startswith("TransitGateway") else "vpc")
        return cls(
            account=account,
            region=region,
            resource_type=kind,
            resource_ids=(resource,),
            fields=names,
            traffic=flow_log.get("TrafficType", "ALL"),
            destination=destination,
            bucket=bucket,
            prefix=prefix,
            log_group=flow_log.get("LogGroupName")
            or (where.partition(":log-group:")[2].removesuffix(":*") if destination == "cloud-watch-logs" else ""),
            role_arn=flow_log.get("DeliverLogsPermissionArn", ""),
            stream_arn=where if destination == "kinesis-data-firehose" else "",
            file_format=options.get("FileFormat", "plain-text"),
            hive=options.get("HiveCompatiblePartitions", False),
            per_hour=options.get("PerHourPartition", False),
            aggregation_s=flow_log.get("MaxAggregationInterval", 600),
        )

    def writes_like(self, other: FlowLogSpec) -> bool:
        """Whether both write the same records to the same place, whatever resources they log and with whatever role."""
        return replace(self, resource_ids=(), resource_type=other.resource_type, role_arn="") == replace(
            other, resource_ids=(), role_arn=""
        )

    @property
    def base_key(self) -> str:
        """Key prefix of all objects, with a slash at its end: "prefix/AWSLogs/"."""
        return f"{self.prefix}/AWSLogs/" if self.prefix else "AWSLogs/"

    def key_prefix(self, when: datetime) -> str:
        """Key prefix of the objects delivered for a UTC time, with a slash at its end (UG:flow-logs-s3-path)."""
        if self.hive:
            folder = f"aws-account-id={self.account}/aws-service=vpcflowlogs/aws-region={self.region}/year={when:%Y}/month={when:%m}/day={when:%d}/"
            return self.base_key + folder + (f"hour={when:%H}/" if self.per_hour else "")
        folder = f"{self.account}/vpcflowlogs/{self.region}/{when:%Y/%m/%d}/"
        return self.base_key + folder + (f"{when:%H}/" if self.per_hour else "")

    def object_name(self, flow_log_id: str, when: datetime, digest: str) -> str:
        """File name of the object for records whose end lies in the five minutes from `when`."""
        suffix = "log.parquet" if self.file_format == "parquet" else "log.gz"
        return f"{self.account}_vpcflowlogs_{self.region}_{flow_log_id}_{when:%Y%m%dT%H%MZ}_{digest}.{suffix}"

    @property
    def partition_keys(self) -> tuple[str, ...]:
        """Partition columns of the table. None has the name of a flow-log field."""
        if self.hive:
            return ("acct", "rgn", "year", "month", "day", *(("hour",) if self.per_hour else ()))
        return ("acct", "rgn", "dt", *(("hour",) if self.per_hour else ()))

    @property
    def location_template(self) -> str:
        """storage.location.template: where the objects of one partition are."""
        if self.hive:
            tail = "aws-account-id=${acct}/aws-service=vpcflowlogs/aws-region=${rgn}/year=${year}/month=${month}/day=${day}/"
            return f"s3://{self.bucket}/{self.base_key}{tail}" + ("hour=${hour}/" if self.per_hour else "")
        return f"s3://{self.bucket}/{self.base_key}${{acct}}/vpcflowlogs/${{rgn}}/${{dt}}/" + (
            "${hour}/" if self.per_hour else ""
        )

    def table_properties(
        self, *, since: str = "2024", accounts: Sequence[str] = (), regions: Sequence[str] = ()
    ) -> dict[str, str]:
        """TBLPROPERTIES: partition projection from the year `since` on, for these accounts and regions (default: the spec's).

        Raises InputError for a year, account or region that is none: they end up in a table definition.
        """
        if not re.fullmatch(r"20[0-9]{2}", since):
            raise InputError(f"{since[:20]!r} is not a year from 2000 to 2099", hint='as "2024"')
        for one in accounts:
            check_account(one)
        for one in regions:
            check_region(one)
        properties = {"projection.enabled": "true", "storage.location.template": self.location_template}
        for key, values in (("acct", accounts or (self.account,)), ("rgn", regions or (self.region,))):
            properties |= {f"projection.{key}.type": "enum", f"projection.{key}.values": ",".join(values)}
        if self.hive:
            # Hive keys keep year, month and day apart; an upper bound is needed and integers know no NOW.
            for key, span, digits in (("year", f"{since},2035", 0), ("month", "1,12", 2), ("day", "1,31", 2)):
                properties |= _integer(key, span, digits)
        else:
            properties |= {
                "projection.dt.type": "date",
                "projection.dt.format": "yyyy/MM/dd",
                "projection.dt.range": f"{since}/01/01,NOW",
            }
            properties |= {"projection.dt.interval": "1", "projection.dt.interval.unit": "DAYS"}
        if self.per_hour:
            properties |= _integer("hour", "0,23", 2)
        if self.file_format == "plain-text":
            properties["skip.header.line.count"] = "1"
        return properties

    def ddl(
        self,
        database: str,
        table: str,
        *,
        since: str = "2024",
        accounts: Sequence[str] = (),
        regions: Sequence[str] = (),
    ) -> str:
        """CREATE EXTERNAL TABLE for this spec. Raises QueryError for a database or table name out of the allow-list."""
        check_identifier(database)
        check_identifier(table)
        columns = ",\n  ".join(f"`{FIELDS[name].column}` {FIELDS[name].athena}" for name in self.fields)
        keys = ", ".join(f"`{key}` string" for key in self.partition_keys)
        stored = (
            "STORED AS PARQUET"
            if self.file_format == "parquet"
            else "ROW FORMAT DELIMITED FIELDS TERMINATED BY ' '\nSTORED AS TEXTFILE"
        )
        pairs = self.table_properties(since=since, accounts=accounts, regions=regions).items()
        properties = ",\n  ".join(f"'{key}'='{value}'" for key, value in pairs)
        return (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`{table}` (\n  {columns}\n)\nPARTITIONED BY ({keys})\n{stored}\n"
            f"LOCATION 's3://{self.bucket}/{self.base_key}'\nTBLPROPERTIES (\n  {properties}\n)"
        )


def resource_type_of(resource_id: str) -> str:
    """The resource type that an id is of. Raises InputError for an id that no flow log can be of."""
    kinds = [kind for kind, start in RESOURCE_TYPES.items() if resource_id.startswith(start)]
    if not kinds:
        raise InputError(
            f"{resource_id[:60]!r} is not the id of anything that flow logs are of",
            hint=", ".join(RESOURCE_TYPES.values()),
        )
    return max(kinds, key=lambda kind: len(RESOURCE_TYPES[kind]))  # tgw-attach-… also starts with tgw-


def _integer(key: str, span: str, digits: int) -> dict[str, str]:
    padded = {f"projection.{key}.digits": str(digits)} if digits else {}
    return {f"projection.{key}.type": "integer", f"projection.{key}.range": span} | padded


def check_account(account: str) -> str:
    """An AWS account id. Raises InputError unless it is twelve digits."""
    if not re.fullmatch(r"[0-9]{12}", account):
        raise InputError(
            f"account {account[:40]!r} is not twelve digits", hint='quote it in YAML: account_id: "000123456701"'
        )
    return account


def check_region(region: str) -> str:
    """The name of an AWS region by its form, as us-gov-east-1. Raises InputError for anything else."""
    if not re.fullmatch(r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}", region):
        raise InputError(f"{region[:40]!r} is not an AWS region", hint="as us-east-1")
    return region


def check_identifier(name: str) -> str:
    """A database, table or workgroup-safe column name. Raises QueryError unless it is a lower-case Athena identifier."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,127}", name):
        raise QueryError(
            f"{name[:60]!r} is not a name netkit puts into SQL",
            hint="lower-case letters, digits and underscores, at most 128",
        )
    return name


def check_bucket(name: str) -> str:
    """A bucket name by S3's rules for general purpose buckets. Raises InputError, saying which rule."""
    hint = "3 to 63 of a-z, 0-9, dot and hyphen, beginning and ending with a letter or digit"
    if (
        not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name)
        or ".." in name
        or re.fullmatch(r"(\d+\.){3}\d+", name)
    ):
        raise InputError(f"AWS refuses the bucket name {name[:80]!r}", hint=hint)
    reserved = name.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or name.endswith(
        ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
    )
    if reserved:
        raise InputError(f"the bucket name {name!r} uses a reserved prefix or suffix", hint=hint)
    return name


def check_prefix(prefix: str) -> str:
    """A key prefix without slashes at its ends. Raises InputError for "AWSLogs", which AWS reserves."""
    text = prefix.strip("/")
    if text.split("/")[0] == "AWSLogs":
        raise InputError(
            "the prefix of a flow-log destination may not be AWSLogs",
            hint="AWS adds AWSLogs/ itself; leave the prefix empty",
        )
    if text and not re.fullmatch(r"[A-Za-z0-9!_.*'()/-]{1,512}", text):
        raise InputError(
            f"the prefix {prefix[:80]!r} has characters that S3 advises against", hint="letters, digits and !_.*'()/-"
        )
    return text


def columns_known(columns: Sequence[str]) -> tuple[str, ...]:
    """Of a table's columns those that are flow-log fields."""
    return tuple(name for name in columns if name in COLUMNS)
