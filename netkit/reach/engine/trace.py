"""Why can A not reach B: both directions, every blocker, from a snapshot. Pure.

The semantics are the VPC, peering, transit gateway, PrivateLink and load balancing guides', gathered in netkit's notes on AWS.
What is not modelled makes UNKNOWN, with its name; nothing is assumed open and nothing assumed closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from netkit.core.errors import InputError
from netkit.core.model import Blocker, Unknown, Verdict
from netkit.core.net import ICMP, ICMPV6, TCP, UDP, parse_port, protocol_number
from netkit.core.packets import (
    ANY_ADDRESS,
    ANY_PORT,
    ANY_PROTOCOL,
    Box,
    Packets,
    Span,
    icmp_text,
    outside,
    port_text,
    protocol_text,
)
from netkit.reach.engine import gateways  # noqa: F401  (it says what routes to gateways do)
from netkit.reach.engine.leg import REMAPPED, Leg, Place
from netkit.reach.engine.transit import check_vpn, leave_transit, transit_table
from netkit.reach.engine.walk import (
    amazon_service,
    back_through_nat,
    between,
    from_gateway,
    from_internet,
    into,
    into_vpc,
    out_of,
)
from netkit.reach.network.ends import End, find_end, public_spans, which_vpc
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.records import Balancer, Endpoint, Interface, Listener, TargetGroup
from netkit.reach.network.snapshot import Snapshot

LINUX, WINDOWS = (32768, 61000), (49152, 65535)  # ephemeral ports (VPC guide, nacl-ephemeral-ports)
_BOTH_FAMILIES = ("internet", "internet-gateway")


@dataclass(frozen=True)
class Service:
    """What is asked for: protocol and port (or ICMP type and code), and the client's port if it is given.

    one_way: only the way there counts, as for a sender that expects no answer.
    """

    protocol: Span
    port: Span
    source_port: Span | None
    one_way: bool = False

    def words(self) -> tuple[str, str]:
        """Protocol and port as a verdict has them."""
        if self.port == ANY_PORT:
            return protocol_text(self.protocol), ""
        return protocol_text(self.protocol), icmp_text(self.port) if self.protocol[0] in (ICMP, ICMPV6) else port_text(
            self.port
        )


def trace(
    snapshot: Snapshot,
    *,
    source: str,
    destination: str,
    protocol: str | int = "tcp",
    port: int | str | None = None,
    source_port: int | str | None = None,
    icmp_type: int | None = None,
    icmp_code: int | None = None,
    vpc: str = "",
    one_way: bool = False,
) -> Verdict:
    """Whether packets get from source to destination and the replies back, and every reason why not.

    source, destination   an id, an IP address, "internet", a load balancer's ARN, or a Name tag
    protocol   tcp, udp, icmp, another name or number, or all: with all every protocol has to get through
    port       the destination port; None with tcp or udp asks for every port
    source_port   the client's port; None asks for all that the client may use: 32768-61000 for a Linux instance, 49152-65535
               for a Windows one, else 1024-65535. Replies let through to only some of them make UNKNOWN
    icmp_type, icmp_code   the message; without them a ping: an echo request and its reply
    vpc        the VPC that is meant where an address or name is in several: its id or Name, or an interface in it
    one_way    only the way there counts: for a sender that expects no answer, as copies of mirrored packets

    Raises InputError for an unknown id, for one that cannot be an end, an ambiguous name, a port out of range or beside a
    protocol that has none.
    """
    network = network_of(snapshot)
    service = replace(_service(protocol, port, source_port, icmp_type, icmp_code), one_way=one_way)
    vpc = which_vpc(network, vpc)
    ends = find_end(network, str(source), "source", vpc), find_end(network, str(destination), "destination", vpc)
    missing = [end.missing for end in ends if end.missing]
    if missing:
        words = service.words()
        return Verdict("UNKNOWN", str(source), str(destination), *words, unknowns=missing)
    return _asked(network, ends[0], ends[1], service)


def service_of(protocol: str | int, port: int | str | None = None) -> Service:
    """The service that trace() asks for with these. Raises InputError for a port out of range or beside a protocol without."""
    return _service(protocol, port, None, None, None)


def _service(
    protocol: str | int,
    port: int | str | None,
    source_port: int | str | None,
    icmp_type: int | None,
    icmp_code: int | None,
) -> Service:
    text = str(protocol).strip().lower()
    every = text in ("all", "-1")
    number = -1 if every else protocol_number(text)
    has_ports, has_types = number in (TCP, UDP), number in (ICMP, ICMPV6)
    name = "all" if every else protocol_text((number, number))
    given_port = port is not None and str(port).strip() != ""
    given_source = source_port is not None and str(source_port).strip() != ""
    if (given_port or given_source) and not has_ports:
        raise InputError(
            f"{name} has no ports",
            hint="leave the port out" + ("; icmp_type and icmp_code name a message" if has_types else ""),
        )
    if (icmp_type is not None or icmp_code is not None) and not has_types:
        raise InputError(f"{name} has no ICMP type or code", hint="they belong to icmp and icmpv6")
    client = parse_port(str(source_port), name="source port") if given_source else None
    if has_ports:
        wanted = parse_port(str(port)) if given_port else None
        return Service(
            (number, number),
            ANY_PORT if wanted is None else (wanted, wanted),
            None if client is None else (client, client),
        )
    if has_types:
        return Service((number, number), _icmp(number, icmp_type, icmp_code), None)
    return Service(ANY_PROTOCOL if every else (number, number), ANY_PORT, None)


def _icmp(number: int, kind: int | None, code: int | None) -> Span:
    if kind is None and code is None:
        kind, code = (8 if number == ICMP else 128), 0
    for name, value in (("type", kind), ("code", code)):
        if value is not None and not 0 <= value <= 255:
            raise InputError(f"ICMP {name} {value} is not between 0 and 255")
    if kind is None:
        raise InputError("an ICMP code needs its type", hint="give icmp_type too")
    return (kind * 256, kind * 256 + 255) if code is None else (kind * 256 + code, kind * 256 + code)


def _asked(network: Network, source: End, destination: End, service: Service) -> Verdict:
    families = [family for family in _families(network, source) if family in _families(network, destination)]
    if not families:
        return _no_family(source, destination, service)
    first = _trace(network, source, destination, service, families[0])
    wide = source.kind in _BOTH_FAMILIES or destination.kind in _BOTH_FAMILIES
    if first.reachable or not wide or len(families) == 1:
        return first
    second = _trace(network, source, destination, service, families[1])
    better = ("REACHABLE", "UNKNOWN", "NOT_REACHABLE")
    return second if better.index(second.status) < better.index(first.status) else first


def _no_family(source: End, destination: End, service: Service) -> Verdict:
    because = f"{source.given} and {destination.given} have no address family in common (one has IPv4 only, the other IPv6 only)"
    at = destination.interface.id if destination.interface else destination.id or destination.given
    return Verdict(
        "NOT_REACHABLE",
        source.given,
        destination.given,
        *service.words(),
        blockers=[Blocker(at, "", "ENI_ADDRESS_RESTRICTION", None, because)],
    )


def _families(network: Network, end: End) -> list[int]:
    """The families an end can speak, IPv4 first."""
    if end.address:
        return [end.address[0]]
    if end.interface:
        return [*([4] if end.interface.pairs else []), *([6] if end.interface.v6 else [])]
    return [6] if end.kind == "egress-only-internet-gateway" else [4, 6]


def _trace(network: Network, source: End, destination: End, service: Service, family: int) -> Verdict:
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
    destination = _nearest(network, source, destination)
    packets, lacking = _packets(network, source, destination, service, family)
    if lacking:
        return Verdict("UNKNOWN", source.given, destination.given, *service.words(), unknowns=[lacking])
    leg = Leg(network, "forward", source, destination, packets, packets, one_way=service.one_way)
    leg.notes = [*source.notes, *destination.notes]
    _set_out(leg)
    back = _way_back(leg) if leg.arrived and not service.one_way else None
    if not leg.arrived and leg.blockers and not leg.unknowns:
        _had_it_arrived(leg)
    return _verdict(leg, back, service)


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
    if destination.kind == "egress-only-internet-gateway" and source.kind in _BOTH_FAMILIES:
        return Blocker(destination.id, "ingress", "NO_PATH", None, f"{destination.id} takes nothing from the internet")
    if source.kind == "egress-only-internet-gateway":
        return Blocker(
            source.id, "ingress", "NO_PATH", None, f"{source.id} passes only connections that begin inside the VPC"
        )
    endpoint = network.endpoints.get(destination.id)
    if endpoint and endpoint.state != "available":
        return Blocker(endpoint.id, "", "BAD_STATE", None, f"{endpoint.id} is {endpoint.state}, not available")
    return None


def _nearest(network: Network, source: End, destination: End) -> End:
    """Of the interfaces of an endpoint or load balancer, the one in the source's zone."""
    if destination.kind not in ("vpc-endpoint", "load-balancer") or not destination.choices or source.interface is None:
        return destination
    home = network.subnets.get(source.interface.subnet)
    near = [
        one
        for one in destination.choices
        if home and one.subnet in network.subnets and network.subnets[one.subnet].az == home.az
    ]
    return replace(destination, interface=(near or list(destination.choices))[0])


