"""One direction of a path, walked hop by hop: what each component does to a set of packets. Pure.

The order is AWS's (Reachability Analyzer guide, getting-started-cli): out of a host come instance, interface, security group,
network ACL, route table, gateway; into one come gateway, network ACL, security group, interface, instance. A filter that stops
the packets does not stop the walk, so that every blocker is found; a missing route does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from netkit.core.model import Rule, Unknown
from netkit.core.net import TCP, UDP
from netkit.core.packets import ANY_PORT, Packets, port_text
from netkit.reach.engine.leg import (
    HOPS_AT_MOST,
    REMAPPED,
    Leg,
    Place,
    Translation,
    asks,
    filtered,
    named,
    some_addresses,
)
from netkit.reach.network.filters import Decision, Peer, acl_allows, groups_allow
from netkit.reach.network.network import Network
from netkit.reach.network.records import Acl, Address, Interface, Route, RouteTable, Subnet, block_of

_AMAZON = [block_of(text) for text in ("169.254.0.0/16", "fd00:ec2::/32")]
# Interfaces that are part of the network and not of a host: nothing ends there.
NO_HOST = {"transit_gateway", "gateway_load_balancer", "gateway_load_balancer_endpoint", "quicksight_gateway"}
# What a route can lead to, by the prefix of its target; gateways.py and transit.py add theirs.
Step = Callable[[Leg, Place, Route], None]
GATEWAYS: dict[str, Step] = {}


def leads_to(*prefixes: str) -> Callable[[Step], Step]:
    """Mark a function as what happens to packets that a route sends to a target of these prefixes."""

    def mark(step: Step) -> Step:
        GATEWAYS.update(dict.fromkeys(prefixes, step))
        return step

    return mark


# --- out of a host


def out_of(leg: Leg, one: Interface) -> None:
    """Out of an interface: instance, interface, security groups, then straight to a neighbour or through ACL and routes."""
    network = leg.network
    subnet = network.subnets.get(one.subnet)
    at_instance(leg, one, outbound=True)
    leg.hop(
        one.id,
        "network-interface",
        subnet=one.subnet,
        vpc=one.vpc,
        attached_to=one.instance,
        name=one.name,
        outbound=None if one.instance else leg.header(),
    )
    check_state(leg, one)
    if subnet is None:
        leg.lacks("Subnets", one.subnet)
        return
    through_groups(leg, one, True)
    to = leg.destination
    if to and subnet.holds(to):
        into_vpc(leg, one.vpc, subnet)
        return
    through_acl(leg, subnet, True)
    if not leg.forward and leg.destination and _remembered(leg, one):
        return
    route_from(leg, Place(one.vpc, subnet, one))


def at_instance(leg: Leg, one: Interface, *, outbound: bool) -> None:
    """The instance of an interface, which must be running."""
    if not one.instance:
        return
    network = leg.network
    held = network.instances.get(one.instance)
    header = leg.header()
    leg.hop(
        one.instance,
        "instance",
        name=held.name if held else "",
        subnet=one.subnet,
        vpc=one.vpc,
        outbound=header if outbound else None,
        inbound=None if outbound else header,
    )
    if held is None:
        leg.lacks("Reservations", one.instance)
    elif held.state != "running" and leg.forward:
        leg.block(
            one.instance, "BAD_STATE", f"{named(one.instance, held.name)} is {held.state}, not running", where=one.id
        )


def check_state(leg: Leg, one: Interface) -> None:
    """Whether the interface is in use."""
    if one.status not in ("in-use", ""):
        if leg.forward:
            leg.block(
                one.id,
                "BAD_STATE",
                f"{named(one.id, one.name)} is {one.status}: it is attached to nothing",
                where=one.subnet,
            )
    elif not one.status and not one.attached:
        leg.unknowns.append(Unknown(one.id, "the snapshot does not say whether it is in use", "UNKNOWN_RESOURCE"))
    if not one.groups and one.kind == "interface" and not one.said_kind:
        leg.unknowns.append(
            Unknown(one.id, "the snapshot does not say what type of interface it is", "UNKNOWN_RESOURCE")
        )


def through_groups(leg: Leg, one: Interface, egress: bool) -> None:
    """The security groups of an interface. They are stateful: replies are not asked (facts 6.2)."""
    if not one.groups:
        return
    direction = "egress" if egress else "ingress"
    groups = [leg.network.groups[name] for name in one.groups if name in leg.network.groups]
    missing = [name for name in one.groups if name not in leg.network.groups]
    if not leg.forward:
        chosen = leg.let_by.get(one.id, one.groups[0])
        leg.hop(chosen, "security-group", name=_group_name(leg, chosen), vpc=one.vpc, attached_to=one.id)
        return
    for name in missing:
        leg.lacks("SecurityGroups", name)
    peer = _peer_out(leg, one) if egress else _peer_in(leg, one)

    def decide(packets: Packets) -> Decision:
        found = groups_allow(leg.network, groups, egress, packets, peer)
        return replace(found, possible=packets) if missing else found

    whole = decide(leg.asked)
    chosen = leg.let_by[one.id] = whole.by or one.groups[0]
    leg.hop(
        chosen, "security-group", name=_group_name(leg, chosen), vpc=one.vpc, attached_to=one.id, direction=direction
    )
    more = f" and {len(one.groups) - 1} more" if len(one.groups) > 1 else ""
    source, destination = leg.who()
    far = f"to {destination} out" if egress else f"from {source} in"
    sentence = f"no {'outbound' if egress else 'inbound'} rule of security group {named(chosen, _group_name(leg, chosen))}{more} at {named(one.id, one.name)} lets {leg.service()} {far}"
    if whole.code in _LOST:
        sentence += f" (a rule names a group of the other end, and {_LOST[whole.code]})"
    filtered(leg, decide, whole, sentence, component=chosen, direction=direction, where=one.id, components=one.groups)


def _group_name(leg: Leg, group: str) -> str:
    held = leg.network.groups.get(group)
    return held.name if held else ""


_LOST = {
    "SG_REFERENCES_NOT_PRESERVED": "the path does not keep the sender's groups",
    "SG_REFERENCING_SUPPORT": "the transit gateway does not support security group referencing here",
}


def _peer_in(leg: Leg, one: Interface) -> Peer:
    """The sender, as the groups of the receiver see it (facts 6.2, table of where a reference works)."""
    sender = leg.home.interface
    if leg.translations:
        return Peer(frozenset(sender.groups) if sender else frozenset(), "SG_REFERENCES_NOT_PRESERVED")
    if sender is None:
        if leg.home.kind in ("vpc", "vpc-peering-connection", "transit-gateway-attachment", "transit-gateway"):
            return Peer(unseen=f"the interfaces behind {leg.home.id} are not named, so neither are their groups")
        return Peer()
    return Peer(frozenset(sender.groups), _lost(leg, inbound=True))


def _lost(leg: Leg, *, inbound: bool) -> str:
    for crossing in leg.crossed:
        kind, _, name = crossing.partition(":")
        if kind == "pcx" and not _same_region(leg.network, name):
            return "SG_REFERENCES_NOT_PRESERVED"
        if kind == "tgw" and not (inbound and _referencing(leg, name)):
            return "SG_REFERENCING_SUPPORT"
        if kind in ("tgw-peering", "nat", "igw"):
            return "SG_REFERENCES_NOT_PRESERVED"
    return ""


def _same_region(network: Network, name: str) -> bool:
    one, two = network.peerings[name].sides
    return one.region == two.region


def _referencing(leg: Leg, name: str) -> bool:
    """On at the gateway (off by default) and at both attachments (on by default)."""
    transit = leg.network.transits.get(name)
    used = [
        leg.network.attachments[name, crossing.partition(":")[2]]
        for crossing in leg.crossed
        if crossing.startswith("tgw-attach:") and (name, crossing.partition(":")[2]) in leg.network.attachments
    ]
    return bool(transit and transit.referencing and all(one.referencing for one in used))


def _peer_out(leg: Leg, one: Interface) -> Peer:
    """The receiver, as the groups of the sender see it: by the address, in this VPC or across a peering; never beyond."""
    to = leg.destination
    if to is None:
        return Peer()
    network = leg.network
    near = network.owner(one.vpc, to)
    if near:
        return Peer(frozenset(near.groups))
    for peering in network.peerings.values():
        side = peering.other(one.vpc)
        if (
            side is None
            or peering.status != "active"
            or not any(family == to[0] and low <= to[1] <= high for family, low, high in side.blocks)
        ):
            continue
        if not network.whole("NetworkInterfaces", side.vpc):
            return Peer(unseen=f"the interfaces of {side.vpc} are not all in the snapshot")
        far = network.owner(side.vpc, to)
        if far and _routes_to(network, one, to) == peering.id:
            return Peer(
                frozenset(far.groups), "" if _same_region(network, peering.id) else "SG_REFERENCES_NOT_PRESERVED"
            )
    if not all(network.everywhere(key) for key in ("NetworkInterfaces", "VpcPeeringConnections")):
        return Peer(unseen="the interface with the destination address, or the peering to it, is not in the snapshot")
    far_groups = frozenset(group for far in network.owners.get(to, ()) for group in far.groups)
    return Peer(far_groups, "SG_REFERENCING_SUPPORT")


def _routes_to(network: Network, one: Interface, to: Address) -> str:
    table = network.table_of.get(one.subnet) or network.main_table.get(one.vpc)
    if table is None:
        return ""
    held, _ = network.routes(table, to[0])
    return next((route.target for low, high, route in held if low <= to[1] <= high), "")


def acl_for(network: Network, subnet: Subnet) -> Acl | None:
    """The network ACL of a subnet: the associated one, else its VPC's default one (facts 6.3); None when not known."""
    found = network.acl_of.get(subnet.id)
    if found:
        return found
    return network.default_acl.get(subnet.vpc) if network.known("NetworkAcls", subnet.scope) else None


