"""From one record of AWS's, as a describe call answers it, to a typed value: every reader takes the record and its scope. Pure.

A record that lacks a member that AWS always sends, or has one of another form, raises KeyError, TypeError, ValueError or
AttributeError: the caller counts it as damaged. Members: botocore's EC2 and ELBv2 models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from netkit.core.net import ICMP, ICMPV6, TCP, UDP
from netkit.core.packets import ANY_PORT, ANY_PROTOCOL, Span, icmp_text, port_text, protocol_text
from netkit.reach.network.records import (
    Acl,
    AclEntry,
    Action,
    Attachment,
    Balancer,
    Block,
    Endpoint,
    Firewall,
    Gateway,
    Group,
    GroupRule,
    Instance,
    Interface,
    Listener,
    ListenerRule,
    Nat,
    Peering,
    PeeringSide,
    Route,
    RouteTable,
    Subnet,
    TargetGroup,
    Transit,
    TransitRoute,
    Vpc,
    Vpn,
    address_of,
    block_of,
)
from netkit.reach.network.snapshot import Scope

Record = Mapping[str, Any]


def name_of(record: Record) -> str:
    """The Name tag of a record, "" for none."""
    tags = record.get("Tags") or record.get("TagSet") or []
    return next((str(tag.get("Value", "")) for tag in tags if tag.get("Key") == "Name"), "")


def _named(record: Record, key: str, scope: Scope) -> tuple[str, Scope, str, str]:
    """The members that every value begins with."""
    return record[key], scope, name_of(record), str(record.get("OwnerId") or "")


def _state(record: Record, key: str = "State") -> str:
    """A state, which some services write in capitals."""
    value = record[key]
    return str(value["Code"] if isinstance(value, Mapping) else value).lower()


def _blocks(record: Record) -> tuple[Block, ...]:
    """The associated blocks of a VPC or subnet; the plain CidrBlock too, which old answers have alone."""
    four = [
        one
        for one in record.get("CidrBlockAssociationSet") or []
        if one.get("CidrBlockState", {}).get("State", "associated") == "associated"
    ]
    six = [
        one
        for one in record.get("Ipv6CidrBlockAssociationSet") or []
        if one.get("Ipv6CidrBlockState", {}).get("State", "associated") == "associated"
    ]
    texts = [one["CidrBlock"] for one in four] + [one["Ipv6CidrBlock"] for one in six]
    if not four and record.get("CidrBlock"):
        texts.append(record["CidrBlock"])
    return tuple(sorted({block_of(text) for text in texts}))


def _bpa(record: Record) -> str:
    return str((record.get("BlockPublicAccessStates") or {}).get("InternetGatewayBlockMode", "")).lower()


def protocol_span(text: str | int) -> Span:
    """A rule's protocol, name or number or -1, as an interval. Raises KeyError or ValueError for anything else."""
    word = str(text).lower()
    if word in ("-1", "all"):
        return ANY_PROTOCOL
    number = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6}.get(word)
    number = int(word) if number is None else number
    if not 0 <= number <= 255:
        raise ValueError(f"protocol {text!r}")
    return number, number


def _icmp_span(kind: int, code: int) -> Span:
    if kind == -1:
        return ANY_PORT
    return (kind * 256, kind * 256 + 255) if code == -1 else (kind * 256 + code, kind * 256 + code)


def _port_span(protocol: Span, first: int | None, last: int | None) -> Span:
    """Ports of a rule; a type and code for ICMP; every port for other protocols, whatever is written (BC:IpPermission)."""
    if protocol[0] != protocol[1] or protocol[0] not in (TCP, UDP, ICMP, ICMPV6):
        return ANY_PORT
    if first is None:
        raise ValueError("ports, or ICMP type and code, are missing")
    if protocol[0] in (ICMP, ICMPV6):
        return _icmp_span(int(first), -1 if last is None else int(last))
    low, high = int(first), int(first if last is None else last)
    return ANY_PORT if low == -1 else (low, high)


def _port_words(protocol: Span, port: Span) -> str:
    if port == ANY_PORT:
        return ""
    return icmp_text(port) if protocol[0] in (ICMP, ICMPV6) else port_text(port)


