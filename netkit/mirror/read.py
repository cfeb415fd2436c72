"""What is there: mirror sessions, filters, targets, possible sources, metrics and captures. Reads only.

Sources: botocore's EC2, CloudWatch and S3 models (DescribeTrafficMirrorSessions, …Filters, …Targets, DescribeNetworkInterfaces,
GetMetricData, ListObjectsV2); Amazon VPC Traffic Mirroring, "Monitor mirrored traffic using Amazon CloudWatch". The mirror calls
take no tag filter, so names are looked for in what they answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from netkit.core.errors import InputError, SourceError
from netkit.core.model import Coverage, Window
from netkit.core.session import Session, aws_errors
from netkit.mirror.filters import DIRECTIONS, MirrorFilter, MirrorTarget, Rule
from netkit.mirror.ids import check_id
from netkit.mirror.limits import SESSIONS_PER_INTERFACE, source_type

Record = Mapping[str, Any]

SESSION_COLUMNS = (
    "session_id", "name", "interface_id", "target_id", "filter_id", "number", "packet_length", "vni", "description", "owner",
)  # fmt: skip
FILTER_COLUMNS = (
    "filter_id", "name", "network_services", "description", "rule_id", "direction", "number", "action", "protocol", "source",
    "source_ports", "destination", "destination_ports", "rule_description",
)  # fmt: skip
TARGET_COLUMNS = ("target_id", "name", "kind", "resource", "description", "owner")
SOURCE_COLUMNS = (
    "interface_id", "name", "instance_id", "instance_name", "instance_type", "interface_type", "status", "subnet_id", "vpc_id", "az",
    "private_addresses", "ipv6_addresses", "sessions", "numbers", "usable", "says",
)  # fmt: skip
METRIC_COLUMNS = ("time", "metric", "value", "unit")
# On the source instance; the counts of packets come every five minutes only.
METRICS = {
    "NetworkMirrorIn": "bytes", "NetworkMirrorOut": "bytes", "NetworkSkipMirrorIn": "bytes", "NetworkSkipMirrorOut": "bytes",
    "NetworkPacketsMirrorIn": "packets", "NetworkPacketsMirrorOut": "packets", "NetworkPacketsSkipMirrorIn": "packets",
    "NetworkPacketsSkipMirrorOut": "packets",
}  # fmt: skip
METRIC_PERIOD_S = 300
CAPTURES = (".pcap", ".pcapng", ".cap")

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# Interfaces that AWS takes as sources: of type interface; of those that a service manages, only RDS's and ElastiCache's.
_MANAGED_SOURCES = ("amazon-rds", "amazon-elasticache", "RDSNetworkInterface", "ElastiCache")


# ------------------------------------------------------------------------------------------------------ mirror records


@dataclass(frozen=True)
class Mirrors:
    """Every session, filter (with its rules) and target of an account and region, as AWS describes them."""

    sessions: tuple[Record, ...]
    filters: tuple[Record, ...]
    targets: tuple[Record, ...]
    coverage: tuple[Coverage, ...] = ()

    def known(self, table: str) -> bool:
        """Whether a table (TrafficMirrorSessions, TrafficMirrorFilters, TrafficMirrorTargets) was read."""
        return all(row.state in ("ok", "empty") for row in self.coverage if row.table == table)

    def of_interface(self, interface: str) -> list[Record]:
        """The sessions on an interface, lowest number first."""
        held = [one for one in self.sessions if one.get("NetworkInterfaceId") == interface]
        return sorted(held, key=lambda one: int(one.get("SessionNumber", 0)))

    def filter(self, name: str) -> Record | None:
        """The filter of an id, or None where it is not there or not ours to see."""
        return next((one for one in self.filters if one.get("TrafficMirrorFilterId") == name), None)

    def target(self, name: str) -> Record | None:
        """The target of an id, or None where it is not there or not ours to see."""
        return next((one for one in self.targets if one.get("TrafficMirrorTargetId") == name), None)


def mirrors(session: Session) -> Mirrors:
    """Everything that mirrors in the account and region. What is denied is a Coverage row, and its table is empty."""
    tables, rows = [], []
    for operation, key in _TABLES:
        records, row = session.read("ec2", operation, key)
        tables.append(tuple(records))
        rows.append(row)
    return Mirrors(tables[0], tables[1], tables[2], tuple(rows))


_TABLES = (
    ("describe_traffic_mirror_sessions", "TrafficMirrorSessions"),
    ("describe_traffic_mirror_filters", "TrafficMirrorFilters"),
    ("describe_traffic_mirror_targets", "TrafficMirrorTargets"),
)


def filter_rules(session: Session, filter_id: str) -> list[dict[str, Any]]:
    """The rules of one filter as AWS describes them, all pages: DescribeTrafficMirrorFilterRules has no paginator of boto3's."""
    rules: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = session.call("ec2", "describe_traffic_mirror_filter_rules", TrafficMirrorFilterId=filter_id, **token)
        rules += answer.get("TrafficMirrorFilterRules", [])
        if not answer.get("NextToken"):
            return rules
        token = {"NextToken": str(answer["NextToken"])}


