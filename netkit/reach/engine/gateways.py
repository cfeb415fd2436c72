"""What gateways, endpoints and appliances do to packets that a route sends to them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from netkit.core.model import Unknown
from netkit.core.net import ICMP, TCP, UDP
from netkit.core.packets import Packets, Span, meet, outside
from netkit.reach.engine.inspection import through_endpoint
from netkit.reach.engine.leg import REMAPPED, Leg, Place, Translation, named, some_addresses
from netkit.reach.engine.walk import (
    at_instance,
    back_through_nat,
    check_state,
    from_internet,
    into_vpc,
    leads_to,
    public_access,
    route_from,
    through_acl,
    through_groups,
)
from netkit.reach.network.network import Network
from netkit.reach.network.records import Endpoint, Gateway, Nat, Route, block_of

PRIVATE = [block_of(text)[1:] for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
SHARED = block_of("100.64.0.0/10")[1:]
PRIVATE_SPANS = [*PRIVATE, SHARED]  # what no internet gateway passes on (RFC 1918, RFC 6598)


Thing = TypeVar("Thing")


def _target(leg: Leg, held: Mapping[str, Thing], table: str, name: str) -> Thing | None:
    """What a route names, or None, when its table's lack is written down."""
    found = held.get(name)
    if found is None:
        leg.lacks(table, name)
    return found


def _attached(leg: Leg, gateway: Gateway, vpc: str) -> None:
    """A gateway serves only the VPCs that it is attached to."""
    if vpc not in gateway.vpcs:
        leg.block(gateway.id, "UNASSOCIATED_COMPONENT", f"{gateway.id} is not attached to {vpc}")


# --- gateways


@leads_to("igw")
def _igw(leg: Leg, place: Place, route: Route) -> None:
    """Out by an internet gateway: one to one translation, public destinations only (facts 6.6)."""
    gateway = _target(leg, leg.network.igws, "InternetGateways", route.target)
    if gateway is None:
        return
    inbound = leg.header()
    leg.hop(gateway.id, "internet-gateway", name=gateway.name, vpc=place.vpc)
    leg.crossed.append(f"igw:{gateway.id}")
    _attached(leg, gateway, place.vpc)
    if leg.forward:
        public_access(leg, place.vpc, place.subnet, inbound=False, direct=place.nat is None, gateway=gateway.id)
    if leg.family == 4:
        _to_public_source(leg, place, gateway.id)
    elif not leg.network.owners.get(leg.source or (0, 0)):
        leg.unknowns.append(Unknown(gateway.id, "the IPv6 source is no interface's own", "UNSUPPORTED_COMPONENT"))
    if not _public_destination(leg, place, gateway.id):
        return
    leg.hops[-1] = replace(leg.hops[-1], inbound=inbound, outbound=leg.header())
    _onto_internet(leg, gateway.id, place.vpc)


def _to_public_source(leg: Leg, place: Place, gateway: str) -> None:
    source = leg.source
    public: int | None = None
    if place.nat:
        public = next(
            (out for private, out in place.nat.addresses if source and (private == source[1] or private is None)), None
        )
    elif source and place.interface:
        public = next((out for private, out in place.interface.pairs if private == source[1]), None)
    if public is not None:
        leg.rewrite(source=(public, public))
        return
    if (
        place.nat is None
        and place.interface
        and source
        and any(family == 4 and low <= source[1] <= high for family, low, high in place.interface.prefixes)
    ):
        leg.unknowns.append(
            Unknown(
                place.interface.id,
                "whether an address of its delegated prefix has a public address",
                "UNKNOWN_RESOURCE",
            )
        )
        return
    who = (
        place.nat.id
        if place.nat
        else place.interface.id
        if place.interface
        else some_addresses(leg.asked.spans("source"), 4)
    )
    name = place.nat.name if place.nat else place.interface.name if place.interface else ""
    what = "a private NAT gateway" if place.nat else "an interface"
    leg.block(
        who,
        "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS",
        f"{named(who, name)} is {what} without a public address, and {gateway} passes none without",
        direction="egress",
        where=gateway,
    )


