"""What would open one blocker of a path: changes of configuration, narrowest first, or why there is none. Pure.

A rule names the packets that stand at the blocker (after translation), never more: one address, one port, one protocol;
a group of the other end where a reference to it counts (facts 6.2). A route names one address. What would have to be open to
the whole internet is only proposed when asked for (wide), and otherwise said to need a decision.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netkit.core.model import Blocker, Header, Hop, Verdict
from netkit.core.net import ICMP, ICMPV6, NOT_PUBLIC, TCP, UDP, protocol_number
from netkit.core.packets import ANY_PROTOCOL, Box, Packets
from netkit.reach.change.changes import (
    ROUTE_TARGETS,
    Call,
    Change,
    destination_of,
    exclusion_id,
    prefix_list_of,
    record_of,
    target_of,
    usable,
)
from netkit.reach.engine.trace import trace
from netkit.reach.engine.walk import table_for
from netkit.reach.network.ends import End, find_end, which_vpc
from netkit.reach.network.filters import acl_allows
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.records import Interface, address_of, block_of
from netkit.reach.network.snapshot import Scope, Snapshot

BLOCKS_AT_MOST = 8  # an end of more blocks than these is "anywhere"
LAST_NUMBER = 32766
RULES_USUAL, ENTRIES_USUAL = 60, 20  # AWS's default quotas, a direction (VPC guide, amazon-vpc-limits)
_GROUPS_AT_MOST = 2


@dataclass(frozen=True)
class Question:
    """What is asked, as trace() takes it."""

    source: str
    destination: str
    protocol: str | int = "tcp"
    port: int | str | None = None
    source_port: int | str | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    vpc: str = ""

    def ask(self, snapshot: Snapshot) -> Verdict:
        """trace() of it. Raises InputError as trace() does."""
        return trace(snapshot, **self.__dict__)

    def ends(self, network: Network) -> tuple[End, End]:
        """Source and destination as trace() finds them: the VPC may be named by its id, its Name, or something in it."""
        vpc = which_vpc(network, self.vpc)
        source = find_end(network, str(self.source), "source", vpc)
        return source, find_end(network, str(self.destination), "destination", vpc)

    def between(self, source: str, destination: str) -> Question:
        """The same service between other ends."""
        return replace(self, source=source, destination=destination, vpc="")


@dataclass(frozen=True)
class Ways:
    """What would open a blocker: choices, each a list of changes that belong together; else what to decide, or why not."""

    choices: tuple[tuple[Change, ...], ...] = ()
    decide: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Spot:
    """A blocker with the packets that stand there."""

    snapshot: Snapshot
    question: Question
    verdict: Verdict
    blocker: Blocker
    header: Header
    wide: bool
    ends: tuple[End, End] = field(repr=False)  # of this leg: where the packets come from, and where they go

    @property
    def network(self) -> Network:
        """The typed network."""
        return network_of(self.snapshot)

    @property
    def egress(self) -> bool:
        """Whether a filter stops what goes out."""
        return self.blocker.direction == "egress"

    @property
    def peers(self) -> tuple[str, ...]:
        """The addresses at the other end of a filter."""
        return self.header.destination if self.egress else self.header.source

    @property
    def service(self) -> str:
        """The packets in words."""
        ports = ",".join(self.header.destination_ports)
        return f"{self.header.protocol}{'/' + ports if ports else ''}"


def narrow_places(snapshot: Snapshot, verdict: Verdict) -> list[Blocker]:
    """Network ACLs that let replies through to some of the client's ports only, which makes a verdict UNKNOWN."""
    network = network_of(snapshot)
    header: Header | None = None
    found = []
    for hop in verdict.back:
        acl = network.acls.get(hop.component)
        if hop.type == "network-acl" and acl and header:
            packets = _packets(header)
            decision = acl_allows(acl, hop.direction == "egress", packets)
            if not decision.allowed.covers(packets):
                because = f"{acl.id} lets replies through to some of the client's ports only"
                found.append(
                    Blocker(
                        acl.id, hop.direction, "SUBNET_ACL_RESTRICTION", decision.deny, because, "return", hop.subnet
                    )
                )
        header = hop.outbound or hop.inbound or header
    return found


def _packets(header: Header) -> Packets:
    """The packets of a header."""
    number = -1 if header.protocol == "all" else protocol_number(header.protocol)
    protocol = ANY_PROTOCOL if number < 0 else (number, number)
    ports = _span(header.source_ports), _span(header.destination_ports)
    ends = [(block_of(source), block_of(destination)) for source in header.source for destination in header.destination]
    boxes = [Box(protocol, source[1:], destination[1:], *ports) for source, destination in ends]
    return Packets(6 if ":" in header.source[0] else 4, tuple(boxes))


