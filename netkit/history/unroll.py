"""A snapshot brought to another time by the trail's writes: played on from it, or undone backwards. Pure.

Each write is one edit of the records that it names. What a write does not say of itself (the target of a route that was deleted, the rule behind a
number) is taken from another snapshot that still holds it; where none does, the table that it touched is marked as not known, so that a
verdict on it is UNKNOWN and never a guess. Source of each event's members: CloudTrail's records of the EC2, ELB, Route 53 API operations, whose
requestParameters follow the API Reference.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netkit.history.trail import Write
from netkit.reach.network.snapshot import Snapshot

Record = dict[str, Any]
Edit = Callable[[Record], Record | None]


@dataclass(frozen=True)
class Unrolled:
    """A snapshot of another time. done: the writes that were played or undone; open: those that could not be, with the table now unknown."""

    snapshot: Snapshot
    done: tuple[Write, ...] = ()
    open: tuple[tuple[Write, str], ...] = ()


def played(snapshot: Snapshot, writes: Iterable[Write]) -> Unrolled:
    """The snapshot as it was after these writes, which come in order of time."""
    return _unroll(snapshot, [one for one in writes if not one.refused], None, forward=True)


def undone(snapshot: Snapshot, writes: Sequence[Write], reference: Snapshot | None = None) -> Unrolled:
    """The snapshot as it was before these writes (in order of time; undone newest first).

    reference: a snapshot of before, from which comes what a write does not say of what it took away
    """
    return _unroll(snapshot, [one for one in reversed(writes) if not one.refused], reference, forward=False)


def _unroll(snapshot: Snapshot, writes: Sequence[Write], reference: Snapshot | None, *, forward: bool) -> Unrolled:
    done: list[Write] = []
    unknown: list[tuple[Write, str]] = []
    held = snapshot
    for write in writes:
        if write.event not in TOUCHES:
            continue
        try:
            sole = sum(TOUCHES.get(one.event) == TOUCHES[write.event] for one in writes) == 1
            whole = TOUCHES[write.event] in _WHOLE
            changes = list(_changes(write, held, reference if sole or not whole else None, forward))
        except (KeyError, TypeError, ValueError, AttributeError):
            changes = [None]
        if not changes or None in changes:
            held = _unknown(held, TOUCHES[write.event])
            unknown.append((write, TOUCHES[write.event]))
            continue
        for one in changes:
            if one is not None:
                held = _edited(held, *one)
        done.append(write)
    return Unrolled(held, tuple(done), tuple(unknown))


# Event -> the table that it touches (the one that is unknown where the write cannot be followed).
TOUCHES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "AuthorizeSecurityGroupIngress",
            "RevokeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "RevokeSecurityGroupEgress",
        ),
        "SecurityGroups",
    ),
    **dict.fromkeys(
        ("CreateNetworkAclEntry", "DeleteNetworkAclEntry", "ReplaceNetworkAclEntry", "ReplaceNetworkAclAssociation"),
        "NetworkAcls",
    ),
    **dict.fromkeys(
        (
            "CreateRoute",
            "DeleteRoute",
            "ReplaceRoute",
            "AssociateRouteTable",
            "DisassociateRouteTable",
            "ReplaceRouteTableAssociation",
        ),
        "RouteTables",
    ),
    **dict.fromkeys(
        ("CreateTransitGatewayRoute", "DeleteTransitGatewayRoute", "ReplaceTransitGatewayRoute"), "TransitGatewayRoutes"
    ),
    **dict.fromkeys(
        ("AssociateTransitGatewayRouteTable", "DisassociateTransitGatewayRouteTable"), "TransitGatewayAttachments"
    ),
    **dict.fromkeys(
        ("EnableTransitGatewayRouteTablePropagation", "DisableTransitGatewayRouteTablePropagation"),
        "TransitGatewayRoutes",
    ),
    **dict.fromkeys(
        ("DeleteVpcPeeringConnection", "RejectVpcPeeringConnection", "AcceptVpcPeeringConnection"),
        "VpcPeeringConnections",
    ),
    **dict.fromkeys(
        ("AssociateAddress", "DisassociateAddress", "ModifyNetworkInterfaceAttribute"), "NetworkInterfaces"
    ),
    **dict.fromkeys(("StopInstances", "StartInstances", "TerminateInstances"), "Reservations"),
    **dict.fromkeys(("AssociateVPCWithHostedZone", "DisassociateVPCFromHostedZone"), "HostedZonesByVpc"),
    "ModifyVpcEndpoint": "VpcEndpoints",
    "ModifyVpcBlockPublicAccessOptions": "VpcBlockPublicAccessOptions",
    "DeleteListener": "LoadBalancerListeners",
    "ModifyListenerAttributes": "ListenerAttributes",
    "ModifyTransitGatewayVpcAttachment": "TransitGatewayVpcAttachments",
    # CloudTrail keeps no rules of these: only a snapshot from before has them.
    **dict.fromkeys(("CreateRuleGroup", "UpdateRuleGroup", "DeleteRuleGroup"), "FirewallRuleGroups"),
    **dict.fromkeys(("CreateFirewallPolicy", "UpdateFirewallPolicy", "DeleteFirewallPolicy"), "FirewallPolicies"),
    "AssociateFirewallPolicy": "Firewalls",
}

# Tables of which a write does not say what it changed: the record from before is the reference's, if no other write came between.
_WHOLE = {"FirewallRuleGroups", "FirewallPolicies", "Firewalls"}

Change = tuple[str, str, str, Edit]  # table, member that is the id, id, edit


def _changes(write: Write, held: Snapshot, reference: Snapshot | None, forward: bool) -> Iterator[Change | None]:
    request = write.request.get(f"{write.event}Request", write.request)
    maker = _MAKERS.get(write.event)
    if maker is None:
        yield None
        return
    yield from maker(request, _Turn(held, reference, forward))


@dataclass(frozen=True)
class _Turn:
    """Which way a write is followed, and where to look for what it does not say."""

    held: Snapshot
    reference: Snapshot | None
    forward: bool

    def missing(
        self, table: str, member: str, name: str, inner: str, same: Callable[[Mapping[str, Any]], bool]
    ) -> Record | None:
        """The entry of a list that a write took away, as the reference still holds it."""
        for _, record in self.reference.records(table) if self.reference else ():
            if record.get(member) == name:
                return next((copy.deepcopy(dict(one)) for one in record.get(inner) or () if same(one)), None)
        return None


def _items(value: Any) -> list[Any]:
    """A list as CloudTrail writes it: {"items": [...]}, or a list."""
    held = value.get("items", []) if isinstance(value, Mapping) else value
    return list(held or [])


def _listed(
    table: str, member: str, name: str, inner: str, add: Sequence[Record], drop: Callable[[Mapping[str, Any]], bool]
) -> Change:
    """An edit of a list within a record: entries dropped, then entries added."""

    def edit(record: Record) -> Record:
        kept = [one for one in record.get(inner) or () if not drop(one)]
        return {**record, inner: [*kept, *copy.deepcopy(list(add))]}

    return table, member, name, edit


def _never(_: Mapping[str, Any]) -> bool:
    return False


# ------------------------------------------------------------------------------------------------------------- security groups


def _permissions(request: Mapping[str, Any]) -> list[Record]:
    """ipPermissions as DescribeSecurityGroups has them; a request with the older flat members is one permission."""
    given = _items(request.get("ipPermissions")) or [request]
    made = []
    for one in given:
        made.append(
            {
                "IpProtocol": str(one.get("ipProtocol", "-1")),
                **({"FromPort": one["fromPort"], "ToPort": one["toPort"]} if "fromPort" in one else {}),
                "IpRanges": [{"CidrIp": each["cidrIp"]} for each in _items(one.get("ipRanges"))]
                + ([{"CidrIp": one["cidrIp"]}] if "cidrIp" in one else []),
                "Ipv6Ranges": [{"CidrIpv6": each["cidrIpv6"]} for each in _items(one.get("ipv6Ranges"))],
                "UserIdGroupPairs": [
                    {"GroupId": each["groupId"], "UserId": each.get("userId", "")} for each in _items(one.get("groups"))
                ],
                "PrefixListIds": [{"PrefixListId": each["prefixListId"]} for each in _items(one.get("prefixListIds"))],
            }
        )
    return made


_PEERS = (
    ("IpRanges", "CidrIp"),
    ("Ipv6Ranges", "CidrIpv6"),
    ("UserIdGroupPairs", "GroupId"),
    ("PrefixListIds", "PrefixListId"),
)


def _same_ports(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (str(one.get("IpProtocol")), one.get("FromPort"), one.get("ToPort")) == (
        str(other.get("IpProtocol")),
        other.get("FromPort"),
        other.get("ToPort"),
    )


def _taken_away(held: Sequence[Mapping[str, Any]], gone: Sequence[Record]) -> list[Record]:
    """Permissions without the peers of others, permissions without any peer left out."""
    kept = []
    for one in held:
        left = {**one}
        for other in gone:
            if _same_ports(one, other):
                for name, member in _PEERS:
                    dead = {each.get(member) for each in other.get(name) or ()}
                    left[name] = [each for each in left.get(name) or () if each.get(member) not in dead]
        if any(left.get(name) for name, _ in _PEERS):
            kept.append(left)
    return kept


def _group(direction: str, adds: bool) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        rules = _permissions(request)

        def edit(record: Record) -> Record:
            held = _taken_away(record.get(direction) or (), rules)
            return {**record, direction: [*held, *copy.deepcopy(rules)] if adds == turn.forward else held}

        yield "SecurityGroups", "GroupId", str(request["groupId"]), edit

    return make


# ---------------------------------------------------------------------------------------------------------------- network ACLs


def _entry(request: Mapping[str, Any]) -> Record:
    made: Record = {
        "RuleNumber": int(request["ruleNumber"]), "Egress": bool(request["egress"]), "RuleAction": str(request["ruleAction"]),
        "Protocol": str(request["aclProtocol"]),
    }  # fmt: skip
    made |= {"CidrBlock": request["cidrBlock"]} if request.get("cidrBlock") else {}
    made |= {"Ipv6CidrBlock": request["ipv6CidrBlock"]} if request.get("ipv6CidrBlock") else {}
    ports, kind = request.get("portRange") or {}, request.get("icmpTypeCode") or {}
    made |= {"PortRange": {"From": ports["from"], "To": ports["to"]}} if ports else {}
    made |= {"IcmpTypeCode": {"Type": kind["type"], "Code": kind["code"]}} if kind else {}
    return made


def _acl(event: str) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        name, number, egress = str(request["networkAclId"]), int(request["ruleNumber"]), bool(request["egress"])

        def same(one: Mapping[str, Any]) -> bool:
            return int(one.get("RuleNumber", 0)) == number and bool(one.get("Egress")) == egress

        add: list[Record] = []
        if event != "DeleteNetworkAclEntry" and turn.forward:
            add = [_entry(request)]
        elif event != "CreateNetworkAclEntry" and not turn.forward:
            before = turn.missing("NetworkAcls", "NetworkAclId", name, "Entries", same)
            if before is None:
                yield None
                return
            add = [before]
        yield _listed("NetworkAcls", "NetworkAclId", name, "Entries", add, same)

    return make


# --------------------------------------------------------------------------------------------------------------------- routes


_TARGETS = {
    "gatewayId": "GatewayId", "natGatewayId": "NatGatewayId", "transitGatewayId": "TransitGatewayId", "networkInterfaceId": "NetworkInterfaceId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId", "vpcEndpointId": "GatewayId", "instanceId": "InstanceId",
    "egressOnlyInternetGatewayId": "EgressOnlyInternetGatewayId",
}  # fmt: skip
_DESTINATIONS = {
    "destinationCidrBlock": "DestinationCidrBlock", "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock", "destinationPrefixListId": "DestinationPrefixListId",
}  # fmt: skip


def _route(event: str) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        table = str(request["routeTableId"])
        where = {ours: request[theirs] for theirs, ours in _DESTINATIONS.items() if request.get(theirs)}
        target = {ours: request[theirs] for theirs, ours in _TARGETS.items() if request.get(theirs)}

        def same(one: Mapping[str, Any]) -> bool:
            return all(one.get(member) == value for member, value in where.items())

        add: list[Record] = []
        if event != "DeleteRoute" and turn.forward:
            add = [{**where, **target, "State": "active", "Origin": "CreateRoute"}]
        elif event != "CreateRoute" and not turn.forward:
            before = turn.missing("RouteTables", "RouteTableId", table, "Routes", same)
            if before is None:
                yield None
                return
            add = [before]
        yield _listed("RouteTables", "RouteTableId", table, "Routes", add, same)

    return make


def _disassociate(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
    """An association of a subnet taken away: the main table counts from then on."""
    name = str(request["associationId"])
    side = turn.held if turn.forward else turn.reference
    found = [
        (str(record["RouteTableId"]), one)
        for _, record in (side.records("RouteTables") if side else ())
        for one in record.get("Associations") or ()
        if one.get("RouteTableAssociationId") == name
    ]
    if not found:
        yield None
        return
    table, association = found[0]
    add = [] if turn.forward else [dict(association)]
    yield _listed(
        "RouteTables",
        "RouteTableId",
        table,
        "Associations",
        add,
        lambda one: one.get("RouteTableAssociationId") == name,
    )


def _transit_route(event: str) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        table = str(_either(request, "transitGatewayRouteTableId"))
        block = str(_either(request, "destinationCidrBlock"))

        def same(one: Mapping[str, Any]) -> bool:
            return one.get("DestinationCidrBlock") == block and one.get("Type", "static") == "static"

        add: list[Record] = []
        if event != "DeleteTransitGatewayRoute" and turn.forward:
            hole = str(_either(request, "blackhole")).lower() == "true"
            name = str(_either(request, "transitGatewayAttachmentId") or "")
            resource = _resource_of(turn.held, name)
            ends = (
                [{"TransitGatewayAttachmentId": name, "ResourceId": resource, "ResourceType": "vpc"}]
                if name and not hole
                else []
            )
            add = [
                {
                    "DestinationCidrBlock": block,
                    "Type": "static",
                    "State": "blackhole" if hole else "active",
                    "TransitGatewayAttachments": ends,
                }
            ]
        elif event != "CreateTransitGatewayRoute" and not turn.forward:
            before = turn.missing("TransitGatewayRoutes", "TransitGatewayRouteTableId", table, "Routes", same)
            if before is None:
                yield None
                return
            add = [before]
        yield _listed("TransitGatewayRoutes", "TransitGatewayRouteTableId", table, "Routes", add, same)

    return make


def _either(request: Mapping[str, Any], name: str) -> Any:
    """A member by its name, whatever the case of its first letter: CloudTrail writes transit gateways' with a capital."""
    return request.get(name, request.get(name[:1].upper() + name[1:]))


