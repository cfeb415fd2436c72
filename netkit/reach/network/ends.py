"""The two ends of a question: what an id, an address, a Name tag or "internet" stands for in a snapshot. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from netkit.core.errors import InputError
from netkit.core.model import Unknown
from netkit.core.net import NOT_PUBLIC, parse_address
from netkit.core.packets import ANY_ADDRESS, Span, blocks, outside
from netkit.reach.network.network import Network
from netkit.reach.network.records import Address, Balancer, Block, Interface, address_of, block_of

# What a question can start from or lead to; the words are AWS's resource types.
KINDS = {
    "eni": "network-interface",
    "i": "instance",
    "igw": "internet-gateway",
    "eigw": "egress-only-internet-gateway",
    "vpce": "vpc-endpoint",
    "pcx": "vpc-peering-connection",
    "tgw": "transit-gateway",
    "tgw-attach": "transit-gateway-attachment",
    "vgw": "vpn-gateway",
    "vpc": "vpc",
}
ENDS = "an instance (i-), network interface (eni-), IP address, internet, internet gateway (igw-), VPC endpoint (vpce-), peering (pcx-), transit gateway (tgw-) or attachment (tgw-attach-), VPN gateway (vgw-), VPC (vpc-), load balancer (ARN or name) or a Name tag"
_TABLE_OF = {
    "eni": "NetworkInterfaces",
    "i": "NetworkInterfaces",
    "igw": "InternetGateways",
    "eigw": "EgressOnlyInternetGateways",
    "vpce": "VpcEndpoints",
    "pcx": "VpcPeeringConnections",
    "tgw": "TransitGateways",
    "tgw-attach": "TransitGatewayAttachments",
    "vgw": "VpnGateways",
    "vpc": "Vpcs",
}

_NEVER = {
    "nat": "a NAT gateway is only ever on the way; ask from the instance behind it",
    "sg": "a security group is a filter on the way; ask between the interfaces that carry it",
    "acl": "a network ACL is a filter on the way; ask between hosts in its subnets",
    "rtb": "a route table is on the way; ask from a host in its subnets",
    "subnet": "a subnet is a place; ask from a host in it",
    "sgr": "a security group rule is a filter on the way",
    "tgw-rtb": "a transit gateway route table is on the way; ask from an attachment",
    "pl": "a prefix list is no place; ask for an address in it",
    "vpn": "ask for its VPN gateway or transit gateway attachment",
    "eipalloc": "ask for the address itself, or its interface",
}
_PUBLIC = {
    family: outside(
        [(int(block.network_address), int(block.broadcast_address)) for block in NOT_PUBLIC if block.version == family],
        ANY_ADDRESS[family],
    )
    for family in (4, 6)
}


@dataclass(frozen=True)
class End:
    """One end. kind is one of KINDS' words, or "address", "internet", "load-balancer", "missing".

    given      what was asked for
    id         the component's id, "" for an address or the internet
    interface  the network interface, where there is one
    address    the one address, where one is meant
    choices    further interfaces that could be meant (of an instance, endpoint or load balancer)
    missing    what the snapshot lacks to find it
    """

    given: str
    kind: str
    id: str = ""
    interface: Interface | None = None
    address: Address | None = None
    choices: tuple[Interface, ...] = ()
    balancer: Balancer | None = None
    missing: Unknown | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def wide(self) -> bool:
        """Whether it stands for many addresses."""
        return self.address is None and self.interface is None


def public_spans(family: int) -> tuple[Span, ...]:
    """Every address that can be a host on the internet."""
    return _PUBLIC[family]


def which_vpc(network: Network, word: str) -> str:
    """The VPC that a word names: its id, its Name tag, or an interface or instance in it. Raises InputError for none."""
    word = word.strip()
    if not word or word in network.vpcs:
        return word
    if word in network.interfaces:
        return network.interfaces[word].vpc
    if word in network.interfaces_of:
        return network.interfaces_of[word][0].vpc
    named = [one.id for one in network.vpcs.values() if one.name == word]
    if len(named) == 1:
        return named[0]
    if not named and not (network.known("Vpcs") and network.known("NetworkInterfaces")):
        return word
    hint = f"several have that name: {', '.join(named)}" if named else _near(word, network.vpcs)
    raise InputError(f"{word} names no one VPC of this snapshot", subject="vpc", hint=hint)


def find_end(network: Network, given: str, role: str, vpc: str = "") -> End:
    """The end that a word stands for; role is "source" or "destination"; vpc narrows an address or name that several VPCs have.

    An id whose table was not collected gives an End of kind "missing".
    Raises InputError for an unknown id or name, for one that cannot be an end, and for an ambiguous address or name.
    """
    word = str(given).strip()
    if not word:
        raise InputError(f"there is no {role}", hint=f"name {ENDS}")
    if word.lower() == "internet":
        return End(word, "internet")
    if "elasticloadbalancing" in word and word.startswith("arn:"):
        return _balancer(network, word, role)
    if match := re.fullmatch(r"arn:[^:]*:ec2:[^:]*:\d*:[a-z-]+/(.+)", word):
        return replace(find_end(network, match[1], role, vpc), given=word)
    prefix = _prefix(network, word)
    if prefix and word not in network.names:
        return _by_id(network, word, prefix, role)
    if re.fullmatch(r"[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", word):
        return _by_address(network, word, role, vpc)
    return _by_name(network, word, role, vpc)


def _prefix(network: Network, word: str) -> str:
    """The prefix of an id ("tgw-attach" before "tgw"), or "" for a word that is none."""
    held = [one for one in (*KINDS, *_NEVER) if word.startswith(f"{one}-")]
    prefix = max(held, key=len, default="")
    known = prefix in KINDS and word in _ids(network, prefix)
    return prefix if known or re.fullmatch(rf"{prefix}-[0-9a-z]+", word) else ""


def _by_id(network: Network, word: str, prefix: str, role: str) -> End:
    if prefix in _NEVER:
        raise InputError(f"{word} cannot be a {role}: {_NEVER[prefix]}", hint=f"a {role} is {ENDS}")
    kind = KINDS[prefix]
    end = _found(network, word, prefix, kind)
    if end:
        return end
    table = _TABLE_OF[prefix]
    if not network.known(table):
        return _missing(network, word, table)
    if prefix == "i" and not network.known("Reservations"):
        return _missing(network, word, "Reservations")
    raise InputError(f"there is no {word} in this snapshot", subject=role, hint=_near(word, _ids(network, prefix)))


def _found(network: Network, word: str, prefix: str, kind: str) -> End | None:
    if prefix == "eni":
        one = network.interfaces.get(word)
        return _of_interface(network, End(word, kind, word, interface=one)) if one else None
    if prefix == "i":
        held = network.interfaces_of.get(word, ())
        if held:
            return _of_interface(network, End(word, kind, word, interface=held[0], choices=held))
        if word in network.instances and network.known("NetworkInterfaces"):
            state = network.instances[word].state
            raise InputError(
                f"{word} has no network interface (it is {state})",
                hint="a terminated instance has none; name a running one",
            )
        return None
    if prefix == "vpce":
        endpoint = network.endpoints.get(word)
        if endpoint is None:
            return None
        held = tuple(network.interfaces[one] for one in endpoint.interfaces if one in network.interfaces)
        return End(word, kind, word, choices=held, interface=held[0] if held and endpoint.kind == "interface" else None)
    return End(word, kind, word) if word in _ids(network, prefix) else None


def _of_interface(network: Network, end: End) -> End:
    """An interface of a load balancer is that load balancer at one address; nothing else changes."""
    one = end.interface
    if one is not None and one.description.startswith("ELB ") and one.description[4:] in network.balancer_of:
        return replace(end, balancer=network.balancer_of[one.description[4:]])
    return end


def _ids(network: Network, prefix: str) -> list[str]:
    homes: dict[str, Iterable[str]] = {
        "eni": network.interfaces, "i": network.instances, "igw": network.igws, "eigw": network.eigws, "vpce": network.endpoints,
        "pcx": network.peerings, "tgw": network.transits, "vgw": network.vgws, "vpc": network.vpcs,
        "tgw-attach": [name for _, name in network.attachments],
    }  # fmt: skip
    return list(homes[prefix])


def _near(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return (
        f"did you mean {', '.join(close)}?" if close else "check the account and region that the snapshot was taken in"
    )


def _missing(network: Network, word: str, table: str) -> End:
    why = "; ".join(network.damaged[table]) if table in network.damaged else "it was not collected"
    return End(word, "missing", missing=Unknown(table, f"{word} cannot be looked up: {why}", "UNKNOWN_RESOURCE"))


def _by_address(network: Network, word: str, role: str, vpc: str) -> End:
    address = address_of(parse_address(word))
    text = parse_address(word)
    held = [one for one in network.owners.get(address, ()) if vpc in ("", one.vpc)] or [
        one for one in network.with_prefixes if one.owns(address) and vpc in ("", one.vpc)
    ]
    if role == "destination":
        # Where a destination address leads depends on where the question starts; the walk decides.
        return End(word, "address", address=address, interface=held[0] if len(held) == 1 else None, choices=tuple(held))
    if len(held) > 1:
        homes = ", ".join(f"{one.id} in {one.vpc}" for one in held)
        raise InputError(
            f"several interfaces have the address {text}: {homes}", subject=role, hint="name the interface, or the VPC"
        )
    if held:
        return _of_interface(network, End(word, "address", held[0].id, interface=held[0], address=address))
    if address[0] == 4 and address[1] in network.public_owners:
        one, private = network.public_owners[address[1]]
        return _of_interface(
            network,
            End(
                word,
                "address",
                one.id,
                interface=one,
                address=(4, private),
                notes=(f"{text} is the public address of {one.id}",),
            ),
        )
    if any(low <= address[1] <= high for low, high in public_spans(address[0])) and not _inside(network, address, vpc):
        return End(word, "internet", address=address)
    if not network.known("NetworkInterfaces") or not network.known("Vpcs"):
        return _missing(network, word, "NetworkInterfaces" if not network.known("NetworkInterfaces") else "Vpcs")
    if (home := _inside(network, address, vpc)) and not network.whole("NetworkInterfaces", home):
        why = f"{home} is another account's, and who takes part in a shared VPC is not shown all its interfaces"
        return End(
            word,
            "missing",
            missing=Unknown("NetworkInterfaces", f"{text} cannot be looked up: {why}", "UNKNOWN_RESOURCE"),
        )
    if home := _inside(network, address, vpc):
        raise InputError(
            f"no network interface has the address {text}, though it is in {home}",
            subject=role,
            hint="name an interface or instance",
        )
    raise InputError(
        f"{text} is in no VPC of this snapshot and not on the internet",
        subject=role,
        hint="name where it comes in: a vgw-, tgw-attach- or pcx- id",
    )


def _inside(network: Network, address: Address, vpc: str) -> str:
    for one in network.vpcs.values():
        if vpc in ("", one.id) and any(low <= address[1] <= high for low, high in one.spans(address[0])):
            return one.id
    return ""


def _by_name(network: Network, word: str, role: str, vpc: str) -> End:
    ids = list(network.names.get(word, ()))
    ids += [one.id for one in network.balancers.values() if one.name == word and one.id not in ids]
    if vpc and len(ids) > 1:
        ids = [one for one in ids if _vpc_of(network, one) == vpc]
    ids = _one_thing(network, ids)
    if len(ids) == 1:
        found = _balancer(network, ids[0], role) if ids[0].startswith("arn:") else find_end(network, ids[0], role)
        return replace(found, given=word)
    if ids:
        raise InputError(
            f"several things are named {word}: {', '.join(ids[:8])}",
            subject=role,
            hint="name one by its id, or the VPC",
        )
    lacking = [table for table in ("NetworkInterfaces", "Reservations") if not network.known(table)]
    if lacking:
        return _missing(network, word, lacking[0])
    raise InputError(f"nothing in this snapshot is named {word}", subject=role, hint=_near(word, network.names))


def _one_thing(network: Network, ids: list[str]) -> list[str]:
    """An instance and its interfaces often carry one name, and so do a VPC and its gateway: the one that is an end is meant."""
    instances = {one for one in ids if one.startswith("i-")}
    ids = [one for one in ids if not one.startswith("vpc-")] or ids
    return [one for one in ids if not (one in network.interfaces and network.interfaces[one].instance in instances)]


def _vpc_of(network: Network, word: str) -> str:
    if word in network.interfaces:
        return network.interfaces[word].vpc
    held = network.interfaces_of.get(word, ())
    if held:
        return held[0].vpc
    if word in network.balancers:
        return network.balancers[word].vpc
    return network.endpoints[word].vpc if word in network.endpoints else word


def _balancer(network: Network, arn: str, role: str) -> End:
    found = network.balancers.get(arn)
    if found is None:
        if not network.known("LoadBalancers"):
            return _missing(network, arn, "LoadBalancers")
        raise InputError(
            f"there is no load balancer {arn} in this snapshot", subject=role, hint=_near(arn, network.balancers)
        )
    label = "/".join(arn.split("/")[-3:])
    held = tuple(
        one for one in sorted(network.interfaces.values(), key=lambda one: one.id) if one.description == f"ELB {label}"
    )
    if not held:
        return End(
            arn,
            "missing",
            missing=Unknown(
                "NetworkInterfaces", f"the interfaces of {found.name} are not in the snapshot", "UNKNOWN_RESOURCE"
            ),
        )
    note = f"AWS's analyzer takes no load balancer as an end; here {found.name} stands for its interfaces and targets"
    return End(arn, "load-balancer", arn, interface=held[0], choices=held, balancer=found, notes=(note,))


def block_text(block: Block) -> str:
    """A block as CIDR text."""
    return ", ".join(blocks(block[1:], block[0]))


def spans_of(texts: Iterable[str], family: int) -> list[Span]:
    """CIDR texts of one family as intervals."""
    return [block[1:] for block in map(block_of, texts) if block[0] == family]