def _packets(
    network: Network, source: End, destination: End, service: Service, family: int
) -> tuple[Packets, Unknown | None]:
    """The packets that are asked for, as they are where they start."""
    froms, lacking = _spans(network, source, destination, family, outgoing=True)
    tos, lacking_to = _spans(network, destination, source, family, outgoing=False)
    client = service.source_port or (
        _ephemeral(network, source) if service.protocol in ((TCP, TCP), (UDP, UDP)) else ANY_PORT
    )
    boxes = [Box(service.protocol, one, other, client, service.port) for one in froms for other in tos]
    return Packets(family, tuple(boxes)), lacking or lacking_to


def _ephemeral(network: Network, source: End) -> Span:
    held = network.instances.get(source.interface.instance) if source.interface else None
    if held is None:
        return REMAPPED
    return WINDOWS if held.windows else LINUX


def _spans(
    network: Network, end: End, other: End, family: int, *, outgoing: bool
) -> tuple[Sequence[Span], Unknown | None]:
    """The addresses that an end stands for, seen from the other end."""
    if end.interface and end.kind != "address" and not end.wide:
        return _of_interface(end, end.interface, other, family, outgoing=outgoing), None
    if end.address:
        return [(end.address[1], end.address[1])], None
    if end.kind in (*_BOTH_FAMILIES, "egress-only-internet-gateway"):
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
    if family == 6:
        return [(one.v6[0], one.v6[0])]
    if end.address:
        return [(end.address[1], end.address[1])]
    if not outgoing and other.kind in _BOTH_FAMILIES:
        # The internet sends to a public address; without one, to show what else is in the way, to the private one.
        public = next((out for _, out in one.pairs if out is not None), None)
        value = one.pairs[0][0] if public is None else public
    elif outgoing and other.kind in _BOTH_FAMILIES:
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
        out_of(leg, source.interface)
    else:
        _from_outside(leg, source, _home_vpc(leg.network, goal))
    _must_be_the_goal(leg)
    if leg.arrived == "interface" and leg.end and (balancer := _balancer_at(leg.network, leg.end)):
        _through(leg, balancer, leg.end)
    elif (
        leg.arrived == "interface"
        and leg.end
        and not leg.network.known("LoadBalancers")
        and leg.end.description.startswith("ELB ")
    ):
        leg.lacks("LoadBalancers", leg.end.description)