def ways(snapshot: Snapshot, question: Question, verdict: Verdict, blocker: Blocker, *, wide: bool) -> Ways:
    """What would open this blocker of the verdict; with wide also what opens it to the whole internet."""
    find = _WAYS.get(blocker.code)
    if find is None:
        return Ways(reason=_REASONS.get(blocker.code, "no single change of configuration is known to open it"))
    ends = question.ends(network_of(snapshot))
    there = blocker.leg == "forward"
    header = header_at(verdict, blocker)
    if header is None:
        return Ways(reason="the packets that stand there are not known")
    spot = Spot(snapshot, question, verdict, blocker, header, wide, ends if there else (ends[1], ends[0]))
    return find(spot)


# --- the packets at a blocker


def header_at(verdict: Verdict, blocker: Blocker) -> Header | None:
    """The packets as they are at a blocker, by the hops of its leg; of replies that never came about, turned round."""
    hops = verdict.forward if blocker.leg == "forward" else verdict.back
    blocked = [hop for hop in hops if _is_at(hop, blocker) and blocker.code in hop.codes]
    at = next(iter(blocked or [hop for hop in hops if _is_at(hop, blocker)]), None)
    if at is not None:
        # Behind a load balancer the hops say only at the target what its packets are.
        place = next(number for number, hop in enumerate(hops) if hop is at)
        said = [one for later in hops[place:] for one in (later.inbound, later.outbound) if one]
        return _carried(hops[:place]) or next(iter(said), None)
    header = _carried(hops)
    if blocker.leg == "forward" or verdict.back:
        return header
    last = [one for hop in verdict.forward for one in (hop.inbound, hop.outbound) if one]
    return _answered(last[-1]) if last else None


def _carried(hops: Sequence[Hop]) -> Header | None:
    """The packets as they are after some hops; None where the hops do not say."""
    header: Header | None = None
    for hop in hops:
        header = None if hop.type == "load-balancer" else hop.outbound or hop.inbound or header
    return header


def _is_at(hop: Hop, blocker: Blocker) -> bool:
    if hop.component not in (blocker.component, *blocker.components):
        return False
    return blocker.direction in ("", hop.direction) and blocker.where in ("", hop.attached_to, hop.subnet, hop.vpc)


def _answered(header: Header) -> Header:
    return Header(header.protocol, header.destination, header.source, header.destination_ports, header.source_ports)


def _anywhere(texts: Sequence[str]) -> bool:
    """Whether blocks stand for the internet, or for so much that nobody named it."""
    if len(texts) > BLOCKS_AT_MOST:
        return True
    for text in texts:
        block = ipaddress.ip_network(text)
        public = not any(block.version == one.version and block.subnet_of(one) for one in NOT_PUBLIC)  # type: ignore[arg-type]
        if public and block.num_addresses > 2 ** (8 if block.version == 4 else 80):
            return True
    return False


def _blocks(spot: Spot, texts: Sequence[str], what: str) -> tuple[tuple[str, ...], str]:
    """The blocks that a rule or route has to name, or what has to be decided before one can be named."""
    if not texts:
        return (), f"nothing is known of {what}"
    if not _anywhere(texts):
        return tuple(texts), ""
    if spot.wide:
        return ("0.0.0.0/0" if ipaddress.ip_network(texts[0]).version == 4 else "::/0",), ""
    return (), (f"which addresses {what}: ask with one of them as an end, or with wide=True for all that there are")


# --- protocols and ports, as rules say them


def _message(spot: Spot) -> tuple[int, int]:
    """Type and code of an ICMP message, -1 for any: of the question, or of its reply."""
    asked = spot.question
    six = spot.header.protocol == "icmpv6"
    kind = asked.icmp_type if asked.icmp_type is not None else (128 if six else 8)
    code = asked.icmp_code if asked.icmp_code is not None else (0 if asked.icmp_type is None else -1)
    if spot.blocker.leg == "return":
        kind = {8: 0, 128: 129}.get(kind, kind)
    return kind, code


def _span(ports: Sequence[str]) -> tuple[int, int]:
    """The smallest range around some ports; every port where there are none."""
    numbers = [int(one) for text in ports for one in text.split("-")]
    return (min(numbers), max(numbers)) if numbers else (0, 65535)


def _permission(spot: Spot) -> dict[str, Any]:
    """Protocol and ports of a security group rule."""
    if spot.header.protocol == "all":
        return {"IpProtocol": "-1"}
    number = protocol_number(spot.header.protocol)
    if number in (ICMP, ICMPV6):
        kind, code = _message(spot)
        return {"IpProtocol": "icmp" if number == ICMP else "icmpv6", "FromPort": kind, "ToPort": code}
    if number in (TCP, UDP):
        first, last = _span(spot.header.destination_ports)
        return {"IpProtocol": "tcp" if number == TCP else "udp", "FromPort": first, "ToPort": last}
    return {"IpProtocol": str(number)}


