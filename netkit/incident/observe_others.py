"""What others logged: the firewall's alerts, AWS Health, a balancer's access log, and calls that a trail says were refused. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from netkit.history.trail import time_of
from netkit.incident.atoms import Observation
from netkit.incident.scene import Scene


def observe(scene: Scene) -> Iterator[Observation]:
    """o- atoms, and the t- atoms that are a fault's own."""
    yield from _alerts(scene)
    yield from _health(scene)
    yield from _access(scene)
    yield from _refused(scene)


def _alerts(scene: Scene) -> Iterator[Observation]:
    """Alerts of the firewall that blocked this pair's own packets."""
    ours, theirs, port = scene.source.addresses, scene.destination.addresses, scene.question.port
    blocked: dict[str, list[tuple[datetime, str]]] = {}
    for row in scene.evidence.firewall:
        event = row.get("event") or {}
        ends = {str(event.get("src_ip")), str(event.get("dest_ip"))}
        if not (
            _dropped(event)
            and ends & ours
            and ends & theirs
            and (not port or port in (event.get("dest_port"), event.get("src_port")))
        ):
            continue
        at = time_of(event.get("timestamp")) or datetime.fromtimestamp(int(row.get("event_timestamp", 0)), UTC)
        alert = event.get("alert") or {}
        blocked.setdefault(str(row.get("firewall_name", "")), []).append(
            (at, f"{alert.get('signature_id', '')} {alert.get('signature', '')!r}")
        )
    for name, rows in sorted(blocked.items()):
        rule = Counter(words for _, words in rows).most_common(1)[0][0]
        yield Observation(
            "o-firewall-drops",
            name,
            "seen",
            f"rule {rule} blocked this connection {len(rows)} times",
            min(rows)[0],
            ("firewall",),
        )


def _dropped(event: Mapping[str, Any]) -> bool:
    verdict = str((event.get("verdict") or {}).get("action", ""))
    return verdict in ("drop", "reject") or str((event.get("alert") or {}).get("action", "")) == "blocked"


def _health(scene: Scene) -> Iterator[Observation]:
    """AWS Health events of category issue whose time meets the window."""
    window = scene.question.window
    for event in scene.evidence.health:
        start, end = time_of(event.get("startTime")), time_of(event.get("endTime"))
        if str(event.get("eventTypeCategory")) != "issue" or start is None:
            continue
        if start < window.end and (end is None or end > window.start):
            words = f"{event.get('service', '')} {event.get('eventTypeCode', '')} in {event.get('region', '')}"
            yield Observation("o-provider-event", str(event.get("arn", "")), "seen", words, start, ("health",))


def _access(scene: Scene) -> Iterator[Observation]:
    """502 of the balancer without a status of the target's: the target closed before it answered."""
    found: dict[str, list[datetime]] = {}
    for row in scene.evidence.access:
        at = time_of(row.get("time"))
        if (
            at is not None
            and row.get("elb_status") == "502"
            and row.get("target_status") == "-"
            and row.get("target") != "-"
        ):
            found.setdefault(str(row.get("elb", "")), []).append(at)
    for balancer, times in sorted(found.items()):
        yield Observation(
            "o-alb-keepalive-race",
            balancer,
            "seen",
            f"{len(times)} requests answered 502 while the target gave no status",
            min(times),
            ("access_logs",),
        )


_QUOTA = ("RulesPerSecurityGroupLimitExceeded",)
_NO_ADDRESS = ("InsufficientFreeAddressesInSubnet",)


def _refused(scene: Scene) -> Iterator[Observation]:
    """Refused writes that are a fault's own: a quota of rules, a subnet without addresses, an endpoint's policy."""
    for write in scene.evidence.trail.writes:
        for words, fault, prefix in (
            (_QUOTA, "sg-rule-quota", "sg-"),
            (_NO_ADDRESS, "subnet-addresses-exhausted", "subnet-"),
        ):
            if any(word in write.error for word in words):
                for one in write.ids:
                    if one.startswith(prefix):
                        yield Observation(
                            f"t-{fault}",
                            one,
                            "seen",
                            f"{write.event} refused: {write.error}",
                            write.time,
                            (write.event_id,),
                        )
    for record in scene.evidence.trail.denied:
        code, message = str(record.get("errorCode", "")), str(record.get("errorMessage", ""))
        if "VpceAccessDenied" in code or "no VPC endpoint policy allows" in message:
            at = time_of(record.get("eventTime"))
            yield Observation(
                "t-endpoint-policy-denies", str(record.get("vpcEndpointId", "")), "seen",
                f"{record.get('eventName')} refused by the endpoint's policy", at, (str(record.get("eventID", "")),),
            )  # fmt: skip
