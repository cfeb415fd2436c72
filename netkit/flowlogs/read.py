"""What is there: flow logs, interfaces, subnets, tables and deliveries, as frames. Reads only.

Sources: botocore's EC2, Glue and S3 models (DescribeFlowLogs, DescribeNetworkInterfaces, GetTable, ListObjectsV2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from netkit.core.errors import AwsError, SourceError
from netkit.core.model import Coverage, Window
from netkit.core.session import Session, error_code
from netkit.flowlogs.keys import Key
from netkit.flowlogs.partitions import PARTITIONS_AFTER, PARTITIONS_BEFORE, Layout, Partition
from netkit.flowlogs.table import RESOURCE_TYPES

FLOW_LOG_COLUMNS = (
    "flow_log_id", "resource_id", "resource_type", "traffic", "destination", "log_destination", "file_format", "hive",
    "per_hour", "aggregation_s", "log_format", "status", "deliver_status", "deliver_error", "created", "name",
)  # fmt: skip
INTERFACE_COLUMNS = (
    "interface_id", "name", "description", "interface_type", "requester_managed", "instance_id", "instance_name", "subnet_id",
    "subnet_name", "vpc_id", "az", "primary_address", "secondary_addresses", "ipv6_addresses", "public_addresses", "groups", "status",
)  # fmt: skip
DELIVERY_COLUMNS = ("key", "bytes", "records_until", "last_modified", "lag_s")
_KINDS = sorted(RESOURCE_TYPES.items(), key=lambda kind: -len(kind[1]))  # tgw-attach- before tgw-
_STAMP = re.compile(r"_(\d{8}T\d{4})Z_[^/]*$")


@dataclass(frozen=True)
class TableShape:
    """An Athena table as Glue has it: columns with types, partition keys with theirs, properties (projection.*), location,
    format. Names are in lower case, as Athena has them."""

    database: str
    table: str
    columns: dict[str, str]
    partition_keys: tuple[str, ...]
    parameters: dict[str, str]
    location: str
    file_format: str
    key_types: tuple[str, ...] = ()

    @property
    def template(self) -> str:
        """Where the objects of a projected partition are; "" without projection."""
        if not self.projected:
            return ""
        hive = "/".join(f"{key}=${{{key}}}" for key in self.partition_keys)
        return self._properties.get("storage.location.template") or f"{self.location.rstrip('/')}/{hive}/"

    @property
    def _properties(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.parameters.items()}

    @property
    def keys(self) -> tuple[Key, ...]:
        """The partition keys, with their types and what projection says of each."""
        types = self.key_types or ("string",) * len(self.partition_keys)
        return tuple(
            Key(name, kind, self._projection(name)) for name, kind in zip(self.partition_keys, types, strict=True)
        )

    def _projection(self, key: str) -> dict[str, str]:
        start = f"projection.{key.lower()}."
        found = {name[len(start) :]: value for name, value in self._properties.items() if name.startswith(start)}
        return found if self.projected else {}

    @property
    def projected(self) -> bool:
        """Whether partition projection is on."""
        return self._properties.get("projection.enabled", "").strip().lower() == "true"


def table_shape(session: Session, database: str, table: str) -> TableShape:
    """The shape of a table in the Glue catalogue. Raises SourceError where there is none, AccessError when denied."""
    try:
        answer = session.call("glue", "get_table", DatabaseName=database, Name=table)["Table"]
    except AwsError as error:
        if error_code(error) == "EntityNotFoundException":
            hint = "run 20_flow_logs_provision, or name another table"
            raise SourceError(f"there is no table {database}.{table}", hint=hint) from None
        raise
    storage = answer["StorageDescriptor"]
    parquet = "parquet" in (storage.get("InputFormat", "") + str(storage.get("SerdeInfo", {}))).lower()
    return TableShape(
        database,
        table,
        {column["Name"].lower(): column.get("Type", "string").lower() for column in storage["Columns"]},
        tuple(key["Name"].lower() for key in answer.get("PartitionKeys", [])),
        dict(answer.get("Parameters", {})),
        storage.get("Location", ""),
        "parquet" if parquet else "plain-text",
        tuple(key.get("Type", "string").lower() for key in answer.get("PartitionKeys", [])),
    )


def table_layout(session: Session, shape: TableShape) -> Layout:
    """Where a table's records are: its keys, and the partitions that the catalogue has where projection makes none."""
    found: list[Partition] = []
    if shape.partition_keys and not shape.projected:
        asked = {"DatabaseName": shape.database, "TableName": shape.table, "ExcludeColumnSchema": True}
        found = [
            Partition(tuple(one["Values"]), one.get("StorageDescriptor", {}).get("Location", ""))
            for one in session.pages("glue", "get_partitions", "Partitions", **asked)
        ]
    return Layout(f"{shape.database}.{shape.table}", shape.keys, shape.template, shape.location, tuple(found))