def rule_words(protocol: Span, port: Span) -> tuple[str, str]:
    """Protocol and ports of a rule for a model.Rule."""
    return protocol_text(protocol), _port_words(protocol, port)


def interface(record: Record, scope: Scope) -> Interface:
    """A network interface."""
    private = sorted(
        record.get("PrivateIpAddresses") or [], key=lambda one: (not one.get("Primary"), one["PrivateIpAddress"])
    )
    if not private and record.get("PrivateIpAddress"):
        private = [{"PrivateIpAddress": record["PrivateIpAddress"], "Association": record.get("Association")}]
    pairs = []
    for one in private:
        association = one.get("Association") or (record.get("Association") if one.get("Primary") else None) or {}
        public = association.get("PublicIp")
        pairs.append((address_of(one["PrivateIpAddress"])[1], address_of(public)[1] if public else None))
    prefixes = [one["Ipv4Prefix"] for one in record.get("Ipv4Prefixes") or []] + [
        one["Ipv6Prefix"] for one in record.get("Ipv6Prefixes") or []
    ]
    attachment = record.get("Attachment") or {}
    return Interface(
        *_named(record, "NetworkInterfaceId", scope), str(record.get("InterfaceType", "interface")), str(record.get("Status", "")).lower(),
        record["SubnetId"], record["VpcId"], tuple(sorted(one["GroupId"] for one in record["Groups"])), tuple(pairs),
        tuple(address_of(one["Ipv6Address"])[1] for one in record.get("Ipv6Addresses") or []), tuple(block_of(text) for text in prefixes),
        bool(record.get("SourceDestCheck", True)), bool(record.get("DenyAllIgwTraffic", False)), str(attachment.get("InstanceId", "")),
        int(attachment.get("DeviceIndex") or 0), str(record.get("Description", "")), bool(attachment),
        "InterfaceType" in record, _of_kubernetes(record) or str(record.get("Description", "")).startswith("aws-K8S-"),
    )  # fmt: skip


def instances(record: Record, scope: Scope) -> list[Instance]:
    """The instances of one reservation."""
    owner = str(record.get("OwnerId") or "")
    return [
        Instance(
            one["InstanceId"],
            scope,
            name_of(one),
            owner,
            _state({"State": one["State"]["Name"]}),
            str(one.get("Platform", "")).lower() == "windows",
            _of_kubernetes(one),
        )
        for one in record["Instances"]
    ]


def _of_kubernetes(record: Record) -> bool:
    """Whether the tags say a node of an EKS or other Kubernetes cluster (EKS guide, tags of managed nodes; the VPC CNI plugin's tags)."""
    keys = [str(tag.get("Key", "")) for tag in record.get("Tags") or record.get("TagSet") or []]
    return any(key.startswith(_KUBERNETES) for key in keys)


_KUBERNETES = (
    "eks:",
    "kubernetes.io/cluster/",
    "k8s.io/cluster",
    "node.k8s.amazonaws.com/",
    "cluster.k8s.amazonaws.com/",
)


def subnet(record: Record, scope: Scope) -> Subnet:
    """A subnet."""
    return Subnet(
        *_named(record, "SubnetId", scope),
        record["VpcId"],
        _blocks(record),
        str(record.get("AvailabilityZone") or record.get("AvailabilityZoneId", "")),
        _bpa(record),
    )


def vpc(record: Record, scope: Scope) -> Vpc:
    """A VPC."""
    return Vpc(*_named(record, "VpcId", scope), _blocks(record), _bpa(record))


_TARGETS = (
    "GatewayId", "NatGatewayId", "TransitGatewayId", "VpcPeeringConnectionId", "EgressOnlyInternetGatewayId", "NetworkInterfaceId", "InstanceId",
    "CarrierGatewayId", "LocalGatewayId", "CoreNetworkArn", "OdbNetworkArn", "VpcEndpointId",
)  # fmt: skip