def sessions(session: Session) -> pd.DataFrame:
    """The mirror sessions: SESSION_COLUMNS, by interface and number; packet_length in bytes, <NA> for whole packets.

    A session has no state: that it exists says nothing about what arrives.
    """
    found = session.pages("ec2", "describe_traffic_mirror_sessions", "TrafficMirrorSessions")
    rows = [
        (
            one["TrafficMirrorSessionId"], tag(one, "Name"), one.get("NetworkInterfaceId", ""), one.get("TrafficMirrorTargetId", ""),
            one.get("TrafficMirrorFilterId", ""), one.get("SessionNumber"), one.get("PacketLength"), one.get("VirtualNetworkId"),
            one.get("Description", ""), one.get("OwnerId", ""),
        )
        for one in found
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(SESSION_COLUMNS))
    frame = frame.astype(dict.fromkeys(("number", "packet_length", "vni"), "Int64"))
    return frame.sort_values(["interface_id", "number", "session_id"], ignore_index=True)


def filters(session: Session) -> pd.DataFrame:
    """The mirror filters, a row for each rule in the order in which it is tried: FILTER_COLUMNS.

    A filter without rules, which copies nothing, has one row whose rule_id is "". Ports are "80", "8000-8080" or "" for all.
    """
    rows = [row for one in session.pages("ec2", *_TABLES[1]) for row in _filter_rows(one)]
    return pd.DataFrame(rows, columns=list(FILTER_COLUMNS)).astype({"number": "Int64"})


def _filter_rows(record: Record) -> list[tuple[Any, ...]]:
    held = MirrorFilter.of(record)
    start = (held.id, held.name, list(held.network_services), held.description)
    return [(*start, *_rule_row(rule)) for direction in DIRECTIONS for rule in held.of_direction(direction)] or [
        (*start, "", "", None, "", "", "", "", "", "", "")
    ]


def _rule_row(rule: Rule) -> tuple[Any, ...]:
    return (
        rule.id, rule.direction, rule.number, rule.action, rule.protocol_text, rule.source, _ports(rule.source_ports), rule.destination,
        _ports(rule.destination_ports), rule.description,
    )  # fmt: skip


def _ports(span: tuple[int, int] | None) -> str:
    return "" if span is None else str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"


def targets(session: Session) -> pd.DataFrame:
    """The mirror targets, those shared with the account too: TARGET_COLUMNS; resource is an eni-, a load balancer's ARN or a vpce-."""
    rows = []
    for one in session.pages("ec2", *_TABLES[2]):
        held = MirrorTarget.of(one)
        rows.append((held.id, tag(one, "Name"), held.kind, held.resource, held.description, one.get("OwnerId", "")))
    return pd.DataFrame(rows, columns=list(TARGET_COLUMNS)).sort_values("target_id", ignore_index=True)


def tag(record: Record, key: str) -> str:
    """The value of a tag, "" where there is none."""
    return next((str(one["Value"]) for one in record.get("Tags") or record.get("TagSet") or () if one["Key"] == key), "")  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- sources


