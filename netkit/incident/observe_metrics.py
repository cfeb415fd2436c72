"""What CloudWatch's metrics say: the counter or state that is a fault's own, of the resource that it is about. Pure.

A counter since the driver's start (ethtool_*_allowance_exceeded) counts by its rise alone. A metric without points within the window says
nothing. Sources: the pages that faults.yaml names for each fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from netkit.incident.atoms import Observation
from netkit.incident.scene import Scene


@dataclass(frozen=True)
class Series:
    """One metric's points within the window: (time, value), oldest first."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    points: tuple[tuple[datetime, float], ...]

    def of(self, *names: str) -> str:
        """The value of the first of some dimensions that it has."""
        held = dict(self.dimensions)
        return next((held[name] for name in names if name in held), "")


Found = tuple[str, datetime] | None
Judge = Callable[[Series], Found]


def _above(limit: float, least: int = 2) -> Judge:
    """Above the limit, and before the first such point not: at least so many points."""

    def judge(one: Series) -> Found:
        high = [(at, value) for at, value in one.points if value > limit]
        if len(high) < least:
            return None
        return f"{one.metric} up to {max(value for _, value in high):g}", high[0][0]

    return judge


def _rises(least: int = 1) -> Judge:
    """A counter that goes up within the window, by whatever amount."""

    def judge(one: Series) -> Found:
        steps = [(b[0], b[1] - a[1]) for a, b in zip(one.points, one.points[1:], strict=False) if b[1] > a[1]]
        if len(steps) < least:
            return None
        return f"{one.metric} rises by {sum(step for _, step in steps):g}", steps[0][0]

    return judge


