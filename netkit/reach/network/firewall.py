"""What an AWS Network Firewall does with one connection: its stateless and stateful rules, in their order. Pure.

Sources: AWS Network Firewall Developer Guide, "Managing evaluation order for Suricata compatible rules" (strict order: by the priority of the
rule groups, then as they stand; action order: pass, then drop, then reject, then alert), "Defining rule actions", "Stateful default actions";
Suricata's rule format. What a rule looks at beyond the five members of a connection (content, flow, domain names) is not decided here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netkit.reach.network.snapshot import Snapshot

PASS, DROP, UNKNOWN = "pass", "drop", "unknown"
_RULE = re.compile(
    r"^\s*(pass|drop|reject|alert)\s+(\S+)\s+(\S+|\[[^\]]*\])\s+(\S+|\[[^\]]*\])\s+(->|<>)\s+(\S+|\[[^\]]*\])\s+(\S+|\[[^\]]*\])\s*\((.*)\)\s*$",
    re.IGNORECASE,
)
_DEEP = re.compile(
    r"\b(content|pcre|tls\.|http\.|dns\.|ja3|app-layer-protocol|flowbits|geoip|threshold|detection_filter)",
    re.IGNORECASE,
)
_ORDER = ("pass", "drop", "reject", "alert")
_NAMED = {"tcp": 6, "udp": 17, "icmp": 1, "ip": -1, "any": -1}


@dataclass(frozen=True)
class Connection:
    """Five members of a connection: protocol number, source and destination address, the client's port (-1 for any), the service's."""

    protocol: int
    source: str
    destination: str
    source_port: int
    port: int


@dataclass(frozen=True)
class Rule:
    """One stateful rule: action, protocol (-1 for all), the four members as texts, both ways or one, its options and its group."""

    action: str
    protocol: int
    source: str
    source_port: str
    destination: str
    port: str
    both: bool
    options: str
    group: str

    @property
    def deep(self) -> bool:
        """Whether it looks at more than the five members, so that a match of them is not yet a match."""
        return bool(_DEEP.search(self.options)) or self.protocol == -2

    @property
    def name(self) -> str:
        """Its sid and message, as a person finds it."""
        said = {
            key: value.strip().strip('"')
            for key, _, value in (one.strip().partition(":") for one in self.options.split(";"))
            if key in ("sid", "msg")
        }
        return (
            f"{said.get('sid', '')} {said.get('msg', '')}".strip()
            or f"{self.action} {self.source} {self.destination} {self.port}"
        )


@dataclass(frozen=True)
class Judged:
    """What a firewall does: pass, drop or unknown; by which rule or default, in words; and the rule group's ARN ("" for a default)."""

    action: str
    because: str
    group: str = ""


def judge(snapshot: Snapshot, firewall: str, asked: Connection) -> Judged:
    """What the firewall of that ARN does with a connection in its asked-for direction, by the policy and rule groups in the snapshot."""
    policy = _policy(snapshot, firewall)
    if policy is None:
        return Judged(UNKNOWN, "its policy was not collected")
    references = sorted(policy.get("StatefulRuleGroupReferences") or (), key=lambda one: int(one.get("Priority") or 0))
    rules: list[Rule] = []
    for one in references:
        source = _group(snapshot, str(one.get("ResourceArn", "")))
        if source is None:
            return Judged(UNKNOWN, f"rule group {one.get('ResourceArn')} was not collected")
        rules += rules_of(source, str(one.get("ResourceArn", "")))
    strict = (policy.get("StatefulEngineOptions") or {}).get("RuleOrder") == "STRICT_ORDER"
    if not strict:
        rules.sort(key=lambda one: _ORDER.index(one.action))
    return _first(rules, policy.get("StatefulDefaultActions") or (), asked, strict)


def _first(rules: Sequence[Rule], defaults: Sequence[str], asked: Connection, strict: bool) -> Judged:
    for rule in rules:
        if rule.action == "alert" or not matches(rule, asked):
            continue
        if rule.deep:
            return Judged(UNKNOWN, f"rule {rule.name} looks deeper than the connection", rule.group)
        return Judged(PASS if rule.action == "pass" else DROP, f"rule {rule.name} says {rule.action}", rule.group)
    if strict and any(one in ("aws:drop_strict", "aws:drop_established") for one in defaults):
        return Judged(DROP, f"no rule matches, and the default is {', '.join(defaults)}")
    return Judged(PASS, "no rule matches, and the default lets it pass")


def _policy(snapshot: Snapshot, firewall: str) -> Mapping[str, Any] | None:
    arn = next(
        (
            str((one.get("Firewall") or {}).get("FirewallPolicyArn"))
            for _, one in snapshot.records("Firewalls")
            if (one.get("Firewall") or {}).get("FirewallArn") == firewall
        ),
        "",
    )
    for _, one in snapshot.records("FirewallPolicies"):
        if arn and (one.get("FirewallPolicyResponse") or {}).get("FirewallPolicyArn") == arn:
            held: Mapping[str, Any] = one.get("FirewallPolicy") or {}
            return held
    return None