def _public_destination(leg: Leg, place: Place, gateway: str) -> bool:
    """Whether the destination can be on the internet at all; where it cannot, the walk ends here."""
    spans = leg.asked.spans("destination")
    codes = (
        ("IGW_DESTINATION_ADDRESS_IN_VPC_CIDRS", leg.network.vpcs[place.vpc].spans(leg.family)),
        ("IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS", PRIVATE if leg.family == 4 else []),
        ("IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS", [SHARED] if leg.family == 4 else []),
    )
    for code, held in codes:
        if not any(_outside(held, span) for span in spans):
            leg.block(
                gateway,
                code,
                f"{some_addresses(spans, leg.family)} is a private address, which {gateway} does not pass on",
                direction="egress",
            )
            return False
    return True


def _outside(held: Sequence[Span], span: Span) -> bool:
    """Whether any of the span is in none of these."""
    inner = [meet(one, span) for one in held]
    return bool(outside([one for one in inner if one], span))


def _onto_internet(leg: Leg, gateway: str, vpc: str) -> None:
    goal = leg.goal
    if _turns_round(leg, gateway):
        return
    on_internet = goal.kind == "internet" or (goal.kind == "address" and leg.forward)
    if goal.id == gateway or on_internet:
        leg.hop("internet", "internet")
        leg.arrive("internet", gateway, vpc)
    else:
        leg.block(
            gateway,
            "NO_POSSIBLE_DESTINATION",
            f"the packets leave to the internet by {gateway} and do not get to {goal.given}",
        )


def _turns_round(leg: Leg, gateway: str) -> bool:
    """Whether the destination is a public address of a host in the snapshot: the packets come in again by that VPC's gateway.

    Both ends then have their public addresses, in one VPC as between two (VPC guide, VPC_Internet_Gateway).
    """
    to, network = leg.destination, leg.network
    if to is None:
        return False
    owner = network.public_owners[to[1]][0] if to[0] == 4 and to[1] in network.public_owners else None
    if to[0] == 6:
        owner = next(iter(network.owners.get(to, ())), None)
    regional = next(
        (done for done in leg.translations if done.nat.regional and to[1] in [out for _, out in done.nat.addresses]),
        None,
    )
    if not leg.forward and regional:
        back_through_nat(leg, regional, Place(regional.nat.vpc, None, None, regional.nat))
        return True
    if owner is None:
        return False
    if leg.forward and leg.home.interface and leg.home.interface.id == owner.id:
        why = f"the destination is the public address of {owner.id} itself: how it turns round at the gateway is not modelled"
        leg.unknowns.append(Unknown(gateway, why, "IGW_NAT_REFLECTION"))
        return True
    door = next((name.partition(":")[2] for name in leg.crossed if name.startswith("eigw:")), "")
    if not leg.forward and door:
        leg.hop(door, "egress-only-internet-gateway", vpc=owner.vpc)
        into_vpc(leg, owner.vpc, None)
        return True
    from_internet(leg, owner.vpc)
    return True


@leads_to("eigw")
def _eigw(leg: Leg, place: Place, route: Route) -> None:
    """Out by an egress-only internet gateway: IPv6, begun inside (facts 6.7)."""
    gateway = _target(leg, leg.network.eigws, "EgressOnlyInternetGateways", route.target)
    if gateway is None:
        return
    leg.hop(gateway.id, "egress-only-internet-gateway", name=gateway.name, vpc=place.vpc, outbound=leg.header())
    leg.crossed.append(f"eigw:{gateway.id}")
    _attached(leg, gateway, place.vpc)
    if not leg.forward:
        leg.block(gateway.id, "NO_POSSIBLE_DESTINATION", f"{gateway.id} passes only connections that begin inside")
        return
    public_access(leg, place.vpc, place.subnet, inbound=False, direct=False, gateway=gateway.id)
    if _public_destination(leg, place, gateway.id):
        _onto_internet(leg, gateway.id, place.vpc)


