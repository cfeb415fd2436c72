"""Every flow-log field that AWS documents, with its version and types, and the reading of a LogFormat.

Source: Amazon VPC User Guide, "Flow log records" (versions 2 to 11), and the Transit Gateway guide, "Transit Gateway
Flow Log records" (version 6). A column is named as the field with "-" turned into "_"; Parquet columns are matched by
name and text columns by position ("Create a table for Amazon VPC flow logs", Amazon Athena User Guide).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from netkit.core.errors import FieldError

Family = Literal["vpc", "tgw"]


@dataclass(frozen=True)
class Field:
    """One field: its name in a LogFormat, the version that brought it, its types, and which flow logs may carry it."""

    name: str
    version: int
    parquet: Literal["INT_32", "INT_64", "STRING"] = "STRING"
    families: tuple[Family, ...] = ("vpc",)

    @property
    def column(self) -> str:
        """Name of the column in Athena, Parquet and every netkit frame."""
        return self.name.replace("-", "_")

    @property
    def athena(self) -> str:
        """Type in a table definition. `protocol` is bigint as in AWS's own, since Transit Gateway Parquet has INT_64."""
        if self.name == "protocol":
            return "bigint"
        return {"INT_32": "int", "INT_64": "bigint", "STRING": "string"}[self.parquet]

    @property
    def numeric(self) -> bool:
        """Whether the field holds a whole number ("-" when not applicable)."""
        return self.parquet != "STRING"


def _fields(version: int, names: str, families: tuple[Family, ...] = ("vpc",)) -> list[Field]:
    """Fields of one version from "name" (string), "name:i" (INT_32) and "name:l" (INT_64)."""
    types: dict[str, Literal["INT_32", "INT_64", "STRING"]] = {"": "STRING", "i": "INT_32", "l": "INT_64"}
    parts = (word.partition(":") for word in names.split())
    return [Field(name, version, types[kind], families) for name, _, kind in parts]


_BOTH: tuple[Family, ...] = ("vpc", "tgw")
_ALL = [
    *_fields(2, "version:i account-id", _BOTH),
    *_fields(2, "interface-id"),
    *_fields(2, "srcaddr dstaddr srcport:i dstport:i protocol:i packets:l bytes:l start:l end:l", _BOTH),
    *_fields(2, "action"),
    *_fields(2, "log-status", _BOTH),
    *_fields(3, "vpc-id subnet-id instance-id"),
    *_fields(3, "tcp-flags:i type", _BOTH),
    *_fields(3, "pkt-srcaddr pkt-dstaddr"),
    *_fields(4, "region", _BOTH),
    *_fields(4, "az-id sublocation-type sublocation-id"),
    *_fields(5, "pkt-src-aws-service pkt-dst-aws-service flow-direction", _BOTH),
    *_fields(5, "traffic-path:i"),
    *_fields(
        6,
        "resource-type tgw-id tgw-attachment-id tgw-src-vpc-account-id tgw-dst-vpc-account-id tgw-src-vpc-id tgw-dst-vpc-id",
        ("tgw",),
    ),
    *_fields(
        6,
        "tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni tgw-src-az-id tgw-dst-az-id tgw-pair-attachment-id",
        ("tgw",),
    ),
    *_fields(
        6,
        "packets-lost-no-route:l packets-lost-blackhole:l packets-lost-mtu-exceeded:l packets-lost-ttl-expired:l",
        ("tgw",),
    ),
    *_fields(
        7, "ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id"
    ),
    *_fields(7, "ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id"),
    *_fields(8, "reject-reason"),
    *_fields(9, "resource-id"),
    *_fields(10, "encryption-status:i"),
    *_fields(11, "instance-tag instance-tag-2 interface-tag interface-tag-2 asg-tag asg-tag-2 interface-type"),
    *_fields(11, "next-hop-interface-id next-hop-subnet-id next-hop-az-id next-hop-vpc-id next-hop-interface-type"),
]

FIELDS: dict[str, Field] = {field.name: field for field in _ALL}
COLUMNS: dict[str, Field] = {field.column: field for field in _ALL}

# What CreateFlowLogs gives when LogFormat is left out; its order cannot be changed.
DEFAULT_V2: tuple[str, ...] = tuple(field.name for field in _ALL if field.version == 2)

# What an investigation needs: who, where, which direction and path, what lies behind a NAT, and how TCP ended.
INVESTIGATION: tuple[str, ...] = (
    *DEFAULT_V2,
    *("vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr", "region", "az-id"),
    *(
        "pkt-src-aws-service",
        "pkt-dst-aws-service",
        "flow-direction",
        "traffic-path",
        "reject-reason",
        "interface-type",
    ),
)

TGW_DEFAULT: tuple[str, ...] = (
    *(
        "version",
        "resource-type",
        "account-id",
        "tgw-id",
        "tgw-attachment-id",
        "tgw-src-vpc-account-id",
        "tgw-dst-vpc-account-id",
    ),
    *("tgw-src-vpc-id", "tgw-dst-vpc-id", "tgw-src-subnet-id", "tgw-dst-subnet-id", "tgw-src-eni", "tgw-dst-eni"),
    *(
        "tgw-src-az-id",
        "tgw-dst-az-id",
        "tgw-pair-attachment-id",
        "srcaddr",
        "dstaddr",
        "srcport",
        "dstport",
        "protocol",
    ),
    *("packets", "bytes", "start", "end", "log-status", "type", "packets-lost-no-route", "packets-lost-blackhole"),
    *("packets-lost-mtu-exceeded", "packets-lost-ttl-expired", "tcp-flags", "region", "flow-direction"),
    *("pkt-src-aws-service", "pkt-dst-aws-service"),
)

