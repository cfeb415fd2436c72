"""The metrics that tell of trouble at each hop of a network path, as alarms ready to make, and those that no alarm watches. Pure.

Names and dimensions are those of AWS's pages, named in `source`. Thresholds are where a healthy hop has none at all; where
some are usual (resets, rejects) the number is a beginning, to be held against past data with replay.propose().
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from netkit.cloudwatch.alarms import AlarmSpec, dimensions
from netkit.core.errors import InputError

COLUMNS = ("type", "id", "namespace", "metric", "dimensions", "statistic", "period_s", "threshold", "comparison", "datapoints_to_alarm", "evaluation_periods", "treat_missing", "rate", "why", "source")  # fmt: skip
_NAT = "VPC User Guide, NAT gateway metrics and dimensions"
_TGW = "VPC Transit Gateways, CloudWatch metrics"
_ENA = "CloudWatch User Guide, Collect network performance metrics"
_NLB = "Network Load Balancers, CloudWatch metrics"
_ALB = "Application Load Balancers, CloudWatch metrics"
_MIRROR = "VPC Traffic Mirroring, Monitor mirrored traffic using CloudWatch"
_FLOW = "VPC User Guide, Publish flow logs to CloudWatch Logs"


@dataclass(frozen=True)
class _Metric:
    namespace: str
    name: str
    why: str
    source: str
    statistic: str = "Sum"
    threshold: float = 0
    period: int = 60
    rate: bool = False  # a counter that only rises: alarmed on its rate


def _allowances() -> tuple[_Metric, ...]:
    whys = {
        "bw_in": "packets queued or dropped: more inbound bandwidth than the instance type has",
        "bw_out": "packets queued or dropped: more outbound bandwidth than the instance type has",
        "conntrack": "packets dropped: more tracked connections than the instance type has",
        "linklocal": "packets dropped: too many to DNS, instance metadata or time",
        "pps": "packets queued or dropped: more packets a second than the instance type has",
    }
    return tuple(_Metric("CWAgent", f"ethtool_{name}_allowance_exceeded", why, _ENA, "Maximum", rate=True) for name, why in whys.items())  # fmt: skip


_UNHEALTHY = "targets that fail their health checks get no traffic"
_HOPS: dict[str, tuple[_Metric, ...]] = {
    "nat-gateway": (
        _Metric("AWS/NATGateway", "ErrorPortAllocation", "no source port is left: new connections to that destination fail", _NAT),
        _Metric("AWS/NATGateway", "PacketsDropCount", "the gateway dropped packets", _NAT),
    ),
    "transit-gateway-attachment": (
        _Metric("AWS/TransitGateway", "PacketDropCountBlackhole", "packets matched a blackhole route", _TGW),
        _Metric("AWS/TransitGateway", "PacketDropCountNoRoute", "packets matched no route", _TGW),
    ),
    "instance": _allowances(),
    "network-load-balancer": (
        _Metric("AWS/NetworkELB", "TCP_Target_Reset_Count", "targets reset connections", _NLB, threshold=100),
        _Metric("AWS/NetworkELB", "TCP_ELB_Reset_Count", "the load balancer reset connections", _NLB, threshold=100),
        _Metric("AWS/NetworkELB", "PortAllocationErrorCount", "no port is left towards a target: connections are dropped", _NLB),
    ),
    "application-load-balancer": (
        _Metric("AWS/ApplicationELB", "RejectedConnectionCount", "the load balancer had its most connections", _ALB),
        _Metric("AWS/ApplicationELB", "TargetConnectionErrorCount", "connections to targets failed", _ALB),
        _Metric("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "the load balancer itself answered with an error", _ALB, threshold=10),
    ),
    "mirror-source": tuple(
        _Metric("AWS/EC2", f"NetworkSkipMirror{way}", f"{way.lower()}bound bytes that matched were not mirrored: production traffic came first", _MIRROR, period=300)
        for way in ("In", "Out")
    ),
    "flow-log-group": (_Metric("netkit", "FlowLogRejects", "more flows were rejected than usual", _FLOW, threshold=100, period=300),),
}  # fmt: skip
_HOPS["network-interface"] = _HOPS["instance"]
_DIMENSIONS = {
    "nat-gateway": "NatGatewayId", "transit-gateway-attachment": "TransitGatewayAttachment", "instance": "InstanceId",
    "network-interface": "InstanceId", "network-load-balancer": "LoadBalancer", "application-load-balancer": "LoadBalancer",
    "mirror-source": "InstanceId",
}  # fmt: skip
TYPES = tuple(_HOPS)


def path_alarms(components: pd.DataFrame | Iterable[Sequence[str]]) -> pd.DataFrame:
    """The metrics to watch at each hop, once each: type, id, namespace, metric, dimensions (pairs), statistic, period_s, threshold,
    comparison, datapoints_to_alarm, evaluation_periods, treat_missing, rate (alarmed on RATE(): a counter), why, source.

    components: (type, id), or a frame with these columns; others on a path (route tables, groups) have no metrics and are
    passed over. An interface has its allowances at its instance: give instance_id (a column, or a third member), or it is
    passed over too; a load balancer's target_group (its ARN's last part) likewise adds UnHealthyHostCount. A load
    balancer's id is its ARN or the part of it behind loadbalancer/. A flow-log group is watched by the metric of
    log_groups.flow_rejects(). Allowances need the agent's ethtool plugin, aggregated to InstanceId.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for kind, ident, beside in _components(components):
        for one, pairs in _of_hop(kind, ident, beside):
            rows.setdefault((one.namespace, one.name, pairs), _row(kind, ident, one, pairs))
    return pd.DataFrame(list(rows.values()), columns=list(COLUMNS))


