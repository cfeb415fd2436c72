"""One direction of a path, walked hop by hop: what each component does to a set of packets. Pure.

The order is AWS's (Reachability Analyzer guide, getting-started-cli): out of a host come instance, interface, security group,
network ACL, route table, gateway; into one come gateway, network ACL, security group, interface, instance. A filter that stops
the packets does not stop the walk, so that every blocker is found; a missing route does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from netkit.model import Blocker, Header, Hop, Rule, Unknown
from netkit.net import ICMP, TCP, UDP
from netkit.reach.ends import End
from netkit.reach.filters import Decision, Peer, acl_allows, groups_allow
from netkit.reach.network import (
    Acl,
    Address,
    Attachment,
    Endpoint,
    Interface,
    Nat,
    Network,
    Route,
    RouteTable,
    Subnet,
    TransitRoute,
    block_of,
)
from netkit.reach.packets import ANY_ADDRESS, ANY_PORT, Packets, Span, blocks, meet, outside, port_text, service_text

REMAPPED: Span = (1024, 65535)  # ports that NAT gateways and load balancers use (facts 6.3, REMAP_EPHEMERAL_PORT)
_PRIVATE = [block_of(text)[1:] for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
_SHARED = block_of("100.64.0.0/10")[1:]
_AMAZON = [block_of(text) for text in ("169.254.0.0/16", "fd00:ec2::/32")]
_HOPS_AT_MOST = 64
# Interfaces that are part of the network and not of a host: nothing ends there.
_NO_HOST = {"transit_gateway", "gateway_load_balancer", "gateway_load_balancer_endpoint", "quicksight_gateway"}


@dataclass(frozen=True)
class Place:
    """Where the packets are when a route table is asked."""

    vpc: str
    subnet: Subnet | None = None
    interface: Interface | None = None
    nat: Nat | None = None


@dataclass(frozen=True)
class Translation:
    """What a NAT gateway did on the way there, so that the replies are turned back."""

    nat: Nat
    outside: int
    before: Packets
    crossed: tuple[str, ...]


@dataclass
class Leg:
    """One direction. asked: the packets as if no filter had stopped any; live: those that really get on.

    goal     the end to get to; home: the end that the packets come from
    way      forward, or return
    crossed  the gateways on the way, by kind; arrived: where it ended, "" while it has not
    """

    network: Network
    way: str
    home: End
    goal: End
    asked: Packets
    live: Packets
    hops: list[Hop] = field(default_factory=list)
    blockers: list[Blocker] = field(default_factory=list)
    unknowns: list[Unknown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    translations: list[Translation] = field(default_factory=list)
    arrived: str = ""
    at: str = ""  # the component at which it arrived
    vpc: str = ""
    end: Interface | None = None
    partial: list[str] = field(default_factory=list)
    assumed: bool = False
    inner_back: list[Hop] = field(default_factory=list)  # replies from a load balancer's target to the load balancer
    let_by: dict[str, str] = field(default_factory=dict)  # interface -> the group that let the packets through

    @property
    def forward(self) -> bool:
        """Whether this is the way there."""
        return self.way == "forward"

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.asked.family

    @property
    def destination(self) -> Address | None:
        """The one destination address, or None when there are many."""
        spans = self.asked.spans("destination")
        return (self.family, spans[0][0]) if len(spans) == 1 and spans[0][0] == spans[0][1] else None

    @property
    def source(self) -> Address | None:
        """The one source address, or None when there are many."""
        spans = self.asked.spans("source")
        return (self.family, spans[0][0]) if len(spans) == 1 and spans[0][0] == spans[0][1] else None

    def fork(self) -> Leg:
        """A copy that goes its own way."""
        return replace(
            self,
            hops=list(self.hops),
            blockers=list(self.blockers),
            unknowns=list(self.unknowns),
            notes=list(self.notes),
            crossed=list(self.crossed),
            translations=list(self.translations),
            partial=list(self.partial),
        )

    def hop(self, component: str, kind: str, **more: object) -> None:
        """Write down a hop."""
        details = ("assumed to get here",) if self.assumed else ()
        self.hops.append(Hop(component, kind, details=details, **more))  # type: ignore[arg-type]

    def block(
        self,
        component: str,
        code: str,
        because: str,
        *,
        direction: str = "",
        rule: Rule | None = None,
        where: str = "",
        components: tuple[str, ...] = (),
    ) -> None:
        """Write down a blocker, and mark the hop at which it stands."""
        self.blockers.append(
            Blocker(component, direction, code, rule, because, self.way, where, components or (component,))
        )
        if self.hops and self.hops[-1].component == component:
            self.hops[-1] = replace(self.hops[-1], blocked=True, codes=(*self.hops[-1].codes, code))

    def lacks(self, table: str, component: str) -> None:
        """Write down that a component cannot be looked up."""
        if self.network.known(table):
            self.unknowns.append(Unknown(component, f"{component} is not in the snapshot", "UNKNOWN_RESOURCE"))
        else:
            damaged = self.network.damaged.get(table)
            why = (
                f"the table holds records that cannot be read ({damaged[0]})"
                if damaged
                else "the table was not collected"
            )
            self.unknowns.append(Unknown(table, f"{why}, and {component} is needed", "UNKNOWN_RESOURCE"))

    def rewrite(self, **spans: Span) -> None:
        """Translate addresses or ports, of both sets."""
        self.asked, self.live = self.asked.with_span(**spans), self.live.with_span(**spans)

    def narrow(self, **spans: Span) -> None:
        """Keep the packets whose named dimensions lie in the spans."""
        self.asked, self.live = self.asked.within(**spans), self.live.within(**spans)

    def arrive(self, kind: str, at: str, vpc: str = "", end: Interface | None = None) -> None:
        """The packets are there."""
        self.arrived, self.at, self.vpc, self.end = kind, at, vpc, end

    def header(self) -> Header:
        """The packets as they are here."""
        return self.asked.header()

    def who(self) -> tuple[str, str]:
        """Source and destination, for a sentence."""
        return _some(self.asked.spans("source"), self.family), _some(self.asked.spans("destination"), self.family)

    def service(self) -> str:
        """Protocol and port, for a sentence; of the replies: from which port to which."""
        if not self.asked.boxes:
            return "nothing"
        box = self.asked.boxes[0]
        if self.forward or box.protocol not in ((TCP, TCP), (UDP, UDP)):
            return service_text(box.protocol, box.port)
        return f"replies ({service_text(box.protocol, box.source_port)} to port {port_text(box.port)})"


def _some(spans: Sequence[Span], family: int) -> str:
    texts = [text for span in spans[:2] for text in blocks(span, family)]
    if not texts:
        return "nowhere"
    if len(spans) > 2 or len(texts) > 2:
        return "any such address"
    return " or ".join(text.removesuffix("/32").removesuffix("/128") for text in texts)


def asks(packets: Packets, forward: bool) -> Packets:
    """What has to get through whole: protocols and ports asked for, whatever the addresses and the client's port."""
    wide = ANY_ADDRESS[packets.family]
    if forward:
        return packets.with_span(source=wide, destination=wide, source_port=ANY_PORT)
    icmp = [box for box in packets.boxes if box.protocol[0] == box.protocol[1] and box.protocol[0] in (ICMP, 58)]
    ports = [box for box in packets.boxes if box not in icmp]
    return Packets.of(
        packets.family,
        [box._replace(source=wide, destination=wide, source_port=ANY_PORT) for box in icmp]
        + [box._replace(source=wide, destination=wide, port=ANY_PORT) for box in ports],
    )


