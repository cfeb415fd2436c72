"""Atoms that rest on several systems at once: a symptom of one names the resource that another knows. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netkit.incident.atoms import Observation
from netkit.incident.scene import Scene


def _forwarders(scene: Scene, observations: Sequence[Observation]) -> Iterator[Observation]:
    """Resolver rules and endpoints that were written, where names fail with SERVFAIL: the forwarder that such an answer does not name."""
    if not any(one.atom == "d-dns-forwarding-fails" and one.state == "seen" for one in observations):
        return
    for write in scene.evidence.trail.writes:
        if write.service == "route53resolver" and not write.refused:
            for one in write.ids:
                if one.startswith("rslvr-"):
                    yield Observation("t-dns-forwarding-fails", one, "seen", str(write), write.time, (write.event_id,))


_EDGES = ("c-vpn-tunnel-down", "m-vpn-tunnel-down", "c-bgp-prefix-limit", "m-bgp-prefix-limit", "m-dx-down")


def derive(scene: Scene, observations: Sequence[Observation]) -> Iterator[Observation]:
    """The path MTU's own atom: large segments are lost, or ICMP is refused, and something at the sender keeps "too big" away."""
    wrong = [one for one in observations if one.atom == "c-firewall-wrong-zone" and one.state == "seen"]
    if scene.snapshots:
        yield Observation(
            "c-zones-differ",
            "",
            "seen" if wrong else "seen-not",
            wrong[0].says if wrong else "routes keep to their own zone's endpoint",
        )
    yield from _forwarders(scene, observations)
    down = [one for one in observations if one.atom in _EDGES and one.state == "seen"] if scene.beyond else []
    if scene.snapshots:
        says = "; ".join(sorted({one.says for one in down})) if down else "no edge of the network is seen to be down"
        yield Observation("c-edge-down", "", "seen" if down else "seen-not", says)
    seen = {one.atom: one for one in observations if one.state == "seen" and not one.subject}
    symptom = seen.get("p-large-lost") or seen.get("f-icmp-refused")
    if symptom is None or not scene.snapshots:
        return
    for resource, says in _keeps_away(scene):
        yield Observation(
            f"{symptom.atom[0]}-path-mtu-blackhole",
            resource,
            "seen",
            f"{symptom.says}; {says}",
            symptom.since,
            symptom.rests_on,
        )


def _keeps_away(scene: Scene) -> Iterator[tuple[str, str]]:
    """The network ACL, or else the groups, that refuse ICMP type 3 code 4 on its way in to either end."""
    network, taken = scene.networks[-1], scene.snapshots[-1]
    flows = scene.evidence.flows
    refused = flows[flows["protocol"].isin((1, 58)) & (flows["action"] == "REJECT")]
    ends = [one for one in sorted(scene.source.interfaces | scene.destination.interfaces) if one in network.interfaces]
    wanted = [one for one in ends if one in set(refused["interface"])] or ends
    acls: dict[str, Mapping[str, Any]] = {
        str(one.get("NetworkAclId")): one for _, one in taken.snapshot.records("NetworkAcls")
    }
    found: dict[str, str] = {}
    for interface in wanted:
        held = network.interfaces[interface]
        sender = next(iter(refused.loc[refused["interface"] == interface, "src"]), "")
        acl = network.acl_of.get(held.subnet) or network.default_acl.get(held.vpc)
        if acl is not None and acl.id in acls and not acl_admits(acls[acl.id], sender):
            found.setdefault(acl.id, f"{acl.id} lets no ICMP type 3 in")
    yield from found.items()


def acl_admits(acl: Mapping[str, Any], sender: str) -> bool:
    """Whether a network ACL lets ICMP type 3 code 4 in from an address ("" for any): the lowest rule that matches decides."""
    rules = sorted(
        (one for one in acl.get("Entries") or () if not one.get("Egress")),
        key=lambda one: int(one.get("RuleNumber", 32767)),
    )
    for one in rules:
        if str(one.get("Protocol")) not in ("-1", "1"):
            continue
        kind = (one.get("IcmpTypeCode") or {}).get("Type", -1)
        if str(one.get("Protocol")) == "1" and kind not in (-1, 3):
            continue
        if _within(sender, str(one.get("CidrBlock", ""))):
            return str(one.get("RuleAction")) == "allow"
    return False


def _within(sender: str, block: str) -> bool:
    if not block:
        return False
    network = ipaddress.ip_network(block, strict=False)
    if not sender:
        return network.prefixlen == 0
    address = ipaddress.ip_address(sender)
    return address.version == network.version and address in network