def _components(given: pd.DataFrame | Iterable[Sequence[str]]) -> list[tuple[str, str, str]]:
    if isinstance(given, pd.DataFrame):
        if lacking := {"type", "id"} - set(given.columns):
            raise InputError(f"the components have no column {', '.join(sorted(lacking))}", hint="type, id")
        empty = pd.Series([""] * len(given), index=given.index)
        beside = given.get("instance_id", empty).fillna("").where(lambda one: one != "", given.get("target_group", empty).fillna(""))  # fmt: skip
        return list(zip(given["type"].astype(str), given["id"].astype(str), beside.astype(str), strict=True))
    return [(str(one[0]), str(one[1]), str(one[2]) if len(one) > 2 else "") for one in given]


def _of_hop(kind: str, ident: str, beside: str) -> list[tuple[_Metric, tuple[tuple[str, str], ...]]]:
    found = [(one, _pairs(kind, ident, beside)) for one in _HOPS.get(kind, ())]
    if kind.endswith("load-balancer") and beside:
        namespace, source = ("AWS/NetworkELB", _NLB) if kind.startswith("network") else ("AWS/ApplicationELB", _ALB)
        unhealthy = _Metric(namespace, "UnHealthyHostCount", _UNHEALTHY, source, "Minimum")
        found.append((unhealthy, (("TargetGroup", beside.split(":")[-1]), *_pairs(kind, ident, ""))))
    return [] if kind == "network-interface" and not beside else found


def _pairs(kind: str, ident: str, beside: str) -> tuple[tuple[str, str], ...]:
    if kind not in _DIMENSIONS:
        return ()
    value = beside if kind == "network-interface" else ident.split("loadbalancer/")[-1]
    return ((_DIMENSIONS[kind], value),)


def _row(kind: str, ident: str, one: _Metric, pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    # One bad minute of three is noise on a path; two are not. A five-minute metric has waited long enough.
    m, n = (2, 3) if one.period < 300 else (1, 1)
    return dict(zip(COLUMNS, (kind, ident, one.namespace, one.name, pairs, one.statistic, one.period, one.threshold, "GreaterThanThreshold", m, n, "notBreaching", one.rate, one.why, one.source), strict=True))  # fmt: skip


def proposed_specs(
    proposals: pd.DataFrame, *, prefix: str = "netkit-path", alarm_actions: Sequence[str] = (), region: str = ""
) -> list[AlarmSpec]:
    """The proposals as alarms: prefix-metric-dimensions. A counter that only rises is alarmed on its RATE(), as AWS's page says."""
    return [_spec(row, prefix, tuple(alarm_actions), region) for row in proposals.to_dict("records")]


def _spec(row: Mapping[Any, Any], prefix: str, actions: tuple[str, ...], region: str) -> AlarmSpec:
    of = "-".join(value for _, value in row["dimensions"]) or str(
        row["id"]
    )  # two target groups of one balancer differ here
    shared: dict[str, Any] = {
        "name": f"{prefix}-{row['metric']}-{of.replace('/', '-')}"[:255], "description": f"{row['why']} ({row['source']})",
        "threshold": row["threshold"], "comparison": row["comparison"], "evaluation_periods": row["evaluation_periods"],
        "datapoints_to_alarm": row["datapoints_to_alarm"], "treat_missing": row["treat_missing"], "alarm_actions": actions, "region": region,
    }  # fmt: skip
    if not row["rate"]:
        return AlarmSpec(**shared, namespace=row["namespace"], metric=row["metric"], dimensions=row["dimensions"], statistic=row["statistic"], period=row["period_s"])  # fmt: skip
    metric = {"Namespace": row["namespace"], "MetricName": row["metric"], "Dimensions": [{"Name": name, "Value": value} for name, value in row["dimensions"]]}  # fmt: skip
    counter = {"Id": "m1", "MetricStat": {"Metric": metric, "Period": row["period_s"], "Stat": row["statistic"]}, "ReturnData": False}  # fmt: skip
    return AlarmSpec(**shared, metrics=(counter, {"Id": "e1", "Expression": "RATE(m1)", "Label": row["metric"], "ReturnData": True}))  # fmt: skip


def unalarmed(proposals: pd.DataFrame, alarms: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The proposals whose metric, with just these dimensions, no alarm watches, alone or within an expression.

    alarms: MetricAlarms records of DescribeAlarms, or AlarmSpec.request(). An alarm on other dimensions watches another metric.
    """
    watched = {one for record in alarms for one in _watched(record)}
    keys = [(row["namespace"], row["metric"], frozenset(row["dimensions"])) for row in proposals.to_dict("records")]
    lacks = pd.Series([key not in watched for key in keys], index=proposals.index, dtype=bool)
    return proposals[lacks].reset_index(drop=True)


def _watched(record: Mapping[str, Any]) -> list[tuple[str, str, frozenset[tuple[str, str]]]]:
    metrics = [record] if record.get("MetricName") else []
    metrics += [one["MetricStat"]["Metric"] for one in record.get("Metrics", ()) if one.get("MetricStat")]
    return [(str(one.get("Namespace", "")), str(one["MetricName"]), frozenset(dimensions(one.get("Dimensions", ()))[0])) for one in metrics]  # fmt: skip