def _route(record: Record) -> Route:
    text = (
        record.get("DestinationCidrBlock")
        or record.get("DestinationIpv6CidrBlock")
        or record["DestinationPrefixListId"]
    )
    # A route to an instance names its interface too; the interface is where packets go.
    target = next((str(record[name]) for name in _TARGETS if record.get(name)), "")
    kind = target.split("-", 1)[0] if not target.startswith("arn:") else "network"
    is_list = str(text).startswith("pl-")
    return Route(
        str(text),
        None if is_list else block_of(text),
        str(text) if is_list else "",
        target,
        kind,
        str(record["State"]).lower(),
        str(record.get("Origin", "")).lower(),
    )


def route_table(record: Record, scope: Scope) -> RouteTable:
    """A route table; its routes by destination and target."""
    held = [
        one
        for one in record["Associations"]
        if one.get("AssociationState", {}).get("State", "associated") in ("associated", "associating")
    ]
    routes = sorted((_route(one) for one in record["Routes"]), key=lambda route: (route.text, route.target))
    return RouteTable(
        *_named(record, "RouteTableId", scope), record["VpcId"], any(one.get("Main") for one in held), tuple(one["SubnetId"] for one in held if one.get("SubnetId")),
        tuple(one["GatewayId"] for one in held if one.get("GatewayId")), tuple(one["GatewayId"] for one in record.get("PropagatingVgws") or []), tuple(routes),
    )  # fmt: skip


def _acl_entry(record: Record) -> AclEntry:
    protocol = protocol_span(record["Protocol"])
    ports, icmp = record.get("PortRange") or {}, record.get("IcmpTypeCode") or {}
    first, last = (
        (icmp.get("Type"), icmp.get("Code")) if protocol[0] in (ICMP, ICMPV6) else (ports.get("From"), ports.get("To"))
    )
    text = record.get("CidrBlock") or record["Ipv6CidrBlock"]
    allow = {"allow": True, "deny": False}[record["RuleAction"].lower()]
    return AclEntry(
        int(record["RuleNumber"]),
        allow,
        bool(record["Egress"]),
        protocol,
        _port_span(protocol, first, last),
        block_of(text),
        text,
    )


def acl(record: Record, scope: Scope) -> Acl:
    """A network ACL; its entries by number."""
    entries = sorted((_acl_entry(one) for one in record["Entries"]), key=lambda entry: (entry.number, entry.text))
    return Acl(
        *_named(record, "NetworkAclId", scope),
        record["VpcId"],
        bool(record.get("IsDefault")),
        tuple(one["SubnetId"] for one in record["Associations"]),
        tuple(entries),
    )


def _group_rules(permission: Record, egress: bool) -> list[GroupRule]:
    protocol = protocol_span(permission["IpProtocol"])
    port = _port_span(protocol, permission.get("FromPort"), permission.get("ToPort"))
    rules = [
        GroupRule(egress, protocol, port, block_of(text), "", "", False, text)
        for text in [one["CidrIp"] for one in permission.get("IpRanges") or []]
        + [one["CidrIpv6"] for one in permission.get("Ipv6Ranges") or []]
    ]
    rules += [
        GroupRule(egress, protocol, port, None, one["PrefixListId"], "", False, one["PrefixListId"])
        for one in permission.get("PrefixListIds") or []
    ]
    for pair in permission.get("UserIdGroupPairs") or []:
        stale = str(pair.get("PeeringStatus") or "active").lower() != "active"
        rules.append(GroupRule(egress, protocol, port, None, "", pair["GroupId"], stale, pair["GroupId"]))
    return rules


def group(record: Record, scope: Scope) -> Group:
    """A security group; its rules in one order."""
    rules = [rule for one in record["IpPermissions"] for rule in _group_rules(one, False)]
    rules += [rule for one in record["IpPermissionsEgress"] for rule in _group_rules(one, True)]
    order = sorted(rules, key=lambda rule: (rule.egress, rule.protocol, rule.port, rule.text))
    return Group(
        record["GroupId"],
        scope,
        name_of(record) or record.get("GroupName", ""),
        str(record.get("OwnerId") or ""),
        record.get("VpcId", ""),
        tuple(order),
    )