def filtered(
    leg: Leg,
    decide: Callable[[Packets], Decision],
    whole: Decision,
    sentence: str,
    *,
    component: str,
    direction: str,
    where: str,
    components: tuple[str, ...] = (),
) -> None:
    """Put the packets through a filter: it blocks when it keeps back a protocol or port, by itself or with those before it.

    whole is decide(leg.asked); the last hop is the filter's.
    """
    before = leg.live
    need = asks(leg.asked, leg.forward)
    fits = whole.allowed is leg.asked or asks(whole.allowed, leg.forward).covers(need)
    alone = fits or asks(whole.possible, leg.forward).covers(need)
    if not fits and alone:
        leg.unknowns.extend(whole.unknowns)
    passed = before if whole.possible is leg.asked else before & whole.possible
    still = passed is before or not asks(before, leg.forward).covers(need) or asks(passed, leg.forward).covers(need)
    leg.hops[-1] = replace(
        leg.hops[-1], rule=(whole.allow or whole.deny) if alone and still else (whole.deny or whole.allow)
    )
    if not alone or not still:
        leg.block(
            component,
            whole.code or ("SUBNET_ACL_RESTRICTION" if component.startswith("acl-") else "ENI_SG_RULES_MISMATCH"),
            sentence + _let_through(whole.possible, leg),
            direction=direction,
            rule=whole.deny,
            where=where,
            components=components,
        )
    elif not leg.forward and passed is not before and not passed.covers(before):
        leg.partial.append(f"{component} lets replies through to {_ports(passed)} only")
    leg.live = passed


def _let_through(possible: Packets, leg: Leg) -> str:
    found = sorted({service_text(box.protocol, box.port if leg.forward else box.source_port) for box in possible.boxes})
    return f"; of what was asked it lets through only {', '.join(found[:4])}" if found else ""