def _entry(spot: Spot) -> dict[str, Any]:
    """Protocol and ports of a network ACL entry."""
    if spot.header.protocol == "all":
        return {"Protocol": "-1"}
    number = protocol_number(spot.header.protocol)
    if number in (ICMP, ICMPV6):
        kind, code = _message(spot)
        return {"Protocol": str(number), "IcmpTypeCode": {"Type": kind, "Code": code}}
    if number in (TCP, UDP):
        first, last = _span(spot.header.destination_ports)
        return {"Protocol": str(number), "PortRange": {"From": first, "To": last}}
    return {"Protocol": str(number)}


# --- security groups


def _group_ways(spot: Spot) -> Ways:
    network = spot.network
    near = network.interfaces.get(spot.blocker.where)
    groups = [name for name in spot.blocker.components or (spot.blocker.component,) if name in network.groups]
    if near is None or not groups:
        return Ways(reason="the security group is not in the snapshot")
    carriers = {name: sum(name in one.groups for one in network.interfaces.values()) for name in groups}
    groups.sort(key=lambda name: (carriers[name], name))
    texts, decide = _blocks(spot, spot.peers, "may connect" if not spot.egress else "it may connect to")
    peers: list[str | tuple[str, ...]] = [*_references(spot, near), *([texts] if texts else [])]
    choices = [(_group_change(spot, near, group, peer),) for group in groups[:_GROUPS_AT_MOST] for peer in peers]
    return Ways(tuple(choices), "" if choices else decide)


def _references(spot: Spot, near: Interface) -> list[str]:
    """Groups of the other end that a rule may name: in the same VPC, or over an active peering in the Region (facts 6.2)."""
    network = spot.network
    far = _interface_at(spot, near)
    if far is None or not far.groups:
        return []
    if far.vpc != near.vpc and not any(
        held.status == "active" and {side.vpc for side in held.sides} == {far.vpc, near.vpc} and held.sides[0].region == held.sides[1].region
        for held in network.peerings.values()
    ):  # fmt: skip
        return []
    carriers = {name: sum(name in one.groups for one in network.interfaces.values()) for name in far.groups}
    return [min(far.groups, key=lambda name: (carriers[name], name))]


def _interface_at(spot: Spot, near: Interface) -> Interface | None:
    """The interface with the private address at the other end: one on the path, else one of the same VPC."""
    if len(spot.peers) != 1 or not spot.peers[0].endswith(("/32", "/128")):
        return None
    address = address_of(spot.peers[0].rpartition("/")[0])
    held = spot.network.owners.get(address, ())
    passed = {hop.component for hop in (*spot.verdict.forward, *spot.verdict.back)}
    ranked = sorted(held, key=lambda one: (one.id not in passed, one.vpc != near.vpc, one.id))
    return ranked[0] if ranked else None


def _group_change(spot: Spot, near: Interface, group: str, peer: str | tuple[str, ...]) -> Change:
    permission = _permission(spot)
    if isinstance(peer, str):
        permission["UserIdGroupPairs"] = [_pair(spot, near, peer)]
        whom = f"the members of {peer}"
    else:
        six = ":" in peer[0]
        permission["Ipv6Ranges" if six else "IpRanges"] = [{"CidrIpv6" if six else "CidrIp": text} for text in peer]
        whom = ", ".join(peer)
    way = "egress" if spot.egress else "ingress"
    request = {"GroupId": group, "IpPermissions": [permission]}
    held = spot.network.groups[group]
    notes = []
    if sum(rule.egress == spot.egress for rule in held.rules) >= RULES_USUAL:
        notes.append(f"{group} has {RULES_USUAL} {way} rules or more, which is AWS's default quota")
    if spot.verdict.port and spot.header.destination_ports not in ((), (spot.verdict.port,)):
        notes.append(f"a load balancer sends to another port: what {spot.service} opens besides is not counted")
    name = held.name
    shown = f"{group} ({name})" if name not in ("", group) else group
    why = f"security group {shown} lets {spot.service} {'out to' if spot.egress else 'in from'} {whom}"
    return _change(
        spot, group, why, spot.network.groups[group].scope,
        ("authorize_security_group_" + way, request), ("revoke_security_group_" + way, request), *notes,
    )  # fmt: skip


def _pair(spot: Spot, near: Interface, group: str) -> dict[str, str]:
    """The other end's group; with its account where that is another one."""
    held = [one.owner for one in spot.network.interfaces.values() if group in one.groups and one.owner]
    return {"GroupId": group} | ({"UserId": held[0]} if held and near.owner and held[0] != near.owner else {})


def _change(
    spot: Spot,
    component: str,
    why: str,
    scope: Scope,
    request: tuple[str, Mapping[str, Any]],
    reverse: tuple[str, Mapping[str, Any]],
    *notes: str,
) -> Change:
    region = scope[1]
    return Change(
        component, why, Call("ec2", *request, region), Call("ec2", *reverse, region), spot.blocker.code, spot.blocker.leg, scope, notes,
    )  # fmt: skip


