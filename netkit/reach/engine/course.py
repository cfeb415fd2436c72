"""One pair of ends in one address family: the way there, through a load balancer, and the replies' way back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netkit.core.errors import InputError
from netkit.core.model import Blocker, Unknown, Verdict
from netkit.core.net import ICMP, ICMPV6
from netkit.core.packets import ANY_ADDRESS, ANY_PORT, Box, Packets, Span, outside
from netkit.reach.engine import gateways  # noqa: F401  (it says what routes to gateways do)
from netkit.reach.engine.answer import verdict_of
from netkit.reach.engine.balancers import through
from netkit.reach.engine.inspection import passed_by
from netkit.reach.engine.leg import Leg, Place, named
from netkit.reach.engine.service import Service, client_ports
from netkit.reach.engine.transit import check_vpn, leave_transit, transit_table
from netkit.reach.engine.walk import (
    amazon_service,
    back_through_nat,
    from_gateway,
    from_internet,
    into,
    into_vpc,
    out_of,
)
from netkit.reach.network.ends import End, public_spans
from netkit.reach.network.network import Network
from netkit.reach.network.records import Balancer, Endpoint, Interface

BOTH_FAMILIES = ("internet", "internet-gateway")


def course(network: Network, source: End, destination: End, service: Service, family: int) -> Verdict:
    """The path from one end to the other and back, each one interface, address or place."""
    service = _for_family(service, family)
    if problem := _impossible(network, source, destination):
        return Verdict(
            "NOT_REACHABLE",
            source.given,
            destination.given,
            *service.words(),
            blockers=[problem],
            notes=[*source.notes, *destination.notes],
        )
    packets, lacking = _packets(network, source, destination, service, family)
    if lacking:
        return Verdict("UNKNOWN", source.given, destination.given, *service.words(), unknowns=[lacking])
    leg = Leg(network, "forward", source, destination, packets, packets, one_way=service.one_way)
    leg.notes = [*source.notes, *destination.notes]
    if service.has_ports and service.source_port is None:
        leg.ports_why = client_ports(network, source.interface)[1]
    _set_out(leg)
    back = _way_back(leg) if leg.arrived and not service.one_way else None
    if not leg.arrived and leg.blockers and not leg.unknowns:
        _had_it_arrived(leg)
    return verdict_of(leg, back, service)


def _for_family(service: Service, family: int) -> Service:
    """ICMP is ICMPv6 among IPv6 addresses: ping stays ping."""
    if family == 6 and service.protocol == (ICMP, ICMP):
        port = (128 * 256, 128 * 256) if service.port == (8 * 256, 8 * 256) else service.port
        return replace(service, protocol=(ICMPV6, ICMPV6), port=port)
    return service


def _impossible(network: Network, source: End, destination: End) -> Blocker | None:
    """What no configuration would let through: the blocker, or None."""
    if source.kind == "vpc-endpoint":
        because = f"{source.id} never begins a connection; it only answers"
        return Blocker(source.id, "egress", "VPCE_INTRA_VPC_TRAFFIC", None, because)
    if destination.kind == "egress-only-internet-gateway" and source.kind in BOTH_FAMILIES:
        return Blocker(destination.id, "ingress", "NO_PATH", None, f"{destination.id} takes nothing from the internet")
    if source.kind == "egress-only-internet-gateway":
        return Blocker(
            source.id, "ingress", "NO_PATH", None, f"{source.id} passes only connections that begin inside the VPC"
        )
    endpoint = network.endpoints.get(destination.id)
    if endpoint and endpoint.state != "available":
        return Blocker(endpoint.id, "", "BAD_STATE", None, f"{endpoint.id} is {endpoint.state}, not available")
    return None


def _packets(
    network: Network, source: End, destination: End, service: Service, family: int
) -> tuple[Packets, Unknown | None]:
    """The packets that are asked for, as they are where they start."""
    froms, lacking = _spans(network, source, destination, family, outgoing=True)
    tos, lacking_to = _spans(network, destination, source, family, outgoing=False)
    client = service.source_port or (client_ports(network, source.interface)[0] if service.has_ports else ANY_PORT)
    boxes = [Box(service.protocol, one, other, client, service.port) for one in froms for other in tos]
    return Packets(family, tuple(boxes)), lacking or lacking_to


def _spans(
    network: Network, end: End, other: End, family: int, *, outgoing: bool
) -> tuple[Sequence[Span], Unknown | None]:
    """The addresses that an end stands for, seen from the other end."""
    if end.interface and end.kind != "address" and not end.wide:
        return _of_interface(end, end.interface, other, family, outgoing=outgoing), None
    if end.address:
        return [(end.address[1], end.address[1])], None
    if end.kind in (*BOTH_FAMILIES, "egress-only-internet-gateway"):
        return public_spans(family), None
    home = other.interface.vpc if other.interface else ""
    if end.kind == "vpc":
        return network.vpcs[end.id].spans(family), None
    if end.kind == "vpc-peering-connection":
        return _of_peering(network, end, home, family)
    if end.kind == "vpc-endpoint":
        return _of_endpoint(network, network.endpoints[end.id], family)
    attached = next(
        (one for (_, name), one in network.attachments.items() if name == end.id and one.kind == "vpc"), None
    )
    if attached and attached.resource != home:
        held = network.vpcs.get(attached.resource)
        return (
            (held.spans(family), None)
            if held
            else ([], Unknown("Vpcs", f"{attached.resource} is not in the snapshot", "UNKNOWN_RESOURCE"))
        )
    if home and home not in network.vpcs:
        return [], Unknown("Vpcs", f"{home} is not in the snapshot", "UNKNOWN_RESOURCE")
    return outside(network.vpcs[home].spans(family) if home else [], ANY_ADDRESS[family]), None


def _of_interface(end: End, one: Interface, other: End, family: int, *, outgoing: bool) -> Sequence[Span]:
    if end.address and end.address[0] == family:
        return [(end.address[1], end.address[1])]
    if family == 6:
        return [(one.v6[0], one.v6[0])]
    if not outgoing and other.kind in BOTH_FAMILIES:
        # The internet sends to a public address; without one, to show what else is in the way, to the private one.
        public = next((out for _, out in one.pairs if out is not None), None)
        value = one.pairs[0][0] if public is None else public
    elif outgoing and other.kind in BOTH_FAMILIES:
        value = next((private for private, out in one.pairs if out is not None), one.pairs[0][0])
    else:
        value = one.pairs[0][0]
    return [(value, value)]


def _of_peering(network: Network, end: End, home: str, family: int) -> tuple[Sequence[Span], Unknown | None]:
    peering = network.peerings[end.id]
    side = peering.other(home)
    if side is None:
        raise InputError(
            f"{end.id} does not connect {home or 'that place'}",
            hint="name an interface in one of its two VPCs at the other end",
        )
    held = network.vpcs[side.vpc].blocks if side.vpc in network.vpcs else side.blocks
    spans = [(low, high) for kind, low, high in held if kind == family]
    return spans, None if spans else Unknown(
        "Vpcs", f"the address blocks of {side.vpc} are not in the snapshot", "UNKNOWN_RESOURCE"
    )


def _of_endpoint(network: Network, endpoint: Endpoint, family: int) -> tuple[Sequence[Span], Unknown | None]:
    """The addresses of a gateway endpoint's service: those of the prefix list of that name."""
    if endpoint.kind != "gateway":
        return [], Unknown(
            endpoint.id,
            f"a {endpoint.kind} endpoint without interfaces in the snapshot is not modelled",
            "UNSUPPORTED_COMPONENT",
        )
    name = next((one for one, label in network.prefix_names.items() if label == endpoint.service), "")
    routed = {
        route.prefix_list
        for table in network.tables.values()
        for route in table.routes
        if route.target == endpoint.id and route.prefix_list
    }
    held = [
        block for one in sorted(routed | ({name} if name else set())) for block in network.prefix_lists.get(one, ())
    ]
    spans = [(low, high) for kind, low, high in held if kind == family]
    return spans, None if spans else Unknown(
        "PrefixLists", f"the addresses of {endpoint.service} are not in the snapshot", "UNKNOWN_RESOURCE"
    )