def _jumps(one: Series) -> Found:
    """A rate that is several times what it was at the start of the window, and goes on so."""
    values = [value for _, value in one.points]
    if len(values) < 8:
        return None
    base = sorted(values[: len(values) // 4])[len(values) // 8]
    limit = max(3 * base, base + 3)
    high = [(at, value) for at, value in one.points if value > limit]
    if len(high) < 3:
        return None
    return f"{one.metric} from about {base:g} to {max(value for _, value in high):g}", high[0][0]


def _zero(one: Series) -> Found:
    """A state or count that falls to 0, and was not 0 all along before."""
    low = [(at, value) for at, value in one.points if value <= 0]
    if len(low) < 2 or one.points[-1][1] > 0:
        return None
    run = next(at for number, (at, _) in enumerate(one.points) if all(value <= 0 for _, value in one.points[number:]))
    return f"{one.metric} is 0", run


@dataclass(frozen=True)
class Rule:
    """A metric that is a fault's own, the dimension that names its resource, and when it counts."""

    fault: str
    namespace: str
    metric: str
    dimension: tuple[str, ...]
    judge: Judge


RULES = (
    Rule("nat-ports-exhausted", "AWS/NATGateway", "ErrorPortAllocation", ("NatGatewayId",), _above(0)),
    Rule("nat-idle-timeout", "AWS/NATGateway", "IdleTimeoutCount", ("NatGatewayId",), _jumps),
    Rule("nlb-ports-exhausted", "AWS/NetworkELB", "PortAllocationErrorCount", ("LoadBalancer",), _above(0)),
    Rule("nlb-idle-timeout", "AWS/NetworkELB", "TCP_ELB_Reset_Count", ("LoadBalancer",), _jumps),
    Rule("nlb-source-port-collision", "AWS/NetworkELB", "TCP_Target_Reset_Count", ("LoadBalancer",), _jumps),
    Rule("nlb-source-port-collision", "AWS/NetworkELB", "TCP_Client_Reset_Count", ("LoadBalancer",), _jumps),
    Rule("conntrack-allowance", "CWAgent", "ethtool_conntrack_allowance_exceeded", ("InstanceId",), _rises()),
    Rule("pps-allowance", "CWAgent", "ethtool_pps_allowance_exceeded", ("InstanceId",), _rises(3)),
    Rule("bandwidth-allowance", "CWAgent", "ethtool_bw_in_allowance_exceeded", ("InstanceId",), _rises(3)),
    Rule("bandwidth-allowance", "CWAgent", "ethtool_bw_out_allowance_exceeded", ("InstanceId",), _rises(3)),
    Rule("resolver-pps-limit", "CWAgent", "ethtool_linklocal_allowance_exceeded", ("InstanceId",), _rises()),
    Rule(
        "tgw-drops-no-route", "AWS/TransitGateway", "PacketDropCountNoRoute", ("TransitGatewayAttachment",), _above(0)
    ),
    Rule(
        "tgw-drops-blackhole",
        "AWS/TransitGateway",
        "PacketDropCountBlackhole",
        ("TransitGatewayAttachment",),
        _above(0),
    ),
    Rule("firewall-drops", "AWS/NetworkFirewall", "DroppedPackets", ("FirewallName",), _above(0)),
    Rule("firewall-drops", "AWS/NetworkFirewall", "RejectedPackets", ("FirewallName",), _above(0)),
    Rule("stream-exceptions", "AWS/NetworkFirewall", "StreamExceptionPolicyPackets", ("FirewallName",), _above(0)),
    Rule("dx-down", "AWS/DX", "ConnectionState", ("ConnectionId",), _zero),
    Rule("dx-down", "AWS/DX", "VirtualInterfaceBgpStatus", ("VirtualInterfaceId",), _zero),
    Rule("dns-forwarding-fails", "AWS/Route53Resolver", "EndpointUnhealthyENICount", ("EndpointId",), _above(0)),
    Rule("status-check", "AWS/EC2", "StatusCheckFailed", ("InstanceId",), _above(0)),
    Rule("target-slow", "AWS/ApplicationELB", "TargetResponseTime", ("LoadBalancer",), _jumps),
    Rule("cpu-high", "AWS/EC2", "CPUUtilization", ("InstanceId",), _above(90)),
)


def series(scene: Scene) -> list[Series]:
    """Every metric of the evidence with its points within the window."""
    frame: pd.DataFrame = scene.evidence.metrics
    window = scene.question.window
    frame = frame[(frame["time"] >= window.start) & (frame["time"] < window.end)] if len(frame) else frame
    found = []
    dimensions: Any
    for (namespace, metric, dimensions), part in frame.groupby(["namespace", "metric", "dimensions"], sort=True):
        points = tuple(zip(part["time"], part["value"], strict=True))
        found.append(Series(str(namespace), str(metric), dimensions, tuple(sorted(points))))
    return found


def observe(scene: Scene) -> Iterator[Observation]:
    """m-<fault> of every resource whose own metric speaks, seen or seen-not; nothing of those that have no points."""
    if not scene.evidence.has("metrics"):
        yield Observation("m-any", "", "could-not-see", "no metrics were handed over")
        return
    yield Observation("m-any", "", "seen", "metrics were handed over")
    for one in series(scene):
        for rule in RULES:
            if (rule.namespace, rule.metric) != (one.namespace, one.metric) or not one.points:
                continue
            subject = one.of(*rule.dimension)
            said = rule.judge(one)
            table = f"{one.namespace} {one.metric}"
            if said:
                yield Observation(f"m-{rule.fault}", subject, "seen", said[0], said[1], (table,))
            else:
                yield Observation(f"m-{rule.fault}", subject, "seen-not", f"{one.metric} as before", None, (table,))
    yield from _trickle(scene)
    yield from _one_way(scene)
    yield from _healthy(scene)
    yield from _tunnels(scene)
    yield from _prefixes(scene)


def _tunnels(scene: Scene) -> Iterator[Observation]:
    """VPN connections of which every tunnel is down at the end, or down again and again together. One tunnel of two down is no outage."""
    held: dict[str, list[Series]] = {}
    for one in series(scene):
        if (one.namespace, one.metric) == ("AWS/VPN", "TunnelState") and one.points:
            held.setdefault(one.of("VpnId", "TunnelIpAddress"), []).append(one)
    for name, tunnels in sorted(held.items()):
        low = [{at for at, value in one.points if value < 1} for one in tunnels]
        together = sorted(set.intersection(*low))
        ended = all(one.points[-1][1] < 1 for one in tunnels)
        state = f"of {len(tunnels)} tunnels"
        if len(together) >= 3 and ended:
            yield Observation(
                "m-vpn-tunnel-down", name, "seen", f"TunnelState is 0 {state}", together[0], ("AWS/VPN TunnelState",)
            )
        elif len(together) >= 3:
            yield Observation(
                "m-vpn-flaps",
                name,
                "seen",
                f"TunnelState goes to 0 and back {state}, together",
                together[0],
                ("AWS/VPN TunnelState",),
            )
        else:
            yield Observation(
                "m-vpn-tunnel-down", name, "seen-not", f"a tunnel stays up {state}", None, ("AWS/VPN TunnelState",)
            )


def _healthy(scene: Scene) -> Iterator[Observation]:
    """Target groups without a healthy host: in every zone, or in one zone while another has some."""
    held: dict[str, list[Series]] = {}
    for one in series(scene):
        if one.metric == "HealthyHostCount" and one.of("TargetGroup") and one.points:
            held.setdefault(one.of("TargetGroup"), []).append(one)
    for name, counts in sorted(held.items()):
        zones = [one for one in counts if one.of("AvailabilityZone")]
        whole = [one for one in counts if not one.of("AvailabilityZone")] or zones
        empty = [(one, found) for one in zones if (found := _zero(one))]
        if all(_zero(one) for one in whole):
            first = min(found[1] for one in whole if (found := _zero(one)))
            yield Observation(
                "m-lb-targets-unhealthy", name, "seen", "HealthyHostCount is 0", first, ("HealthyHostCount",)
            )
        else:
            yield Observation(
                "m-lb-targets-unhealthy", name, "seen-not", "HealthyHostCount is above 0", None, ("HealthyHostCount",)
            )
        if empty and len(empty) < len(zones):
            words = ", ".join(one.of("AvailabilityZone") for one, _ in empty)
            yield Observation(
                "m-nlb-zone-without-target",
                name,
                "seen",
                f"HealthyHostCount is 0 in {words} alone",
                empty[0][1][1],
                ("HealthyHostCount",),
            )


def _one_way(scene: Scene) -> Iterator[Observation]:
    """A VPN connection that sends over both tunnels and hears over one."""
    flow: dict[tuple[str, str], float] = {}
    for one in series(scene):
        if one.namespace == "AWS/VPN" and one.metric in ("TunnelDataIn", "TunnelDataOut") and one.of("TunnelIpAddress"):
            half = [value for _, value in one.points[len(one.points) // 2 :]]
            flow[one.metric, one.of("TunnelIpAddress")] = sum(half)
    for taken in scene.snapshots[-1:]:
        for _, record in taken.snapshot.records("VpnConnections"):
            tunnels = [str(each.get("OutsideIpAddress")) for each in record.get("VgwTelemetry") or ()]
            out = [flow.get(("TunnelDataOut", one), 0.0) for one in tunnels]
            back = [flow.get(("TunnelDataIn", one), 0.0) for one in tunnels]
            if len(tunnels) >= 2 and all(out) and sum(value > 0.05 * max(back) for value in back if max(back)) == 1:
                says = f"data goes out over {len(tunnels)} tunnels and comes in over one"
                yield Observation(
                    "m-vpn-asymmetric",
                    str(record.get("VpnConnectionId", "")),
                    "seen",
                    says,
                    None,
                    ("AWS/VPN TunnelDataIn",),
                )


DX_PREFIXES = 100  # a virtual interface takes of each family (Direct Connect User Guide, "Quotas")


def _prefixes(scene: Scene) -> Iterator[Observation]:
    """A virtual interface whose session went down when it had as many prefixes as it may."""
    by_name: dict[tuple[str, str], Series] = {
        (one.metric, one.of("VirtualInterfaceId")): one for one in series(scene) if one.namespace == "AWS/DX"
    }
    for (metric, name), one in by_name.items():
        status = by_name.get(("VirtualInterfaceBgpStatus", name))
        if metric == "VirtualInterfaceBgpPrefixesAccepted" and status is not None and one.points:
            down = _zero(status) or _flaps(status)
            if down and max(value for _, value in one.points) >= 0.95 * DX_PREFIXES:
                yield Observation(
                    "m-bgp-prefix-limit",
                    name,
                    "seen",
                    f"{max(value for _, value in one.points):g} prefixes, then the session is down",
                    down[1],
                    (metric,),
                )


def _flaps(one: Series) -> Found:
    low = [at for at, value in one.points if value <= 0]
    return (f"{one.metric} up and down", low[0]) if len(low) >= 2 else None


def _trickle(scene: Scene) -> Iterator[Observation]:
    """502s of a balancer while its targets answer none of them with 5XX and stay healthy: the keep-alive race's own metric."""
    by_name: dict[tuple[str, str], Series] = {
        (one.metric, one.of("LoadBalancer")): one for one in series(scene) if one.namespace == "AWS/ApplicationELB"
    }
    for (metric, balancer), one in by_name.items():
        if metric != "HTTPCode_ELB_502_Count":
            continue
        target = by_name.get(("HTTPCode_Target_5XX_Count", balancer))
        errors = [(at, value) for at, value in one.points if value > 0]
        quiet = target is None or not any(value > 0 for _, value in target.points)
        if len(errors) >= 3 and quiet:
            yield Observation(
                "m-alb-keepalive-race",
                balancer,
                "seen",
                f"{sum(v for _, v in errors):g} answers 502 of the balancer's own, none of its targets 5XX",
                errors[0][0],
                (metric,),
            )
