"""The guide's words for a point of a metric, read as what they mean. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from netkit.cloudwatch.metrics import dimensions_of
from netkit.errors import InputError

FORM = "as MetricName=ConnectionCount,Value=25,Unit=Count,Dimensions=[{Name=InstanceId,Value=i-0123456789abcdef0}]"
_MEMBERS = {"MetricName": "metric", "Value": "value", "Unit": "unit", "StorageResolution": "resolution_s", "Timestamp": "time"}  # fmt: skip
_LISTED = re.compile(r"\{Name=([^,{}]+),Value=([^,{}]+)\}")


def point_of(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A point for metrics.prepare() from the command line's shorthand, and a notice for each translation made.

    Dimensions come as the AWS command line takes them, [{Name=…,Value=…}], or as the guide has them,
    Dimensions=InstanceId=i-…, which that refuses. Raises InputError for another form.
    """
    bare, _, given = text.strip().partition("Dimensions=")
    point: dict[str, Any] = {}
    for part in bare.strip(",").split(","):
        name, sign, value = part.partition("=")
        if not sign or name not in _MEMBERS:
            raise InputError(f"{part[:60]!r} is no member of a point", subject=text[:100], hint=FORM)
        point[_MEMBERS[name]] = value
    if lacking := {"metric", "value"} - set(point):
        raise InputError(f"the point has no {' and no '.join(sorted(lacking))}", subject=text[:100], hint=FORM)
    if "resolution_s" in point:
        point["resolution_s"] = int(point["resolution_s"])
    if not given:
        return point, ()
    listed = _LISTED.findall(given)
    point["dimensions"] = dict(dimensions_of(listed or given))
    if listed:
        return point, ()
    shown = json.dumps([{"Name": name, "Value": value} for name, value in point["dimensions"].items()])
    return point, (f"Dimensions={given} was read as {shown}; the AWS command line refuses the first form",)