def _home_vpc(network: Network, goal: End) -> str:
    if goal.interface:
        return goal.interface.vpc
    if goal.address and goal.address[0] == 4 and goal.address[1] in network.public_owners:
        return network.public_owners[goal.address[1]][0].vpc
    return goal.id if goal.kind == "vpc" else ""


def _from_outside(leg: Leg, source: End, vpc: str) -> None:
    network = leg.network
    if source.kind in _BOTH_FAMILIES:
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


def _verdict(leg: Leg, back: Leg | None, service: Service) -> Verdict:
    blockers = _once(leg.blockers + (back.blockers if back else []))
    if service.one_way:
        blockers = [one for one in blockers if one.leg == "forward"]
    unknowns = list(dict.fromkeys(leg.unknowns + (back.unknowns if back else [])))
    if not leg.arrived and not blockers and not unknowns:
        unknowns = [Unknown(leg.goal.given, "the walk ended without an answer", "NO_PATH")]
    status = "NOT_REACHABLE" if blockers else "UNKNOWN" if unknowns else "REACHABLE"
    notes = list(dict.fromkeys(leg.notes + (back.notes if back else [])))
    if status == "REACHABLE" and leg.home.wide and (narrowed := _narrowed(leg)):
        notes.append(narrowed)
    passes = leg.live.header() if leg.live and leg.arrived else None
    return Verdict(
        status, leg.home.given, leg.goal.given, *service.words(), forward=leg.hops, back=leg.inner_back + back.hops if back else [], blockers=blockers, unknowns=unknowns,
        notes=notes, passes=passes,
    )  # fmt: skip


