"""What an AWS Network Firewall does with one connection: its stateless and stateful rules, in their order. Pure.

Sources: AWS Network Firewall Developer Guide, "Managing evaluation order for Suricata compatible rules" (strict order: by the priority of the
rule groups, then as they stand; action order: pass, then drop, then reject, then alert), "Defining rule actions", "Stateful default actions";
Suricata's rule format. What a rule looks at beyond the five members of a connection (content, flow, domain names) is not decided here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netkit.core.net import TCP, UDP
from netkit.core.packets import ANY_PORT, Box, Packets, Span
from netkit.reach.network.snapshot import Snapshot

PASS, DROP, UNKNOWN = "pass", "drop", "unknown"
NO, MAYBE, YES = 0, 1, 2
_FORWARD, _UNREAD = "forward", "unread"
_RULE = re.compile(
    r"^\s*(pass|drop|reject|alert)\s+(\S+)\s+(\S+|\[[^\]]*\])\s+(\S+|\[[^\]]*\])\s+(->|<>)\s+(\S+|\[[^\]]*\])\s+(\S+|\[[^\]]*\])\s*\((.*)\)\s*$",
    re.IGNORECASE,
)
_DEEP = re.compile(
    r"\b(content|pcre|tls\.|http\.|dns\.|ja3|app-layer-protocol|flowbits|geoip|threshold|detection_filter|dsize|flags|established|not_established|xbits|byte_|ssl_|ssh\.|quic|to_client|ttl|itype|icode|iprep|noalert)",
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
    """What a firewall does: pass, drop or unknown; by which rule or default, in words; and the rule group's ARN ("" for a default).

    stateful: whether the stateful engine saw the packets; explicit: whether a pass rule, and no default, let them through
    """

    action: str
    because: str
    group: str = ""
    stateful: bool = True
    explicit: bool = False


def judge(snapshot: Snapshot, firewall: str, asked: Connection) -> Judged:
    """What the firewall of that ARN does with a connection in its asked-for direction, by the policy and rule groups in the snapshot."""
    source, destination = ipaddress.ip_address(asked.source), ipaddress.ip_address(asked.destination)
    client = (asked.source_port, asked.source_port) if asked.source_port >= 0 else ANY_PORT
    spans = ((int(source), int(source)), (int(destination), int(destination)))
    box = Box(
        (asked.protocol, asked.protocol), *spans, client, (asked.port, asked.port) if asked.port >= 0 else ANY_PORT
    )
    return judge_packets(snapshot, firewall, Packets(source.version, (box,)))


def judge_packets(snapshot: Snapshot, firewall: str, packets: Packets, began: Judged | None = None) -> Judged:
    """What the firewall does with packets; where it does not do the same with all of them, unknown.

    began: what it did with the connection that these are the replies of. A connection that a pass rule let through is let through
    both ways; one that only the default lets through can still meet a rule that names the replies.
    """
    policy = _policy(snapshot, firewall)
    if policy is None:
        return Judged(UNKNOWN, "its policy was not collected")
    found = [_judge_box(snapshot, policy, packets.family, box, began) for box in packets.boxes]
    if len({one.action for one in found}) > 1:
        odd = next((one for one in found if one.action != PASS), found[0])
        return Judged(UNKNOWN, f"it does not do the same with all that was asked: {odd.because}", odd.group)
    return found[0] if found else Judged(PASS, "nothing is left to judge")


def _judge_box(snapshot: Snapshot, policy: Mapping[str, Any], family: int, box: Box, began: Judged | None) -> Judged:
    first = _stateless(snapshot, policy, family, box)
    if first.action != _FORWARD:
        return first
    if began is not None and not began.stateful:
        return Judged(UNKNOWN, "its stateless rules pass one direction and hand the other to the stateful engine")
    if began is not None and began.explicit:
        return Judged(PASS, "these are replies of a connection that it let through", explicit=True)
    rules: list[Rule] = []
    for one in sorted(policy.get("StatefulRuleGroupReferences") or (), key=_priority):
        rules += _referenced(snapshot, one)
    strict = (policy.get("StatefulEngineOptions") or {}).get("RuleOrder") == "STRICT_ORDER"
    if not strict:
        rules.sort(key=lambda one: _ORDER.index(one.action) if one.action in _ORDER else -1)
    defaults = policy.get("StatefulDefaultActions") or () if strict and began is None else ()
    return _first(rules, defaults, family, box)


def _priority(one: Mapping[str, Any]) -> int:
    return int(one.get("Priority") or 0)


def _referenced(snapshot: Snapshot, reference: Mapping[str, Any]) -> list[Rule]:
    """The rules of a group that a policy refers to; one that cannot be read where its rules are not there (AWS's own are not told)."""
    arn = str(reference.get("ResourceArn", ""))
    group = _group(snapshot, arn)
    rules = rules_of(group, arn) if group is not None else []
    if not rules and not ((group or {}).get("RulesSource")):
        return [_unread(f"rule group {arn} was not collected, or AWS does not tell its rules", arn)]
    if (reference.get("Override") or {}).get("Action") == "DROP_TO_ALERT":
        rules = [replace(one, action="alert") if one.action in ("drop", "reject") else one for one in rules]
    return rules


def _unread(why: str, arn: str) -> Rule:
    return Rule(_UNREAD, -1, "any", "any", "any", "any", True, f"msg:{why.replace(';', ',')}", arn)


def _first(rules: Sequence[Rule], defaults: Sequence[str], family: int, box: Box) -> Judged:
    """The first rule that surely fits, or the default, unless one before it that may fit would do something else."""
    maybe: list[Rule] = []
    final: Judged | None = None
    for rule in rules:
        fit = NO if rule.action == "alert" else fits(rule, family, box)
        if fit == YES and not rule.deep and rule.action != _UNREAD:
            passes = rule.action == "pass"
            final = Judged(
                PASS if passes else DROP, f"rule {rule.name} says {rule.action}", rule.group, explicit=passes
            )
            break
        if fit != NO:
            maybe.append(rule)
    final = final or _default(defaults)
    for rule in maybe:
        if rule.action == _UNREAD:
            return Judged(UNKNOWN, rule.name, rule.group)
        if (PASS if rule.action == "pass" else DROP) != final.action:
            why = "looks deeper than the connection" if rule.deep else "fits only a part of what was asked"
            return Judged(UNKNOWN, f"rule {rule.name} {why}", rule.group)
    return final


def _default(defaults: Sequence[str]) -> Judged:
    dropping = [one for one in defaults if one.startswith("aws:drop")]
    if any(not one.endswith("app_layer") for one in dropping):
        return Judged(DROP, f"no rule matches, and the default is {', '.join(defaults)}")
    if dropping:
        return Judged(UNKNOWN, f"no rule matches, and the default {dropping[0]} depends on what the packets carry")
    return Judged(PASS, "no rule matches, and the default lets it pass")


# --- the stateless engine, which comes first (NFW guide, "Firewall policy settings")


def _stateless(snapshot: Snapshot, policy: Mapping[str, Any], family: int, box: Box) -> Judged:
    """pass, drop, forward (to the stateful engine) or unknown, by the stateless rules in their order, else the default."""
    maybe: list[Judged] = []
    for reference in sorted(policy.get("StatelessRuleGroupReferences") or (), key=_priority):
        arn = str(reference.get("ResourceArn", ""))
        group = _group(snapshot, arn)
        if group is None:
            return Judged(UNKNOWN, f"rule group {arn} was not collected", arn)
        held = ((group.get("RulesSource") or {}).get("StatelessRulesAndCustomActions") or {}).get(
            "StatelessRules"
        ) or ()
        for one in sorted(held, key=_priority):
            definition = one.get("RuleDefinition") or {}
            fit = _fits_stateless(definition.get("MatchAttributes") or {}, family, box)
            said = _action(definition.get("Actions") or (), f"stateless rule {_priority(one)}", arn)
            if fit == YES:
                return _agreed(maybe, said)
            if fit == MAYBE:
                maybe.append(said)
    return _agreed(
        maybe, _action(policy.get("StatelessDefaultActions") or ("aws:forward_to_sfe",), "stateless default", "")
    )


def _agreed(maybe: Sequence[Judged], final: Judged) -> Judged:
    odd = next((one for one in maybe if one.action != final.action), None)
    return Judged(UNKNOWN, f"{odd.because}, and it fits only a part of what was asked", odd.group) if odd else final


def _action(actions: Sequence[str], who: str, arn: str) -> Judged:
    held = {"aws:pass": PASS, "aws:drop": DROP, "aws:forward_to_sfe": _FORWARD}
    action = next((held[one] for one in actions if one in held), UNKNOWN)
    return Judged(action, f"{who} says {', '.join(actions)}", arn, stateful=False, explicit=action == PASS)


def _fits_stateless(match: Mapping[str, Any], family: int, box: Box) -> int:
    def addresses(name: str) -> str:
        held = [str(one.get("AddressDefinition")) for one in match.get(name) or ()]
        return f"[{','.join(held)}]" if held else "any"

    def ports(name: str) -> str:
        held = [f"{one.get('FromPort')}:{one.get('ToPort', one.get('FromPort'))}" for one in match.get(name) or ()]
        return f"[{','.join(held)}]" if held else "any"

    numbers = [int(one) for one in match.get("Protocols") or ()]
    return min(
        max((_fits_protocol(one, box.protocol) for one in numbers), default=YES),
        _fits_address(addresses("Sources"), family, box.source),
        _fits_address(addresses("Destinations"), family, box.destination),
        _fits_port(ports("SourcePorts"), box, box.source_port),
        _fits_port(ports("DestinationPorts"), box, box.port),
        MAYBE if match.get("TCPFlags") and box.protocol[0] <= TCP <= box.protocol[1] else YES,
    )


def _policy(snapshot: Snapshot, firewall: str) -> Mapping[str, Any] | None:
    arn = next(
        (
            str((one.get("Firewall") or {}).get("FirewallPolicyArn"))
            for _, one in snapshot.records("Firewalls")
            if (one.get("Firewall") or {}).get("FirewallArn") == firewall
        ),
        "",
    )
    for scope, one in snapshot.records("FirewallPolicies"):
        if (
            arn
            and snapshot.known("FirewallPolicies", scope)
            and (one.get("FirewallPolicyResponse") or {}).get("FirewallPolicyArn") == arn
        ):
            held: Mapping[str, Any] = one.get("FirewallPolicy") or {}
            return held
    return None


def _group(snapshot: Snapshot, arn: str) -> Mapping[str, Any] | None:
    for scope, one in snapshot.records("FirewallRuleGroups"):
        if (
            snapshot.known("FirewallRuleGroups", scope)
            and (one.get("RuleGroupResponse") or {}).get("RuleGroupArn") == arn
        ):
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
        # A list of what is allowed drops the other names too (NFW guide, "Stateful domain list rule groups").
        for action in ("pass", "drop") if domains.get("GeneratedRulesType") == "ALLOWLIST" else ("drop",):
            found.append(Rule(action, 6, "any", "any", "any", "[80,443]", False, "tls.sni", arn))
    return found


def _of_text(text: str, variables: Mapping[str, str], arn: str) -> Iterator[Rule]:
    for line in text.replace("\\\n", " ").splitlines():
        match = _RULE.match(line)
        if not match and line.strip() and not line.lstrip().startswith("#"):
            yield _unread(f"rule {line.strip()[:60]!r} cannot be read", arn)
        elif match:
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


def fits(rule: Rule, family: int, box: Box) -> int:
    """Whether a rule takes all of some packets (YES), none (NO) or it depends (MAYBE), in its direction or either where it has both."""
    there = _one_way(rule, family, box.source, box.source_port, box.destination, box.port, box)
    if not rule.both:
        return there
    return max(there, _one_way(rule, family, box.destination, box.port, box.source, box.source_port, box))


def _one_way(rule: Rule, family: int, source: Span, source_port: Span, destination: Span, port: Span, box: Box) -> int:
    return min(
        _fits_protocol(rule.protocol, box.protocol),
        _fits_address(rule.source, family, source),
        _fits_port(rule.source_port, box, source_port),
        _fits_address(rule.destination, family, destination),
        _fits_port(rule.port, box, port),
    )


def _fits_protocol(number: int, protocol: Span) -> int:
    if number == -1:
        return YES
    if number == -2:  # of an application, over TCP or UDP
        return MAYBE if any(protocol[0] <= one <= protocol[1] for one in (TCP, UDP)) else NO
    return YES if protocol == (number, number) else MAYBE if protocol[0] <= number <= protocol[1] else NO


def _fits_address(text: str, family: int, span: Span) -> int:
    def read(one: str) -> Span | None:
        block = ipaddress.ip_network(one, strict=False)
        return (int(block[0]), int(block[-1])) if block.version == family else None

    return _fits(text, span, read)


def _fits_port(text: str, box: Box, span: Span) -> int:
    def read(one: str) -> Span:
        low, colon, high = one.partition(":")
        return (int(low or 0), int(high or 65535)) if colon else (int(low), int(low))

    if text.lower() == "any":
        return YES
    return _fits(text, span, read) if box.protocol in ((TCP, TCP), (UDP, UDP)) else MAYBE


def _fits(text: str, span: Span, read: Callable[[str], Span | None]) -> int:
    """How a Suricata list (`any`, one, `[one,!two]`) takes an interval. A variable or a list in a list is not looked into: MAYBE."""
    if text.strip().startswith("!["):
        return YES - _fits(text.strip()[1:], span, read)
    parts = [one.strip() for one in text.strip().strip("[]").split(",") if one.strip()]
    if text.strip().lower() == "any" or not parts:
        return YES
    try:
        wanted = [_covered(one, span, read) for one in parts if not one.startswith("!")]
        refused = [_covered(one[1:], span, read) for one in parts if one.startswith("!")]
    except ValueError:
        return MAYBE
    inside = max(wanted) if wanted else YES
    return NO if max(refused, default=NO) == YES else min(inside, MAYBE) if MAYBE in refused else inside


def _covered(one: str, span: Span, read: Callable[[str], Span | None]) -> int:
    if one.lower() == "any":
        return YES
    held = read(one)
    if held is None or held[0] > span[1] or held[1] < span[0]:
        return NO
    return YES if held[0] <= span[0] and span[1] <= held[1] else MAYBE