def _ports(packets: Packets) -> str:
    return "ports " + ", ".join(port_text(span) for span in packets.spans("port"))


def _named(component: str, name: str) -> str:
    return f"{component} ({name})" if name and name != component else component


# --- out of a host


def out_of(leg: Leg, one: Interface) -> None:
    """Out of an interface: instance, interface, security groups, then straight to a neighbour or through ACL and routes."""
    network = leg.network
    subnet = network.subnets.get(one.subnet)
    _instance(leg, one, outbound=True)
    leg.hop(
        one.id,
        "network-interface",
        subnet=one.subnet,
        vpc=one.vpc,
        attached_to=one.instance,
        name=one.name,
        outbound=None if one.instance else leg.header(),
    )
    _state(leg, one)
    if subnet is None:
        leg.lacks("Subnets", one.subnet)
        return
    _groups(leg, one, True)
    to = leg.destination
    if to and subnet.holds(to):
        into_vpc(leg, one.vpc, subnet)
        return
    _acl(leg, subnet, True)
    if not leg.forward and leg.destination and _remembered(leg, one):
        return
    route_from(leg, Place(one.vpc, subnet, one))


def _instance(leg: Leg, one: Interface, *, outbound: bool) -> None:
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
            one.instance, "BAD_STATE", f"{_named(one.instance, held.name)} is {held.state}, not running", where=one.id
        )


def _state(leg: Leg, one: Interface) -> None:
    if one.status not in ("in-use", ""):
        if leg.forward:
            leg.block(
                one.id,
                "BAD_STATE",
                f"{_named(one.id, one.name)} is {one.status}: it is attached to nothing",
                where=one.subnet,
            )
    elif not one.status and not one.attached:
        leg.unknowns.append(Unknown(one.id, "the snapshot does not say whether it is in use", "UNKNOWN_RESOURCE"))
    if not one.groups and one.kind == "interface" and not one.said_kind:
        leg.unknowns.append(
            Unknown(one.id, "the snapshot does not say what type of interface it is", "UNKNOWN_RESOURCE")
        )


def _groups(leg: Leg, one: Interface, egress: bool) -> None:
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
    sentence = f"no {'outbound' if egress else 'inbound'} rule of security group {_named(chosen, _group_name(leg, chosen))}{more} at {_named(one.id, one.name)} lets {leg.service()} {far}"
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
        if side.vpc not in network.vpcs or not network.known("NetworkInterfaces"):
            return Peer(unseen=f"the interfaces of {side.vpc} are not in the snapshot")
        far = network.owner(side.vpc, to)
        if far and _routes_to(network, one, to) == peering.id:
            return Peer(
                frozenset(far.groups), "" if _same_region(network, peering.id) else "SG_REFERENCES_NOT_PRESERVED"
            )
    if not network.known("NetworkInterfaces") or not network.known("VpcPeeringConnections"):
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


def _acl(leg: Leg, subnet: Subnet, egress: bool) -> None:
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
    sentence = f"network ACL {_named(acl.id, acl.name)} of subnet {_named(subnet.id, subnet.name)} does not let {what} {'out' if egress else 'in'}{deny}"
    filtered(
        leg,
        lambda packets: acl_allows(acl, egress, packets),
        whole,
        sentence,
        component=acl.id,
        direction=direction,
        where=subnet.id,
    )


def between(leg: Leg, one: Interface, other: Interface) -> None:
    """From one interface to another of the same VPC whatever the addresses say: only network ACLs are in the way."""
    here, there = leg.network.subnets.get(one.subnet), leg.network.subnets.get(other.subnet)
    if here is None or there is None:
        leg.lacks("Subnets", one.subnet if here is None else other.subnet)
    elif here.id != there.id:
        _acl(leg, here, True)
        _acl(leg, there, False)


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
    if len(leg.hops) > _HOPS_AT_MOST:
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
            f"route table {_named(table.id, table.name)} of {where} has no route to {destination}",
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
            f"the route {route.text} of {_named(table.id, table.name)} is a black hole: its target {route.target} is gone or unusable",
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
    elif route.kind in _GATEWAYS:
        _GATEWAYS[route.kind](leg, place, route)
    else:
        _edge(leg, route.target, {"lgw": "local-gateway", "cagw": "carrier-gateway"}.get(route.kind, "network"))