def gateway(key: str) -> Callable[[Record, Scope], Gateway]:
    """A reader of gateways whose id stands in `key`."""

    def read(record: Record, scope: Scope) -> Gateway:
        held = record.get("Attachments", record.get("VpcAttachments")) or []
        # An attached internet gateway reports "available", which is not in botocore's list (facts 6.0).
        vpcs = sorted(one["VpcId"] for one in held if str(one.get("State", "")).lower() in ("available", "attached"))
        return Gateway(*_named(record, key, scope), tuple(vpcs))

    return read


def nat(record: Record, scope: Scope) -> Nat:
    """A NAT gateway."""
    held = sorted(
        record.get("NatGatewayAddresses") or [],
        key=lambda one: (not one.get("IsPrimary", False), str(one.get("PrivateIp", ""))),
    )
    addresses = tuple(
        (
            address_of(one["PrivateIp"])[1] if one.get("PrivateIp") else None,
            address_of(one["PublicIp"])[1] if one.get("PublicIp") else None,
        )
        for one in held
    )
    interfaces = tuple(one["NetworkInterfaceId"] for one in held if one.get("NetworkInterfaceId"))
    regional = str(record.get("AvailabilityMode", "")).lower() == "regional"
    return Nat(
        *_named(record, "NatGatewayId", scope), _state(record), str(record.get("ConnectivityType", "public")).lower() == "public", regional,
        record.get("SubnetId", "") if regional else record["SubnetId"], record["VpcId"], addresses, interfaces, record.get("RouteTableId", ""),
    )  # fmt: skip


def _peering_side(record: Record) -> PeeringSide:
    texts = [one["CidrBlock"] for one in record.get("CidrBlockSet") or []] + [
        one["Ipv6CidrBlock"] for one in record.get("Ipv6CidrBlockSet") or []
    ]
    if record.get("CidrBlock"):
        texts.append(record["CidrBlock"])
    return PeeringSide(
        record["VpcId"],
        record.get("Region", ""),
        record.get("OwnerId", ""),
        tuple(sorted({block_of(text) for text in texts})),
    )


def peering(record: Record, scope: Scope) -> Peering:
    """A VPC peering connection."""
    sides = (_peering_side(record["RequesterVpcInfo"]), _peering_side(record["AccepterVpcInfo"]))
    return Peering(*_named(record, "VpcPeeringConnectionId", scope), _state(record, "Status"), sides)


def transit(record: Record, scope: Scope) -> Transit:
    """A transit gateway."""
    options = record.get("Options") or {}
    return Transit(
        *_named(record, "TransitGatewayId", scope),
        _state(record),
        options.get("SecurityGroupReferencingSupport") == "enable",
    )


def endpoint(record: Record, scope: Scope) -> Endpoint:
    """A VPC endpoint."""
    return Endpoint(
        *_named(record, "VpcEndpointId", scope), record.get("VpcEndpointType", "Gateway").lower(), _state(record), record["VpcId"], record["ServiceName"],
        tuple(sorted(record.get("NetworkInterfaceIds") or [])), tuple(record.get("RouteTableIds") or []), tuple(record.get("SubnetIds") or []),
        bool(record.get("PrivateDnsEnabled")),
    )  # fmt: skip


def firewall(record: Record, _: Scope) -> list[Firewall]:
    """The endpoints of a Network Firewall, by an answer to describe_firewall."""
    held, status = record["Firewall"], record.get("FirewallStatus") or {}
    synced = str(status.get("ConfigurationSyncStateSummary", "IN_SYNC")) == "IN_SYNC"
    found = []
    for zone, state in (status.get("SyncStates") or {}).items():
        at = state.get("Attachment") or {}
        if at.get("EndpointId"):
            ids = str(at["EndpointId"]), str(at.get("SubnetId", ""))
            found.append(
                Firewall(
                    held["FirewallArn"],
                    str(held.get("FirewallName", "")),
                    *ids,
                    zone,
                    str(at.get("Status", "READY")),
                    synced,
                )
            )
    return found


