"""One change of a network's configuration: the request, its reverse, and the snapshot as it would be afterwards. Pure.

`apply` edits the records of a snapshot in the shapes that AWS describes, so that a trace on it is the proof of a change
that nobody has made; `revert` applies the reverse request, and gives back the snapshot as it was.

Requests: botocore's EC2 model. What they do to the describe answers: EC2 API reference; VPC and Transit Gateway guides.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from netkit.core.errors import InputError
from netkit.reach.network.network import network_of
from netkit.reach.network.snapshot import TABLES, Scope, Snapshot

# A route's target: how the id begins, and the member of the request and of the record that holds it.
ROUTE_TARGETS = {
    "igw": "GatewayId",
    "vgw": "GatewayId",
    "nat": "NatGatewayId",
    "pcx": "VpcPeeringConnectionId",
    "tgw": "TransitGatewayId",
    "eigw": "EgressOnlyInternetGatewayId",
    "eni": "NetworkInterfaceId",
}
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
_PEERS = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
Record = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A boto3 call: service, operation and keyword arguments."""

    service: str
    operation: str
    request: Mapping[str, Any]
    region: str = ""

    @property
    def command(self) -> str:
        """The same as a line for the AWS command line."""
        from netkit.core.awscli import aws_command  # it needs botocore, which thinking alone does not

        return aws_command(self.service, self.operation, self.request, self.region)

    def __str__(self) -> str:
        return self.command


@dataclass(frozen=True)
class Change:
    """One change that opens a path.

    component   what changes: a security group, network ACL, route table, attachment, interface, instance, ...
    why         a sentence: which blocker it takes away, and what it lets through
    request     the call; reverse: the call that takes it back
    code        AWS's explanation code of the blocker; leg: forward, or return for the replies
    scope       account and region of the component
    notes       what else a reader should know of it
    """

    component: str
    why: str
    request: Call
    reverse: Call
    code: str = ""
    leg: str = "forward"
    scope: Scope = ("", "")
    notes: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The `aws` line of the change."""
        return self.request.command

    @property
    def undo(self) -> str:
        """The `aws` line that takes it back. The id of an exclusion is AWS's answer, so its line looks it up."""
        if self.reverse.operation != "delete_vpc_block_public_access_exclusion":
            return self.reverse.command
        from netkit.core.awscli import (  # it needs botocore, which thinking alone does not
            Ref,
            aws_command,
            exclusion_lookup,
        )

        named = {"ExclusionId": Ref("", "ExclusionId")}
        subnet, region = str(self.request.request["SubnetId"]), self.reverse.region
        return aws_command(
            self.reverse.service, self.reverse.operation, named, region, fill=lambda _: exclusion_lookup(subnet, region)
        )

    @property
    def key(self) -> str:
        """The request as text: the same change twice has the same key."""
        return f"{self.request.operation} {json.dumps(self.request.request, sort_keys=True)}"

    def __str__(self) -> str:
        return f"{self.component}: {self.why}\n  {self.command}"


def apply(snapshot: Snapshot, change: Change) -> Snapshot:
    """The snapshot as it would be after the change. Raises InputError when what it changes is not in the snapshot."""
    return after(snapshot, change.request)


def revert(snapshot: Snapshot, change: Change) -> Snapshot:
    """The snapshot with the change taken back by its reverse request. Raises InputError as apply() does."""
    return after(snapshot, change.reverse)


def after(snapshot: Snapshot, call: Call) -> Snapshot:
    """The snapshot as it would be after a call. Raises InputError for an operation or component that it does not know."""
    edit = _EDITS.get(call.operation)
    if edit is None:
        raise InputError(f"what {call.operation} does to a snapshot is not known")
    return edit(snapshot, dict(call.request))


def record_of(snapshot: Snapshot, key: str, name: str) -> Record | None:
    """The record of a table that has an id, or None."""
    return next((one for _, one in snapshot.records(key) if one.get(TABLES[key].id) == name), None)