def _edge(leg: Leg, component: str, kind: str, why: str = "what lies beyond it is not modelled") -> None:
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
    text = _some(((to[1], to[1]),), to[0])
    if amazon_service(network, vpc, to):
        leg.unknowns.append(
            Unknown(
                text,
                "this is Amazon's own service in the VPC: security groups and network ACLs do not filter it, and it is not modelled",
                "UNSUPPORTED_COMPONENT",
            )
        )
    elif not network.known("NetworkInterfaces"):
        leg.lacks("NetworkInterfaces", f"the interface with the address {text}")
    else:
        holder = next((subnet.id for subnet in network.subnets_of.get(vpc, ()) if subnet.holds(to)), "")
        leg.hop(vpc, "vpc", vpc=vpc, subnet=holder)
        leg.block(
            vpc,
            "NO_POSSIBLE_DESTINATION",
            f"no network interface in {_named(vpc, network.vpcs[vpc].name if vpc in network.vpcs else '')} has the address {text}",
            where=vpc,
        )


def amazon_service(network: Network, vpc: str, to: Address) -> bool:
    """Amazon's own addresses: link local, the resolver at the VPC base plus two, and a subnet's router (facts 6.2)."""
    if any(family == to[0] and low <= to[1] <= high for family, low, high in _AMAZON):
        return True
    held = network.vpcs[vpc].spans(to[0]) if vpc in network.vpcs else []
    routers = [
        low + 1 for subnet in network.subnets_of.get(vpc, ()) for family, low, _ in subnet.blocks if family == to[0]
    ]
    return to[1] in [low + 2 for low, _ in held] or to[1] in routers


