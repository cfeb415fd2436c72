"""CIDR, port-range and protocol arithmetic. Pure: the standard library only."""

from __future__ import annotations

import ipaddress

from netkit.core.errors import InputError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IANA protocol numbers that appear in VPC traffic (https://www.iana.org/assignments/protocol-numbers).
PROTOCOLS: dict[int, str] = {
    0: "hopopt", 1: "icmp", 2: "igmp", 4: "ipip", 6: "tcp", 17: "udp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah",
    58: "icmpv6", 89: "ospf", 103: "pim", 112: "vrrp", 132: "sctp", 136: "udplite",
}  # fmt: skip
_NUMBERS = {name: number for number, name in PROTOCOLS.items()}

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58


def protocol_number(protocol: str | int) -> int:
    """The IANA number of a protocol given by name or number. Raises InputError for anything else."""
    text = str(protocol).strip().lower()
    number = _NUMBERS.get(text, int(text) if text.isascii() and text.isdecimal() else -1)
    if not 0 <= number <= 255:
        raise InputError(
            f"{protocol!r} is not an IP protocol", hint="use a name such as tcp, or a number from 0 to 255"
        )
    return number


def protocol_name(number: int) -> str:
    """The short name of an IANA protocol number, or the number as text."""
    return PROTOCOLS.get(number, str(number))


def parse_port(port: int | str, *, name: str = "port") -> int:
    """A port as int. Raises InputError unless it is a whole number from 0 to 65535."""
    text = str(port).strip()
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise InputError(f"{name} {port!r} is not a port", hint="ports are whole numbers from 0 to 65535")
    return int(text)


def parse_address(address: str) -> str:
    """An IPv4 or IPv6 address in its canonical text. Raises InputError for anything else."""
    try:
        return str(ipaddress.ip_address(address.strip()))
    except ValueError:
        raise InputError(f"{address!r} is not an IP address", hint="as 10.0.1.17 or 2001:db8::17") from None


def parse_cidr(cidr: str) -> Network:
    """A network. Raises InputError for a malformed one and for one with host bits set, naming the network meant."""
    text = cidr.strip()
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InputError(f"{cidr!r} is not a CIDR block", hint="as 10.0.0.0/16 or 2001:db8::/56") from None
    raise InputError(f"{cidr!r} has host bits set", hint=f"did you mean {meant}?")


def cidr_bounds(cidr: str) -> tuple[int, int]:
    """First and last address of a CIDR block as integers, for range predicates."""
    network = parse_cidr(cidr)
    return int(network.network_address), int(network.broadcast_address)


# Blocks that are never on the internet: this network, private use, shared, loopback, link local, multicast and beyond
# (RFC 6890). Documentation blocks count as public here: AWS's own examples stand for internet hosts with them.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(block)
    for block in (
        *(
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
        ),
        *("224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10", "ff00::/8"),
    )
)


def is_public(address: str) -> bool:
    """Whether an address can be a host on the internet: unicast, and not private, shared, loopback or link local."""
    parsed = ipaddress.ip_address(address)
    return not any(parsed.version == block.version and parsed in block for block in NOT_PUBLIC)