def vpn(record: Record, scope: Scope) -> Vpn:
    """A VPN connection."""
    telemetry = record.get("VgwTelemetry") or []
    routes = tuple(
        block_of(one["DestinationCidrBlock"])
        for one in record.get("Routes") or []
        if str(one.get("State", "available")).lower() != "deleted"
    )
    return Vpn(
        *_named(record, "VpnConnectionId", scope), _state(record), record.get("VpnGatewayId", ""), record.get("TransitGatewayId", ""),
        bool((record.get("Options") or {}).get("StaticRoutesOnly")), routes, bool(telemetry) and all(one.get("Status") == "DOWN" for one in telemetry),
    )  # fmt: skip


def attachment(record: Record, scope: Scope, more: Record, account: str) -> Attachment:
    """A transit gateway attachment.

    more: its own answer to describe_transit_gateway_vpc_attachments, {} where there is none; account: who asked
    """
    association, owner = record.get("Association") or {}, str(record.get("TransitGatewayOwnerId") or "")
    # Only the owner of the transit gateway is told the association; to others its absence says nothing.
    unseen = not association and owner not in ("", account)
    associated = str(association.get("State", "associated")).lower() == "associated"
    options = more.get("Options") or {}
    return Attachment(
        record["TransitGatewayAttachmentId"], scope, name_of(record) or name_of(more), owner, record["TransitGatewayId"], record["ResourceType"].lower(), record["ResourceId"],
        _state(record), None if unseen else association.get("TransitGatewayRouteTableId", "") if associated else "", tuple(sorted(more["SubnetIds"])) if more else None,
        # On by default for the attachment, off by default for the gateway (facts 6.2).
        options.get("SecurityGroupReferencingSupport", "enable") == "enable", options.get("ApplianceModeSupport") == "enable",
    )  # fmt: skip


def searched(record: Record, _: Scope) -> tuple[str, tuple[TransitRoute, ...], bool]:
    """(route table, its routes, whether the search was cut off) of an answer to search_transit_gateway_routes."""
    routes = [
        _transit_route(route, one)
        for route in record["Routes"]
        for one in (route.get("TransitGatewayAttachments") or [{}])
    ]
    order = sorted(routes, key=lambda route: (route.text, not route.static, route.attachment))
    return record["TransitGatewayRouteTableId"], tuple(order), bool(record.get("AdditionalRoutesAvailable"))


def _transit_route(route: Record, attachment: Record) -> TransitRoute:
    prefix_list = route.get("PrefixListId", "")
    text = route.get("DestinationCidrBlock") or prefix_list
    block = block_of(route["DestinationCidrBlock"]) if route.get("DestinationCidrBlock") else None
    return TransitRoute(
        text, block, "" if block else prefix_list, attachment.get("TransitGatewayAttachmentId", ""), attachment.get("ResourceId", ""),
        str(attachment.get("ResourceType", "")).lower(), str(route.get("Type", "static")).lower() == "static", str(route["State"]).lower(),
    )  # fmt: skip


def balancer(
    record: Record, scope: Scope, listeners: tuple[Listener, ...] | None, attributes: Mapping[str, str] | None
) -> Balancer:
    """A load balancer, with its listeners and attributes, None where they were not collected."""
    kind = record["Type"].lower()
    zones = tuple(sorted((one["ZoneName"], one["SubnetId"]) for one in record["AvailabilityZones"]))
    # Always on for an application load balancer (its target groups may switch it off); off by default for a network one.
    cross = (attributes or {}).get(
        "load_balancing.cross_zone.enabled", "true" if kind == "application" else "false"
    ) == "true"
    return Balancer(
        record["LoadBalancerArn"], scope, record["LoadBalancerName"], "", kind, _state(record), record["VpcId"], zones, listeners,
        None if attributes is None and kind != "application" else cross, record.get("Scheme") == "internet-facing",
    )  # fmt: skip


