"""Reachability Analyzer's answers as verdicts, verdicts as such answers, and the two compared. Pure.

Shapes: botocore's EC2 model (NetworkInsightsAnalysis, PathComponent, Explanation). What the guide this kit grew from printed
instead (ComponentType, ComponentDetails, outbound, FromPort) is read as well, and never written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from netkit.core.errors import InputError
from netkit.core.model import Blocker, Coverage, Finding, Header, Hop, Rule, Unknown, Verdict
from netkit.core.net import PROTOCOLS, protocol_number
from netkit.reach.analyzer.codes import ALIASES, EXPLANATIONS
from netkit.reach.network.snapshot import Snapshot

DIFFERENCE_COLUMNS = ("leg", "what", "ours", "theirs")
# AWS's resource types in ARNs, where they differ from ours.
_ARN_TYPE = {
    "natgateway": "nat-gateway",
    "nat-gateway": "nat-gateway",
    "loadbalancer": "load-balancer",
    "targetgroup": "target-group",
}
_TO_ARN = {"nat-gateway": "natgateway"}
_PREFIX = {
    "i": "instance", "eni": "network-interface", "sg": "security-group", "acl": "network-acl", "rtb": "route-table", "igw": "internet-gateway",
    "eigw": "egress-only-internet-gateway", "nat": "nat-gateway", "pcx": "vpc-peering-connection", "tgw": "transit-gateway", "tgw-attach": "transit-gateway-attachment",
    "tgw-rtb": "transit-gateway-route-table", "vpce": "vpc-endpoint", "vgw": "vpn-gateway", "vpn": "vpn-connection", "subnet": "subnet", "vpc": "vpc",
}  # fmt: skip
_DIRECTIONS = {"outbound": "egress", "inbound": "ingress", "egress": "egress", "ingress": "ingress"}
# Where an explanation names what has to change, most telling first.
_BLAMED = (
    "SecurityGroup", "SecurityGroups", "Acl", "TransitGatewayRouteTable", "RouteTable", "SubnetRouteTable", "IngressRouteTable", "NatGateway", "InternetGateway",
    "VpcPeeringConnection", "TransitGatewayAttachment", "TransitGateway", "VpcEndpoint", "VpnGateway", "VpnConnection", "Component", "NetworkInterface", "MissingComponent",
    "Subnet", "Vpc",
)  # fmt: skip
_MEMBER = {
    "security-group": "SecurityGroups", "network-acl": "Acl", "route-table": "RouteTable", "transit-gateway-route-table": "TransitGatewayRouteTable",
    "nat-gateway": "NatGateway", "internet-gateway": "InternetGateway", "vpc-peering-connection": "VpcPeeringConnection",
    "transit-gateway-attachment": "TransitGatewayAttachment", "transit-gateway": "TransitGateway", "vpc-endpoint": "VpcEndpoint", "vpn-gateway": "VpnGateway",
    "network-interface": "NetworkInterface", "vpc": "Vpc", "subnet": "Subnet",
}  # fmt: skip
_ROUTE_TARGETS = (
    "GatewayId", "NatGatewayId", "TransitGatewayId", "VpcPeeringConnectionId", "EgressOnlyInternetGatewayId", "NetworkInterfaceId", "InstanceId", "CarrierGatewayId",
    "LocalGatewayId", "CoreNetworkArn",
)  # fmt: skip
# Nodes of ours that AWS's answers do not have.
_ONLY_OURS = ("internet", "vpc", "transit-gateway")


def component_type(component: Mapping[str, Any]) -> str:
    """The type of a component as AWS's ARNs say it, else as its id's prefix does: AWS has no member for it."""
    arn = str(component.get("Arn", ""))
    if match := re.match(r"arn:[^:]*:[^:]*:[^:]*:[^:]*:([a-z-]+)/", arn):
        return _ARN_TYPE.get(match[1], match[1])
    name = str(component.get("Id", ""))
    held = [prefix for prefix in _PREFIX if name.startswith(prefix + "-")]
    return _PREFIX[max(held, key=len)] if held else ""


def verdicts_of(answer: Mapping[str, Any], path: Mapping[str, Any] | None = None) -> list[Verdict]:
    """The verdicts in an answer of DescribeNetworkInsightsAnalyses (a list) or StartNetworkInsightsAnalysis (one).

    path: the NetworkInsightsPath that was asked, for the names of the ends. Raises InputError for an answer without analyses.
    """
    held = answer.get("NetworkInsightsAnalyses", answer.get("NetworkInsightsAnalysis"))
    if held is None:
        raise InputError(
            "this is no answer of Reachability Analyzer",
            hint="expected NetworkInsightsAnalyses, as describe-network-insights-analyses prints it",
        )
    return [verdict_of(one, path) for one in (held if isinstance(held, list) else [held])]


def verdict_of(analysis: Mapping[str, Any], path: Mapping[str, Any] | None = None) -> Verdict:
    """One analysis as a verdict: running or failed is UNKNOWN, with AWS's words; a path that is not found has succeeded too."""
    forward = [_hop(one) for one in analysis.get("ForwardPathComponents") or []]
    back = [_hop(one) for one in analysis.get("ReturnPathComponents") or []]
    blockers = [_blocker(one, "forward") for one in analysis.get("Explanations") or []]
    blockers += [
        _blocker(one, "return")
        for part in analysis.get("ReturnPathComponents") or []
        for one in part.get("Explanations") or []
    ]
    source, destination, protocol, port = _asked(path or {}, forward)
    status = str(analysis.get("Status", "")).lower()
    name = str(analysis.get("NetworkInsightsAnalysisId", ""))
    notes = [str(analysis[key]) for key in ("WarningMessage",) if analysis.get(key)]
    if status != "succeeded":
        why = str(analysis.get("StatusMessage") or "the analysis has not finished")
        return Verdict(
            "UNKNOWN",
            source,
            destination,
            protocol,
            port,
            unknowns=[Unknown(name or "analysis", f"{status or 'no status'}: {why}")],
            origin=name,
            notes=notes,
        )
    found = bool(analysis.get("NetworkPathFound"))
    return Verdict(
        "REACHABLE" if found else "NOT_REACHABLE",
        source,
        destination,
        protocol,
        port,
        forward,
        back,
        [] if found else blockers,
        [],
        notes,
        name,
    )