@leads_to("nat")
def _nat(leg: Leg, place: Place, route: Route) -> None:
    """Through a NAT gateway: its own subnet's ACL and routes, with its address and ports (facts 6.7)."""
    network = leg.network
    nat = _target(leg, leg.network.nats, "NatGateways", route.target)
    if nat is None:
        return
    subnet = network.subnets.get(nat.subnet) if not nat.regional else None
    if subnet is None and not nat.regional:
        leg.lacks("Subnets", nat.subnet)
        return
    if subnet and (place.subnet is None or place.subnet.id != subnet.id):
        through_acl(leg, subnet, False)
    inbound = leg.header()
    leg.hop(nat.id, "nat-gateway", name=nat.name, subnet=nat.subnet, vpc=nat.vpc, inbound=inbound)
    if not leg.forward:
        leg.block(
            nat.id,
            "NGW_SOURCE_ADDRESS_REASSIGN",
            f"the replies would leave through {nat.id} with another source address, which the other end does not take for an answer",
        )
        return
    if not _nat_takes(leg, nat, place):
        return
    outside_address = next((private for private, _ in nat.addresses if private is not None), None)
    public = next((out for _, out in nat.addresses if out is not None), None)
    before, source = leg.asked, outside_address if outside_address is not None else public
    if source is None:
        leg.unknowns.append(Unknown(nat.id, "its addresses are not in the snapshot", "UNKNOWN_RESOURCE"))
        return
    leg.translations.append(Translation(nat, source, before, tuple(leg.crossed)))
    leg.rewrite(source=(source, source))
    if before.boxes[0].protocol in ((TCP, TCP), (UDP, UDP)):
        leg.rewrite(source_port=REMAPPED)
    leg.hops[-1] = replace(leg.hops[-1], outbound=leg.header())
    leg.crossed.append(f"nat:{nat.id}")
    at_nat = Place(nat.vpc, subnet, None, nat)
    if subnet is None:
        _out_of_regional_nat(leg, nat, at_nat)
        return
    to = leg.destination
    if to and subnet.holds(to):
        into_vpc(leg, nat.vpc, subnet)
        return
    through_acl(leg, subnet, True)
    route_from(leg, at_nat)


def _out_of_regional_nat(leg: Leg, nat: Nat, place: Place) -> None:
    table = leg.network.tables.get(nat.route_table)
    if table is None:
        leg.lacks("RouteTables", f"the route table of {nat.id}")
        return
    route_from(leg, place, table)


def _nat_takes(leg: Leg, nat: Nat, place: Place) -> bool:
    if nat.state != "available":
        leg.block(nat.id, "BAD_STATE", f"{named(nat.id, nat.name)} is {nat.state}, not available")
    if leg.family == 6:
        leg.unknowns.append(
            Unknown(nat.id, "translation from IPv6 to IPv4 (NAT64) is not modelled", "UNSUPPORTED_COMPONENT")
        )
        return False
    if nat.vpc != place.vpc:
        leg.block(
            nat.id, "NGW_REQUIRES_SOURCE_IN_VPC", f"{nat.id} serves {nat.vpc}, and these packets come from {place.vpc}"
        )
        return False
    taken = Packets.of(
        4, [box for number in (ICMP, TCP, UDP) for box in leg.asked.within(protocol=(number, number)).boxes]
    )
    if not taken.covers(leg.asked):
        leg.block(nat.id, "PROTOCOL_RESTRICTION", f"{named(nat.id, nat.name)} passes TCP, UDP and ICMP only")
        if not taken:
            return False
    return True