def described(session: Session, *, resource_ids: Sequence[str] = ()) -> list[dict[str, Any]]:
    """DescribeFlowLogs, whole, for some resources or all."""
    chosen: dict[str, Any] = {"Filter": [{"Name": "resource-id", "Values": list(resource_ids)}]} if resource_ids else {}
    return session.pages("ec2", "describe_flow_logs", "FlowLogs", **chosen)


def flow_logs(session: Session, *, resource_ids: Sequence[str] = ()) -> pd.DataFrame:
    """The flow logs there are: FLOW_LOG_COLUMNS, aggregation_s in seconds, created in UTC."""
    rows = [_flow_log(session, one) for one in described(session, resource_ids=resource_ids)]
    return pd.DataFrame(rows, columns=list(FLOW_LOG_COLUMNS))


def _flow_log(session: Session, one: Mapping[str, Any]) -> dict[str, Any]:
    """A row as AWS describes it: a field or a destination that netkit does not know is shown, not refused."""
    options = one.get("DestinationOptions") or {}
    group = f"arn:aws:logs:{session.region}:{session.account_id}:log-group:{one.get('LogGroupName', '')}"
    kind = next((kind for kind, start in _KINDS if one["ResourceId"].startswith(start)), "")
    values = (
        one["FlowLogId"], one["ResourceId"], kind, one.get("TrafficType", "ALL"), one.get("LogDestinationType", "cloud-watch-logs"),
        one.get("LogDestination") or group, options.get("FileFormat", "plain-text"), options.get("HiveCompatiblePartitions", False),
        options.get("PerHourPartition", False), one.get("MaxAggregationInterval", 600), one.get("LogFormat", ""),
        one.get("FlowLogStatus", ""), one.get("DeliverLogsStatus", ""), one.get("DeliverLogsErrorMessage", ""),
        one.get("CreationTime"), _tag(one, "Name"),
    )  # fmt: skip
    return dict(zip(FLOW_LOG_COLUMNS, values, strict=True))


def interfaces(session: Session, *, vpc_id: str = "") -> tuple[pd.DataFrame, tuple[Coverage, ...]]:
    """Every network interface (of one VPC) with names and all its addresses, and how much of it could be read.

    Columns: INTERFACE_COLUMNS; secondary_addresses, ipv6_addresses, public_addresses and groups are lists. Instance and
    subnet names are "" where those reads are denied, which the Coverage says.
    """
    chosen: dict[str, Any] = {"Filters": [{"Name": "vpc-id", "Values": [vpc_id]}]} if vpc_id else {}
    found, seen = session.read("ec2", "describe_network_interfaces", "NetworkInterfaces", **chosen)
    reservations, seen_instances = session.read("ec2", "describe_instances", "Reservations")
    subnets, seen_subnets = session.read("ec2", "describe_subnets", "Subnets", **chosen)
    instances = {one["InstanceId"]: _tag(one, "Name") for group in reservations for one in group["Instances"]}
    names = {one["SubnetId"]: _tag(one, "Name") for one in subnets}
    rows = [_interface(one, instances, names) for one in found]
    frame = pd.DataFrame(rows, columns=list(INTERFACE_COLUMNS))
    return frame.sort_values("interface_id", ignore_index=True), (seen, seen_instances, seen_subnets)


def _interface(one: Mapping[str, Any], instances: Mapping[str, str], subnets: Mapping[str, str]) -> dict[str, Any]:
    private = one.get("PrivateIpAddresses", [])
    primary = one.get("PrivateIpAddress", "")
    public = [address["Association"]["PublicIp"] for address in private if "PublicIp" in address.get("Association", {})]
    direct = one.get("Association", {}).get("PublicIp")
    instance = one.get("Attachment", {}).get("InstanceId", "")
    values = (
        one["NetworkInterfaceId"], _tag(one, "Name"), one.get("Description", ""), one.get("InterfaceType", ""),
        bool(one.get("RequesterManaged")), instance, instances.get(instance, ""), one.get("SubnetId", ""),
        subnets.get(one.get("SubnetId", ""), ""), one.get("VpcId", ""), one.get("AvailabilityZone", ""), primary,
        [address["PrivateIpAddress"] for address in private if address["PrivateIpAddress"] != primary],
        [address["Ipv6Address"] for address in one.get("Ipv6Addresses", [])],
        sorted({*public, *([direct] if direct else [])}), [group["GroupId"] for group in one.get("Groups", [])], one.get("Status", ""),
    )  # fmt: skip
    return dict(zip(INTERFACE_COLUMNS, values, strict=True))