def _asked(path: Mapping[str, Any], forward: Sequence[Hop]) -> tuple[str, str, str, str]:
    header = next((hop.inbound or hop.outbound for hop in forward if hop.inbound or hop.outbound), None)
    source = str(path.get("Source") or (forward[0].component if forward else ""))
    target = (path.get("FilterAtSource") or {}).get("DestinationAddress")
    destination = str(path.get("Destination") or target or (forward[-1].component if forward else ""))
    protocol = str(path.get("Protocol") or (header.protocol if header else ""))
    port = path.get("DestinationPort")
    ports = (header.destination_ports if header else ()) or ()
    return (
        source,
        destination,
        protocol,
        str(port) if port is not None else ",".join(one for one in ports if one != "0-65535"),
    )


def _id(component: Any) -> str:
    held = component if isinstance(component, Mapping) else {}
    return str(held.get("Id") or str(held.get("Arn", "")).rsplit("/", 1)[-1])


def _hop(part: Mapping[str, Any]) -> Hop:
    component = part.get("Component") or {}
    kind = component_type(component) or _guide_type(str(part.get("ComponentType", "")))
    rule = _rule_of(part) or _rule_of(part.get("ComponentDetails") or {})
    codes = tuple(_code(one) for one in part.get("Explanations") or [])
    details = tuple(
        str(one["AdditionalDetailType"])
        for one in part.get("AdditionalDetails") or []
        if one.get("AdditionalDetailType")
    )
    return Hop(
        _id(component), kind, rule.direction if rule else "", rule, _header(part.get("InboundHeader")), _header(part.get("OutboundHeader")), _id(part.get("Subnet")),
        _id(part.get("Vpc")), _id(part.get("AttachedTo")), str(component.get("Name", "")), bool(codes), codes, details,
    )  # fmt: skip


