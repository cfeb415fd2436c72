"""What is asked for: protocol, ports and the ports that the client may use. Pure.

Ephemeral ports: VPC guide, nacl-ephemeral-ports; Linux's own default (net.ipv4.ip_local_port_range) ends at 60999, which is what is
asked here, and AWS's page says 61000. Pods of a Kubernetes node get any port from 1024 up (AWS_VPC_K8S_CNI_RANDOMIZESNAT,
aws/amazon-vpc-cni-k8s#1893).
"""

from __future__ import annotations

from dataclasses import dataclass

from netkit.core.errors import InputError
from netkit.core.net import ICMP, ICMPV6, TCP, UDP, parse_port, protocol_number
from netkit.core.packets import ANY_PORT, ANY_PROTOCOL, Span, icmp_text, port_text, protocol_text
from netkit.reach.engine.leg import REMAPPED
from netkit.reach.network.network import Network
from netkit.reach.network.records import Interface

LINUX, WINDOWS = (32768, 60999), (49152, 65535)


@dataclass(frozen=True)
class Service:
    """What is asked for: protocol and port (or ICMP type and code), and the client's port if it is given.

    one_way: only the way there counts, as for a sender that expects no answer.
    """

    protocol: Span
    port: Span
    source_port: Span | None
    one_way: bool = False

    @property
    def has_ports(self) -> bool:
        """Whether it is TCP or UDP."""
        return self.protocol in ((TCP, TCP), (UDP, UDP))

    def words(self) -> tuple[str, str]:
        """Protocol and port as a verdict has them."""
        if self.port == ANY_PORT:
            return protocol_text(self.protocol), ""
        is_icmp = self.protocol[0] in (ICMP, ICMPV6)
        return protocol_text(self.protocol), icmp_text(self.port) if is_icmp else port_text(self.port)


def service_of(
    protocol: str | int,
    port: int | str | None = None,
    source_port: int | str | None = None,
    icmp_type: int | None = None,
    icmp_code: int | None = None,
    *,
    one_way: bool = False,
) -> Service:
    """The service that trace() asks for with these. Raises InputError for a port out of range or beside a protocol without."""
    text = str(protocol).strip().lower()
    every = text in ("all", "-1")
    number = -1 if every else protocol_number(text)
    has_ports, has_types = number in (TCP, UDP), number in (ICMP, ICMPV6)
    name = "all" if every else protocol_text((number, number))
    given_port = port is not None and str(port).strip() != ""
    given_source = source_port is not None and str(source_port).strip() != ""
    if (given_port or given_source) and not has_ports:
        raise InputError(
            f"{name} has no ports",
            hint="leave the port out" + ("; icmp_type and icmp_code name a message" if has_types else ""),
        )
    if (icmp_type is not None or icmp_code is not None) and not has_types:
        raise InputError(f"{name} has no ICMP type or code", hint="they belong to icmp and icmpv6")
    client = _ports(str(source_port), "source port") if given_source else None
    if has_ports:
        return Service((number, number), _ports(str(port), "port") if given_port else ANY_PORT, client, one_way)
    if has_types:
        return Service((number, number), _icmp(number, icmp_type, icmp_code), None, one_way)
    return Service(ANY_PROTOCOL if every else (number, number), ANY_PORT, None, one_way)


def _ports(text: str, name: str) -> Span:
    """A port, or a range as 8000-8100."""
    first, dash, last = text.strip().partition("-")
    low = parse_port(first.strip(), name=name)
    high = parse_port(last.strip(), name=name) if dash else low
    if low > high:
        raise InputError(f"{name} {text} ends before it begins", hint=f"write {high}-{low}")
    return low, high


def _icmp(number: int, kind: int | None, code: int | None) -> Span:
    if kind is None and code is None:
        kind, code = (8 if number == ICMP else 128), 0
    for name, value in (("type", kind), ("code", code)):
        if value is not None and not 0 <= value <= 255:
            raise InputError(f"ICMP {name} {value} is not between 0 and 255")
    if kind is None:
        raise InputError("an ICMP code needs its type", hint="give icmp_type too")
    return (kind * 256, kind * 256 + 255) if code is None else (kind * 256 + code, kind * 256 + code)


def client_ports(network: Network, one: Interface | None) -> tuple[Span, str]:
    """The ports that a client behind an interface may use, and why these; None: a client that the snapshot does not hold."""
    held = network.instances.get(one.instance) if one else None
    if one and (one.node or (held and held.node)):
        return REMAPPED, "a Kubernetes node gives its pods random ports"
    if held is None:
        return REMAPPED, "any port that a client of an unknown kind may use"
    return (WINDOWS, "Windows' default") if held.windows else (LINUX, "Linux's default")