def table_for(network: Network, subnet: Subnet) -> RouteTable | None:
    """The route table of a subnet: the associated one, else the main one (facts 6.4); None when not known."""
    found = network.table_of.get(subnet.id)
    if found:
        return found
    return network.main_table.get(subnet.vpc) if network.known("RouteTables", subnet.scope) else None


def through_acl(leg: Leg, subnet: Subnet, egress: bool) -> None:
    """Through the network ACL of a subnet (facts 6.3)."""
    acl = acl_for(leg.network, subnet)
    if acl is None:
        leg.lacks("NetworkAcls", f"the network ACL of {subnet.id}")
        return
    direction = "egress" if egress else "ingress"
    leg.hop(acl.id, "network-acl", name=acl.name, direction=direction, subnet=subnet.id, vpc=subnet.vpc)
    source, destination = leg.who()
    whole = acl_allows(acl, egress, leg.asked)
    deny = f" ({whole.deny})" if whole.deny else ""
    what = f"{leg.service()} from {source} to {destination}"
    _resting(leg, acl, egress)
    sentence = f"network ACL {named(acl.id, acl.name)} of subnet {named(subnet.id, subnet.name)} does not let {what} {'out' if egress else 'in'}{deny}"
    filtered(
        leg,
        lambda packets: acl_allows(acl, egress, packets),
        whole,
        sentence,
        component=acl.id,
        direction=direction,
        where=subnet.id,
    )