def sources(
    session: Session, ids: Iterable[str] = (), subnets: Iterable[str] = (), tags: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The network interfaces that may be mirrored, by id (eni- or i-), by subnet or by tag of interface or instance: SOURCE_COLUMNS.

    A chooser that is empty chooses all; several narrow each other. private_addresses has the primary one first; sessions and
    numbers are what is on the interface already; usable is whether AWS takes it as a source, and says gives the reason or the
    warning. Raises InputError before any call for a malformed id, and SourceError where an id or subnet has no interface.
    """
    wanted = [check_id(one, "eni", "i", role="source") for one in ids]
    places = [check_id(one, "subnet", role="subnet") for one in subnets]
    chosen = {"Filters": [{"Name": "subnet-id", "Values": places}]} if places else {}
    interfaces = session.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", **chosen)
    reservations = session.pages("ec2", "describe_instances", "Reservations")
    instances = {one["InstanceId"]: one for group in reservations for one in group["Instances"]}
    held = mirrors(session)
    rows = []
    for one in interfaces:
        instance = instances.get(one.get("Attachment", {}).get("InstanceId", ""), {})
        if _chosen(one, instance, wanted, tags or {}):
            rows.append(_source(one, instance, held))
    _all_found(wanted, rows)
    return pd.DataFrame(rows, columns=list(SOURCE_COLUMNS)).sort_values("interface_id", ignore_index=True)


def _chosen(one: Record, instance: Record, wanted: Sequence[str], tags: Mapping[str, str]) -> bool:
    named = not wanted or one["NetworkInterfaceId"] in wanted or instance.get("InstanceId") in wanted
    return named and all(tag(one, key) == value or tag(instance, key) == value for key, value in tags.items())


def _all_found(wanted: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    held = {value for row in rows for value in (row[0], row[2])}
    missing = [one for one in wanted if one not in held]
    if missing:
        raise SourceError(
            f"no network interface here is, or belongs to, {', '.join(missing[:5])}",
            hint="check the account, the region and the subnets or tags chosen beside it",
        )


def _source(one: Record, instance: Record, held: Mirrors) -> tuple[Any, ...]:
    name, mine = one["NetworkInterfaceId"], held.of_interface(one["NetworkInterfaceId"])
    usable, says = _usable(one, instance, held, len(mine))
    primary = one.get("PrivateIpAddress", "")
    others = [address["PrivateIpAddress"] for address in one.get("PrivateIpAddresses", [])]
    return (
        name, tag(one, "Name"), instance.get("InstanceId", ""), tag(instance, "Name"), instance.get("InstanceType", ""),
        one.get("InterfaceType", ""), one.get("Status", ""), one.get("SubnetId", ""), one.get("VpcId", ""), one.get("AvailabilityZone", ""),
        [*([primary] if primary else []), *(address for address in others if address != primary)],
        [address["Ipv6Address"] for address in one.get("Ipv6Addresses", [])],
        [two["TrafficMirrorSessionId"] for two in mine], [int(two.get("SessionNumber", 0)) for two in mine], usable, says,
    )  # fmt: skip


def _usable(one: Record, instance: Record, held: Mirrors, sessions: int) -> tuple[bool, str]:
    problem = interface_problem(one, held)
    if problem:
        return False, problem
    if sessions >= SESSIONS_PER_INTERFACE:
        return False, f"it has {sessions} sessions, and AWS takes {SESSIONS_PER_INTERFACE}"
    state, says = source_type(str(instance.get("InstanceType", "")))
    return True, "" if state == "ok" else says


def interface_problem(one: Record, held: Mirrors) -> str:
    """Why AWS does not take an interface as a source, or "". ("Traffic mirror session concepts", sources)"""
    kind = str(one.get("InterfaceType", "interface"))
    managed = bool(one.get("RequesterManaged")) or kind != "interface"
    words = f"{one.get('RequesterId', '')} {one.get('Description', '')}"
    if kind != "interface":
        return f"it is of type {kind}, and a source is of type interface"
    if managed and not any(word in words for word in _MANAGED_SOURCES):
        return "a service manages it, and of those only interfaces of RDS and ElastiCache may be sources"
    if any(target.get("NetworkInterfaceId") == one["NetworkInterfaceId"] for target in held.targets):
        return "it is a mirror target, which cannot be a source"
    return ""


# ------------------------------------------------------------------------------------------------------------ one mirror


@dataclass(frozen=True)
class Mirror:
    """One session with all that its verification needs, as AWS describes it.

    target and interface are None where they are not there, or not this account's to see; others are the other sessions on
    the interface, each with its filter (None likewise).
    """

    session: Record
    filter: Record
    target: Record | None
    interface: Record | None
    others: tuple[tuple[Record, Record | None], ...]
    coverage: tuple[Coverage, ...]

    @property
    def instance(self) -> str:
        """The instance of the source interface, "" where it has none: the dimension of the metrics."""
        return str((self.interface or {}).get("Attachment", {}).get("InstanceId", ""))


def mirror_of(session: Session, id_or_name: str) -> Mirror:
    """The session of an id (tms-) or Name tag, with filter, target, source interface and the other sessions on it.

    Raises SourceError where there is none, where several have the name, and where its filter cannot be seen.
    """
    word = str(id_or_name).strip()
    held = mirrors(session)
    found = [one for one in held.sessions if word and word in (one["TrafficMirrorSessionId"], tag(one, "Name"))]
    if len(found) != 1:
        names = ", ".join(one["TrafficMirrorSessionId"] for one in found[:5])
        denied = next((row.note for row in held.coverage if row.state == "denied"), "")
        known = ", ".join(sorted(filter(None, (tag(one, "Name") for one in held.sessions)))[:8])
        hint = f"name one: {names}" if found else denied or f"there are {known or 'none with a name'}"
        raise SourceError(f"{len(found) or 'no'} mirror sessions are called {word[:80]!r}", hint=hint)
    one = found[0]
    rules = held.filter(one.get("TrafficMirrorFilterId", ""))
    if rules is None:
        raise SourceError(
            "the filter of this session cannot be seen",
            subject=str(one.get("TrafficMirrorFilterId")),
            hint=_denied(held),
        )
    interfaces, row = session.read(
        "ec2", "describe_network_interfaces", "NetworkInterfaces",
        Filters=[{"Name": "network-interface-id", "Values": [one["NetworkInterfaceId"]]}],
    )  # fmt: skip
    others = tuple(
        (other, held.filter(other.get("TrafficMirrorFilterId", "")))
        for other in held.of_interface(one["NetworkInterfaceId"])
        if other["TrafficMirrorSessionId"] != one["TrafficMirrorSessionId"]
    )
    target = held.target(one.get("TrafficMirrorTargetId", ""))
    return Mirror(one, rules, target, next(iter(interfaces), None), others, (*held.coverage, row))


def _denied(held: Mirrors) -> str:
    return "; ".join(row.note for row in held.coverage if row.note) or "it belongs to another account, or is gone"


# --------------------------------------------------------------------------------------------------------------- metrics


def mirror_metrics(session: Session, instance: str, window: Window) -> pd.DataFrame:
    """What CloudWatch counted on a source instance: METRIC_COLUMNS; time in UTC at the start of five minutes, value their sum.

    NetworkSkipMirror… is what the filter took and was not copied since the instance's own traffic comes first. No row means
    that nothing was counted, which is not the same as zero. Raises InputError for a malformed id, before any call.
    """
    check_id(instance, "i", role="instance")
    names = {f"m{number}": name for number, name in enumerate(METRICS)}
    queries = [
        {
            "Id": key,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/EC2",
                    "MetricName": name,
                    "Dimensions": [{"Name": "InstanceId", "Value": instance}],
                },
                "Period": METRIC_PERIOD_S,
                "Stat": "Sum",
            },
        }
        for key, name in names.items()
    ]
    found = session.pages(
        "cloudwatch", "get_metric_data", "MetricDataResults",
        MetricDataQueries=queries, StartTime=window.start, EndTime=window.end, ScanBy="TimestampAscending",
    )  # fmt: skip
    rows = [
        (time, names[one["Id"]], float(value), METRICS[names[one["Id"]]])
        for one in found
        for time, value in zip(one.get("Timestamps", []), one.get("Values", []), strict=True)
    ]
    frame = pd.DataFrame(rows, columns=list(METRIC_COLUMNS)).astype({"value": "float64"})
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    return frame.sort_values(["metric", "time"], ignore_index=True)


# -------------------------------------------------------------------------------------------------------------- captures


def fetch_captures(session: Session | None, source: str | Path, folder: str | Path, *, progress: bool = True) -> list[Path]:  # fmt: skip
    """The capture files of s3://bucket/prefix (fetched into `folder`), or of a local file, folder or glob, in the order of their ring.

    An object that is in the folder already, in its size and not older than in the bucket, is not fetched again. Files whose name is not that of a capture
    (.pcap, .pcapng, .cap, also .gz) are left out unless they are named one by one. Raises SourceError where there is none.
    """
    text = str(source)
    if not text.startswith("s3://"):
        return _local(text)
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise SourceError(f"{bucket[:80]!r} is not a bucket's name", subject=text, hint="as s3://bucket/prefix/")
    if session is None:
        raise InputError("a bucket needs a session", subject=text, hint="connect() makes one")
    found = session.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix)
    kept = {str(one["Key"]): one for one in found if one["Key"] == prefix or _is_capture(str(one["Key"]))}
    if not kept:
        hint = f"{len(found)} objects are there, none of them named as a capture" if found else "has the analysis host uploaded yet?"  # fmt: skip
        raise SourceError("there is no capture here", subject=text, hint=hint)
    return _fetched(session, bucket, prefix, kept, Path(folder), progress=progress)


def _local(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if any(sign in text for sign in "*?["):
        anchor = Path(path.anchor or ".")
        pattern = str(path.relative_to(path.anchor)) if path.anchor else str(path)
        found = [one for one in anchor.glob(pattern) if one.is_file()]
    elif path.is_dir():
        found = [one for one in path.rglob("*") if one.is_file() and _is_capture(one.name)]
    else:
        found = [path] if path.is_file() else []
    if not found:
        raise SourceError("there is no capture here", subject=text, hint="give a file, a folder or a pattern such as ring/*.pcap.gz")  # fmt: skip
    return sorted(found, key=lambda one: ring_order(str(one)))


def _is_capture(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(CAPTURES)


def ring_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """The key that sorts names of a ring by their numbers: file 100000 comes after 99999."""
    parts = re.split(r"(\d+)", name)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def _is_current(path: Path, record: Record) -> bool:
    """Whether a file is what the bucket has: of the same size, and written after the object was."""
    if not path.is_file():
        return False
    here = path.stat()
    return here.st_size == int(record["Size"]) and here.st_mtime >= record["LastModified"].timestamp()


def _fetched(session: Session, bucket: str, prefix: str, kept: Mapping[str, Record], folder: Path, *, progress: bool) -> list[Path]:  # fmt: skip
    client = session.client("s3")
    above = prefix.rpartition("/")[0]

    def fetch(key: str) -> Path:
        inside = PurePosixPath(key.removeprefix(above).lstrip("/"))
        if ".." in inside.parts:  # a key may hold anything; a path out of the folder is not followed
            raise SourceError("this object's name leads out of the folder", subject=f"s3://{bucket}/{key}", hint="rename it")  # fmt: skip
        path = folder / bucket / above / inside
        if not _is_current(path, kept[key]):
            path.parent.mkdir(parents=True, exist_ok=True)
            with aws_errors("s3:get_object"):
                client.download_file(bucket, key, str(path))
        return path

    keys = sorted(kept, key=ring_order)
    with ThreadPoolExecutor(8) as pool:
        bar = tqdm(pool.map(fetch, keys), total=len(keys), desc="fetching captures", unit="file", leave=False, disable=not progress)  # fmt: skip
        return list(bar)