def _group(snapshot: Snapshot, arn: str) -> Mapping[str, Any] | None:
    for _, one in snapshot.records("FirewallRuleGroups"):
        if (one.get("RuleGroupResponse") or {}).get("RuleGroupArn") == arn:
            held: Mapping[str, Any] = one.get("RuleGroup") or {}
            return held
    return None


def rules_of(group: Mapping[str, Any], arn: str) -> list[Rule]:
    """The stateful rules of a rule group, of Suricata text or of members, in their order; variables are put in."""
    source = group.get("RulesSource") or {}
    variables = {
        name: f"[{','.join(held.get('Definition') or ())}]"
        for name, held in ((group.get("RuleVariables") or {}).get("IPSets") or {}).items()
    }
    variables |= {
        name: f"[{','.join(held.get('Definition') or ())}]"
        for name, held in ((group.get("RuleVariables") or {}).get("PortSets") or {}).items()
    }
    found = [
        *_of_text(str(source.get("RulesString") or ""), variables, arn),
        *_of_members(source.get("StatefulRules") or (), arn),
    ]
    if domains := source.get("RulesSourceList"):
        action = "pass" if domains.get("GeneratedRulesType") == "ALLOWLIST" else "drop"
        found.append(Rule(action, 6, "any", "any", "any", "[80,443]", False, "tls.sni", arn))
    return found


def _of_text(text: str, variables: Mapping[str, str], arn: str) -> Iterator[Rule]:
    for line in text.replace("\\\n", " ").splitlines():
        match = _RULE.match(line)
        if match:
            action, protocol, source, source_port, way, destination, port, options = match.groups()
            values = [
                variables.get(one.lstrip("$"), one) if one.startswith("$") else one
                for one in (source, source_port, destination, port)
            ]
            yield Rule(
                action.lower(),
                _NAMED.get(protocol.lower(), -2),
                values[0],
                values[1],
                values[2],
                values[3],
                way == "<>",
                options,
                arn,
            )


def _of_members(listed: Sequence[Mapping[str, Any]], arn: str) -> Iterator[Rule]:
    for one in listed:
        held = one.get("Header") or {}
        options = "; ".join(
            f"{each.get('Keyword')}:{','.join(each.get('Settings') or ())}" for each in one.get("RuleOptions") or ()
        )
        protocol = _NAMED.get(str(held.get("Protocol", "ip")).lower(), -2)
        sides = [
            str(held.get(name, "any")).lower() for name in ("Source", "SourcePort", "Destination", "DestinationPort")
        ]
        yield Rule(
            str(one.get("Action", "alert")).lower(),
            protocol,
            sides[0],
            sides[1],
            sides[2],
            sides[3],
            str(held.get("Direction", "FORWARD")) == "ANY",
            options,
            arn,
        )


def matches(rule: Rule, asked: Connection) -> bool:
    """Whether a connection's five members fit a rule, in the rule's direction (or either, where it has both)."""
    if rule.protocol not in (-1, -2, asked.protocol):
        return False
    there = (
        _inside(rule.source, asked.source)
        and _port(rule.source_port, asked.source_port)
        and _inside(rule.destination, asked.destination)
        and _port(rule.port, asked.port)
    )
    if there or not rule.both:
        return there
    return (
        _inside(rule.destination, asked.source)
        and _port(rule.port, asked.source_port)
        and _inside(rule.source, asked.destination)
        and _port(rule.source_port, asked.port)
    )


def _parts(text: str) -> list[str]:
    return [one.strip() for one in text.strip("[]").split(",") if one.strip()]


def _inside(text: str, address: str) -> bool:
    if text.lower() == "any" or text.startswith("$"):
        return True
    held = ipaddress.ip_address(address)
    wanted = [_network(one.lstrip("!")) for one in _parts(text) if not one.startswith("!")]
    refused = [_network(one.lstrip("!")) for one in _parts(text) if one.startswith("!")]
    fits = any(one is None or held in one for one in wanted) if wanted else True
    return fits and not any(one is not None and held in one for one in refused)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    return None if text.lower() == "any" else ipaddress.ip_network(text, strict=False)


def _port(text: str, port: int) -> bool:
    if text.lower() == "any" or text.startswith("$") or port < 0:
        return True
    wanted = [_between(one, port) for one in _parts(text) if not one.startswith("!")]
    refused = [_between(one.lstrip("!"), port) for one in _parts(text) if one.startswith("!")]
    return (any(wanted) if wanted else True) and not any(refused)


def _between(text: str, port: int) -> bool:
    if text.lower() == "any":
        return True
    low, colon, high = text.partition(":")
    return port == int(low) if not colon else int(low or 0) <= port <= int(high or 65535)