def _resting(leg: Leg, acl: Acl, egress: bool) -> None:
    """Write down where the answer hangs on the ports that a client or NAT gateway is taken to use."""
    why = "a NAT gateway's" if leg.translations else leg.ports_why
    if leg.forward or not why or not leg.asked or leg.asked.boxes[0].protocol not in ((TCP, TCP), (UDP, UDP)):
        return
    every = leg.asked.with_span(port=ANY_PORT)
    if not acl_allows(acl, egress, every).allowed.covers(every):
        leg.rests.append((acl.id, leg.asked.spans("port")[0], why))


def between(leg: Leg, one: Interface, other: Interface) -> None:
    """From one interface to another of the same VPC whatever the addresses say: only network ACLs are in the way."""
    here, there = leg.network.subnets.get(one.subnet), leg.network.subnets.get(other.subnet)
    if here is None or there is None:
        leg.lacks("Subnets", one.subnet if here is None else other.subnet)
    elif here.id != there.id:
        through_acl(leg, here, True)
        through_acl(leg, there, False)


# --- routes


def route_from(leg: Leg, place: Place, table: RouteTable | None = None) -> None:
    """Look the destination up in the subnet's route table and go where it says; many addresses may go several ways."""
    network = leg.network
    if table is None and place.subnet:
        table = table_for(network, place.subnet)
    if table is None:
        leg.lacks("RouteTables", f"the route table of {place.subnet.id if place.subnet else place.vpc}")
        return
    if place.vpc not in network.vpcs:
        leg.lacks("Vpcs", place.vpc)
        return
    if len(leg.hops) > HOPS_AT_MOST:
        leg.block(table.id, "NO_PATH", f"the packets go round in circles through {table.id}")
        return
    held, unknown = network.routes(table, leg.family)
    if unknown:
        leg.unknowns.append(
            Unknown(
                "PrefixLists",
                f"the entries of {', '.join(unknown)}, which {table.id} routes by, are not in the snapshot",
                "UNKNOWN_RESOURCE",
            )
        )
        return
    pieces = _pieces(leg.asked, held)
    if len(pieces) == 1:
        _follow(leg, place, table, pieces[0][0])
        return
    _best(leg, place, table, pieces)