def into(leg: Leg, one: Interface, came_from: Subnet | None) -> None:
    """Into an interface: network ACL (unless from the same subnet), security groups, interface, instance."""
    network = leg.network
    subnet = network.subnets.get(one.subnet)
    if subnet is None:
        leg.lacks("Subnets", one.subnet)
        return
    if came_from is None or came_from.id != subnet.id:
        _acl(leg, subnet, False)
    if one.kind in ("nat_gateway", "natGateway"):
        _into_nat_address(leg, one, subnet)
        return
    _groups(leg, one, False)
    leg.hop(
        one.id,
        "network-interface",
        subnet=one.subnet,
        vpc=one.vpc,
        attached_to=one.instance,
        name=one.name,
        inbound=None if one.instance else leg.header(),
    )
    _state(leg, one)
    _instance(leg, one, outbound=False)
    if one.kind in _NO_HOST:
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
            f"the packets end at {_named(one.id, one.name)} and do not get to {leg.goal.given}",
        )
    elif wanted and wanted.id != one.id and one.id not in [choice.id for choice in leg.goal.choices]:
        leg.block(
            one.id,
            "NO_POSSIBLE_DESTINATION",
            f"the packets go to {_named(one.id, one.name)} in {one.vpc}, which has the same address as {wanted.id}",
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
    _need_every_port(leg, done.nat.id)
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
    _acl(leg, place.subnet, True)
    route_from(leg, place)


def _need_every_port(leg: Leg, component: str) -> None:
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


# --- gateways


def _public_access(leg: Leg, vpc: str, subnet: Subnet | None, *, inbound: bool, direct: bool, gateway: str) -> None:
    """VPC Block Public Access (facts 6.6): the mode of account and region, with exclusions for VPCs and subnets."""
    network = leg.network
    scope = network.vpcs[vpc].scope if vpc in network.vpcs else (subnet.scope if subnet else None)
    if scope not in network.bpa:
        # Answers from before the feature (November 2024) have no BlockPublicAccessStates, and nothing was blocked then.
        if network.bpa_era:
            leg.lacks("VpcBlockPublicAccessOptions", f"whether public access to {vpc} is blocked")
        return
    mode = network.bpa[scope]
    if mode == "off":
        return
    if not network.known("VpcBlockPublicAccessExclusions", scope):
        leg.lacks("VpcBlockPublicAccessExclusions", f"whether {vpc} is excluded from Block Public Access")
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


def _igw(leg: Leg, place: Place, route: Route) -> None:
    """Out by an internet gateway: one to one translation, public destinations only (facts 6.6)."""
    network = leg.network
    gateway = network.igws.get(route.target)
    if gateway is None:
        leg.lacks("InternetGateways", route.target)
        return
    inbound = leg.header()
    leg.hop(gateway.id, "internet-gateway", name=gateway.name, vpc=place.vpc)
    leg.crossed.append(f"igw:{gateway.id}")
    if place.vpc not in gateway.vpcs:
        leg.block(gateway.id, "UNASSOCIATED_COMPONENT", f"{gateway.id} is not attached to {place.vpc}")
    if leg.forward:
        _public_access(leg, place.vpc, place.subnet, inbound=False, direct=place.nat is None, gateway=gateway.id)
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
    who = place.nat.id if place.nat else place.interface.id if place.interface else _some(leg.asked.spans("source"), 4)
    name = place.nat.name if place.nat else place.interface.name if place.interface else ""
    what = "a private NAT gateway" if place.nat else "an interface"
    leg.block(
        who,
        "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS",
        f"{_named(who, name)} is {what} without a public address, and {gateway} passes none without",
        direction="egress",
        where=gateway,
    )


def _public_destination(leg: Leg, place: Place, gateway: str) -> bool:
    """Whether the destination can be on the internet at all; where it cannot, the walk ends here."""
    spans = leg.asked.spans("destination")
    codes = (
        ("IGW_DESTINATION_ADDRESS_IN_VPC_CIDRS", leg.network.vpcs[place.vpc].spans(leg.family)),
        ("IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS", _PRIVATE if leg.family == 4 else []),
        ("IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS", [_SHARED] if leg.family == 4 else []),
    )
    for code, held in codes:
        if not any(_outside(held, span) for span in spans):
            leg.block(
                gateway,
                code,
                f"{_some(spans, leg.family)} is a private address, which {gateway} does not pass on",
                direction="egress",
            )
            return False
    return True


def _outside(held: Sequence[Span], span: Span) -> bool:
    """Whether any of the span is in none of these."""
    inner = [meet(one, span) for one in held]
    return bool(outside([one for one in inner if one], span))


def _onto_internet(leg: Leg, gateway: str, vpc: str) -> None:
    to = leg.destination
    goal = leg.goal
    inside = to and to[0] == 4 and to[1] in leg.network.public_owners
    if leg.forward and inside:
        owner = leg.network.public_owners[to[1]][0].id if to else ""
        leg.unknowns.append(
            Unknown(
                gateway,
                f"the destination is the public address of {owner}: traffic between hosts by their public addresses turns round at the gateway, which is not modelled",
                "IGW_NAT_REFLECTION",
            )
        )
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


def _eigw(leg: Leg, place: Place, route: Route) -> None:
    """Out by an egress-only internet gateway: IPv6, begun inside (facts 6.7)."""
    gateway = leg.network.eigws.get(route.target)
    if gateway is None:
        leg.lacks("EgressOnlyInternetGateways", route.target)
        return
    leg.hop(gateway.id, "egress-only-internet-gateway", name=gateway.name, vpc=place.vpc, outbound=leg.header())
    leg.crossed.append(f"eigw:{gateway.id}")
    if place.vpc not in gateway.vpcs:
        leg.block(gateway.id, "UNASSOCIATED_COMPONENT", f"{gateway.id} is not attached to {place.vpc}")
    if not leg.forward:
        leg.block(gateway.id, "NO_POSSIBLE_DESTINATION", f"{gateway.id} passes only connections that begin inside")
        return
    _public_access(leg, place.vpc, place.subnet, inbound=False, direct=False, gateway=gateway.id)
    if _public_destination(leg, place, gateway.id):
        _onto_internet(leg, gateway.id, place.vpc)


def _nat(leg: Leg, place: Place, route: Route) -> None:
    """Through a NAT gateway: its own subnet's ACL and routes, with its address and ports (facts 6.7)."""
    network = leg.network
    nat = network.nats.get(route.target)
    if nat is None:
        leg.lacks("NatGateways", route.target)
        return
    subnet = network.subnets.get(nat.subnet) if not nat.regional else None
    if subnet is None and not nat.regional:
        leg.lacks("Subnets", nat.subnet)
        return
    if subnet and (place.subnet is None or place.subnet.id != subnet.id):
        _acl(leg, subnet, False)
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
    _acl(leg, subnet, True)
    route_from(leg, at_nat)


def _out_of_regional_nat(leg: Leg, nat: Nat, place: Place) -> None:
    table = leg.network.tables.get(nat.route_table)
    if table is None:
        leg.lacks("RouteTables", f"the route table of {nat.id}")
        return
    route_from(leg, place, table)


def _nat_takes(leg: Leg, nat: Nat, place: Place) -> bool:
    if nat.state != "available":
        leg.block(nat.id, "BAD_STATE", f"{_named(nat.id, nat.name)} is {nat.state}, not available")
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
        leg.block(nat.id, "PROTOCOL_RESTRICTION", f"{_named(nat.id, nat.name)} passes TCP, UDP and ICMP only")
        if not taken:
            return False
    return True


def _peering(leg: Leg, place: Place, route: Route) -> None:
    """Over a VPC peering: active, not transitive, to addresses of the other VPC (facts 6.8)."""
    network = leg.network
    peering = network.peerings.get(route.target)
    if peering is None:
        leg.lacks("VpcPeeringConnections", route.target)
        return
    leg.hop(peering.id, "vpc-peering-connection", name=peering.name)
    if peering.status != "active":
        leg.block(peering.id, "BAD_STATE", f"{_named(peering.id, peering.name)} is {peering.status}, not active")
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


# --- transit gateways


def _transit(leg: Leg, place: Place, route: Route) -> None:
    """Onto a transit gateway: an attachment with a subnet in this zone, its subnet's ACL, its route table (facts 6.9)."""
    network = leg.network
    transit = network.transits.get(route.target)
    if leg.goal.id == route.target:
        leg.hop(route.target, "transit-gateway")
        leg.arrive("edge", route.target, place.vpc)
        return
    if transit is None:
        leg.lacks("TransitGateways", route.target)
        return
    if not network.known("TransitGatewayAttachments"):
        leg.lacks("TransitGatewayAttachments", f"the attachment of {place.vpc} to {transit.id}")
        return
    held = network.vpc_attachments.get((transit.id, place.vpc), ())
    attachment = next((one for one in held if one.state == "available"), held[0] if held else None)
    if attachment is None:
        leg.block(
            transit.id, "UNASSOCIATED_COMPONENT", f"{place.vpc} is not attached to {_named(transit.id, transit.name)}"
        )
        return
    _onto_transit(leg, place, attachment)
    if leg.goal.id == attachment.id:
        leg.arrive("edge", attachment.id, place.vpc)
        return
    leg.hop(transit.id, "transit-gateway", name=transit.name)
    leg.crossed.append(f"tgw:{transit.id}")
    if transit.state != "available":
        leg.block(transit.id, "BAD_STATE", f"{_named(transit.id, transit.name)} is {transit.state}, not available")
    transit_table(leg, attachment, place.subnet.az if place.subnet else "")


def _onto_transit(leg: Leg, place: Place, attachment: Attachment) -> None:
    network = leg.network
    if attachment.subnets is None:
        leg.lacks("TransitGatewayVpcAttachments", f"the subnets of {attachment.id}")
    else:
        subnets = [network.subnets[one] for one in attachment.subnets if one in network.subnets]
        if len(subnets) < len(attachment.subnets):
            leg.lacks("Subnets", f"a subnet of {attachment.id}")
        near = [one for one in subnets if place.subnet and one.az == place.subnet.az]
        for subnet in near[:1]:
            _acl(leg, subnet, False)
        leg.hop(attachment.id, "transit-gateway-attachment", name=attachment.name, vpc=place.vpc, direction="ingress")
        if not near and len(subnets) == len(attachment.subnets):
            zone = place.subnet.az if place.subnet else "this zone"
            leg.block(
                attachment.id,
                "TGW_ROUTE_AZ_RESTRICTION",
                f"{_named(attachment.id, attachment.name)} has no subnet in {zone}, where the packets come from",
                where=place.subnet.id if place.subnet else place.vpc,
            )
    leg.crossed.append(f"tgw-attach:{attachment.id}")
    if attachment.state != "available":
        leg.block(
            attachment.id,
            "BAD_STATE_ATTACHMENT",
            f"{_named(attachment.id, attachment.name)} is {attachment.state}, not available",
        )


def transit_table(leg: Leg, came: Attachment, zone: str) -> None:
    """Look the destination up in the route table that an attachment is associated with."""
    network = leg.network
    if came.table is None:
        leg.lacks("TransitGatewayAttachments", f"the association of {came.id}")
        return
    if not came.table:
        leg.block(
            came.id,
            "TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION",
            f"{_named(came.id, came.name)} is associated with no transit gateway route table, so what it sends is dropped",
        )
        return
    if came.table in network.transit_gaps or came.table not in network.transit_routes:
        why = network.transit_gaps.get(came.table, "its routes were not collected")
        leg.unknowns.append(Unknown("TransitGatewayRoutes", f"{came.table}: {why}", "TGW_RTB_ROUTES_ARE_UNKNOWN"))
        return
    route, unknown = _transit_route(leg, came.table)
    if unknown:
        leg.unknowns.append(
            Unknown(
                "ManagedPrefixListEntries",
                f"the entries of {unknown}, which {came.table} routes by, are not in the snapshot",
                "UNKNOWN_RESOURCE",
            )
        )
        return
    _, destination = leg.who()
    rule = (
        Rule(
            "tgw-route",
            peer=route.text,
            target=route.attachment,
            state=route.state,
            origin="static" if route.static else "propagated",
        )
        if route
        else None
    )
    leg.hop(came.table, "transit-gateway-route-table", rule=rule)
    if route is None:
        leg.block(
            came.table,
            "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT",
            f"transit gateway route table {came.table} has no route to {destination}",
        )
    elif route.state != "active":
        leg.block(
            came.table, "TGW_RTB_BAD_STATE_ROUTE", f"the route {route.text} of {came.table} is a black hole", rule=rule
        )
    else:
        _off_transit(leg, came, route, zone)


def _transit_route(leg: Leg, table: str) -> tuple[TransitRoute | None, str]:
    """The longest match, static before prefix list before propagated (facts 6.9); or the prefix list that is not known."""
    network = leg.network
    spans = leg.asked.spans("destination")
    best: tuple[tuple[int, int], TransitRoute] | None = None
    for route in network.transit_routes[table]:
        if route.prefix_list and route.prefix_list not in network.prefix_lists:
            return None, route.prefix_list
        for family, low, high in (route.block,) if route.block else network.prefix_lists[route.prefix_list]:
            rank = (high - low, 1 if route.prefix_list else 0 if route.static else 2)
            if (
                family == leg.family
                and low <= spans[0][0]
                and spans[-1][1] <= high
                and (best is None or rank < best[0])
            ):
                best = rank, route
    return (best[1] if best else None), ""


def _off_transit(leg: Leg, came: Attachment, route: TransitRoute, zone: str) -> None:
    network = leg.network
    to = network.attachments.get((came.transit, route.attachment))
    if route.attachment == leg.goal.id:
        leg.hop(route.attachment, "transit-gateway-attachment", direction="egress")
        leg.arrive("edge", route.attachment)
        return
    if to is None:
        leg.lacks("TransitGatewayAttachments", route.attachment or f"the attachment of {route.text}")
    elif to.kind == "vpc":
        leave_transit(leg, to, zone)
    elif to.kind == "peering" and (
        far := next(
            (one for (transit, name), one in network.attachments.items() if name == to.id and transit != to.transit),
            None,
        )
    ):
        leg.hop(to.id, "transit-gateway-attachment", name=to.name, direction="egress")
        leg.hop(far.transit, "transit-gateway")
        leg.crossed.append(f"tgw-peering:{to.id}")
        if len(leg.hops) > _HOPS_AT_MOST:
            leg.block(far.transit, "NO_PATH", f"the packets go round in circles through {far.transit}")
            return
        transit_table(leg, far, "")
    else:
        _edge(
            leg,
            to.id,
            "transit-gateway-attachment",
            f"what lies beyond this {to.kind} attachment ({to.resource}) is not modelled",
        )


def leave_transit(leg: Leg, attachment: Attachment, zone: str) -> None:
    """Off a transit gateway into a VPC: the attachment subnet's ACL outbound and its route table (facts 6.3, 6.9)."""
    network = leg.network
    leg.crossed.append(f"tgw-attach:{attachment.id}")
    leg.hop(
        attachment.id, "transit-gateway-attachment", name=attachment.name, vpc=attachment.resource, direction="egress"
    )
    if attachment.state != "available":
        leg.block(
            attachment.id,
            "BAD_STATE_ATTACHMENT",
            f"{_named(attachment.id, attachment.name)} is {attachment.state}, not available",
        )
    if attachment.resource not in network.vpcs:
        leg.lacks("Vpcs", attachment.resource)
        return
    if attachment.subnets is None:
        leg.lacks("TransitGatewayVpcAttachments", f"the subnets of {attachment.id}")
        return
    held = [network.subnets[one] for one in attachment.subnets if one in network.subnets]
    if len(held) < len(attachment.subnets) or not held:
        leg.lacks("Subnets", f"a subnet of {attachment.id}")
        return
    subnet = _landing(leg, attachment, held, zone)
    owner = network.owner(attachment.resource, leg.destination) if leg.destination else None
    if owner and owner.subnet == subnet.id:
        into_vpc(leg, attachment.resource, subnet)  # in the attachment's own subnet no ACL is asked
        return
    _acl(leg, subnet, True)
    route_from(leg, Place(attachment.resource, subnet))


def _landing(leg: Leg, attachment: Attachment, held: Sequence[Subnet], zone: str) -> Subnet:
    """The attachment subnet by which packets come in: that of the zone they left from; else any, when all do the same."""
    near = [one for one in held if one.az == zone]
    if near:
        return near[0]
    network = leg.network
    kinds = {(getattr(acl_for(network, one), "id", ""), getattr(table_for(network, one), "id", "")) for one in held}
    if len(kinds) > 1:
        leg.unknowns.append(
            Unknown(
                attachment.id,
                "which of its subnets the packets come in by, whose network ACLs or route tables differ",
                "UNKNOWN_RESOURCE",
            )
        )
    return held[0]


# --- endpoints, VPN, appliances


def _endpoint(leg: Leg, place: Place, route: Route) -> None:
    """To a gateway endpoint; a Gateway Load Balancer endpoint is not looked behind (facts 6.10)."""
    endpoint = leg.network.endpoints.get(route.target)
    if endpoint is None:
        leg.lacks("VpcEndpoints", route.target)
        return
    leg.hop(endpoint.id, "vpc-endpoint", name=endpoint.name, vpc=endpoint.vpc, outbound=leg.header())
    if endpoint.state != "available":
        leg.block(endpoint.id, "BAD_STATE", f"{_named(endpoint.id, endpoint.name)} is {endpoint.state}, not available")
    if endpoint.kind != "gateway":
        leg.unknowns.append(
            Unknown(
                endpoint.id,
                "what happens behind a Gateway Load Balancer endpoint is not modelled",
                "PATH_THROUGH_GWLB_NOT_CHECKED",
            )
        )
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
            f"{_named(endpoint.id, endpoint.name)} passes TCP and ping only",
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


def _vgw(leg: Leg, place: Place, route: Route) -> None:
    """To a VPN gateway: what its static VPN routes name leaves there; what comes by BGP nobody here has heard (facts 6.12)."""
    network = leg.network
    gateway = network.vgws.get(route.target)
    if gateway is None:
        leg.lacks("VpnGateways", route.target)
        return
    leg.hop(gateway.id, "vpn-gateway", name=gateway.name, vpc=place.vpc, outbound=leg.header())
    leg.crossed.append(f"vgw:{gateway.id}")
    if place.vpc not in gateway.vpcs:
        leg.block(gateway.id, "UNASSOCIATED_COMPONENT", f"{gateway.id} is not attached to {place.vpc}")
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
        _acl(leg, subnet, False)
    _groups(leg, one, False)
    leg.hop(one.id, "network-interface", subnet=one.subnet, vpc=one.vpc, attached_to=one.instance, name=one.name)
    _state(leg, one)
    to = leg.destination
    if one.check and not (to and one.owns(to)):
        leg.block(
            one.id,
            "ENI_SOURCE_DEST_CHECK_RESTRICTION",
            f"{_named(one.id, one.name)} has its source/destination check on, so it drops packets that are not addressed to it",
            where=one.subnet,
        )
    _instance(leg, one, outbound=False)
    leg.unknowns.append(
        Unknown(
            one.instance or one.id, "what this appliance does with the packets is not modelled", "UNSUPPORTED_COMPONENT"
        )
    )


_GATEWAYS: dict[str, Callable[[Leg, Place, Route], None]] = {
    "igw": _igw,
    "eigw": _eigw,
    "nat": _nat,
    "pcx": _peering,
    "tgw": _transit,
    "vpce": _endpoint,
    "vgw": _vgw,
    "eni": _appliance,
    "i": _appliance,
}


# --- in from outside


def from_internet(leg: Leg, vpc: str, gateway: str = "") -> None:
    """In by the VPC's internet gateway: public address to private, the gateway's own route table, then into the VPC."""
    network = leg.network
    if vpc not in network.vpcs:
        leg.lacks("Vpcs", vpc)
        return
    if not network.known("InternetGateways", network.vpcs[vpc].scope):
        leg.lacks("InternetGateways", f"the internet gateway of {vpc}")
        return
    held = sorted(one.id for one in network.igws.values() if vpc in one.vpcs)
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
        _public_access(leg, vpc, subnet, inbound=True, direct=True, gateway=igw or vpc)
        if target.deny_igw:
            leg.block(
                target.id,
                "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
                f"{_named(target.id, target.name)} denies everything that comes by an internet gateway",
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
        if network.known("NetworkInterfaces"):
            leg.block(
                igw,
                "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
                f"{leg.who()[1]} is no public address of an interface in {vpc}",
                direction="ingress",
            )
        else:
            leg.lacks("NetworkInterfaces", f"the interface with the address {leg.who()[1]}")
        return None
    if to and to[0] == 4 and leg.forward:  # of replies the way there has said it already
        leg.block(
            one_or_none.id,
            "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
            f"{_named(one_or_none.id, one_or_none.name)} has no public address there, so the internet cannot send to it",
            direction="ingress",
            where=igw,
        )
    return one_or_none


def _edge_table(leg: Leg, vpc: str, gateway: str) -> None:
    """The gateway's own route table, if it has one, else straight into the VPC (VPC guide, gateway-route-tables)."""
    network = leg.network
    if not network.known("RouteTables", network.vpcs[vpc].scope):
        leg.lacks("RouteTables", f"the gateway route table of {gateway}")
        return
    table = network.table_of.get(gateway)
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
        if to and leg.network.owner(vpc, to) is None and leg.network.known("NetworkInterfaces"):
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