def target_group(
    record: Record, scope: Scope, attributes: Mapping[str, str] | None, targets: tuple[tuple[str, int, str], ...] | None
) -> TargetGroup:
    """A target group, with its attributes and targets, None where they were not collected."""
    kind, protocol = record["TargetType"].lower(), record.get("Protocol", "")
    zone = (attributes or {}).get("load_balancing.cross_zone.enabled", "")
    return TargetGroup(
        record["TargetGroupArn"], scope, record["TargetGroupName"], "", protocol, int(record.get("Port", 0)), kind, record.get("VpcId", ""),
        _preserves(kind, protocol, attributes), protocol in ("UDP", "TCP_UDP") or "preserve_client_ip.enabled" in (attributes or {}), None if zone in ("", "use_load_balancer_configuration") else zone == "true", targets,
        tuple(str(one) for one in record["LoadBalancerArns"]) if isinstance(record.get("LoadBalancerArns"), list) else None,
    )  # fmt: skip


def _preserves(kind: str, protocol: str, attributes: Mapping[str, str] | None) -> bool | None:
    """Whether a network load balancer keeps the client's address: the attribute, else AWS's defaults (facts 6.11)."""
    if protocol in ("UDP", "TCP_UDP"):
        return True  # always, whatever is written
    if attributes and "preserve_client_ip.enabled" in attributes:
        return attributes["preserve_client_ip.enabled"] == "true"
    return None if attributes is None else kind == "instance"


def pairs(attributes: Iterable[Record]) -> dict[str, str]:
    """Keys and values of a list of attributes."""
    return {one["Key"]: str(one["Value"]) for one in attributes}


def target(record: Record) -> tuple[str, int, str]:
    """(id, port, zone) of a target."""
    target = record["Target"]
    return target["Id"], int(target.get("Port", 0)), str(target.get("AvailabilityZone", ""))


def listener(record: Record, rules: Iterable[Record] | None) -> Listener:
    """A listener of a load balancer. rules: its answer to describe_rules, None where it was not asked."""
    found = None
    if rules is not None:
        order = sorted((one for one in rules if not one.get("IsDefault")), key=lambda one: int(one["Priority"]))
        found = tuple(ListenerRule(f"rule {one['Priority']} ({_when(one)})", _action(one["Actions"])) for one in order)
    return Listener(
        record["ListenerArn"],
        record.get("Protocol", ""),
        int(record.get("Port", 0)),
        _action(record.get("DefaultActions") or []),
        found,
    )


def _when(rule: Record) -> str:
    """The conditions of a rule, in words."""
    texts = []
    for one in rule.get("Conditions") or []:
        configs = [held for name, held in one.items() if name.endswith("Config") and isinstance(held, Mapping)]
        values = (
            one.get("Values")
            or one.get("RegexValues")
            or [value for held in configs for value in held.get("Values") or held.get("RegexValues") or []]
        )
        texts.append(f"{one.get('Field', '')} {' or '.join(str(value) for value in values)}".strip())
    return " and ".join(texts) or "always"


def _action(actions: Iterable[Record]) -> Action:
    """What a list of actions comes to: its last one, which is the one that forwards or answers (the others authenticate)."""
    last = max(actions, key=lambda one: int(one.get("Order", 0)), default={})
    kind = str(last.get("Type", ""))
    if kind == "redirect":
        held = last.get("RedirectConfig") or {}
        where = "".join(str(held.get(name, "")) for name in ("Protocol", "Host", "Path")) if held else ""
        return Action(kind, (), f"redirect {held.get('StatusCode', '')} to {where}:{held.get('Port', '')}".strip())
    if kind == "fixed-response":
        return Action(
            kind, (), f"fixed response {(last.get('FixedResponseConfig') or {}).get('StatusCode', '')}".strip()
        )
    groups = tuple(dict.fromkeys(str(one["TargetGroupArn"]) for one in _forwards(last)))
    names = ", ".join(name.split("/")[1] if name.count("/") > 1 else name for name in groups)
    return Action("forward" if groups or kind == "forward" else kind, groups, f"forward to {names}" if groups else kind)


def _forwards(action: Record) -> list[Record]:
    """The target groups of an action; those of weight 0 get nothing (ELB guide, weighted target groups)."""
    held = list((action.get("ForwardConfig") or {}).get("TargetGroups") or [])
    if held:
        return [one for one in held if one.get("Weight") is None or int(one["Weight"]) > 0]
    return [action] if action.get("TargetGroupArn") else []