# --- there


def _set_out(leg: Leg) -> None:
    """Walk the way there, from where the source is."""
    source, goal = leg.home, leg.goal
    if source.interface and leg.destination and amazon_service(leg.network, source.interface.vpc, leg.destination):
        why = "this is Amazon's own service in the VPC: security groups and network ACLs do not filter it, and it is not modelled"
        leg.unknowns.append(Unknown(goal.given, why, "UNSUPPORTED_COMPONENT"))
        return
    if source.interface:
        _own_address(leg, source.interface)
        out_of(leg, source.interface)
    else:
        _from_outside(leg, source, _home_vpc(leg.network, goal))
    _must_be_the_goal(leg)
    if leg.arrived == "interface" and leg.end and (balancer := _balancer_at(leg.network, leg.end)):
        through(
            leg, balancer, leg.end, lambda one, other, service: course(leg.network, one, other, service, leg.family)
        )
    elif (
        leg.arrived == "interface"
        and leg.end
        and not leg.network.known("LoadBalancers")
        and leg.end.description.startswith("ELB ")
    ):
        leg.lacks("LoadBalancers", leg.end.description)


def _own_address(leg: Leg, one: Interface) -> None:
    """What an interface sends has to come from one of its own addresses, unless its check is off (facts 6.2)."""
    source = leg.source
    if source is None or one.owns(source) or not one.check:
        return
    because = f"{named(one.id, one.name)} has its source/destination check on, so it sends nothing from {leg.who()[0]}, which is not its own"
    leg.block(one.id, "ENI_SOURCE_DEST_CHECK_RESTRICTION", because, direction="egress", where=one.subnet)