def _pieces(packets: Packets, held: Sequence[tuple[int, int, Route]]) -> list[tuple[Route | None, Packets]]:
    """The packets by the route that takes them, the largest piece first."""
    if len(packets.boxes) == 1 and packets.boxes[0].destination[0] == packets.boxes[0].destination[1]:
        value = packets.boxes[0].destination[0]
        return [(next((route for low, high, route in held if low <= value <= high), None), packets)]
    rest, pieces = packets, []
    for low, high, route in held:
        piece = rest.within(destination=(low, high))
        if piece:
            pieces.append((route, piece))
            rest = rest - piece
        if not rest:
            break
    found: list[tuple[Route | None, Packets]] = [*pieces, *([(None, rest)] if rest else [])]
    return sorted(found, key=lambda piece: (-piece[1].size("destination"), piece[0].text if piece[0] else ""))


def _best(leg: Leg, place: Place, table: RouteTable, pieces: Sequence[tuple[Route | None, Packets]]) -> None:
    """Of the ways for many addresses, one that gets there; else one that might; else the one that most take."""
    forks = []
    for route, piece in pieces:
        if (
            route
            and route.kind == "local"
            and leg.goal.kind in ("internet", "internet-gateway", "egress-only-internet-gateway")
        ):
            continue  # the VPC's own block is not the internet
        fork = leg.fork()
        fork.asked, fork.live = piece, fork.live & piece
        _follow(fork, place, table, route)
        if _emptied(leg, fork):
            text = route.text if route else "no route"
            because = f"of the packets that get here none is for what route table {table.id} sends by {text}"
            fork.block(table.id, "NO_ROUTE_TO_DESTINATION", because, where=place.vpc)
        forks.append(fork)
    rank = [(bool(fork.blockers), bool(fork.unknowns), not fork.arrived) for fork in forks]
    if not forks:
        leg.block(
            table.id, "NO_ROUTE_TO_DESTINATION", f"route table {table.id} leads to no such destination", where=place.vpc
        )
        return
    chosen = forks[rank.index(min(rank))]
    leg.__dict__.update(chosen.__dict__)


