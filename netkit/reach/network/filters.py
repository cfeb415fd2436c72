"""What security groups and network ACLs let through, as sets of packets. Pure.

Rules: VPC guide, security-group-rules and nacl-rules; where a reference to a group counts: aws-facts 6.2's pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from netkit.core.model import Rule, Unknown
from netkit.core.packets import ANY_ADDRESS, ANY_PORT, Box, Packets, Span
from netkit.reach.network.network import Network
from netkit.reach.network.parse import rule_words
from netkit.reach.network.records import Acl, AclEntry, Group, GroupRule


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as a reference to a group sees it.

    groups      the groups of its interface
    lost        AWS's code for why the path keeps a reference from counting, "" when it counts
    unseen      why the groups of the other end are not known, "" when they are (or are known to be none)
    """

    groups: frozenset[str] = frozenset()
    lost: str = ""
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a filter says of some packets.

    allowed   those that it lets through for sure; possible: those and the ones that something unknown may let through
    rule      the first rule that allows any, or the one that denies
    code      AWS's explanation code, if it denies
    unknowns  what would have to be known
    by        the security group whose rule allows
    """

    allowed: Packets
    possible: Packets
    allow: Rule | None
    deny: Rule | None
    code: str
    unknowns: tuple[Unknown, ...] = ()
    by: str = ""


def group_rule(rule: GroupRule) -> Rule:
    """A security group rule for people."""
    protocol, ports = rule_words(rule.protocol, rule.port)
    return Rule("security-group-rule", "egress" if rule.egress else "ingress", protocol, ports, rule.text)


def acl_rule(entry: AclEntry) -> Rule:
    """A network ACL entry for people."""
    protocol, ports = rule_words(entry.protocol, entry.port)
    return Rule(
        "acl-rule",
        "egress" if entry.egress else "ingress",
        protocol,
        ports,
        entry.text,
        "allow" if entry.allow else "deny",
        entry.number,
    )


@lru_cache(maxsize=65536)
def _box(family: int, protocol: Span, port: Span, address: Span, egress: bool) -> Packets:
    """The packets of a rule: the address is the destination of what goes out, and the source of what comes in."""
    wide = ANY_ADDRESS[family]
    source, destination = (wide, address) if egress else (address, wide)
    return Packets(family, (Box(protocol, source, destination, ANY_PORT, port),))


def groups_allow(network: Network, groups: Iterable[Group], egress: bool, packets: Packets, peer: Peer) -> Decision:
    """What the groups of an interface let through together: the union of their rules (facts 6.2)."""
    family = packets.family
    allowed, possible = Packets(family, ()), Packets(family, ())
    first: Rule | None = None
    by = ""
    unknowns: list[Unknown] = []
    every = [(group.id, rule) for group in groups for rule in group.rules]
    rules = [one for one in every if one[1].egress == egress]
    lost = ""
    for name, rule in rules:
        spans, maybe = _rule_spans(network, rule, family, peer)
        if rule.group and rule.group in peer.groups and peer.lost:
            lost = peer.lost
        if maybe:
            hit = packets & _box(family, rule.protocol, rule.port, ANY_ADDRESS[family], egress)
            if hit:
                possible = possible | hit
                unknowns.append(maybe)
            continue
        for span in spans:
            hit = packets & _box(family, rule.protocol, rule.port, span, egress)
            if hit:
                if first is None:
                    first, by = group_rule(rule), name
                allowed = allowed | hit
        if allowed.boxes and allowed.covers(packets):
            return Decision(packets, packets, first, None, "", (), by)
    code = "SG_HAS_NO_RULES" if not every else lost or "ENI_SG_RULES_MISMATCH"
    return Decision(allowed, allowed | possible, first, None, code, tuple(unknowns), by)


def _rule_spans(network: Network, rule: GroupRule, family: int, peer: Peer) -> tuple[list[Span], Unknown | None]:
    """The addresses a rule speaks of, or what is missing to say. A rule never crosses families."""
    if rule.block:
        return ([rule.block[1:]] if rule.block[0] == family else []), None
    if rule.prefix_list:
        held = network.prefix_lists.get(rule.prefix_list)
        if held is None:
            return [], Unknown(
                "PrefixLists", f"the entries of {rule.prefix_list} are not in the snapshot", "UNKNOWN_RESOURCE"
            )
        return [(low, high) for kind, low, high in held if kind == family], None
    if rule.stale or (rule.group in peer.groups and peer.lost):
        return [], None
    if rule.group in peer.groups:
        return [ANY_ADDRESS[family]], None
    if peer.unseen:
        return [], Unknown(rule.group, peer.unseen, "UNKNOWN_PEERED_SGS")
    return [], None


def acl_allows(acl: Acl, egress: bool, packets: Packets) -> Decision:
    """What a network ACL lets through: entries by number, the first that matches decides (facts 6.3)."""
    family = packets.family
    rest, allowed = packets, Packets(family, ())
    allow: Rule | None = None
    deny: Rule | None = None
    for entry in acl.entries:
        if entry.egress != egress or entry.block[0] != family:
            continue
        shape = _box(family, entry.protocol, entry.port, entry.block[1:], egress)
        hit = rest & shape
        if not hit:
            continue
        rest = rest - shape
        if entry.allow:
            allow = allow or acl_rule(entry)
            allowed = Packets(family, allowed.boxes + hit.boxes)
        else:
            deny = deny or acl_rule(entry)
        if not rest:
            break
    if rest and deny is None:
        deny = Rule(
            "acl-rule",
            "egress" if egress else "ingress",
            "all",
            "",
            "0.0.0.0/0" if family == 4 else "::/0",
            "deny",
            32767 if family == 4 else 32768,
        )
    if not rest and deny is None:
        return Decision(packets, packets, allow, None, "")
    return Decision(allowed, allowed, allow, deny, "SUBNET_ACL_RESTRICTION")