def same_rule(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two permissions of a security group are of the same protocol and ports."""

    def words(rule: Mapping[str, Any]) -> list[Any]:
        ports = [-1 if rule.get(name) is None else rule[name] for name in ("FromPort", "ToPort")]
        return [rule.get("IpProtocol"), *([] if rule.get("IpProtocol") == "-1" else ports)]

    return words(one) == words(other)


def _edited(snapshot: Snapshot, key: str, name: str, edit: Callable[[Record], None]) -> Snapshot:
    """A copy of the snapshot with one record edited; how much of the table was seen stays as it was."""
    member = TABLES[key].id
    tables, found = dict(snapshot.tables), False
    for scope, held in snapshot.tables.items():
        rows = held.get(key, ())
        if not any(row.get(member) == name for row in rows):
            continue
        found = True
        edited = tuple(copy.deepcopy(row) if row.get(member) == name else row for row in rows)
        for row in edited:
            if row.get(member) == name:
                edit(row)
        tables[scope] = {**held, key: edited}
    if not found:
        raise InputError(f"{name} is not in this snapshot", subject=key)
    return replace(snapshot, tables=tables)


# --- security groups


def _authorize(member: str) -> Callable[[Snapshot, Record], Snapshot]:
    """A new permission is kept apart from those that are there, so that taking it back leaves them as they were."""

    def edit(snapshot: Snapshot, request: Record) -> Snapshot:
        added = [{**{kind: [] for kind in _PEERS}, **copy.deepcopy(one)} for one in request["IpPermissions"]]
        return _edited(snapshot, "SecurityGroups", request["GroupId"], lambda record: record[member].extend(added))

    return edit


def _revoke(member: str) -> Callable[[Snapshot, Record], Snapshot]:
    def edit(snapshot: Snapshot, request: Record) -> Snapshot:
        def take(record: Record) -> None:
            for wanted in request["IpPermissions"]:
                _take_out(record[member], wanted)

        return _edited(snapshot, "SecurityGroups", request["GroupId"], take)

    return edit


def _take_out(permissions: list[Record], wanted: Mapping[str, Any]) -> None:
    """Take the peers of a permission out of the last one that has them all; one without peers goes."""
    for place in range(len(permissions) - 1, -1, -1):
        held = permissions[place]
        if not same_rule(held, wanted) or not all(
            has_peer(held, kind, peer) for kind in _PEERS for peer in wanted.get(kind) or ()
        ):
            continue
        for kind in _PEERS:
            gone = [_peer(kind, one) for one in wanted.get(kind) or ()]
            if gone:
                held[kind] = [one for one in held[kind] if _peer(kind, one) not in gone]
        if not any(held.get(kind) for kind in _PEERS):
            del permissions[place]
        return


def has_peer(permission: Mapping[str, Any], kind: str, peer: Mapping[str, Any]) -> bool:
    """Whether a permission names a peer (an item of IpRanges, Ipv6Ranges, PrefixListIds or UserIdGroupPairs)."""
    return _peer(kind, peer) in [_peer(kind, one) for one in permission.get(kind) or ()]


def _peer(kind: str, one: Mapping[str, Any]) -> str:
    name = {"IpRanges": "CidrIp", "Ipv6Ranges": "CidrIpv6", "PrefixListIds": "PrefixListId"}.get(kind, "GroupId")
    return str(one.get(name, ""))


# --- network ACLs


def _create_entry(snapshot: Snapshot, request: Record) -> Snapshot:
    acl = request.pop("NetworkAclId")
    return _edited(snapshot, "NetworkAcls", acl, lambda record: record["Entries"].append(request))


def _delete_entry(snapshot: Snapshot, request: Record) -> Snapshot:
    def take(record: Record) -> None:
        record["Entries"] = [
            one
            for one in record["Entries"]
            if (one["RuleNumber"], bool(one["Egress"])) != (request["RuleNumber"], request["Egress"])
        ]

    return _edited(snapshot, "NetworkAcls", request["NetworkAclId"], take)


# --- routes


def destination_of(route: Mapping[str, Any]) -> str:
    """Where a route record or request leads: a CIDR block or prefix list."""
    return next((str(route[name]) for name in _DESTINATIONS if route.get(name)), "")


def target_of(route: Mapping[str, Any]) -> str:
    """The target of a route record or request."""
    return next((str(route[name]) for name in dict.fromkeys(ROUTE_TARGETS.values()) if route.get(name)), "")


def usable(snapshot: Snapshot, vpc: str, target: str) -> bool:
    """Whether a route of a VPC to this target would be active: it exists, works, and belongs to that VPC."""
    network = network_of(snapshot)
    kind = target.split("-", 1)[0]
    if kind == "igw":
        return target in network.igws and vpc in network.igws[target].vpcs
    if kind == "vgw":
        return target in network.vgws and vpc in network.vgws[target].vpcs
    if kind == "eigw":
        return target in network.eigws and vpc in network.eigws[target].vpcs
    if kind == "nat":
        return target in network.nats and network.nats[target].state == "available"
    if kind == "pcx":
        held = network.peerings.get(target)
        return held is not None and held.status == "active" and held.other(vpc) is not None
    if kind == "tgw":
        return any(one.state == "available" for one in network.vpc_attachments.get((target, vpc), ()))
    return kind == "eni" and target in network.interfaces and network.interfaces[target].status == "in-use"


def _create_route(snapshot: Snapshot, request: Record) -> Snapshot:
    table = request.pop("RouteTableId")
    vpc = network_of(snapshot).tables[table].vpc if table in network_of(snapshot).tables else ""
    state = "active" if usable(snapshot, vpc, target_of(request)) else "blackhole"
    route = {**request, "Origin": "CreateRoute", "State": state}
    return _edited(snapshot, "RouteTables", table, lambda record: record["Routes"].append(route))


def _delete_route(snapshot: Snapshot, request: Record) -> Snapshot:
    gone = destination_of(request)

    def take(record: Record) -> None:
        record["Routes"] = [one for one in record["Routes"] if destination_of(one) != gone]

    return _edited(snapshot, "RouteTables", request["RouteTableId"], take)


def _replace_route(snapshot: Snapshot, request: Record) -> Snapshot:
    table = request.pop("RouteTableId")
    vpc = network_of(snapshot).tables[table].vpc if table in network_of(snapshot).tables else ""
    state = "active" if usable(snapshot, vpc, target_of(request)) else "blackhole"

    def turn(record: Record) -> None:
        for route in record["Routes"]:
            if destination_of(route) == destination_of(request):
                for name in dict.fromkeys(ROUTE_TARGETS.values()):
                    route.pop(name, None)
                route.update(request, State=state)

    return _edited(snapshot, "RouteTables", table, turn)


def prefix_list_of(snapshot: Snapshot, endpoint: str) -> str:
    """The prefix list of a gateway endpoint's service, "" when it is not in the snapshot."""
    network = network_of(snapshot)
    held = network.endpoints.get(endpoint)
    if held is None:
        return ""
    named = next((one for one, label in sorted(network.prefix_names.items()) if label == held.service), "")
    routed = [
        route.prefix_list
        for _, table in sorted(network.tables.items())
        for route in table.routes
        if route.target == endpoint and route.prefix_list
    ]
    return named or next(iter(routed), "")


def _modify_endpoint(snapshot: Snapshot, request: Record) -> Snapshot:
    """ModifyVpcEndpoint writes the route to a gateway endpoint's prefix list into each table, and takes it out."""
    endpoint, prefix_list = request["VpcEndpointId"], prefix_list_of(snapshot, request["VpcEndpointId"])
    added, gone = request.get("AddRouteTableIds") or [], request.get("RemoveRouteTableIds") or []
    route = {"DestinationPrefixListId": prefix_list, "GatewayId": endpoint, "Origin": "CreateRoute", "State": "active"}

    def tables(record: Record) -> None:
        record["RouteTableIds"] = [one for one in record.get("RouteTableIds") or [] if one not in gone] + list(added)

    def routes(record: Record) -> None:
        record["Routes"] = [one for one in record["Routes"] if one.get("GatewayId") != endpoint]

    snapshot = _edited(snapshot, "VpcEndpoints", endpoint, tables)
    for table in added:
        snapshot = _edited(snapshot, "RouteTables", table, lambda record: record["Routes"].append(dict(route)))
    for table in gone:
        snapshot = _edited(snapshot, "RouteTables", table, routes)
    return snapshot


# --- transit gateways


def _associate(snapshot: Snapshot, request: Record) -> Snapshot:
    held = {"TransitGatewayRouteTableId": request["TransitGatewayRouteTableId"], "State": "associated"}
    return _edited(
        snapshot,
        "TransitGatewayAttachments",
        request["TransitGatewayAttachmentId"],
        lambda record: record.update(Association=held),
    )


def _disassociate(snapshot: Snapshot, request: Record) -> Snapshot:
    def take(record: Record) -> None:
        record.pop("Association", None)

    return _edited(snapshot, "TransitGatewayAttachments", request["TransitGatewayAttachmentId"], take)


def _routes_table(snapshot: Snapshot, table: str) -> str:
    """The table of the snapshot that holds a transit gateway route table's static routes."""
    for key in ("TransitGatewayRoutes", "TransitGatewayStaticRoutes"):
        if record_of(snapshot, key, table) is not None:
            return key
    raise InputError(f"the routes of {table} are not in this snapshot")


def _transit_target(snapshot: Snapshot, attachment: str) -> Record:
    held = record_of(snapshot, "TransitGatewayAttachments", attachment) or {}
    return {
        "ResourceId": held.get("ResourceId", ""),
        "TransitGatewayAttachmentId": attachment,
        "ResourceType": held.get("ResourceType", "vpc"),
    }


def _create_transit_route(snapshot: Snapshot, request: Record) -> Snapshot:
    table = request["TransitGatewayRouteTableId"]
    target = _transit_target(snapshot, request["TransitGatewayAttachmentId"])
    route = {
        "DestinationCidrBlock": request["DestinationCidrBlock"],
        "TransitGatewayAttachments": [target],
        "Type": "static",
        "State": "active",
    }
    return _edited(snapshot, _routes_table(snapshot, table), table, lambda record: record["Routes"].append(route))


def _delete_transit_route(snapshot: Snapshot, request: Record) -> Snapshot:
    table, gone = request["TransitGatewayRouteTableId"], request["DestinationCidrBlock"]

    def take(record: Record) -> None:
        record["Routes"] = [
            one
            for one in record["Routes"]
            if (one.get("DestinationCidrBlock"), one.get("Type", "static")) != (gone, "static")
        ]

    return _edited(snapshot, _routes_table(snapshot, table), table, take)


def _propagate(snapshot: Snapshot, request: Record) -> Snapshot:
    table, attachment = request["TransitGatewayRouteTableId"], request["TransitGatewayAttachmentId"]
    target = _transit_target(snapshot, attachment)
    if record_of(snapshot, "TransitGatewayPropagations", table) is not None:
        row = {**target, "State": "enabled"}
        snapshot = _edited(
            snapshot,
            "TransitGatewayPropagations",
            table,
            lambda record: record["TransitGatewayRouteTablePropagations"].append(row),
        )
    if record_of(snapshot, "TransitGatewayRoutes", table) is None:
        return snapshot
    blocks = vpc_blocks(snapshot, str(target["ResourceId"]))

    def add(record: Record) -> None:
        there = {one.get("DestinationCidrBlock") for one in record["Routes"]}
        record["Routes"] += [
            {
                "DestinationCidrBlock": block,
                "TransitGatewayAttachments": [target],
                "Type": "propagated",
                "State": "active",
            }
            for block in blocks
            if block not in there
        ]

    return _edited(snapshot, "TransitGatewayRoutes", table, add)


def vpc_blocks(snapshot: Snapshot, vpc: str) -> list[str]:
    """The IPv4 blocks of a VPC, as its record says."""
    record = record_of(snapshot, "Vpcs", vpc) or {}
    held = [
        str(one["CidrBlock"])
        for one in record.get("CidrBlockAssociationSet") or []
        if one.get("CidrBlockState", {}).get("State", "associated") == "associated"
    ]
    return held or [str(record["CidrBlock"])] * ("CidrBlock" in record)


def _stop_propagation(snapshot: Snapshot, request: Record) -> Snapshot:
    table, attachment = request["TransitGatewayRouteTableId"], request["TransitGatewayAttachmentId"]

    def rows(record: Record) -> None:
        key = "TransitGatewayRouteTablePropagations"
        record[key] = [one for one in record[key] if one.get("TransitGatewayAttachmentId") != attachment]

    def routes(record: Record) -> None:
        record["Routes"] = [
            one
            for one in record["Routes"]
            if one.get("Type") != "propagated"
            or [to.get("TransitGatewayAttachmentId") for to in one.get("TransitGatewayAttachments") or []]
            != [attachment]
        ]

    for key, edit in (("TransitGatewayPropagations", rows), ("TransitGatewayRoutes", routes)):
        if record_of(snapshot, key, table) is not None:
            snapshot = _edited(snapshot, key, table, edit)
    return snapshot


def _modify_attachment(snapshot: Snapshot, request: Record) -> Snapshot:
    added, gone = request.get("AddSubnetIds") or [], request.get("RemoveSubnetIds") or []

    def edit(record: Record) -> None:
        record["SubnetIds"] = [one for one in record["SubnetIds"] if one not in gone] + list(added)

    return _edited(snapshot, "TransitGatewayVpcAttachments", request["TransitGatewayAttachmentId"], edit)


# --- interfaces, instances, Block Public Access


def _check(snapshot: Snapshot, request: Record) -> Snapshot:
    value = request["SourceDestCheck"]["Value"]
    return _edited(
        snapshot,
        "NetworkInterfaces",
        request["NetworkInterfaceId"],
        lambda record: record.update(SourceDestCheck=value),
    )


def _instance_state(name: str, code: int) -> Callable[[Snapshot, Record], Snapshot]:
    def edit(snapshot: Snapshot, request: Record) -> Snapshot:
        for wanted in request["InstanceIds"]:
            holder = next(
                (
                    one["ReservationId"]
                    for _, one in snapshot.records("Reservations")
                    if wanted in [held["InstanceId"] for held in one["Instances"]]
                ),
                None,
            )
            if holder is None:
                raise InputError(f"{wanted} is not in this snapshot", subject="Reservations")

            def state(record: Record, wanted: str = wanted) -> None:
                for held in record["Instances"]:
                    if held["InstanceId"] == wanted:
                        held["State"] = {"Code": code, "Name": name} if "Code" in held["State"] else {"Name": name}

            snapshot = _edited(snapshot, "Reservations", holder, state)
        return snapshot

    return edit


def exclusion_id(resource: str) -> str:
    """The id that stands for an exclusion from Block Public Access that AWS has not made yet."""
    return f"vpcbpa-exclude-of-{resource}"


def _exclude(snapshot: Snapshot, request: Record) -> Snapshot:
    resource = str(request.get("SubnetId") or request.get("VpcId"))
    place = next(
        (
            scope
            for key in ("Subnets", "Vpcs")
            for scope, one in snapshot.records(key)
            if one.get(TABLES[key].id) == resource
        ),
        None,
    )
    if place is None:
        raise InputError(f"{resource} is not in this snapshot", subject="Subnets")
    made = {
        "ExclusionId": exclusion_id(resource),
        "InternetGatewayExclusionMode": request["InternetGatewayExclusionMode"],
        "ResourceArn": f"arn:aws:ec2:{place[1]}:{place[0]}:{'subnet' if resource.startswith('subnet-') else 'vpc'}/{resource}",
        "State": "create-complete",
    }
    key = "VpcBlockPublicAccessExclusions"
    held = snapshot.tables[place]
    return replace(snapshot, tables={**snapshot.tables, place: {**held, key: (*held.get(key, ()), made)}})


def _include(snapshot: Snapshot, request: Record) -> Snapshot:
    key, tables = "VpcBlockPublicAccessExclusions", dict(snapshot.tables)
    for scope, held in snapshot.tables.items():
        if key in held:
            kept = tuple(one for one in held[key] if one.get("ExclusionId") != request["ExclusionId"])
            tables[scope] = {**held, key: kept}
    return replace(snapshot, tables=tables)


_EDITS: dict[str, Callable[[Snapshot, Record], Snapshot]] = {
    "authorize_security_group_ingress": _authorize("IpPermissions"),
    "authorize_security_group_egress": _authorize("IpPermissionsEgress"),
    "revoke_security_group_ingress": _revoke("IpPermissions"),
    "revoke_security_group_egress": _revoke("IpPermissionsEgress"),
    "create_network_acl_entry": _create_entry,
    "delete_network_acl_entry": _delete_entry,
    "create_route": _create_route,
    "delete_route": _delete_route,
    "replace_route": _replace_route,
    "modify_vpc_endpoint": _modify_endpoint,
    "associate_transit_gateway_route_table": _associate,
    "disassociate_transit_gateway_route_table": _disassociate,
    "create_transit_gateway_route": _create_transit_route,
    "delete_transit_gateway_route": _delete_transit_route,
    "enable_transit_gateway_route_table_propagation": _propagate,
    "disable_transit_gateway_route_table_propagation": _stop_propagation,
    "modify_transit_gateway_vpc_attachment": _modify_attachment,
    "modify_network_interface_attribute": _check,
    "start_instances": _instance_state("running", 16),
    "stop_instances": _instance_state("stopped", 80),
    "create_vpc_block_public_access_exclusion": _exclude,
    "delete_vpc_block_public_access_exclusion": _include,
}
OPERATIONS = tuple(_EDITS)