@leads_to("pcx")
def _peering(leg: Leg, place: Place, route: Route) -> None:
    """Over a VPC peering: active, not transitive, to addresses of the other VPC (facts 6.8)."""
    network = leg.network
    peering = _target(leg, leg.network.peerings, "VpcPeeringConnections", route.target)
    if peering is None:
        return
    leg.hop(peering.id, "vpc-peering-connection", name=peering.name)
    if peering.status != "active":
        leg.block(peering.id, "BAD_STATE", f"{named(peering.id, peering.name)} is {peering.status}, not active")
    side, own = peering.other(place.vpc), next((one for one in peering.sides if one.vpc == place.vpc), None)
    if side is None or own is None:
        leg.block(peering.id, "UNASSOCIATED_COMPONENT", f"{peering.id} does not connect {place.vpc}")
        return
    leg.crossed.append(f"pcx:{peering.id}")
    source, destination = leg.who()
    if not _within(leg.asked, "source", network, own.vpc, own.blocks):
        leg.block(
            peering.id,
            "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR",
            f"{source} is not in {own.vpc}: a peering carries only what its own VPCs send (it is not transitive)",
            direction="egress",
        )
    if leg.goal.id == peering.id:
        leg.arrive("edge", peering.id, place.vpc)
        return
    if not _within(leg.asked, "destination", network, side.vpc, side.blocks):
        leg.block(
            peering.id,
            "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR",
            f"{destination} is not in {side.vpc}: a peering leads to the other VPC's own addresses only",
            direction="egress",
        )
        return
    if side.vpc not in network.vpcs:
        leg.lacks("Vpcs", side.vpc)
        return
    into_vpc(leg, side.vpc, None)


def _within(packets: Packets, name: str, network: Network, vpc: str, listed: Sequence[tuple[int, int, int]]) -> bool:
    """Whether some of the addresses are a VPC's: as its own record says, or as the peering's does when that is not there."""
    held = network.vpcs[vpc].blocks if vpc in network.vpcs else listed
    return any(
        meet(span, (low, high))
        for span in packets.spans(name)
        for family, low, high in held
        if family == packets.family
    )


# --- endpoints, VPN, appliances


@leads_to("vpce")
def _endpoint(leg: Leg, place: Place, route: Route) -> None:
    """To a gateway endpoint; through a Gateway Load Balancer endpoint (facts 6.10)."""
    endpoint = _target(leg, leg.network.endpoints, "VpcEndpoints", route.target)
    if endpoint is None:
        return
    leg.hop(endpoint.id, "vpc-endpoint", name=endpoint.name, vpc=endpoint.vpc, outbound=leg.header())
    if endpoint.state != "available":
        leg.block(endpoint.id, "BAD_STATE", f"{named(endpoint.id, endpoint.name)} is {endpoint.state}, not available")
    if endpoint.kind == "gatewayloadbalancer":
        through_endpoint(leg, place, endpoint)
        return
    if endpoint.kind != "gateway":
        why = f"a route to a {endpoint.kind} endpoint is not modelled"
        leg.unknowns.append(Unknown(endpoint.id, why, "UNSUPPORTED_COMPONENT"))
        return
    _gateway_endpoint(leg, place, endpoint)


def _gateway_endpoint(leg: Leg, place: Place, endpoint: Endpoint) -> None:
    held = leg.network.vpcs[place.vpc].spans(leg.family)
    if not any(meet(span, one) for span in leg.asked.spans("source") for one in held):
        leg.block(
            endpoint.id,
            "VPCE_GATEWAY_EGRESS_SOURCE_ADDRESS_RESTRICTION",
            f"{endpoint.id} serves only its own VPC's addresses",
        )
    taken = Packets.of(
        leg.family,
        [
            *leg.asked.within(protocol=(TCP, TCP)).boxes,
            *leg.asked.within(protocol=(ICMP, ICMP), port=(8 * 256, 8 * 256 + 255)).boxes,
        ],
    )
    if not taken.covers(leg.asked):
        leg.block(
            endpoint.id,
            "VPCE_GATEWAY_PROTOCOL_RESTRICTION",
            f"{named(endpoint.id, endpoint.name)} passes TCP and ping only",
        )
    if leg.goal.kind in ("internet", "internet-gateway"):
        leg.block(
            endpoint.id,
            "NO_POSSIBLE_DESTINATION",
            f"these packets go to {endpoint.service} by {endpoint.id}, and not to the internet",
        )
    elif leg.goal.kind == "vpc-endpoint" and leg.goal.id != endpoint.id:
        leg.block(endpoint.id, "NO_POSSIBLE_DESTINATION", f"the route leads to {endpoint.id} and not to {leg.goal.id}")
    leg.arrive("vpc-endpoint", endpoint.id, place.vpc)