def _narrowed(leg: Leg) -> str:
    if leg.live.size("source") == leg.asked.size("source"):
        return ""
    texts = leg.live.header().source
    return f"only from {', '.join(texts[:6])}" + (f" and {len(texts) - 6} more" if len(texts) > 6 else "")


def _once(blockers: list[Blocker]) -> list[Blocker]:
    """Each blocker once: the same rule asked twice is one thing to change."""
    seen: dict[tuple[str, str, str, str, str], Blocker] = {}
    for one in blockers:
        seen.setdefault((one.component, one.direction, one.code, one.leg, one.where), one)
    return list(seen.values())


# --- load balancers

_LISTENER = {"TCP": (TCP,), "TLS": (TCP,), "HTTP": (TCP,), "HTTPS": (TCP,), "UDP": (UDP,), "TCP_UDP": (TCP, UDP)}


def _through(leg: Leg, balancer: Balancer, entry: Interface) -> None:
    """From a load balancer's interface on to its targets: one that packets get to is enough (facts 6.11)."""
    leg.hop(balancer.id, "load-balancer", name=balancer.name, vpc=balancer.vpc)
    if balancer.state != "active":
        leg.block(balancer.id, "BAD_STATE", f"{balancer.name} is {balancer.state}, not active")
    if balancer.listeners is None:
        leg.lacks("LoadBalancerListeners", balancer.id)
        return
    box = leg.asked.boxes[0]
    heard = [
        one
        for one in balancer.listeners
        if (one.port, one.port) == box.port
        and any(box.protocol == (number, number) for number in _LISTENER.get(one.protocol, ()))
    ]
    if not heard:
        held = ", ".join(f"{one.protocol} {one.port}" for one in balancer.listeners) or "none"
        leg.block(
            balancer.id,
            "ELBV2_LISTENER_PORT_RESTRICTION",
            f"{balancer.name} has no listener for {leg.service()}; it has {held}",
        )
        return
    _to_targets(leg, balancer, entry, heard[0])


def _to_targets(leg: Leg, balancer: Balancer, entry: Interface, listener: Listener) -> None:
    network = leg.network
    groups = [network.target_groups[name] for name in listener.groups if name in network.target_groups]
    for name in listener.groups:
        if name not in network.target_groups:
            leg.lacks("TargetGroups", name)
    if not listener.groups:
        leg.block(
            balancer.id,
            "ELBV2_LISTENER_REQUIRES_TG_ACCEPT",
            f"the listener {listener.protocol} {listener.port} of {balancer.name} forwards to no target group",
        )
        return
    found = [(group, target) for group in groups for target in group.targets or ()]
    for group in groups:
        if group.targets is None:
            leg.lacks("LoadBalancerTargetHealth", group.id)
    if not found:
        if not leg.unknowns:
            leg.block(
                balancer.id,
                "ELBV2_LISTENER_HAS_NO_TG",
                f"the target groups of {listener.protocol} {listener.port} of {balancer.name} have no targets",
            )
        return
    _best_target(leg, balancer, entry, found)


def _best_target(
    leg: Leg, balancer: Balancer, entry: Interface, found: Sequence[tuple[TargetGroup, tuple[str, int, str]]]
) -> None:
    network = leg.network
    zone = network.subnets[entry.subnet].az if entry.subnet in network.subnets else ""
    verdicts = [(group, target, _to_target(leg, balancer, entry, group, target, zone)) for group, target in found]
    order = ("REACHABLE", "UNKNOWN", "NOT_REACHABLE")
    group, target, best = min(verdicts, key=lambda one: order.index(one[2].status))
    reached = sum(1 for _, _, one in verdicts if one.reachable)
    leg.notes.append(
        f"{reached} of {len(verdicts)} targets of {balancer.name} can be reached; the path to {target[0]} is shown. Health of targets and rules beyond a listener's default action are not modelled"
    )
    leg.hop(group.id, "target-group", name=group.name)
    leg.hops += [hop for hop in best.forward if hop.component not in (entry.id,)]
    leg.inner_back = best.back
    leg.blockers += best.blockers
    leg.unknowns += best.unknowns


