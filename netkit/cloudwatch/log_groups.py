"""Log groups and metric filters as CloudWatch Logs takes them: names, classes, retention, keys. Pure.

Sources: CloudWatch Logs API Reference, CreateLogGroup, PutRetentionPolicy and PutMetricFilter; Amazon VPC User Guide,
"Publish flow logs to CloudWatch Logs" (the filter of rejects).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netkit.cloudwatch.filter_patterns import Pattern, parse_pattern
from netkit.cloudwatch.metrics import UNITS, check_namespace
from netkit.core.errors import InputError

CLASSES = ("STANDARD", "INFREQUENT_ACCESS", "DELIVERY")
# The fields of a flow log in AWS's default format, in their order: a pattern in brackets goes by position.
DEFAULT_FIELDS = (
    *("version", "account", "eni", "source", "destination", "srcport", "destport", "protocol", "packets", "bytes"),
    *("windowstart", "windowend", "action", "flowlogstatus"),
)
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]+")


@dataclass(frozen=True)
class MetricFilter:
    """A pattern of log events (filter_patterns.py), and the metric that counts them. Raises InputError for what AWS refuses.

    value       what each match adds: a number, or a field as "$bytes"
    default     what a minute without a match adds; None is nothing. AWS takes it without dimensions only
    dimensions  name to field, as {"Port": "$destport"}; at most 3, of few values each
    """

    name: str
    pattern: str
    namespace: str
    metric: str
    value: str = "1"
    default: float | None = 0.0
    unit: str = "Count"
    dimensions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^:*]{1,512}", self.name):
            raise InputError(f"{self.name[:80]!r} is no name of a metric filter", hint="1 to 512 characters, no : or *")
        pattern = parse_pattern(self.pattern, self.name)
        check_namespace(self.namespace)
        if not re.fullmatch(r"[^:*$]{1,255}", self.metric):
            raise InputError(f"{self.metric[:80]!r} is no name of a metric here", hint="1 to 255 characters, no : * $")
        if not re.fullmatch(r"-?\d+(\.\d+)?|\$.{1,99}", self.value):
            raise InputError(f"the value {self.value[:60]!r} is no number and no field", hint='as "1" or "$bytes"')
        if self.unit not in UNITS:
            raise InputError(f"{self.unit[:40]!r} is no unit of CloudWatch", hint="as Count or Bytes")
        if len(self.dimensions) > 3:
            raise InputError(f"a metric filter has at most 3 dimensions, not {len(self.dimensions)}", subject=self.name)
        if any(not one.startswith("$") for one in self.dimensions.values()):
            raise InputError("a dimension of a metric filter names a field", subject=self.name, hint='as "$destport"')
        self._check_fields(pattern)

    def _check_fields(self, pattern: Pattern) -> None:
        """Only patterns of fields or of JSON have fields to take a value or a dimension from; these have those that they name."""
        named = [*self.dimensions.values(), *([self.value] if self.value.startswith("$") else [])]
        if named and pattern.kind not in ("fields", "json"):
            raise InputError(
                "a pattern of terms has no field for a value or a dimension",
                subject=self.name,
                hint="a pattern as [ip, user] or { $.a = * }",
            )
        for one in named if pattern.kind == "fields" else ():
            if one[1:] not in pattern.fields:
                raise InputError(
                    f"{one!r} is no field of the pattern", subject=self.name, hint=", ".join(pattern.fields)[:200]
                )

    def request(self, group: str) -> dict[str, Any]:
        """The members of logs:PutMetricFilter."""
        made: dict[str, Any] = {
            "metricName": self.metric,
            "metricNamespace": self.namespace,
            "metricValue": self.value,
            "unit": self.unit,
        }
        if self.dimensions:
            made["dimensions"] = dict(self.dimensions)
        elif self.default is not None:
            made["defaultValue"] = self.default
        return {"logGroupName": check_group_name(group), "filterName": self.name, "filterPattern": self.pattern, "metricTransformations": [made]}  # fmt: skip


def flow_rejects(
    name: str = "flow-log-rejects",
    *,
    fields: Sequence[str] = DEFAULT_FIELDS,
    port: int | None = None,
    namespace: str = "netkit",
    metric: str = "FlowLogRejects",
) -> MetricFilter:
    """The filter that counts rejected flows, of all ports or of one destination port.

    fields are the log's, in their order: the pattern goes by position. Names are free but for action, and destport or
    dstport where a port is asked for. Raises InputError where one is missing or the port is none.
    """
    labels = [one.replace("-", "") for one in fields]
    ports = [one for one in labels if one in ("destport", "dstport")]
    if "action" not in labels or (port is not None and not ports):
        raise InputError("the log has no field for this filter", hint="it needs action, and dstport for a port")
    if port is not None and not 0 <= port <= 65535:
        raise InputError(f"{port} is no port", hint="0 to 65535")
    tests = {"action": 'action="REJECT"'} | ({ports[0]: f'{ports[0]}="{port}"'} if port is not None else {})
    pattern = f"[{', '.join(tests.get(one, one) for one in labels)}]"
    return MetricFilter(name, pattern, namespace, metric)


def check_group_name(name: str) -> str:
    """The name of a log group. Raises InputError for one that AWS refuses."""
    if name.startswith("aws/"):
        raise InputError(f"the log group {name[:80]!r} begins with aws/, which AWS keeps", hint=f"as /{name[:80]}")
    if not re.fullmatch(r"[A-Za-z0-9_\-/.#]{1,512}", name):
        raise InputError(f"{name[:80]!r} is no name of a log group", hint="1 to 512 of A-Z a-z 0-9 _ - / . #")
    return name


def read_tags(lines: Sequence[str]) -> dict[str, str]:
    """Tags of lines KEY=VALUE. Raises InputError for another form, a key twice, and what AWS refuses of a key or value."""
    found: dict[str, str] = {}
    for line in lines:
        key, sign, value = line.partition("=")
        if (
            not sign
            or not re.fullmatch(r"(?!aws:)[\w .:/=+@-]{1,128}", key)
            or not re.fullmatch(r"[\w .:/=+@-]{0,256}", value)
        ):
            raise InputError(
                f"{line[:80]!r} is no tag",
                hint="as team=web, a key of 1 to 128 characters that does not begin with aws:",
            )
        if key in found:
            raise InputError(f"the tag {key} is given twice", hint="one value for each key")
        found[key] = value
    return found


def check_key(arn: str, region: str) -> str:
    """The ARN of a KMS key in the region. Raises InputError for an id, an alias, and another region's key."""
    found = _KEY_ARN.fullmatch(arn)
    if found is None:
        raise InputError(f"{arn[:100]!r} is not the ARN of a key", hint="as arn:aws:kms:REGION:ACCOUNT:key/ID, not id or alias")  # fmt: skip
    if found[1] != region:
        raise InputError(f"the key is in {found[1]}, the log group in {region}", subject=arn)
    return arn


def group_request(
    name: str,
    *,
    region: str,
    log_class: str = "STANDARD",
    kms_key: str = "",
    tags: Mapping[str, str] | None = None,
    protected: bool = False,
) -> dict[str, Any]:
    """The members of logs:CreateLogGroup, which takes no retention. Raises InputError."""
    if log_class not in CLASSES:
        raise InputError(f"{log_class!r} is no class of a log group", hint=f"one of {', '.join(CLASSES)}")
    if tags and len(tags) > 50:
        raise InputError(f"a log group has at most 50 tags, these are {len(tags)}")
    request: dict[str, Any] = {"logGroupName": check_group_name(name), "logGroupClass": log_class}
    request |= {"kmsKeyId": check_key(kms_key, region)} if kms_key else {}
    request |= {"tags": dict(tags)} if tags else {}
    return request | ({"deletionProtectionEnabled": True} if protected else {})