def _home_vpc(network: Network, goal: End) -> str:
    if goal.interface:
        return goal.interface.vpc
    if goal.address and goal.address[0] == 4 and goal.address[1] in network.public_owners:
        return network.public_owners[goal.address[1]][0].vpc
    return goal.id if goal.kind == "vpc" else ""


def _from_outside(leg: Leg, source: End, vpc: str) -> None:
    network = leg.network
    if source.kind in BOTH_FAMILIES:
        if source.kind == "internet":
            leg.hop("internet", "internet", outbound=leg.header())
        if not vpc:
            _nowhere(leg, f"{leg.goal.given} is behind no internet gateway of this snapshot")
            return
        from_internet(leg, vpc, source.id if source.kind == "internet-gateway" else "")
    elif source.kind in ("transit-gateway-attachment", "transit-gateway"):
        _from_transit(leg, source, vpc)
    elif source.kind == "vpc":
        from_gateway(leg, source.id, source.id)
    elif source.kind == "vpn-gateway":
        gateway = network.vgws[source.id]
        home = vpc or (gateway.vpcs[0] if gateway.vpcs else "")
        if home not in gateway.vpcs:
            leg.hop(source.id, "vpn-gateway")
            leg.block(source.id, "UNASSOCIATED_COMPONENT", f"{source.id} is not attached to {home or 'any VPC'}")
        elif home in network.vpcs:
            from_gateway(leg, source.id, home)
        else:
            leg.lacks("Vpcs", home)
    elif source.kind == "vpc-peering-connection" and vpc:
        from_gateway(leg, source.id, vpc)
    else:
        leg.unknowns.append(
            Unknown(
                source.id,
                f"where packets go that come in by this {source.kind} is not modelled",
                "UNSUPPORTED_COMPONENT",
            )
        )


def _nowhere(leg: Leg, because: str) -> None:
    if leg.network.everywhere("NetworkInterfaces"):
        leg.block(leg.goal.id or leg.goal.given, "NO_POSSIBLE_DESTINATION", because)
    else:
        shared = leg.network.known("NetworkInterfaces")
        leg.lacks("NetworkInterfaces", f"the interface of {leg.goal.given}", shared)


def _from_transit(leg: Leg, source: End, vpc: str) -> None:
    """In by a transit gateway: its route table for that attachment, then off by the attachment of the destination's VPC."""
    network = leg.network
    transits = {transit for transit, name in network.attachments if name == source.id} or {source.id}
    held = [one for transit in sorted(transits) for one in network.vpc_attachments.get((transit, vpc), ())]
    leg.hop(source.id, source.kind, outbound=leg.header())
    if not held:
        if not leg.unseen("TransitGatewayAttachments", vpc, f"the attachment of {vpc}"):
            leg.block(
                source.id, "UNASSOCIATED_COMPONENT", f"{vpc or leg.goal.given} is not attached to that transit gateway"
            )
        return
    leg.crossed.append(f"tgw:{held[0].transit}")
    origin = next((one for (_, name), one in network.attachments.items() if name == source.id), None)
    if origin:
        check_vpn(leg, origin)
        transit_table(leg, origin, "")
    else:
        leg.notes.append(
            f"which table {source.id} uses depends on the attachment the packets come in by; asked from the gateway on"
        )
        leave_transit(leg, held[0], "")


def _balancer_at(network: Network, one: Interface) -> Balancer | None:
    return network.balancer_of.get(one.description[4:]) if one.description.startswith("ELB ") else None