def _emptied(leg: Leg, fork: Leg) -> bool:
    """Whether the filters before have left nothing for this way, though they had left something."""
    need = asks(leg.asked, leg.forward)
    before = asks(leg.live, leg.forward).covers(need)
    return before and not fork.blockers and not asks(fork.live, leg.forward).covers(need)


def _follow(leg: Leg, place: Place, table: RouteTable, route: Route | None) -> None:
    where = place.subnet.id if place.subnet else place.vpc
    _, destination = leg.who()
    if route is None:
        leg.hop(table.id, "route-table", name=table.name, subnet=place.subnet.id if place.subnet else "", vpc=table.vpc)
        leg.block(
            table.id,
            "NO_ROUTE_TO_DESTINATION",
            f"route table {named(table.id, table.name)} of {where} has no route to {destination}",
            where=where,
        )
        return
    rule = Rule("route", peer=route.text, target=route.target, state=route.state, origin=route.origin)
    leg.hop(
        table.id,
        "route-table",
        name=table.name,
        rule=rule,
        subnet=place.subnet.id if place.subnet else "",
        vpc=table.vpc,
    )
    if route.state == "blackhole":
        leg.block(
            table.id,
            "BAD_STATE_ROUTE",
            f"the route {route.text} of {named(table.id, table.name)} is a black hole: its target {route.target} is gone or unusable",
            rule=rule,
            where=where,
        )
    elif route.state != "active":
        leg.unknowns.append(
            Unknown(
                table.id, f"the route {route.text} is {route.state!r}, which is not modelled", "UNSUPPORTED_COMPONENT"
            )
        )
    elif route.kind == "local":
        into_vpc(leg, place.vpc, place.subnet)
    elif route.kind in GATEWAYS:
        GATEWAYS[route.kind](leg, place, route)
    else:
        to_edge(leg, route.target, {"lgw": "local-gateway", "cagw": "carrier-gateway"}.get(route.kind, "network"))


def to_edge(leg: Leg, component: str, kind: str, why: str = "what lies beyond it is not modelled") -> None:
    """The packets leave what the snapshot can know."""
    leg.hop(component, kind)
    if component == leg.goal.id:
        leg.arrive("edge", component)
    else:
        leg.unknowns.append(Unknown(component, why, "UNSUPPORTED_COMPONENT"))


# --- into a host


def into_vpc(leg: Leg, vpc: str, came_from: Subnet | None) -> None:
    """Deliver within a VPC: to the interface that has the address."""
    network = leg.network
    if leg.goal.kind == "vpc" and leg.goal.id == vpc:
        leg.hop(vpc, "vpc", vpc=vpc)
        leg.arrive("vpc", vpc, vpc)
        return
    to = leg.destination
    if to is None:
        leg.block(vpc, "NO_POSSIBLE_DESTINATION", f"these packets stay in {vpc} and do not lead to {leg.goal.given}")
        return
    found = network.owner(vpc, to)
    if found:
        into(leg, found, came_from)
        return
    text = some_addresses(((to[1], to[1]),), to[0])
    if amazon_service(network, vpc, to):
        leg.unknowns.append(
            Unknown(
                text,
                "this is Amazon's own service in the VPC: security groups and network ACLs do not filter it, and it is not modelled",
                "UNSUPPORTED_COMPONENT",
            )
        )
    elif leg.unseen("NetworkInterfaces", vpc, f"the interface with the address {text}"):
        return
    else:
        holder = next((subnet.id for subnet in network.subnets_of.get(vpc, ()) if subnet.holds(to)), "")
        leg.hop(vpc, "vpc", vpc=vpc, subnet=holder)
        leg.block(
            vpc,
            "NO_POSSIBLE_DESTINATION",
            f"no network interface in {named(vpc, network.vpcs[vpc].name if vpc in network.vpcs else '')} has the address {text}",
            where=vpc,
        )