def _resource_of(held: Snapshot, attachment: str) -> str:
    return next(
        (
            str(one.get("ResourceId", ""))
            for _, one in held.records("TransitGatewayAttachments")
            if one.get("TransitGatewayAttachmentId") == attachment
        ),
        "",
    )


def _association(associates: bool) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        table, name = (
            str(_either(request, "transitGatewayRouteTableId")),
            str(_either(request, "transitGatewayAttachmentId")),
        )

        def edit(record: Record) -> Record:
            if associates == turn.forward:
                return {**record, "Association": {"TransitGatewayRouteTableId": table, "State": "associated"}}
            return {member: value for member, value in record.items() if member != "Association"}

        yield "TransitGatewayAttachments", "TransitGatewayAttachmentId", name, edit

    return make


def _propagation(enables: bool) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        table, name = (
            str(_either(request, "transitGatewayRouteTableId")),
            str(_either(request, "transitGatewayAttachmentId")),
        )
        vpc = _resource_of(turn.held, name)
        blocks = [
            str(one.get("CidrBlock"))
            for _, record in turn.held.records("Vpcs")
            if record.get("VpcId") == vpc
            for one in record.get("CidrBlockAssociationSet") or [record]
        ]
        ends = [{"TransitGatewayAttachmentId": name, "ResourceId": vpc, "ResourceType": "vpc"}]
        routes = [
            {"DestinationCidrBlock": block, "Type": "propagated", "State": "active", "TransitGatewayAttachments": ends}
            for block in blocks
            if block
        ]

        def of_it(one: Mapping[str, Any]) -> bool:
            return one.get("Type") == "propagated" and any(
                end.get("TransitGatewayAttachmentId") == name for end in one.get("TransitGatewayAttachments") or ()
            )

        here = {"TransitGatewayAttachmentId": name, "ResourceId": vpc, "ResourceType": "vpc", "State": "enabled"}
        add = enables == turn.forward
        yield _listed(
            "TransitGatewayRoutes", "TransitGatewayRouteTableId", table, "Routes", routes if add else [], of_it
        )
        yield _listed(
            "TransitGatewayPropagations", "TransitGatewayRouteTableId", table, "TransitGatewayRouteTablePropagations", [here] if add else [],
            lambda one: one.get("TransitGatewayAttachmentId") == name,
        )  # fmt: skip

    return make