def _had_it_arrived(leg: Leg) -> None:
    """The way broke off on the road: what else would be in the way at the destination, and of its replies on the way back."""
    one, source = leg.goal.interface, leg.home.interface
    if one is None or source is None or leg.translations or (leg.family != 4 and not one.v6):
        return
    if leg.destination not in [(4, private) for private, _ in one.pairs] + [(6, value) for value in one.v6]:
        return
    rest = leg.fork()
    rest.assumed, rest.crossed, rest.blockers = True, [], []
    own = leg.network.subnets.get(source.subnet)
    into(rest, one, own if source.vpc == one.vpc else None)
    leg.hops, leg.unknowns = rest.hops, leg.unknowns
    leg.blockers += [found for found in rest.blockers if found.code != "SG_REFERENCING_SUPPORT"]
    back = Leg(leg.network, "return", leg.goal, leg.home, rest.asked.reply(), rest.asked.reply(), assumed=True)
    if back.asked:
        out_of(back, one)
        leg.blockers += back.blockers


# --- and back


def _way_back(leg: Leg) -> Leg | None:
    """Walk the replies back from where the packets arrived; None where none are expected."""
    asked = leg.asked.reply()
    if not asked:
        leg.notes.append("these packets expect no reply")
        return None
    live = leg.live.reply()
    back = Leg(
        leg.network,
        "return",
        leg.goal,
        leg.home,
        asked,
        live,
        translations=list(leg.translations),
        crossed=list(leg.crossed),
        ports_why=leg.ports_why,
        inspected=leg.inspected,
        landed=leg.landed,
    )
    if leg.arrived == "interface" and leg.end:
        out_of(back, leg.end)
    elif leg.arrived == "internet":
        back.hop("internet", "internet", outbound=back.header())
        _back_from_internet(leg, back)
    elif leg.arrived == "vpc-endpoint":
        back.hop(leg.at, "vpc-endpoint", vpc=leg.vpc, outbound=back.header())
        into_vpc(back, leg.vpc, None)
    else:
        _back_from_edge(leg, back)
    _home_again(back)
    passed_by(leg, back)
    return back


def _back_from_internet(leg: Leg, back: Leg) -> None:
    if leg.at.startswith("eigw-"):
        back.hop(leg.at, "egress-only-internet-gateway", vpc=leg.vpc)
        into_vpc(back, leg.vpc, None)
        return
    regional = next((done for done in leg.translations if done.nat.regional), None)
    if regional:
        back.hop(leg.at, "internet-gateway", vpc=leg.vpc)
        back_through_nat(back, regional, Place(regional.nat.vpc, None, None, regional.nat))
        return
    from_internet(back, leg.vpc, leg.at)


def _back_from_edge(leg: Leg, back: Leg) -> None:
    """Replies from beyond an edge come in by it; that they do is taken for granted, as with the internet."""
    kind = leg.at.split("-", 1)[0]
    vpc = leg.vpc or (leg.home.interface.vpc if leg.home.interface else "")
    if kind == "tgw":
        held = [
            one
            for one in leg.network.attachments.values()
            if one.kind == "vpc" and one.resource == vpc and leg.at in (one.transit, one.id)
        ]
        source = leg.home.interface
        own = leg.network.subnets.get(source.subnet) if source else None
        if held:
            leave_transit(back, held[0], own.az if own else "")
        else:
            _from_transit_edge(leg, back, vpc, own.az if own else "")
    elif leg.at in leg.network.vgws or leg.at in leg.network.peerings:
        from_gateway(back, leg.at, vpc)
    elif leg.arrived == "vpc":
        into_vpc(back, leg.vpc, None)


def _from_transit_edge(leg: Leg, back: Leg, vpc: str, zone: str) -> None:
    transits = {transit for transit, name in leg.network.attachments if name == leg.at}
    for transit in sorted(transits):
        for one in leg.network.vpc_attachments.get((transit, vpc), ()):
            leave_transit(back, one, zone)
            return


def _home_again(back: Leg) -> None:
    """The replies must end where the packets began, and reach every port that the client may have used."""
    if back.partial:
        back.unknowns.append(Unknown("client port", f"{back.partial[-1]}; name source_port to decide"))
    wanted = back.goal.interface
    _must_be_the_goal(back)
    if back.arrived == "interface" and wanted and back.end and back.end.id != wanted.id:
        back.block(
            back.end.id, "NO_POSSIBLE_DESTINATION", f"the replies go to {back.end.id}, and not back to {wanted.id}"
        )
    elif not back.arrived and not back.blockers and not back.unknowns:
        back.block(back.at or back.goal.given, "NO_PATH", f"the replies do not come back to {back.goal.given}")


def _must_be_the_goal(leg: Leg) -> None:
    """Packets that end at a gateway or endpoint, where an interface is meant, have not arrived."""
    goal = leg.goal
    meant = goal.interface is not None and (goal.kind != "address" or not leg.forward)
    if leg.arrived and meant and leg.arrived != "interface":
        leg.block(leg.at, "NO_POSSIBLE_DESTINATION", f"the packets end at {leg.at}, and do not get to {goal.given}")