def _guide_type(word: str) -> str:
    """AWS::EC2::SecurityGroup as security-group."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", word.rsplit("::", 1)[-1]).lower()


def _rule_of(part: Mapping[str, Any]) -> Rule | None:
    if held := part.get("SecurityGroupRule"):
        return _group_rule(held)
    if held := part.get("AclRule"):
        direction = "egress" if held.get("Egress") else "ingress"
        return Rule(
            "acl-rule",
            direction,
            _protocol(held.get("Protocol")),
            _ports(held),
            str(held.get("Cidr", "")),
            str(held.get("RuleAction", "")).lower(),
            held.get("RuleNumber"),
        )
    if held := part.get("RouteTableRoute"):
        target = next((str(held[name]) for name in _ROUTE_TARGETS if held.get(name)), "")
        return Rule(
            "route",
            peer=str(held.get("DestinationCidr") or held.get("DestinationPrefixListId", "")),
            target=target,
            state=str(held.get("State", "")).lower(),
            origin=str(held.get("Origin", "")).lower(),
        )
    if held := part.get("TransitGatewayRouteTableRoute"):
        return Rule(
            "tgw-route",
            peer=str(held.get("DestinationCidr") or held.get("PrefixListId", "")),
            target=str(held.get("AttachmentId", "")),
            state=str(held.get("State", "")).lower(),
            origin=str(held.get("RouteOrigin", "")).lower(),
        )
    return None


def _group_rule(held: Mapping[str, Any]) -> Rule:
    direction = _DIRECTIONS.get(str(held.get("Direction", "")).lower(), "")
    peer = str(held.get("Cidr") or held.get("CidrBlock") or held.get("PrefixListId") or held.get("SecurityGroupId", ""))
    return Rule(
        "security-group-rule",
        direction,
        _protocol(held.get("Protocol")),
        _ports(held),
        peer,
        id=held.get("SecurityGroupRuleId"),
    )


def _protocol(value: Any) -> str:
    """tcp for "6", "tcp" and 6; all for -1."""
    word = str(value if value is not None else "all").lower()
    if word in ("all", "-1", ""):
        return "all"
    try:
        number = protocol_number(word)
    except InputError:
        return word
    return PROTOCOLS.get(number, str(number))


def _ports(held: Mapping[str, Any]) -> str:
    span = held.get("PortRange") or {"From": held.get("FromPort"), "To": held.get("ToPort")}
    first, last = span.get("From"), span.get("To")
    if first is None or (first, last) == (0, 65535):
        return ""
    return str(first) if last in (None, first) else f"{first}-{last}"


def _header(held: Mapping[str, Any] | None) -> Header | None:
    if not held:
        return None
    ranges = {
        key: tuple(_ports({"PortRange": one}) or "0-65535" for one in held.get(key) or [])
        for key in ("SourcePortRanges", "DestinationPortRanges")
    }
    protocol = _protocol(held["Protocol"]) if held.get("Protocol") else ""
    return Header(
        protocol,
        tuple(held.get("SourceAddresses") or ()),
        tuple(held.get("DestinationAddresses") or ()),
        ranges["SourcePortRanges"],
        ranges["DestinationPortRanges"],
    )


def _code(explanation: Mapping[str, Any]) -> str:
    code = str(explanation.get("ExplanationCode", ""))
    return ALIASES.get(code, code)


def _blocker(held: Mapping[str, Any], leg: str) -> Blocker:
    code = _code(held)
    groups = tuple(_id(one) for one in held.get("SecurityGroups") or [])
    blamed: Any = next((held[name] for name in _BLAMED if held.get(name)), {})
    component = _id(blamed[0] if isinstance(blamed, list) else blamed)
    rule = _rule_of(held)
    if component == "" and rule and held.get("SecurityGroupRule"):
        component = str(held["SecurityGroupRule"].get("SecurityGroupId", ""))
    if held.get("SecurityGroupRule") and not groups and not held.get("SecurityGroup"):
        component = str(held["SecurityGroupRule"].get("SecurityGroupId") or component)
    where = _id(held.get("NetworkInterface")) or _id(held.get("Subnet"))
    direction = _DIRECTIONS.get(str(held.get("Direction", "")).lower(), "")
    return Blocker(
        component,
        direction,
        code,
        rule,
        _sentence(held, code, component),
        leg,
        where,
        groups or ((component,) if component else ()),
    )


def _sentence(held: Mapping[str, Any], code: str, component: str) -> str:
    words = EXPLANATIONS.get(code, f"AWS says {code}")
    protocols = held.get("Protocols") or ([held["Protocol"]] if held.get("Protocol") else [])
    service = "/".join(
        [*(_protocol(one) for one in protocols[:1]), *([str(held["Port"])] if held.get("Port") is not None else [])]
    )
    return f"{component}: {words}" + (f" ({service})" if service else "")


# --- a verdict in AWS's dialect


def analysis_of(verdict: Verdict, snapshot: Snapshot) -> dict[str, Any]:
    """A verdict as the members of a NetworkInsightsAnalysis: NetworkPathFound, the components when found, else the explanations.

    What AWS has no word for (the internet as a node, a note) is left out.
    """
    account, region = next(iter(snapshot.scopes), ("", ""))
    where = (account or "000000000000", region or "us-east-1")
    if verdict.reachable:
        return {
            "NetworkPathFound": True,
            "ForwardPathComponents": _parts(verdict.forward, where),
            "ReturnPathComponents": _parts(verdict.back, where),
        }
    return {"NetworkPathFound": False, "Explanations": [_explained(one, where) for one in verdict.blockers]}


def _parts(hops: Iterable[Hop], where: tuple[str, str]) -> list[dict[str, Any]]:
    told = [hop for hop in hops if hop.type not in _ONLY_OURS]
    return [_part(number, hop, where) for number, hop in enumerate(told, 1)]


def _component(name: str, where: tuple[str, str], label: str = "", kind: str = "") -> dict[str, str]:
    if name.startswith("arn:"):
        return {"Id": name.rsplit("/", 1)[-1], "Arn": name} | ({"Name": label} if label else {})
    word = kind or component_type({"Id": name})
    arn = f"arn:aws:ec2:{where[1]}:{where[0]}:{_TO_ARN.get(word, word)}/{name}"
    return {"Id": name, "Arn": arn} | ({"Name": label} if label else {})


def _part(number: int, hop: Hop, where: tuple[str, str]) -> dict[str, Any]:
    part: dict[str, Any] = {
        "SequenceNumber": number,
        "Component": _component(hop.component, where, hop.name, hop.type),
        "AdditionalDetails": [],
        "Explanations": [],
    }
    if hop.rule:
        part |= _rule_member(hop.rule, hop.component)
    for member, header in (("InboundHeader", hop.inbound), ("OutboundHeader", hop.outbound)):
        if header:
            part[member] = _header_member(header)
    if hop.type in ("network-interface", "internet-gateway"):
        part |= {
            member: _component(name, where)
            for member, name in (("AttachedTo", hop.attached_to), ("Subnet", hop.subnet), ("Vpc", hop.vpc))
            if name
        }
    part["AdditionalDetails"] = [{"AdditionalDetailType": one} for one in hop.details if one in EXPLANATIONS]
    return part


def _port_member(ports: str) -> dict[str, Any]:
    if not re.fullmatch(r"\d+(-\d+)?", ports):
        return {}
    first, _, last = ports.partition("-")
    return {"PortRange": {"From": int(first), "To": int(last or first)}}


def _rule_member(rule: Rule, component: str) -> dict[str, Any]:
    if rule.kind == "security-group-rule":
        peer = (
            {"PrefixListId": rule.peer}
            if rule.peer.startswith("pl-")
            else {"SecurityGroupId": rule.peer}
            if rule.peer.startswith("sg-")
            else {"Cidr": rule.peer}
        )
        return {
            "SecurityGroupRule": {
                "SecurityGroupId": component,
                **peer,
                "Direction": rule.direction,
                "Protocol": rule.protocol,
                **_port_member(rule.ports),
            }
        }
    if rule.kind == "acl-rule":
        number = {} if rule.number is None else {"RuleNumber": rule.number}
        return {
            "AclRule": {
                "Cidr": rule.peer,
                "Egress": rule.direction == "egress",
                "Protocol": rule.protocol,
                "RuleAction": rule.action,
                **number,
                **_port_member(rule.ports),
            }
        }
    if rule.kind == "tgw-route":
        peer = {"PrefixListId": rule.peer} if rule.peer.startswith("pl-") else {"DestinationCidr": rule.peer}
        return {
            "TransitGatewayRouteTableRoute": {
                **peer,
                "State": rule.state,
                "RouteOrigin": rule.origin,
                "AttachmentId": rule.target,
            }
        }
    member = {
        "nat": "NatGatewayId",
        "tgw": "TransitGatewayId",
        "pcx": "VpcPeeringConnectionId",
        "eigw": "EgressOnlyInternetGatewayId",
        "eni": "NetworkInterfaceId",
        "i": "InstanceId",
    }.get(rule.target.split("-")[0], "GatewayId")
    peer = {"DestinationPrefixListId": rule.peer} if rule.peer.startswith("pl-") else {"DestinationCidr": rule.peer}
    return {"RouteTableRoute": {**peer, member: rule.target, "Origin": rule.origin, "State": rule.state}}


def _header_member(header: Header) -> dict[str, Any]:
    def ranges(ports: tuple[str, ...]) -> list[dict[str, int]]:
        return [_port_member(one)["PortRange"] for one in ports if _port_member(one)]

    held: dict[str, Any] = {"SourceAddresses": list(header.source), "DestinationAddresses": list(header.destination)}
    if header.protocol and header.protocol != "all" and "," not in header.protocol:
        held["Protocol"] = str(protocol_number(header.protocol))
    return held | {
        member: found
        for member, found in (
            ("SourcePortRanges", ranges(header.source_ports)),
            ("DestinationPortRanges", ranges(header.destination_ports)),
        )
        if found
    }


def _explained(one: Blocker, where: tuple[str, str]) -> dict[str, Any]:
    kind = component_type({"Id": one.component, "Arn": one.component if one.component.startswith("arn:") else ""})
    told: dict[str, Any] = {"ExplanationCode": one.code}
    if one.direction:
        told["Direction"] = one.direction
    member = _MEMBER.get(kind, "Component")
    told[member] = (
        [_component(name, where) for name in one.components or (one.component,)]
        if member == "SecurityGroups"
        else _component(one.component, where)
    )
    if one.where.startswith("eni-"):
        told["NetworkInterface"] = _component(one.where, where)
    if one.where.startswith("subnet-"):
        told["Subnet"] = _component(one.where, where)
    if one.rule:
        told |= {
            key: value
            for key, value in _rule_member(one.rule, one.component).items()
            if key != "AclRule" or one.rule.number is not None
        }
    return told


# --- ours beside theirs


def differences(ours: Verdict, theirs: Verdict) -> pd.DataFrame:
    """Where our verdict and AWS's differ: leg, what (verdict, hop, rule, explanation), ours, theirs. Empty when they agree.

    Compared are the components that both name: AWS has no node for the internet or a VPC's router, answers TCP over a transit
    gateway in one direction only, and may give fewer explanations than there are (that it gives all is nowhere said).
    """
    rows: list[tuple[str, str, str, str]] = []
    if theirs.status not in ("UNKNOWN", ours.status):
        rows.append(("", "verdict", ours.status, theirs.status))
    if ours.reachable and theirs.reachable:
        for leg, mine, other in (("forward", ours.forward, theirs.forward), ("return", ours.back, theirs.back)):
            rows += _hop_differences(leg, mine, other) if other else []
    if ours.status == theirs.status == "NOT_REACHABLE":
        said = {(one.code, name) for one in ours.blockers for name in (one.component, one.where, *one.components)}
        missed = [
            one
            for one in theirs.blockers
            if not {(one.code, name) for name in (one.component, one.where, *one.components) if name} & said
        ]
        rows += [(one.leg, "explanation", "-", f"{one.code} at {one.component}") for one in missed]
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


def _hop_differences(leg: str, mine: Sequence[Hop], other: Sequence[Hop]) -> list[tuple[str, str, str, str]]:
    spoken = {hop.type for hop in other}
    ours, theirs = [hop for hop in mine if hop.type in spoken], [hop for hop in other if hop.type not in _ONLY_OURS]
    names, known = [_id_of(hop) for hop in ours], [_id_of(hop) for hop in theirs]
    if names != known:
        return [(leg, "hops", ", ".join(names), ", ".join(known))]
    pairs = zip(ours, theirs, strict=True)
    return [
        (leg, f"rule of {one.component}", str(one.rule), str(two.rule))
        for one, two in pairs
        if one.rule and two.rule and _essence(one.rule) != _essence(two.rule)
    ]


def _id_of(hop: Hop) -> str:
    return hop.component.rsplit("/", 1)[-1] if hop.component.startswith("arn:") else hop.component


def _essence(rule: Rule) -> tuple[object, ...]:
    return rule.kind, rule.direction, rule.protocol, rule.ports, rule.peer, rule.action, rule.number, rule.target


def compare_finding(ours: Verdict, theirs: Verdict, coverage: tuple[Coverage, ...] = ()) -> Finding:
    """REACH-ANALYZER-DISAGREES: confirmed when AWS's analyzer says otherwise, refuted when both agree, else inconclusive."""
    frame = differences(ours, theirs)
    subject = (theirs.origin, ours.source, ours.destination)
    evidence: dict[str, Any] = {"ours": ours.status, "theirs": theirs.status, "differences": frame.to_dict("records")}
    limits = ("AWS's analyzer looks at IPv4 TCP and UDP, shows one path, and over a transit gateway one direction",)
    if "UNKNOWN" in (ours.status, theirs.status):
        side = "netkit" if ours.status == "UNKNOWN" else "AWS's analyzer"
        why = str((ours if ours.status == "UNKNOWN" else theirs).unknowns[0])
        return Finding(
            "REACH-ANALYZER-DISAGREES",
            "inconclusive",
            "info",
            subject,
            f"{side} has no verdict on {ours.question}: {why}",
            evidence,
            limits,
            coverage,
        )
    if frame.empty:
        return Finding(
            "REACH-ANALYZER-DISAGREES",
            "refuted",
            "info",
            subject,
            f"AWS's analyzer agrees on {ours.question}: {theirs.status.replace('_', ' ').lower()}",
            evidence,
            limits,
            coverage,
        )
    first = frame.iloc[0]
    claim = (
        f"AWS's analyzer disagrees on {ours.question}: {first['what']} {first['ours']} here, {first['theirs']} there"
    )
    weak = any(row.state != "ok" for row in coverage)
    return Finding(
        "REACH-ANALYZER-DISAGREES",
        "inconclusive" if weak else "confirmed",
        "high",
        subject,
        claim,
        evidence,
        limits,
        coverage,
        "trust AWS, and report the snapshot: one of the two reads it wrongly",
    )