@leads_to("vgw")
def _vgw(leg: Leg, place: Place, route: Route) -> None:
    """To a VPN gateway: what its static VPN routes name leaves there; what comes by BGP nobody here has heard (facts 6.12)."""
    network = leg.network
    gateway = _target(leg, leg.network.vgws, "VpnGateways", route.target)
    if gateway is None:
        return
    leg.hop(gateway.id, "vpn-gateway", name=gateway.name, vpc=place.vpc, outbound=leg.header())
    leg.crossed.append(f"vgw:{gateway.id}")
    _attached(leg, gateway, place.vpc)
    if leg.source and network.owner(place.vpc, leg.source) is None:
        leg.block(
            gateway.id,
            "VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS",
            f"{gateway.id} passes only what interfaces of {place.vpc} send",
            direction="egress",
        )
    if leg.goal.id == gateway.id:
        leg.arrive("edge", gateway.id, place.vpc)
        return
    if not network.known("VpnConnections", gateway.scope):
        leg.lacks("VpnConnections", f"the connections of {gateway.id}")
        return
    _over_vpn(leg, place, gateway.id)


def _over_vpn(leg: Leg, place: Place, gateway: str) -> None:
    network = leg.network
    vpns = [one for one in network.vpns.values() if one.gateway == gateway and one.state == "available"]
    spans = leg.asked.spans("destination")
    behind = next(
        (
            one
            for one in vpns
            for family, low, high in one.routes
            if family == leg.family and low <= spans[0][0] and spans[-1][1] <= high
        ),
        None,
    )
    if behind:
        leg.notes.append(
            f"the packets leave AWS by {behind.id}, whose static route names the destination; what is beyond is not modelled"
            + ("; all its tunnels were down when it was collected" if behind.down else "")
        )
        leg.arrive("edge", gateway, place.vpc)
        return
    # Where the gateway propagates, its routes show: with static VPNs only, and no such route there, it knows none.
    shown = [table for table in network.tables.values() if gateway in table.propagating]
    heard = [
        route
        for table in shown
        for route in table.routes
        if route.target == gateway and route.origin == "enablevgwroutepropagation"
    ]
    _, destination = leg.who()
    if shown and not heard and all(one.static for one in vpns):
        leg.block(
            gateway,
            "NO_ROUTE_TO_DESTINATION",
            f"{gateway} knows no route to {destination}: no static route of its VPN connections names it, and none is propagated",
        )
    else:
        leg.unknowns.append(
            Unknown(
                gateway, "what its VPN or Direct Connect peers announce is not in the snapshot", "UNSUPPORTED_COMPONENT"
            )
        )


@leads_to("eni", "i")
def _appliance(leg: Leg, place: Place, route: Route) -> None:
    """To an instance or interface that passes packets on: it must take what is not addressed to it (facts 6.4, 6.5)."""
    network = leg.network
    held = network.interfaces_of.get(route.target, ())
    one = network.interfaces.get(route.target) or (held[0] if held else None)
    if one is None:
        leg.lacks("NetworkInterfaces", route.target)
        return
    subnet = network.subnets.get(one.subnet)
    if subnet is None:
        leg.lacks("Subnets", one.subnet)
        return
    if place.subnet is None or place.subnet.id != subnet.id:
        through_acl(leg, subnet, False)
    through_groups(leg, one, False)
    leg.hop(one.id, "network-interface", subnet=one.subnet, vpc=one.vpc, attached_to=one.instance, name=one.name)
    check_state(leg, one)
    to = leg.destination
    if one.check and not (to and one.owns(to)):
        leg.block(
            one.id,
            "ENI_SOURCE_DEST_CHECK_RESTRICTION",
            f"{named(one.id, one.name)} has its source/destination check on, so it drops packets that are not addressed to it",
            where=one.subnet,
        )
    at_instance(leg, one, outbound=False)
    home = leg.goal
    if not leg.forward and home.interface and home.interface.id == one.id and home.address == to:
        leg.arrive("interface", one.id, one.vpc, one)  # the packets came from behind it, and so go the replies
        return
    leg.unknowns.append(
        Unknown(
            one.instance or one.id, "what this appliance does with the packets is not modelled", "UNSUPPORTED_COMPONENT"
        )
    )
