"""What happens to connections that were quiet for a while: a reset, a refusal, or nothing, and whose timer that is. Pure.

A connection that speaks again within the timer is well; one that speaks again after it and fails is the timer's. Who sends the RST, and by whom
the path leads, tells whose timer it is: NAT gateway 350 s (fixed, RST), NLB 350 s by default (RST), Gateway Load Balancer and Network Firewall 350 s
(no RST), connection tracking of an interface (the packet is judged anew: REJECT). Sources: as in faults.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from netkit.incident.atoms import Observation
from netkit.incident.scene import RST, SYN, Scene, bare_reset, when

QUIET_S = 55  # below every timer: UDP tracking and an NLB's shortest are 60 s


@dataclass(frozen=True)
class Resumed:
    """A connection that spoke again: client end, when, after how many seconds of silence, and how it went (well, reset, refused, silent)."""

    client: tuple[str, int]
    at: int
    gap_s: int
    how: str


def resumed(scene: Scene) -> list[Resumed]:
    """Every connection of the pair that spoke again after a silence, as the source's own interface has it (else the destination's)."""
    ends = (
        scene.source.interfaces
        if any(scene.logged(one) == "ALL" for one in scene.source.interfaces)
        else scene.destination.interfaces
    )
    own = scene.pair[scene.pair["interface"].isin(ends)]
    found = []
    for client, records in _by_connection(own).items():
        spells: list[list[Any]] = []
        for row in records:
            if spells and row.start - max(one.end for one in spells[-1]) <= QUIET_S:
                spells[-1].append(row)
            else:
                spells.append([row])
        for before, after in zip(spells, spells[1:], strict=False):
            if not _begins_anew(after) and _was_well(before):
                start = min(one.start for one in after)
                found.append(Resumed(client, start, start - max(one.end for one in before), _how(after)))
    return sorted(found, key=lambda one: (one.at, one.client))


def _by_connection(own: pd.DataFrame) -> Mapping[tuple[str, int], list[Any]]:
    found: dict[tuple[str, int], list[Any]] = {}
    row: Any
    for row in own.itertuples(index=False):
        client = (row.pkt_src, row.sport) if row.way == "request" else (row.pkt_dst, row.dport)
        found.setdefault(client, []).append(row)
    return found


def _begins_anew(spell: list[Any]) -> bool:
    """Whether it begins with a SYN: a port used again, not a connection that speaks again."""
    return any(row.way == "request" and row.flags > 0 and row.flags & SYN for row in spell)


def _was_well(spell: list[Any]) -> bool:
    ways = {row.way for row in spell if row.action == "ACCEPT"}
    return ways == {"request", "reply"} and not any(row.flags > 0 and row.flags & RST for row in spell)


def _how(spell: list[Any]) -> str:
    if any(row.action == "REJECT" for row in spell):
        return "refused"
    replies = [row for row in spell if row.way == "reply"]
    if any(row.flags > 0 and row.flags & RST for row in replies) or (
        replies and all(bare_reset(row) for row in replies)
    ):
        return "reset"
    return "well" if any(row.way == "reply" for row in spell) else "silent"


def observe(scene: Scene) -> Iterator[Observation]:
    """f-<timer's fault> about whose timer it is, and f-idle-breaks about the path."""
    found = resumed(scene)
    broken = [one for one in found if one.how != "well"]
    fresh = [one for one, bad in scene.outcomes if bad]
    if not found:
        return
    if len(broken) < 2:
        yield Observation(
            "f-idle-breaks",
            "",
            "seen-not",
            f"{len(found)} connections spoke again after a silence, {len(broken)} of them in vain",
        )
        return
    how = max(("reset", "refused", "silent"), key=lambda word: (sum(one.how == word for one in broken), word))
    ours = [one for one in broken if one.how == how]
    shortest, since = min(one.gap_s for one in ours), when(ours[0].at)
    longest_well = max((one.gap_s for one in found if one.how == "well" and one.at > ours[0].at), default=0)
    says = f"{len(ours)} connections that were quiet for {shortest} s and more are {_WORDS[how]} when they speak again"
    says += f"; quiet for {longest_well} s is still well" if longest_well else ""
    yield Observation("f-idle-breaks", "", "seen", says, since)
    if len(fresh) > len(broken) * 3:
        return
    for fault, resource in _whose(scene, how):
        yield Observation(f"f-{fault}", resource, "seen", says, since)


_WORDS = {"reset": "reset", "refused": "refused", "silent": "not answered"}


def _whose(scene: Scene, how: str) -> Iterator[tuple[str, str]]:
    """The faults and resources whose timer ends connections so, on this path."""
    network = scene.networks[-1] if scene.networks else None
    if network is None:
        return
    if how == "refused":
        for interface in sorted(_refusing(scene)):
            yield "conntrack-idle-timeout", interface
        return
    if how == "reset":
        balancers = {scene.destination.balancer} - {""} or _kind(scene, "net")
        if balancers:
            yield from (("nlb-idle-timeout", name) for name in sorted(balancers))
        else:
            yield from (("nat-idle-timeout", name) for name in sorted(_nats(scene)))
        return
    for name in sorted(_inspecting(scene)):
        yield "gwlb-idle-timeout", name


def _refusing(scene: Scene) -> set[str]:
    pair = scene.pair
    return set(pair.loc[pair["action"] == "REJECT", "interface"])


def _kind(scene: Scene, kind: str) -> set[str]:
    """Balancers of a kind whose addresses the pair's records show."""
    network = scene.networks[-1]
    there = set(scene.pair["interface"]) | scene.destination.interfaces
    found = set()
    for balancer in network.balancers.values():
        own = {one.id for one in network.interfaces.values() if _describes(scene, one.id, balancer.id)}
        if balancer.kind == {"net": "network", "app": "application"}[kind] and own & there:
            found.add(balancer.id)
    return found


def _describes(scene: Scene, interface: str, balancer: str) -> bool:
    tail = balancer.rpartition("loadbalancer/")[2]
    for taken in scene.snapshots[-1:]:
        for _, record in taken.snapshot.records("NetworkInterfaces"):
            if record.get("NetworkInterfaceId") == interface:
                return str(record.get("Description", "")).removeprefix("ELB ") == tail
    return False


def _nats(scene: Scene) -> set[str]:
    """NAT gateways that the pair's records pass, by their interfaces."""
    there = set(scene.pair["interface"])
    return {nat.id for network in scene.networks for nat in network.nats.values() if set(nat.interfaces) & there}


def _inspecting(scene: Scene) -> set[str]:
    """Gateway Load Balancers or firewalls whose endpoints the pair's records pass."""
    there = set(scene.pair["interface"])
    passed = {
        one.id
        for network in scene.networks
        for one in network.endpoints.values()
        if one.kind == "gatewayloadbalancer" and set(one.interfaces) & there
    }
    firewalls = set()
    for taken in scene.snapshots:
        for _, record in taken.snapshot.records("Firewalls"):
            states = (record.get("FirewallStatus") or {}).get("SyncStates") or {}
            if passed & {str((one.get("Attachment") or {}).get("EndpointId")) for one in states.values()}:
                firewalls.add(str((record.get("Firewall") or {}).get("FirewallArn", "")))
    balancers = {one.id for network in scene.networks for one in network.balancers.values() if one.kind == "gateway"}
    return firewalls - {""} or (balancers if passed and len(balancers) == 1 else passed)