# -------------------------------------------------------------------------------------------------------------------- the rest


def _peering(state: str) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        name = str(request["vpcPeeringConnectionId"])
        code = state if turn.forward else "active" if state != "active" else "pending-acceptance"
        yield (
            "VpcPeeringConnections",
            "VpcPeeringConnectionId",
            name,
            lambda record: {**record, "Status": {"Code": code}},
        )
        routes = "blackhole" if code != "active" else "active"

        def edit(record: Record) -> Record:
            changed = [
                {**one, "State": routes} if one.get("VpcPeeringConnectionId") == name else one
                for one in record.get("Routes") or ()
            ]
            return {**record, "Routes": changed}

        yield "RouteTables", "", "", edit

    return make


def _instances(state: str, before: str) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        names = {str(one["instanceId"]) for one in _items(request.get("instancesSet"))}
        now = state if turn.forward else before

        def edit(record: Record) -> Record:
            changed = [
                {**one, "State": {"Name": now}} if one.get("InstanceId") in names else one
                for one in record.get("Instances") or ()
            ]
            return {**record, "Instances": changed}

        yield "Reservations", "", "", edit

    return make


def _interface(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
    """sourceDestCheck and groups of an interface; what stood before comes from the reference."""
    name = str(request["networkInterfaceId"])
    before = (
        next(
            (one for _, one in turn.reference.records("NetworkInterfaces") if one.get("NetworkInterfaceId") == name),
            None,
        )
        if turn.reference
        else None
    )
    if not turn.forward and before is None:
        yield None
        return
    check, groups = request.get("sourceDestCheck"), [str(one["groupId"]) for one in _items(request.get("groupSet"))]

    def edit(record: Record) -> Record:
        if not turn.forward:
            assert before is not None
            return {
                **record,
                **{
                    member: copy.deepcopy(before[member])
                    for member in ("SourceDestCheck", "Groups")
                    if member in before
                },
            }
        made = dict(record)
        if isinstance(check, (Mapping, bool)):
            made["SourceDestCheck"] = check["value"] if isinstance(check, Mapping) else check
        if groups:
            made["Groups"] = [{"GroupId": one, "GroupName": one} for one in groups]
        return made

    yield "NetworkInterfaces", "NetworkInterfaceId", name, edit


def _endpoint(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
    """Route tables of a gateway endpoint, added and removed; its routes go with them. Other members cannot be followed."""
    asked = request.get("ModifyVpcEndpointRequest", request)
    name = str(_either(asked, "vpcEndpointId"))
    gone, new = _names(asked, "removeRouteTableId"), _names(asked, "addRouteTableId")
    if not gone and not new:
        yield None
        return
    add, drop = (new, gone) if turn.forward else (gone, new)
    yield (
        "VpcEndpoints",
        "VpcEndpointId",
        name,
        lambda record: {
            **record,
            "RouteTableIds": [*(one for one in record.get("RouteTableIds") or () if one not in drop), *add],
        },
    )
    for table in drop:
        yield _listed("RouteTables", "RouteTableId", table, "Routes", [], lambda one: one.get("GatewayId") == name)
    for table in add:
        routes = [
            one
            for _, record in turn.held.records("RouteTables")
            for one in record.get("Routes") or ()
            if one.get("GatewayId") == name
        ]
        before = turn.missing(
            "RouteTables", "RouteTableId", table, "Routes", lambda one: one.get("GatewayId") == name
        ) or (dict(routes[0]) if routes else None)
        yield _listed("RouteTables", "RouteTableId", table, "Routes", [before], _never) if before else None


def _names(request: Mapping[str, Any], name: str) -> list[str]:
    held = _either(request, name)
    if isinstance(held, str):
        return [held]
    if isinstance(held, Mapping) and "content" in held:
        return [str(held["content"])]
    return [str(one.get("content") if isinstance(one, Mapping) else one) for one in _items(held or [])]


def _zone(associates: bool) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        zone, vpc = str(request["hostedZoneId"]), str(request["vPC"]["vPCId"])
        known = [
            one for side in (turn.held, turn.reference) if side for _, record in side.records("HostedZonesByVpc")
            for one in record.get("HostedZoneSummaries") or () if one.get("HostedZoneId") == zone
        ]  # fmt: skip
        add = associates == turn.forward
        if add and not known:
            yield None
            return
        yield _listed(
            "HostedZonesByVpc",
            "VPCId",
            vpc,
            "HostedZoneSummaries",
            [dict(known[0])] if add else [],
            lambda one: one.get("HostedZoneId") == zone,
        )

    return make


def _public_access(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
    asked = request.get("ModifyVpcBlockPublicAccessOptionsRequest", request)
    mode = str(_either(asked, "internetGatewayBlockMode"))
    if not turn.forward:
        before = (
            next(
                (
                    str(one.get("InternetGatewayBlockMode", ""))
                    for _, one in turn.reference.records("VpcBlockPublicAccessOptions")
                ),
                "",
            )
            if turn.reference
            else ""
        )
        if not before:
            yield None
            return
        mode = before
    yield "VpcBlockPublicAccessOptions", "", "", lambda record: {**record, "InternetGatewayBlockMode": mode}
    states = {"InternetGatewayBlockMode": mode}
    for table in ("Vpcs", "Subnets"):
        yield (
            table,
            "",
            "",
            lambda record: (
                {**record, "BlockPublicAccessStates": states} if "BlockPublicAccessStates" in record else record
            ),
        )


def _address(associates: bool) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    """An elastic address taken from its interface; one that is given back needs the reference, or the request's own interface."""

    def make(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        name, public = str(request.get("associationId") or ""), str(request.get("publicIp") or "")
        side = turn.held if associates != turn.forward else turn.reference
        found = [
            (str(record["NetworkInterfaceId"]), one)
            for _, record in (side.records("NetworkInterfaces") if side else ())
            for one in record.get("PrivateIpAddresses") or ()
            if (held := one.get("Association"))
            and (held.get("AssociationId") == name or held.get("PublicIp") == public)
        ]
        if not found:
            yield None
            return
        interface, pair = found[0]
        add = associates == turn.forward

        def edit(record: Record) -> Record:
            pairs = [
                {**one, "Association": pair["Association"]}
                if add
                else {k: v for k, v in one.items() if k != "Association"}
                if one.get("PrivateIpAddress") == pair["PrivateIpAddress"]
                else one
                for one in record.get("PrivateIpAddresses") or ()
            ]
            made = {**record, "PrivateIpAddresses": pairs}
            return (
                {**made, "Association": pair["Association"]}
                if add
                else {k: v for k, v in made.items() if k != "Association"}
            )

        yield "NetworkInterfaces", "NetworkInterfaceId", interface, edit

    return make


def _attributes(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
    name = str(request["listenerArn"])
    given = {str(one["key"]): str(one["value"]) for one in _items(request.get("attributes"))}
    if not turn.forward:
        before = (
            next(
                (one for _, one in turn.reference.records("ListenerAttributes") if one.get("ListenerArn") == name), None
            )
            if turn.reference
            else None
        )
        if before is None:
            yield None
            return
        given = {
            str(one["Key"]): str(one["Value"]) for one in before.get("Attributes") or () if str(one["Key"]) in given
        }
    add = [{"Key": key, "Value": value} for key, value in given.items()]
    yield _listed(
        "ListenerAttributes", "ListenerArn", name, "Attributes", add, lambda one: str(one.get("Key")) in given
    )


def _as_before(table: str, member: str, name: str) -> Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]:
    """A record as the reference has it. name: the request's member with its id."""

    def maker(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
        wanted = str(request.get(name) or "")
        held = [one for _, one in turn.reference.records(table)] if turn.reference and not turn.forward else []
        before = next((dict(one) for one in held if wanted and one.get(member) == wanted), None)
        yield None if before is None else (table, member, wanted, lambda _: before)

    return maker


def _listener(request: Mapping[str, Any], turn: _Turn) -> Iterator[Change | None]:
    name = str(request["listenerArn"])
    if not turn.forward:
        yield None
        return

    def edit(record: Record) -> Record:
        return (
            {**record, "Listeners": [one for one in record.get("Listeners") or () if one.get("ListenerArn") != name]}
            if "Listeners" in record
            else record
        )

    yield "LoadBalancerListeners", "", "", edit


_MAKERS: Mapping[str, Callable[[Mapping[str, Any], _Turn], Iterator[Change | None]]] = {
    "AuthorizeSecurityGroupIngress": _group("IpPermissions", True),
    "RevokeSecurityGroupIngress": _group("IpPermissions", False),
    "AuthorizeSecurityGroupEgress": _group("IpPermissionsEgress", True),
    "RevokeSecurityGroupEgress": _group("IpPermissionsEgress", False),
    **{event: _acl(event) for event in ("CreateNetworkAclEntry", "DeleteNetworkAclEntry", "ReplaceNetworkAclEntry")},
    **{event: _route(event) for event in ("CreateRoute", "DeleteRoute", "ReplaceRoute")},
    "DisassociateRouteTable": _disassociate,
    **{
        event: _transit_route(event)
        for event in ("CreateTransitGatewayRoute", "DeleteTransitGatewayRoute", "ReplaceTransitGatewayRoute")
    },
    "AssociateTransitGatewayRouteTable": _association(True),
    "DisassociateTransitGatewayRouteTable": _association(False),
    "EnableTransitGatewayRouteTablePropagation": _propagation(True),
    "DisableTransitGatewayRouteTablePropagation": _propagation(False),
    "DeleteVpcPeeringConnection": _peering("deleted"),
    "RejectVpcPeeringConnection": _peering("rejected"),
    "AcceptVpcPeeringConnection": _peering("active"),
    "StopInstances": _instances("stopped", "running"),
    "TerminateInstances": _instances("terminated", "running"),
    "StartInstances": _instances("running", "stopped"),
    "ModifyNetworkInterfaceAttribute": _interface,
    "ModifyVpcEndpoint": _endpoint,
    "AssociateVPCWithHostedZone": _zone(True),
    "DisassociateVPCFromHostedZone": _zone(False),
    "ModifyVpcBlockPublicAccessOptions": _public_access,
    "AssociateAddress": _address(True),
    "DisassociateAddress": _address(False),
    "ModifyListenerAttributes": _attributes,
    "DeleteListener": _listener,
    "UpdateRuleGroup": _as_before("FirewallRuleGroups", "RuleGroupArn", "ruleGroupArn"),
    "UpdateFirewallPolicy": _as_before("FirewallPolicies", "FirewallPolicyArn", "firewallPolicyArn"),
    "AssociateFirewallPolicy": _as_before("Firewalls", "FirewallArn", "firewallArn"),
}


def _edited(snapshot: Snapshot, table: str, member: str, name: str, edit: Edit) -> Snapshot:
    """The snapshot with the record of that id (or, without one, every record) of a table edited."""
    held = snapshot
    for scope in snapshot.scopes:
        records = list(snapshot.tables[scope].get(table, ()))
        made = [edit(dict(one)) if not member or one.get(member) == name else one for one in records]
        if made != records:
            held = held.with_records(table, [one for one in made if one is not None], scope)
    return held


def _unknown(snapshot: Snapshot, table: str) -> Snapshot:
    """The snapshot with a table marked as not wholly known: what rests on it is UNKNOWN."""
    rows = tuple(
        replace(row, state="skipped", note="a write on it could not be followed") if row.table == table else row
        for row in snapshot.coverage
    )
    return replace(snapshot, coverage=rows)