def _to_target(
    leg: Leg, balancer: Balancer, entry: Interface, group: TargetGroup, target: tuple[str, int, str], zone: str
) -> Verdict:
    """The second leg, from the load balancer's interface to one target."""
    network = leg.network
    name, port, target_zone = target
    if group.kind in ("lambda", "alb"):
        return Verdict(
            "UNKNOWN",
            balancer.name,
            name,
            "tcp",
            unknowns=[Unknown(group.id, f"targets of type {group.kind} are not modelled", "UNSUPPORTED_COMPONENT")],
        )
    try:
        end = find_end(network, name, "destination", group.vpc)
    except InputError:
        return Verdict(
            "UNKNOWN",
            balancer.name,
            name,
            "tcp",
            unknowns=[Unknown(name, "this target is not in the snapshot", "UNKNOWN_RESOURCE")],
        )
    if end.missing:
        return Verdict("UNKNOWN", balancer.name, name, "tcp", unknowns=[end.missing])
    home = network.subnets.get(end.interface.subnet) if end.interface else None
    where = target_zone or (home.az if home else "")
    if problem := _zones(balancer, group, zone, where):
        return Verdict(problem[0], balancer.name, name, "tcp", blockers=problem[1], unknowns=problem[2])
    protocol = leg.asked.boxes[0].protocol
    service = Service(protocol, (port, port), REMAPPED, leg.one_way)
    if balancer.kind == "network" and group.preserves is None:
        return Verdict(
            "UNKNOWN",
            balancer.name,
            name,
            "tcp",
            unknowns=[
                Unknown(
                    "TargetGroupAttributes",
                    f"whether {group.name} keeps client addresses",
                    "MISSING_TARGET_GROUP_ATTRIBUTES",
                )
            ],
        )
    origin = End(balancer.name, "load-balancer", entry.id, interface=entry)
    if balancer.kind == "network" and group.preserves:
        return _preserved(leg, origin, end, service)
    return _trace(network, origin, end, service, leg.family)


def _zones(
    balancer: Balancer, group: TargetGroup, zone: str, where: str
) -> tuple[str, list[Blocker], list[Unknown]] | None:
    """Without cross-zone load balancing only targets in the zone of entry are used."""
    cross = group.cross_zone if group.cross_zone is not None else balancer.cross_zone
    if cross is None and zone != where:
        return (
            "UNKNOWN",
            [],
            [Unknown("LoadBalancerAttributes", f"whether {balancer.name} balances across zones", "UNKNOWN_RESOURCE")],
        )
    if cross is False and where not in (zone, "all"):
        because = f"{balancer.name} came in by {zone} and does not balance across zones; this target is in {where}"
        return "NOT_REACHABLE", [Blocker(balancer.id, "", "ELB_NOT_CROSSZONE", None, because)], []
    return None


def _preserved(leg: Leg, origin: End, end: End, service: Service) -> Verdict:
    """To a target that sees the client's own address: filters are asked with it, routes with the load balancer's place."""
    one, entry = end.interface, origin.interface
    if one is None or entry is None or one.vpc != entry.vpc:
        return Verdict(
            "UNKNOWN",
            origin.given,
            end.given,
            "tcp",
            unknowns=[
                Unknown(
                    end.given,
                    "a target outside the VPC of a load balancer that keeps client addresses is not modelled",
                    "UNSUPPORTED_COMPONENT",
                )
            ],
        )
    clients = leg.asked.spans("source")
    value = end.address[1] if end.address else one.pairs[0][0]
    ports = leg.asked.boxes[0].source_port
    boxes = [Box(service.protocol, span, (value, value), ports, service.port) for span in clients]
    there = Leg(
        leg.network,
        "forward",
        origin,
        end,
        Packets(leg.family, tuple(boxes)),
        Packets(leg.family, tuple(boxes)),
    )
    out_of(there, entry)
    if service.one_way:
        return _verdict(there, None, service)
    back = Leg(leg.network, "return", end, origin, there.asked.reply(), there.live.reply())
    between(back, one, entry)
    return _verdict(there, back, service)