# The guide this kit grew from took these two from the labels of a CloudWatch metric-filter sample (facts, 7.15).
_TRANSLATED = {"windowstart": "start", "windowend": "end"}
_TOKEN = re.compile(r"\$\{([^}]*)\}")

# Spellings of others: Logs Insights' discovered fields (srcAddr, startTime; "Supported logs and discovered fields", CloudWatch
# Logs User Guide) and the columns of AWS's older table definition (sourceaddress, numbytes, starttime).
_SPELLED = {
    **{column.replace("_", ""): column for column in COLUMNS},
    **{"starttime": "start", "endtime": "end", "windowstart": "start", "windowend": "end"},
    **{"sourceaddress": "srcaddr", "destinationaddress": "dstaddr", "sourceport": "srcport"},
    **{"destinationport": "dstport", "numpackets": "packets", "numbytes": "bytes"},
}


def column_of(name: str) -> str:
    """The column that a name means in whatever spelling (src-addr, SRCADDR, srcAddr, sourceaddress), or "" for no field."""
    return _SPELLED.get(re.sub(r"[-_]", "", name.strip().strip('"').strip().lower()), "")


@dataclass(frozen=True)
class Notice:
    """A translation the kit made: what was written, what it was read as, and why."""

    written: str
    read_as: str
    why: str

    def __str__(self) -> str:
        return f"{self.written} is read as {self.read_as}: {self.why}"


def get_field(name: str, family: Family = "vpc") -> Field:
    """The field of that name (hyphens or underscores). Raises FieldError, naming the nearest field."""
    text = name.strip()
    field = FIELDS.get(text) or COLUMNS.get(text)
    if field is None:
        allowed = [one.name for one in FIELDS.values() if family in one.families]
        near = difflib.get_close_matches(text.lower().replace("_", "-"), allowed, n=1, cutoff=0.5)
        raise FieldError(
            f"{name!r} is not a flow-log field",
            hint=f"did you mean {near[0]}?" if near else "see netkit.flowlogs.fields.FIELDS",
        )
    if family not in field.families:
        raise FieldError(
            f"the field {field.name} is not for {'Transit Gateway' if family == 'tgw' else 'VPC'} flow logs",
            hint="leave it out",
        )
    return field


def check_fields(names: Iterable[str], family: Family = "vpc") -> tuple[tuple[str, ...], tuple[Notice, ...]]:
    """Field names in canonical spelling and order as given, with a Notice for each translation.

    Raises FieldError for an unknown field, one of the other family, one given twice, and for an empty list.
    """
    found: list[str] = []
    notices: list[Notice] = []
    for name in names:
        meant = _TRANSLATED.get(name.strip(), name)
        if meant is not name:
            notices.append(
                Notice(
                    f"${{{name}}}", f"${{{meant}}}", "AWS has no such field; it is a label in a metric-filter sample"
                )
            )
        field = get_field(meant, family)
        if field.name in found:
            raise FieldError(f"the field {field.name} is given twice", hint="name every field once")
        found.append(field.name)
    if not found:
        raise FieldError("a log format needs at least one field", hint="leave the format out for AWS's default")
    return tuple(found), tuple(notices)


def parse_format(log_format: str, family: Family = "vpc") -> tuple[tuple[str, ...], tuple[Notice, ...]]:
    """The fields of a LogFormat such as "${srcaddr} ${dstaddr}", or of a header line such as "srcaddr dstaddr".

    An empty format means AWS's default. Raises FieldError as check_fields does, and for text between the fields.
    """
    text = log_format.strip()
    if not text:
        return (DEFAULT_V2 if family == "vpc" else TGW_DEFAULT), ()
    if "$" not in text:
        return check_fields(text.split(), family)
    rest = _TOKEN.sub("", text).strip()
    if rest:
        raise FieldError(
            f"the log format has text outside of its fields: {rest.split()[0]!r}",
            hint="write ${field} ${field} …, with spaces between",
        )
    return check_fields(_TOKEN.findall(text), family)


def named_format(text: str) -> tuple[str, ...]:
    """The fields of a format: "v2" to "v11" (AWS's fields up to that version, in its order), "tgw", or a LogFormat or header.

    Raises FieldError for an unknown field, naming the nearest.
    """
    plain = text.strip().lower()
    if plain in ("", "default"):
        return DEFAULT_V2
    if plain == "tgw":
        return TGW_DEFAULT
    if version := re.fullmatch(r"v?([2-9]|1[01])", plain):
        return tuple(one.name for one in _ALL if "vpc" in one.families and one.version <= int(version[1]))
    spaced = text if "$" in text else text.replace(",", " ").replace("_", "-")
    family: Family = "tgw" if re.search(r"\b(tgw|resource-type|packets-lost)", spaced) else "vpc"
    return parse_format(spaced, family)[0]


def family_of(columns: Iterable[str]) -> Family:
    """Whether a log with these columns is of a Transit Gateway."""
    return "tgw" if any(name in COLUMNS and COLUMNS[name].families == ("tgw",) for name in columns) else "vpc"


def log_format(names: Sequence[str]) -> str:
    """The LogFormat for these fields."""
    return " ".join(f"${{{name}}}" for name in names)


def version_of(names: Iterable[str]) -> int:
    """What the version field holds: 2 for the default, otherwise the highest version among the fields chosen."""
    return max(FIELDS[name].version for name in names)