def amazon_service(network: Network, vpc: str, to: Address) -> bool:
    """Whether an address is Amazon's own: link local, the resolver at the VPC base plus two, a subnet's router (facts 6.2)."""
    local = any(family == to[0] and low <= to[1] <= high for family, low, high in _AMAZON)
    return local or to[1] in amazon_addresses(network, vpc, to[0])


def amazon_addresses(network: Network, vpc: str, family: int) -> list[int]:
    """The addresses in a VPC that Amazon keeps: its resolver and its subnets' routers."""
    held = network.vpcs[vpc].spans(family) if vpc in network.vpcs else []
    routers = [
        low + 1 for subnet in network.subnets_of.get(vpc, ()) for kind, low, _ in subnet.blocks if kind == family
    ]
    return [low + 2 for low, _ in held] + routers


def into(leg: Leg, one: Interface, came_from: Subnet | None) -> None:
    """Into an interface: network ACL (unless from the same subnet), security groups, interface, instance."""
    network = leg.network
    subnet = network.subnets.get(one.subnet)
    if subnet is None:
        leg.lacks("Subnets", one.subnet)
        return
    if came_from is None or came_from.id != subnet.id:
        through_acl(leg, subnet, False)
    if one.kind in ("nat_gateway", "natGateway"):
        _into_nat_address(leg, one, subnet)
        return
    through_groups(leg, one, False)
    leg.hop(
        one.id,
        "network-interface",
        subnet=one.subnet,
        vpc=one.vpc,
        attached_to=one.instance,
        name=one.name,
        inbound=None if one.instance else leg.header(),
    )
    check_state(leg, one)
    at_instance(leg, one, outbound=False)
    if one.kind in NO_HOST:
        leg.block(
            one.id,
            "NO_POSSIBLE_DESTINATION",
            f"{one.id} is an interface of the network itself ({one.kind}); no host answers at its address",
        )
        return
    wanted = leg.goal.interface if leg.goal.kind != "address" or not leg.forward else None
    if leg.goal.kind in ("internet", "internet-gateway", "vpn-gateway"):
        leg.block(
            one.id,
            "NO_POSSIBLE_DESTINATION",
            f"the packets end at {named(one.id, one.name)} and do not get to {leg.goal.given}",
        )
    elif wanted and wanted.id != one.id and one.id not in [choice.id for choice in leg.goal.choices]:
        leg.block(
            one.id,
            "NO_POSSIBLE_DESTINATION",
            f"the packets go to {named(one.id, one.name)} in {one.vpc}, which has the same address as {wanted.id}",
        )
    leg.arrive("interface", one.id, one.vpc, one)


def _into_nat_address(leg: Leg, one: Interface, subnet: Subnet) -> None:
    """At a NAT gateway's own address: replies of what went out through it, and nothing else (facts 6.7)."""
    back = next(
        (
            done
            for done in reversed(leg.translations)
            if one.id in done.nat.interfaces or leg.destination == (4, done.outside)
        ),
        None,
    )
    if back is None or leg.forward:
        nat = next((held.id for held in leg.network.nats.values() if one.id in held.interfaces), one.id)
        leg.hop(nat, "nat-gateway", subnet=one.subnet, vpc=one.vpc)
        leg.block(
            nat,
            "NO_POSSIBLE_DESTINATION",
            f"{nat} takes no connections of its own: it only passes on what its VPC sends out, and the replies",
            where=one.id,
        )
        return
    back_through_nat(leg, back, Place(one.vpc, subnet, None, back.nat))


def back_through_nat(leg: Leg, done: Translation, place: Place) -> None:
    """Replies at a NAT gateway: turned back to the address and port that the connection began from."""
    leg.translations.remove(done)
    inbound = leg.header()
    need_every_port(leg, done.nat.id)
    box = done.before.boxes[0]
    leg.rewrite(destination=box.source, port=box.source_port) if box.protocol in (
        (TCP, TCP),
        (UDP, UDP),
    ) else leg.rewrite(destination=box.source)
    leg.hop(
        done.nat.id,
        "nat-gateway",
        name=done.nat.name,
        subnet=done.nat.subnet,
        vpc=done.nat.vpc,
        inbound=inbound,
        outbound=leg.header(),
    )
    if place.subnet is None:
        into_vpc(leg, place.vpc, None)
        return
    to = leg.destination
    if to and place.subnet.holds(to):
        into_vpc(leg, place.vpc, place.subnet)
        return
    through_acl(leg, place.subnet, True)
    route_from(leg, place)