# --- network ACLs


def _acl_ways(spot: Spot) -> Ways:
    record = record_of(spot.snapshot, "NetworkAcls", spot.blocker.component)
    if record is None:
        return Ways(reason="the network ACL is not in the snapshot")
    texts, decide = _blocks(
        spot, spot.peers, "the subnet answers" if spot.blocker.leg == "return" else "may be on the other end"
    )
    if decide:
        return Ways(decide=decide)
    limit = spot.blocker.rule.number if spot.blocker.rule and spot.blocker.rule.number is not None else 32767
    used = {int(one["RuleNumber"]) for one in record["Entries"] if bool(one["Egress"]) == spot.egress}
    numbers = _free_numbers(used, limit, len(texts))
    if len(numbers) < len(texts):
        return Ways(
            reason=f"rule {limit} of {spot.blocker.component} denies it and no number below it is free; renumber its entries first"
        )
    return Ways((tuple(_acl_change(spot, text, number) for text, number in zip(texts, numbers, strict=True)),))


def _free_numbers(used: set[int], limit: int, count: int) -> list[int]:
    """Free rule numbers before an entry: right before it; before the last rule of all, behind the others with room between."""
    if limit > LAST_NUMBER:
        top = max((one for one in used if one <= LAST_NUMBER), default=0)
        spaced = [(top // 10 + step) * 10 for step in range(1, count + 1)]
        if spaced[-1] <= LAST_NUMBER:
            return spaced
    free = [one for one in range(min(limit, LAST_NUMBER + 1) - 1, 0, -1) if one not in used]
    return free[:count]


def _acl_change(spot: Spot, text: str, number: int) -> Change:
    acl = spot.network.acls[spot.blocker.component]
    where = {"NetworkAclId": acl.id, "RuleNumber": number, "Egress": spot.egress}
    rule = {**_entry(spot), "RuleAction": "allow", "Ipv6CidrBlock" if ":" in text else "CidrBlock": text}
    replies = spot.blocker.leg == "return"
    shown = f"{acl.id} ({acl.name})" if acl.name not in ("", acl.id) else acl.id
    why = f"network ACL {shown} lets {'the replies, ' if replies else ''}{spot.service} {'out to' if spot.egress else 'in from'} {text}, by rule {number}"
    notes = [f"it holds for every host of {', '.join(_subnets_of(spot.network, acl.id))}"]
    if sum(one.egress == spot.egress for one in acl.entries) > ENTRIES_USUAL:
        notes.append(f"{acl.id} has {ENTRIES_USUAL} entries or more that way, which is AWS's default quota")
    if replies and spot.header.destination_ports:
        notes.append("a network ACL cannot say from which port: everything to these ports passes")
    return _change(
        spot, acl.id, why, acl.scope, ("create_network_acl_entry", where | rule), ("delete_network_acl_entry", where), *notes
    )  # fmt: skip


def _subnets_of(network: Network, acl: str) -> list[str]:
    held = network.acls[acl]
    if not held.default:
        return sorted(held.subnets)
    return [one.id for one in network.subnets_of.get(held.vpc, ()) if network.acl_of.get(one.id, held).id == acl]


# --- routes


def _route_ways(spot: Spot) -> Ways:
    table = spot.network.tables.get(spot.blocker.component)
    if table is None:  # a VPN gateway that knows no route, or the like
        return _detour_ways(spot)
    if table.gateways:
        return Ways(
            reason=f"{table.id} is a gateway's route table, which leads to interfaces and appliances of its VPC only"
        )
    endpoint = _gateway_endpoint(spot, table.vpc)
    if endpoint:
        return Ways(((_endpoint_change(spot, endpoint),),))
    texts, decide = _blocks(spot, spot.header.destination, "it has to send to")
    if decide:
        return Ways(decide=decide)
    targets = list(_targets(spot, table.vpc))
    choices = tuple(
        made for target in targets if (made := tuple(filter(None, (_route_change(spot, text, target) for text in texts)))) and len(made) == len(texts)
    )  # fmt: skip
    where = "the internet" if _anywhere(spot.header.destination) else ", ".join(spot.header.destination[:2])
    return Ways(choices, reason="" if choices else f"nothing that {table.vpc} is connected to leads to {where}")


def _detour_ways(spot: Spot) -> Ways:
    """The route taken leads to a gateway that does not pass these packets on: a narrower one past it, where there is one.

    As where a default route takes what is for a peered VPC, or replies go out through a NAT gateway.
    """
    reason = _REASONS.get(spot.blocker.code, "") or spot.blocker.because
    hops = spot.verdict.forward if spot.blocker.leg == "forward" else spot.verdict.back
    stop = next((place for place, hop in enumerate(hops) if spot.blocker.code in hop.codes), len(hops))
    # Past a NAT gateway the packets have lost their sender's address; the way round begins before it.
    stop = next((place for place, hop in enumerate(hops[:stop]) if hop.type == "nat-gateway"), stop)
    tables = [hop for hop in hops[:stop] if hop.type == "route-table" and hop.rule and hop.rule.target != "local"]
    found: list[tuple[Change, ...]] = []
    for hop in tables:
        moved = replace(spot, blocker=replace(spot.blocker, component=hop.component, where=hop.subnet, direction=""))
        past = _route_ways(replace(moved, header=_carried(hops[: hops.index(hop)]) or spot.header))
        found += [choice for choice in past.choices if hop.rule and hop.rule.target not in choice[0].command]
    return Ways(tuple(found), reason="" if found else reason)


def _gateway_endpoint(spot: Spot, vpc: str) -> str:
    """A gateway endpoint of this VPC that leads to the destination."""
    network, goal = spot.network, spot.ends[1]
    for one in sorted(network.endpoints.values(), key=lambda endpoint: endpoint.id):
        if one.kind != "gateway" or one.vpc != vpc or one.state != "available":
            continue
        held = network.prefix_lists.get(prefix_list_of(spot.snapshot, one.id), ())
        inside = [
            any(family == low_high[0] and low <= low_high[1] and low_high[2] <= high for family, low, high in held)
            for low_high in map(block_of, spot.header.destination)
        ]
        if goal.id == one.id or (goal.kind in ("address", "internet") and goal.address and all(inside)):
            return one.id
    return ""


def _endpoint_change(spot: Spot, endpoint: str) -> Change:
    table = spot.blocker.component
    held = spot.network.endpoints[endpoint]
    why = f"route table {_shown(spot, table)} leads to {held.service} by the gateway endpoint {endpoint}"
    add, take = ({"VpcEndpointId": endpoint, name: [table]} for name in ("AddRouteTableIds", "RemoveRouteTableIds"))
    return _change(
        spot, endpoint, why, held.scope, ("modify_vpc_endpoint", add), ("modify_vpc_endpoint", take),
        "the endpoint's policy decides which buckets or tables it serves",
    )  # fmt: skip


def _shown(spot: Spot, table: str) -> str:
    name = spot.network.tables[table].name
    return f"{table} ({name})" if name not in ("", table) else table


def _targets(spot: Spot, vpc: str) -> Iterator[str]:
    """What this VPC can send by to get to the destination, the most direct first."""
    network, goal = spot.network, spot.ends[1]
    yield from _towards_end(network, goal, vpc)
    for far in _vpcs_at(spot, vpc):
        for peering in sorted(network.peerings):
            if usable(spot.snapshot, vpc, peering) and far == getattr(network.peerings[peering].other(vpc), "vpc", ""):
                yield peering
        for transit in sorted(network.transits):
            if usable(spot.snapshot, vpc, transit) and (transit, far) in network.vpc_attachments:
                yield transit
    if _is_public(spot.header.destination):
        yield from _to_internet(spot, vpc)


def _towards_end(network: Network, goal: End, vpc: str) -> Iterator[str]:
    if goal.kind in (
        "vpn-gateway",
        "transit-gateway",
        "vpc-peering-connection",
        "internet-gateway",
        "egress-only-internet-gateway",
    ):
        yield goal.id
    if goal.kind == "transit-gateway-attachment":
        yield from (
            transit
            for transit, name in network.attachments
            if name == goal.id and (transit, vpc) in network.vpc_attachments
        )


def _vpcs_at(spot: Spot, vpc: str) -> list[str]:
    """Other VPCs that have the destination's addresses, the one of the question's end first."""
    wanted = [block_of(text) for text in spot.header.destination]
    found = [
        one.id
        for one in spot.network.vpcs.values()
        if one.id != vpc
        and all(any(family == kind and low <= first and last <= high for kind, low, high in one.blocks) for family, first, last in wanted)
    ]  # fmt: skip
    goal = spot.ends[1]
    meant = goal.interface.vpc if goal.interface else goal.id
    return sorted(found, key=lambda one: (one != meant, one))


def _is_public(texts: Sequence[str]) -> bool:
    return not any(
        ipaddress.ip_network(text).version == held.version and ipaddress.ip_network(text).subnet_of(held)  # type: ignore[arg-type]
        for text in texts
        for held in NOT_PUBLIC
    )


def _to_internet(spot: Spot, vpc: str) -> Iterator[str]:
    """By a NAT gateway (in the same zone first) for a host without a public address; else by the internet gateway."""
    network, home = spot.network, spot.ends[0].interface
    six = ":" in spot.header.destination[0]
    if six:
        yield from sorted(one.id for one in network.eigws.values() if vpc in one.vpcs)
    here = network.subnets.get(spot.blocker.where)
    nats = [
        one for one in network.nats.values() if one.vpc == vpc and one.public and one.state == "available" and not six
    ]
    near = {one.id: one.az for one in network.subnets.values()}
    order = sorted(nats, key=lambda one: (here is None or near.get(one.subnet) != here.az, one.id))
    held = sorted(one.id for one in network.igws.values() if vpc in one.vpcs)
    public = home is not None and any(out is not None for _, out in home.pairs)
    by_nat = [one.id for one in order if here is None or one.subnet != here.id] if spot.blocker.leg == "forward" else []
    yield from (*held, *by_nat) if public or spot.blocker.leg == "return" else (*by_nat, *held)


def _route_change(spot: Spot, text: str, target: str) -> Change | None:
    """A route to one block. One to the very same block that leads nowhere is turned to the target."""
    table = spot.network.tables[spot.blocker.component]
    record = record_of(spot.snapshot, "RouteTables", table.id) or {"Routes": []}
    name = "DestinationIpv6CidrBlock" if ":" in text else "DestinationCidrBlock"
    where = {"RouteTableId": table.id, name: text}
    goes = {ROUTE_TARGETS[target.split("-", 1)[0]]: target}
    why = f"route table {_shown(spot, table.id)} sends what is for {text} to {target}"
    there = next((one for one in record["Routes"] if destination_of(one) == text), None)
    if there is None:
        return _change(spot, table.id, why, table.scope, ("create_route", where | goes), ("delete_route", where))
    old = target_of(there)
    members = [member for member in ("InstanceId", *dict.fromkeys(ROUTE_TARGETS.values())) if there.get(member)]
    state = "active" if old and usable(spot.snapshot, table.vpc, old) else "blackhole"
    if len(members) != 1 or members == ["InstanceId"] or there.get("State") != state:
        return None  # it could not be put back as it is
    return _change(
        spot, table.id, f"{why}, and no longer to {old}", table.scope, ("replace_route", where | goes),
        ("replace_route", where | {members[0]: old}), f"AWS may refuse to put {old} back, for it is gone or unusable",
    )  # fmt: skip


# --- transit gateways


def _association_ways(spot: Spot) -> Ways:
    network, attachment = spot.network, spot.blocker.component
    held = next((one for (_, name), one in network.attachments.items() if name == attachment), None)
    tables = sorted(table for table, transit in network.transit_tables.items() if held and transit == held.transit)
    choices = []
    for table in tables:
        request = {"TransitGatewayRouteTableId": table, "TransitGatewayAttachmentId": attachment}
        why = f"what comes by {attachment} is looked up in the transit gateway route table {table}"
        choices.append(
            (_change(
                spot, attachment, why, held.scope if held else ("", ""), ("associate_transit_gateway_route_table", request),
                ("disassociate_transit_gateway_route_table", request), "it holds for everything that comes by this attachment",
            ),)
        )  # fmt: skip
    return Ways(tuple(choices), reason="" if choices else "its transit gateway has no route table in the snapshot")


def _transit_route_ways(spot: Spot) -> Ways:
    network, table = spot.network, spot.blocker.component
    transit = network.transit_tables.get(table, "")
    texts, decide = _blocks(spot, spot.header.destination, "it has to send to")
    if decide:
        return Ways(decide=decide)
    choices: list[tuple[Change, ...]] = []
    for vpc in _vpcs_at(spot, ""):
        for one in network.vpc_attachments.get((transit, vpc), ()):
            choices.append(tuple(_transit_route(spot, table, text, one.id) for text in texts))
            if spot.blocker.code == "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT" and not spot.header.destination[0].count(":"):
                choices.append((_propagation(spot, table, one.id, vpc),))
    usual = {one["DestinationCidrBlock"] for one in _static(spot, table)}
    choices = [
        made for made in choices if not any(one.request.request.get("DestinationCidrBlock") in usual for one in made)
    ]
    where = ", ".join(spot.header.destination[:2])
    return Ways(
        tuple(choices),
        reason="" if choices else f"no VPC with {where} is attached to {transit}, or its own static route drops it",
    )


def _static(spot: Spot, table: str) -> list[dict[str, Any]]:
    record = record_of(spot.snapshot, "TransitGatewayRoutes", table) or record_of(
        spot.snapshot, "TransitGatewayStaticRoutes", table
    )
    return [
        one
        for one in (record or {}).get("Routes", [])
        if one.get("DestinationCidrBlock") and one.get("Type", "static") == "static"
    ]


def _transit_route(spot: Spot, table: str, text: str, attachment: str) -> Change:
    where = {"DestinationCidrBlock": text, "TransitGatewayRouteTableId": table}
    return _change(
        spot, table, f"transit gateway route table {table} sends what is for {text} to {attachment}", _transit_scope(spot, table),
        ("create_transit_gateway_route", where | {"TransitGatewayAttachmentId": attachment}), ("delete_transit_gateway_route", where),
    )  # fmt: skip


def _propagation(spot: Spot, table: str, attachment: str, vpc: str) -> Change:
    request = {"TransitGatewayRouteTableId": table, "TransitGatewayAttachmentId": attachment}
    return _change(
        spot, table, f"transit gateway route table {table} learns the blocks of {vpc} from {attachment}", _transit_scope(spot, table),
        ("enable_transit_gateway_route_table_propagation", request), ("disable_transit_gateway_route_table_propagation", request),
    )  # fmt: skip


def _transit_scope(spot: Spot, table: str) -> Scope:
    return next(
        (
            scope
            for scope, one in spot.snapshot.records("TransitGatewayRouteTables")
            if one["TransitGatewayRouteTableId"] == table
        ),
        ("", ""),
    )


def _zone_ways(spot: Spot) -> Ways:
    network, attachment = spot.network, spot.blocker.component
    here = network.subnets.get(spot.blocker.where)
    held = next((one for (_, name), one in network.attachments.items() if name == attachment), None)
    if here is None or held is None:
        return Ways(reason="the zone of the sender is not known")
    near = [one for one in network.subnets_of.get(here.vpc, ()) if one.az == here.az]
    choices = []
    for subnet in sorted(near, key=lambda one: (one.id != here.id, one.id))[:3]:
        add, take = (
            {"TransitGatewayAttachmentId": attachment, name: [subnet.id]}
            for name in ("AddSubnetIds", "RemoveSubnetIds")
        )
        why = f"the attachment {attachment} gets a subnet in {here.az}, {subnet.id}"
        operation = "modify_transit_gateway_vpc_attachment"
        choices.append((_change(spot, attachment, why, held.scope, (operation, add), (operation, take)),))
    return Ways(tuple(choices))


# --- hosts and the internet's edge


def _check_ways(spot: Spot) -> Ways:
    one = spot.network.interfaces.get(spot.blocker.component)
    if one is None:
        return Ways(reason="the interface is not in the snapshot")
    off, on = ({"NetworkInterfaceId": one.id, "SourceDestCheck": {"Value": value}} for value in (False, True))
    operation = "modify_network_interface_attribute"
    why = f"{one.id} takes packets that are not addressed to it"
    note = "what the appliance does with them is its own affair"
    return Ways(((_change(spot, one.id, why, one.scope, (operation, off), (operation, on), note),),))


def _state_ways(spot: Spot) -> Ways:
    held = spot.network.instances.get(spot.blocker.component)
    if held is None:
        return _detour_ways(spot)
    if held.state != "stopped":
        return Ways(reason=f"{held.id} is {held.state}; only a stopped instance can be started")
    request = {"InstanceIds": [held.id]}
    note = "starting an instance costs money, and it may get another public address if it has no Elastic IP address"
    return Ways(((_change(
        spot, held.id, f"{held.id} runs again", held.scope, ("start_instances", request), ("stop_instances", request), note,
    ),),))  # fmt: skip


def _public_ways(spot: Spot) -> Ways:
    """No public address: out by a NAT gateway instead, to one address; else an Elastic IP address is needed."""
    network = spot.network
    one = network.interfaces.get(spot.blocker.component)
    command = f"aws ec2 allocate-address --domain vpc, then aws ec2 associate-address --network-interface-id {spot.blocker.component} --allocation-id <AllocationId>"
    reason = f"it needs an Elastic IP address, which makes something new that costs money: {command}"
    subnet = network.subnets.get(one.subnet) if one else None
    table = table_for(network, subnet) if subnet else None
    if not _anywhere(spot.header.destination) and not _is_public(spot.header.destination):
        return _detour_ways(spot)
    if one is None or table is None or _anywhere(spot.header.destination):
        return Ways(reason=reason)
    moved = replace(spot, blocker=replace(spot.blocker, component=table.id, where=one.subnet))
    nats = [target for target in _to_internet(moved, one.vpc) if target.startswith("nat-")]
    choices = tuple(
        (made,)
        for target in nats
        for text in spot.header.destination[:1]
        if (made := _route_change(moved, text, target))
    )
    return Ways(choices, reason="" if choices else reason)


def _exclusion_ways(spot: Spot) -> Ways:
    """An exclusion of the subnet at the gateway: for what goes out only where that is enough (facts 6.6)."""
    vpc = spot.blocker.where
    if not spot.wide:
        return Ways(
            decide=f"whether {vpc} may be excluded from VPC Block Public Access: an account's owner turned it on for a reason; wide=True proposes the exclusion"
        )
    hops = spot.verdict.forward
    stop = next((place for place, hop in enumerate(hops) if spot.blocker.code in hop.codes), len(hops))
    before = [hop.subnet for hop in reversed(hops[:stop]) if hop.subnet]  # the NAT gateway's subnet before the host's
    own = [one.interface.subnet for one in spot.ends if one.interface and one.interface.vpc == vpc]
    subnets = [name for name in dict.fromkeys((*before, *own)) if name in spot.network.subnets]
    modes = ("allow-egress", "allow-bidirectional") if spot.egress else ("allow-bidirectional",)
    choices = tuple((_exclusion(spot, name, mode),) for mode in modes for name in subnets)
    return Ways(choices, reason="" if choices else "the subnet to be excluded is not known")


def _exclusion(spot: Spot, name: str, mode: str) -> Change:
    request = {"SubnetId": name, "InternetGatewayExclusionMode": mode}
    return _change(
        spot, name, f"{name} is excluded from VPC Block Public Access ({mode})", spot.network.subnets[name].scope,
        ("create_vpc_block_public_access_exclusion", request),
        ("delete_vpc_block_public_access_exclusion", {"ExclusionId": exclusion_id(name)}),
        "the id of the exclusion is AWS's answer; the line that takes it back looks it up",
    )  # fmt: skip


_WAYS: dict[str, Callable[[Spot], Ways]] = {
    "ENI_SG_RULES_MISMATCH": _group_ways,
    "SG_HAS_NO_RULES": _group_ways,
    "SG_REFERENCES_NOT_PRESERVED": _group_ways,
    "SG_REFERENCING_SUPPORT": _group_ways,
    "SUBNET_ACL_RESTRICTION": _acl_ways,
    "NO_ROUTE_TO_DESTINATION": _route_ways,
    "BAD_STATE_ROUTE": _route_ways,
    "TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION": _association_ways,
    "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT": _transit_route_ways,
    "TGW_RTB_BAD_STATE_ROUTE": _transit_route_ways,
    "TGW_ROUTE_AZ_RESTRICTION": _zone_ways,
    "ENI_SOURCE_DEST_CHECK_RESTRICTION": _check_ways,
    "BAD_STATE": _state_ways,
    "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS": _public_ways,
    "IGW_DESTINATION_ADDRESS_IN_VPC_CIDRS": _detour_ways,
    "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS": _detour_ways,
    "IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS": _detour_ways,
    "NGW_SOURCE_ADDRESS_REASSIGN": _detour_ways,
    "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR": _detour_ways,
    "UNASSOCIATED_COMPONENT": _detour_ways,
    "BAD_STATE_ATTACHMENT": _detour_ways,
    "VPC_BLOCK_PUBLIC_ACCESS_ENABLED": _exclusion_ways,
}
_REASONS = {
    "NO_POSSIBLE_DESTINATION": "no host that could answer is where the packets arrive",
    "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR": "a peering carries only what its own two VPCs send each other; the two ends need a peering or a transit gateway of their own",
    "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS": "the interface needs an Elastic IP address, which makes something new that costs money: aws ec2 allocate-address, then aws ec2 associate-address",
    "IGW_DESTINATION_ADDRESS_IN_VPC_CIDRS": "an internet gateway passes on public addresses only",
    "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS": "an internet gateway passes on public addresses only",
    "IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS": "an internet gateway passes on public addresses only",
    "UNASSOCIATED_COMPONENT": "the gateway has to be attached to the VPC, which is a change of design and not of a rule",
    "BAD_STATE_ATTACHMENT": "the attachment has to be accepted or made again",
    "NGW_REQUIRES_SOURCE_IN_VPC": "a NAT gateway serves its own VPC only",
    "NGW_SOURCE_ADDRESS_REASSIGN": "the replies are routed through a NAT gateway; which way they should take is a decision about the routes",
    "PROTOCOL_RESTRICTION": "a NAT gateway passes TCP, UDP and ICMP only",
    "VPCE_GATEWAY_PROTOCOL_RESTRICTION": "a gateway endpoint passes TCP and ping only",
    "VPCE_GATEWAY_EGRESS_SOURCE_ADDRESS_RESTRICTION": "a gateway endpoint serves its own VPC only",
    "VPCE_INTRA_VPC_TRAFFIC": "an endpoint never begins a connection",
    "ENI_ADDRESS_RESTRICTION": "the two ends have no address family in common",
    "ELBV2_LISTENERS_MISMATCH": "the load balancer needs a listener, which is a decision about the service",
    "ELBV2_LISTENER_HAS_NO_TG": "the load balancer's listener needs targets",
    "ELBV2_LISTENER_REQUIRES_TG_ACCEPT": "the load balancer's listener needs a target group",
    "ELBV2_SOURCE_ADDRESS_PRESERVATION": "a target cannot be its own client while client addresses are kept: switch preserve_client_ip.enabled off, or register another target",
    "TGW_BAD_STATE_VPN": "the tunnels of the VPN connection have to come up, which is looked for at the customer gateway",
    "ELB_NOT_CROSSZONE": "the load balancer needs a target in that zone, or cross-zone load balancing",
    "VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS": "a VPN gateway passes only what interfaces of its own VPC send",
    "VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS": "a VPN gateway passes only what is for interfaces of its own VPC",
    "NO_ROUTE_TO_DESTINATION": "its VPN or Direct Connect peer has to announce the destination",
    "NO_PATH": "the routes lead in a circle, or away from the destination",
}
