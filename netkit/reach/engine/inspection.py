"""Through a Gateway Load Balancer endpoint: a Network Firewall, or another's appliance behind it. Pure.

Packets come out of the endpoint as they went in and go on by the route table of its subnet (VPC guide, "Routing traffic to a middlebox").
A firewall's stateful engine must see both directions of a connection at one endpoint (Network Firewall guide, "Troubleshooting
general issues", asymmetric routing; "Stream exception policy": DROP unless set).
"""

from __future__ import annotations

from dataclasses import replace

from netkit.core.model import Unknown
from netkit.core.net import TCP
from netkit.reach.engine.leg import Leg, Place
from netkit.reach.engine.walk import into_vpc, route_from, through_acl
from netkit.reach.network.firewall import DROP, PASS, Judged, judge_packets
from netkit.reach.network.records import Endpoint, Firewall


def through_endpoint(leg: Leg, place: Place, endpoint: Endpoint) -> None:
    """Into the endpoint's subnet, through what is behind it, and on by that subnet's route table."""
    network = leg.network
    wall = network.firewalls.get(endpoint.id)
    name = endpoint.subnets[0] if endpoint.subnets else wall.subnet if wall else ""
    subnet = network.subnets.get(name)
    if wall:
        _through_firewall(leg, wall)
    else:
        _unseen(leg, endpoint)
    if subnet is None:
        leg.lacks("Subnets", name or f"the subnet of {endpoint.id}")
        return
    if place.subnet is None or place.subnet.id != subnet.id:
        through_acl(leg, subnet, False)
    to = leg.destination
    if to and subnet.holds(to):
        into_vpc(leg, subnet.vpc, subnet)
        return
    through_acl(leg, subnet, True)
    owner = network.owner(subnet.vpc, leg.source) if leg.source else None
    route_from(leg, Place(subnet.vpc, subnet, place.interface or owner, place.nat))


def _unseen(leg: Leg, endpoint: Endpoint) -> None:
    """An endpoint of no firewall in the snapshot: what is behind it may pass or drop, and does not change where packets go."""
    if leg.network.known("Firewalls"):
        why = f"what the appliance behind {endpoint.service} does with the packets is not in a snapshot"
    else:
        why = "whether a Network Firewall or another appliance is behind it, and what that does: Firewalls was not collected"
    leg.unknowns.append(Unknown(endpoint.id, why, "PATH_THROUGH_GWLB_NOT_CHECKED"))


def _through_firewall(leg: Leg, wall: Firewall) -> None:
    leg.hop(wall.arn, "network-firewall", name=wall.name, subnet=wall.subnet)
    if wall.state != "READY":
        leg.block(
            wall.arn,
            "BAD_STATE",
            f"the endpoint {wall.endpoint} of {wall.name} is {wall.state}, not READY",
            where=wall.endpoint,
        )
    if not wall.synced:
        why = "its policy was not yet in force at all endpoints when the snapshot was taken (ConfigurationSyncStateSummary)"
        leg.unknowns.append(Unknown(wall.arn, why, "UNKNOWN_RESOURCE"))
    began = leg.inspected.get(wall.arn)
    if leg.forward:
        found = judge_packets(leg.network.snapshot, wall.arn, leg.asked)
        leg.inspected[wall.arn] = (wall.endpoint, found)
        _say(leg, wall, found)
    elif began is None or began[0] != wall.endpoint:
        _one_sided(leg, wall, began[0] if began else "")
    else:
        leg.returned.append(wall.arn)
        _say(leg, wall, judge_packets(leg.network.snapshot, wall.arn, leg.asked, began[1]))


def _say(leg: Leg, wall: Firewall, found: Judged) -> None:
    """Write down what a firewall does."""
    if found.action == DROP:
        source, destination = leg.who()
        because = f"firewall {wall.name} drops {leg.service()} from {source} to {destination}: {found.because}"
        components = (wall.arn, found.group) if found.group else (wall.arn,)
        leg.block(wall.arn, "FIREWALL_RULES_RESTRICTION", because, where=wall.endpoint, components=components)
    elif found.action == PASS:
        leg.hops[-1] = replace(leg.hops[-1], details=(*leg.hops[-1].details, found.because))
    else:
        leg.unknowns.append(Unknown(wall.arn, found.because, "FIREWALL_UNSUPPORTED_HIGHER_PRIORITY_RULES"))


def _one_sided(leg: Leg, wall: Firewall, other: str) -> None:
    """Replies at an endpoint that did not see the connection begin: the route that leads them there is at fault."""
    leg.returned.append(wall.arn)
    found = judge_packets(leg.network.snapshot, wall.arn, leg.asked)
    if found.action == PASS and not found.stateful:
        return
    began = f"began through {other}" if other else "did not come through it on the way there"
    because = f"the replies enter firewall {wall.name} by {wall.endpoint} in {wall.zone}, and the connection {began}: its stateful engine needs both directions at one endpoint"
    if any(name.startswith("tgw:") for name in leg.crossed):
        because += " (appliance mode of the transit gateway attachment keeps both in one zone)"
    table = next((hop.component for hop in reversed(leg.hops) if hop.type == "route-table"), wall.arn)
    tcp = all(box.protocol == (TCP, TCP) for box in leg.asked.boxes)
    if tcp and _drops_midstream(leg, wall.arn):
        leg.block(
            table,
            "FIREWALL_RULES_RESTRICTION",
            because,
            where=wall.endpoint,
            components=(table, wall.arn, wall.endpoint),
        )
    else:
        leg.unknowns.append(Unknown(wall.arn, because, "FIREWALL_UNSUPPORTED_HIGHER_PRIORITY_RULES"))


def _drops_midstream(leg: Leg, arn: str) -> bool:
    """Whether the policy drops what it did not see begin: the stream exception policy, DROP where it is not set."""
    snapshot = leg.network.snapshot
    held = {
        str((one.get("Firewall") or {}).get("FirewallArn")): one["Firewall"]
        for _, one in snapshot.records("Firewalls")
        if one.get("Firewall")
    }
    policy = str(held.get(arn, {}).get("FirewallPolicyArn"))
    for _, one in snapshot.records("FirewallPolicies"):
        if str((one.get("FirewallPolicyResponse") or {}).get("FirewallPolicyArn")) == policy:
            options = (one.get("FirewallPolicy") or {}).get("StatefulEngineOptions") or {}
            return options.get("StreamExceptionPolicy", "DROP") in ("DROP", "REJECT")
    return False


def passed_by(leg: Leg, back: Leg) -> None:
    """Firewalls that saw a connection begin and do not see its replies: not supported, and what it does then is not decided."""
    for arn, (endpoint, found) in leg.inspected.items():
        if arn not in back.returned and found.stateful and back.arrived:
            why = f"the connection goes through {endpoint}, and its replies do not come back through the firewall (asymmetric routing)"
            back.unknowns.append(Unknown(arn, why, "FIREWALL_UNSUPPORTED_HIGHER_PRIORITY_RULES"))