def need_every_port(leg: Leg, component: str) -> None:
    """A NAT gateway chooses among all its ports: replies to only some of them are no sure thing."""
    if leg.partial:
        leg.unknowns.append(
            Unknown(f"port of {component}", f"{leg.partial[-1]}, and {component} uses {port_text(REMAPPED)}")
        )
        leg.partial.clear()
        leg.live = leg.asked


def _remembered(leg: Leg, one: Interface) -> bool:
    """Replies to a NAT gateway across a peering need no route back: the connection is remembered (facts 6.7)."""
    to = leg.destination
    for done in leg.translations:
        crossing = next((name for name in leg.crossed if name.startswith("pcx:") and name not in done.crossed), "")
        if to == (4, done.outside) and crossing:
            peering = crossing.partition(":")[2]
            leg.hop(peering, "vpc-peering-connection")
            leg.notes.append(
                f"replies to {done.nat.id} come back over {peering} even without a route, for the connection is remembered"
            )
            into_vpc(leg, done.nat.vpc, None)
            return True
    return False


# --- in by a gateway


def public_access(leg: Leg, vpc: str, subnet: Subnet | None, *, inbound: bool, direct: bool, gateway: str) -> None:
    """VPC Block Public Access (facts 6.6): the mode of the owner's account and Region, with exclusions for VPCs and subnets."""
    network = leg.network
    mode = network.block_mode(vpc, subnet)
    if mode is None:
        # Answers from before the feature (November 2024) have no BlockPublicAccessStates, and nothing was blocked then.
        if network.bpa_era:
            leg.lacks("VpcBlockPublicAccessOptions", f"whether public access to {vpc} is blocked")
        return
    if mode == "off":
        said = {one.bpa for one in (network.vpcs.get(vpc), subnet) if one and one.bpa}
        if said - {"off"}:
            why = f"the options say off and the record of {vpc} or its subnet says {', '.join(sorted(said - {'off'}))}"
            leg.unknowns.append(Unknown("VpcBlockPublicAccessOptions", why, "UNKNOWN_RESOURCE"))
        return
    home = network.home(vpc) if vpc in network.vpcs else subnet.scope if subnet else None
    if home is None or not network.known("VpcBlockPublicAccessExclusions", home):
        leg.lacks("VpcBlockPublicAccessExclusions", f"whether {vpc} is excluded from Block Public Access", home is None)
        return
    exclusion = (network.bpa_exclusions.get(subnet.id, "") if subnet else "") or network.bpa_exclusions.get(vpc, "")
    if exclusion == "allow-bidirectional":
        return
    if not inbound and not direct and (mode == "block-ingress" or exclusion == "allow-egress"):
        return
    if not inbound and exclusion == "allow-egress":
        leg.unknowns.append(
            Unknown(
                vpc,
                "whether its egress-only exclusion from Block Public Access covers an internet gateway used directly",
                "UNSUPPORTED_COMPONENT",
            )
        )
        return
    leg.block(
        gateway,
        "VPC_BLOCK_PUBLIC_ACCESS_ENABLED",
        f"VPC Block Public Access ({mode}) is on in this account and Region, and {vpc} is not excluded",
        direction="ingress" if inbound else "egress",
        where=vpc,
    )