def _tag(thing: Mapping[str, Any], key: str) -> str:
    return next((tag["Value"] for tag in thing.get("Tags") or thing.get("TagSet") or () if tag["Key"] == key), "")


def unlogged(interfaces: pd.DataFrame, logs: pd.DataFrame) -> pd.DataFrame:
    """The rows of `interfaces` that no active flow log covers, by interface, subnet or VPC."""
    active = set(logs.loc[logs["status"].eq("ACTIVE") & logs["deliver_status"].ne("FAILED"), "resource_id"])
    covered = interfaces[["interface_id", "subnet_id", "vpc_id"]].isin(active).any(axis=1)
    return interfaces[~covered].reset_index(drop=True)


def logging_by_vpc(session: Session, interfaces: pd.DataFrame, logs: pd.DataFrame) -> pd.DataFrame:
    """The VPCs, and how many of their interfaces are logged: vpc_id, name, cidr, interfaces, unlogged."""
    blind = unlogged(interfaces, logs)["vpc_id"].value_counts()
    total = interfaces["vpc_id"].value_counts()
    rows = [
        (
            vpc["VpcId"],
            _tag(vpc, "Name"),
            vpc["CidrBlock"],
            int(total.get(vpc["VpcId"], 0)),
            int(blind.get(vpc["VpcId"], 0)),
        )
        for vpc in session.pages("ec2", "describe_vpcs", "Vpcs")
    ]
    return pd.DataFrame(rows, columns=["vpc_id", "name", "cidr", "interfaces", "unlogged"]).sort_values(
        "name", ignore_index=True
    )


def vpc_ids(session: Session, *, name: str) -> list[str]:
    """The ids of the VPCs with a Name tag. Raises SourceError where there is none."""
    found = session.pages("ec2", "describe_vpcs", "Vpcs", Filters=[{"Name": "tag:Name", "Values": [name]}])
    if not found:
        raise SourceError(f"no VPC is named {name!r}", hint="00_start_here lists the VPCs; or give resource_ids")
    return [vpc["VpcId"] for vpc in found]


def vpc_cidrs(session: Session, *, vpc_id: str = "") -> list[str]:
    """The IPv4 and IPv6 blocks of a VPC (or of all)."""
    vpcs = session.pages("ec2", "describe_vpcs", "Vpcs", **({"VpcIds": [vpc_id]} if vpc_id else {}))
    blocks = [block["CidrBlock"] for vpc in vpcs for block in vpc.get("CidrBlockAssociationSet", [])]
    return blocks + [block["Ipv6CidrBlock"] for vpc in vpcs for block in vpc.get("Ipv6CidrBlockAssociationSet", [])]


def file_time(key: str) -> datetime | None:
    """The UTC time in the name of a delivered object: its records end in the five minutes from then. None in other names."""
    match = _STAMP.search(key)
    return datetime.strptime(match[1], "%Y%m%dT%H%M").replace(tzinfo=UTC) if match else None


def objects(
    session: Session, bucket: str, prefixes: Iterable[str], window: Window | None = None
) -> list[dict[str, Any]]:
    """Objects below some prefixes, those left out whose name says that no record of the window is in them."""
    span = window.widened(before=PARTITIONS_BEFORE, after=PARTITIONS_AFTER) if window else None
    found = []
    for prefix in prefixes:
        for one in session.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix):
            time = file_time(one["Key"])
            if one["Size"] and (
                span is None or time is None or (span.start <= time + timedelta(minutes=5) and time < span.end)
            ):
                found.append(one)
    return found


def deliveries(session: Session, bucket: str, prefix: str, window: Window) -> pd.DataFrame:
    """Delivered objects of a window: key, bytes, records_until and last_modified (UTC), lag_s (seconds between the two)."""
    rows = []
    for one in objects(session, bucket, [prefix], window):
        if time := file_time(one["Key"]):
            until = time + timedelta(minutes=5)
            lag = (one["LastModified"] - until).total_seconds()
            rows.append((one["Key"], one["Size"], until, one["LastModified"], lag))
    return pd.DataFrame(rows, columns=list(DELIVERY_COLUMNS)).sort_values("records_until", ignore_index=True)