def from_internet(leg: Leg, vpc: str, gateway: str = "") -> None:
    """In by the VPC's internet gateway: public address to private, the gateway's own route table, then into the VPC."""
    network = leg.network
    if vpc not in network.vpcs:
        leg.lacks("Vpcs", vpc)
        return
    held = sorted(one.id for one in network.igws.values() if vpc in one.vpcs)
    if gateway not in held and leg.unseen("InternetGateways", vpc, f"the internet gateway of {vpc}"):
        return
    igw = gateway or (held[0] if held else "")
    inbound = leg.header()
    leg.hop(
        igw or vpc,
        "internet-gateway" if igw else "vpc",
        name=network.igws[igw].name if igw in network.igws else "",
        vpc=vpc,
    )
    if igw not in held:
        what = f"{igw} is not attached to {vpc}" if igw else f"no internet gateway is attached to {vpc}"
        leg.block(igw or vpc, "UNASSOCIATED_COMPONENT", what)
    leg.crossed.append(f"igw:{igw}")
    target = _to_private(leg, vpc, igw or vpc)
    if target is None:
        return
    leg.hops[-1] = replace(leg.hops[-1], inbound=inbound, outbound=leg.header())
    if leg.forward:
        subnet = network.subnets.get(target.subnet)
        public_access(leg, vpc, subnet, inbound=True, direct=True, gateway=igw or vpc)
        if target.deny_igw:
            leg.block(
                target.id,
                "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
                f"{named(target.id, target.name)} denies everything that comes by an internet gateway",
                direction="ingress",
            )
    _edge_table(leg, vpc, igw)


def _to_private(leg: Leg, vpc: str, igw: str) -> Interface | None:
    """Turn the public destination into the private one of its interface; without a public address nothing comes in."""
    network = leg.network
    to = leg.destination
    if to and to[0] == 4 and to[1] in network.public_owners:
        one, private = network.public_owners[to[1]]
        leg.rewrite(destination=(private, private))
        return one
    one_or_none = network.owner(vpc, to) if to else None
    if one_or_none is None:
        if not leg.unseen("NetworkInterfaces", vpc, f"the interface with the address {leg.who()[1]}"):
            leg.block(
                igw,
                "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
                f"{leg.who()[1]} is no public address of an interface in {vpc}",
                direction="ingress",
            )
        return None
    if to and to[0] == 4 and leg.forward:  # of replies the way there has said it already
        leg.block(
            one_or_none.id,
            "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
            f"{named(one_or_none.id, one_or_none.name)} has no public address there, so the internet cannot send to it",
            direction="ingress",
            where=igw,
        )
    return one_or_none


def _edge_table(leg: Leg, vpc: str, gateway: str) -> None:
    """The gateway's own route table, if it has one, else straight into the VPC (VPC guide, gateway-route-tables)."""
    network = leg.network
    table = network.table_of.get(gateway)
    if table is None and leg.unseen("RouteTables", vpc, f"the gateway route table of {gateway}"):
        return
    if table is None:
        into_vpc(leg, vpc, None)
        return
    route_from(leg, Place(vpc), table)


def from_gateway(leg: Leg, gateway: str, vpc: str) -> None:
    """In by a VPN gateway, a peering or a VPC's router: only private addresses of the VPC are known there."""
    kind = {"vgw": "vpn-gateway", "pcx": "vpc-peering-connection", "vpc": "vpc"}[gateway.split("-", 1)[0]]
    leg.hop(gateway, kind, vpc=vpc, outbound=leg.header())
    if kind == "vpc-peering-connection":
        leg.crossed.append(f"pcx:{gateway}")
        if leg.network.peerings[gateway].status != "active":
            leg.block(gateway, "BAD_STATE", f"{gateway} is {leg.network.peerings[gateway].status}, not active")
    if kind == "vpn-gateway":
        to = leg.destination
        if to and leg.network.owner(vpc, to) is None:
            if leg.unseen("NetworkInterfaces", vpc, f"the interface with the address {leg.who()[1]}"):
                return
            leg.block(
                gateway,
                "VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
                f"{leg.who()[1]} is no private address of an interface in {vpc}, and {gateway} passes nothing else",
                direction="ingress",
            )
            return
        _edge_table(leg, vpc, gateway)
        return
    into_vpc(leg, vpc, None)
