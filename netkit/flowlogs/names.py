"""Names for addresses: who is 10.0.1.72? Pure: works from frames, with or without an AWS account behind them.

An AddressBook is filled from what is known, best first: the inventory (`read.interfaces`), DNS answers (Route 53 Resolver
query logs), the AWS service that the log itself names, and the log's own evidence (which address is an interface's own,
and which addresses it stands in for).

Rules that it follows (Amazon VPC User Guide, "Flow log records" and "Flow log record examples"): the ingress record of an
interface shows its primary private address whatever address the packet was sent to; a NAT gateway's interface logs every
flow again under the gateway's own address; load balancers and NAT gateways accept packets that never reach a host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from netkit.core.net import Network, is_public, parse_cidr

# Names of server ports as engineers say them (IANA service names, shortened where everybody does).
SERVICES: dict[int, str] = {
    20: "ftp-data", 21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "dns", 67: "dhcp", 80: "http", 88: "kerberos",
    110: "pop3", 111: "rpcbind", 123: "ntp", 135: "msrpc", 139: "netbios", 143: "imap", 161: "snmp", 179: "bgp",
    389: "ldap", 443: "https", 445: "smb", 465: "smtps", 514: "syslog", 587: "submission", 636: "ldaps", 873: "rsync",
    993: "imaps", 1433: "mssql", 1521: "oracle", 1883: "mqtt", 2049: "nfs", 2181: "zookeeper", 2379: "etcd", 3000: "http-dev",
    3128: "proxy", 3306: "mysql", 3389: "rdp", 4789: "vxlan", 5060: "sip", 5432: "postgres", 5672: "amqp", 5900: "vnc",
    5985: "winrm", 6379: "redis", 6443: "kubernetes", 8080: "http-alt", 8443: "https-alt", 9092: "kafka", 9100: "node-exporter",
    9200: "elasticsearch", 10250: "kubelet", 10256: "kube-proxy", 11211: "memcached", 15017: "istiod-webhook", 27017: "mongodb",
}  # fmt: skip

BOOK_COLUMNS = ("address", "name", "kind", "interface_id", "primary", "subnet", "known_from")


@dataclass(frozen=True)
class Name:
    """What is known of one address.

    kind: instance, interface, nat gateway, gateway (another that passes traffic on), load balancer, endpoint, pod or second address, aws service, inside, internet
    primary: whether it is its interface's primary private address; False for secondary and public ones
    known_from: inventory, dns, log
    """

    address: str
    name: str
    kind: str
    interface_id: str = ""
    primary: bool = True
    subnet: str = ""
    known_from: str = "log"

    def __str__(self) -> str:
        return f"{self.name} ({self.address})" if self.name and self.name != self.address else self.address


class AddressBook:
    """Names by address. `book.label("10.0.1.72")` is what a figure or a finding writes."""

    def __init__(self, names: Iterable[Name] = (), *, networks: Sequence[str] = ()) -> None:
        self._names: dict[str, Name] = {}
        self._own: dict[str, set[str]] = {}
        self._networks: list[Network] = [parse_cidr(cidr) for cidr in networks]
        for name in names:
            self.add(name)

    def add(self, name: Name) -> None:
        """Take a name in, unless the address already has a better one: what was added first stays."""
        self._names.setdefault(name.address, name)
        if name.interface_id:
            self._own.setdefault(name.interface_id, set()).add(name.address)
            if (block := _vpc_block(name.address)) and block not in self._networks:
                self._networks.append(block)

    def get(self, address: str) -> Name:
        """What is known of an address; an address nobody named is "inside" or "internet"."""
        return self._names.get(address) or Name(address, "", "inside" if self.is_inside(address) else "internet")

    def names(self) -> list[Name]:
        """Everything that is known."""
        return list(self._names.values())

    def label(self, address: str) -> str:
        """The address with its name, as "web-1 (10.0.1.72)", or the bare address."""
        return str(self.get(address))

    def is_inside(self, address: str) -> bool:
        """Whether an address is one of ours: private, in a known network, or on a known interface."""
        known = self._names.get(address)
        if known and known.interface_id:
            return True
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return not is_public(address) or any(parsed.version == net.version and parsed in net for net in self._networks)

    def owns(self, interface: str, address: str) -> bool:
        """Whether an address is known to be one of an interface's own."""
        return address in self._own.get(str(interface), ())

    def sides(self, source: str, destination: str) -> tuple[str, str]:
        """Whose the ends of one record are: inside, outside, or unknown.

        An IPv6 address that is in no known block can be ours all the same, in another VPC: only an inventory tells. One end of every record is
        the interface's own, so two addresses of one VPC block (a /56, VPC guide, "IPv6 VPC CIDR blocks") are both inside.
        """
        block = _vpc_block(source)
        if block is not None and block == _vpc_block(destination):
            return "inside", "inside"
        return self._side(source), self._side(destination)

    def _side(self, address: str) -> str:
        if self.is_inside(address):
            return "inside"
        known = self._names.get(address)
        foreign = known is not None and known.kind in ("internet", "aws service")
        return "outside" if ":" not in address or foreign or self._inventory() else "unknown"

    def _inventory(self) -> bool:
        return any(name.known_from == "inventory" for name in self._names.values())

    def group(self, address: str) -> str:
        """The group that a person thinks in: the subnet, the role of a gateway, the AWS service, or the internet."""
        known = self.get(address)
        if known.kind in ("nat gateway", "load balancer", "endpoint"):
            return known.kind
        if known.subnet:
            return known.subnet
        if known.kind == "aws service":
            return f"AWS {known.name}"
        return _network_of(address) if known.kind == "inside" or self.is_inside(address) else "internet"

    def stands_in(self, address: str) -> bool:
        """Whether the address belongs to something that passes on other hosts' traffic (NAT gateway, load balancer)."""
        return self.get(address).kind in ("nat gateway", "load balancer", "gateway")

    def frame(self) -> pd.DataFrame:
        """All names, one row an address: address, name, kind, interface_id, primary, subnet, known_from."""
        return pd.DataFrame([vars(name) for name in self._names.values()], columns=list(BOOK_COLUMNS))

    def name_columns(self, frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
        """The frame with "<column>_name" after each address column, for people to read."""
        named = frame.copy()
        for column in columns:
            labels = {address: self.get(address).name for address in frame[column].dropna().unique()}
            named.insert(list(named.columns).index(column) + 1, f"{column}_name", frame[column].map(labels))
        return named

    def __len__(self) -> int:
        return len(self._names)


def _vpc_block(address: str) -> Network | None:
    """The /56 around a public IPv6 address, which is what AWS gives a VPC; None for any other address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return ipaddress.ip_network((address, 56), strict=False) if parsed.version == 6 and is_public(address) else None


def _network_of(address: str) -> str:
    """A stand-in for an unknown subnet: the /24 (IPv4) or /64 (IPv6) around the address."""
    parsed = ipaddress.ip_address(address)
    return str(ipaddress.ip_network((address, 24 if parsed.version == 4 else 64), strict=False))


def service_name(port: int | None, protocol: int = 6) -> str:
    """The usual name of a server port, as "443 https"; a bare number where it has none, "" where there is no port."""
    if port is None or pd.isna(port) or protocol not in (6, 17):
        return ""
    return f"{int(port)} {SERVICES[int(port)]}" if int(port) in SERVICES else str(int(port))


def from_inventory(interfaces: pd.DataFrame) -> list[Name]:
    """Names from `read.interfaces`: every private (primary and secondary), IPv6 and public address of every interface."""
    names: list[Name] = []
    for row in interfaces.to_dict("records"):
        base = Name(
            str(row["primary_address"]),
            _interface_name(row),
            _interface_kind(row),
            str(row["interface_id"]),
            subnet=str(row.get("subnet_name") or row.get("subnet_id") or ""),
            known_from="inventory",
        )
        names.append(base)
        seconds = [*(row.get("secondary_addresses") or ()), *(row.get("ipv6_addresses") or ())]
        names += [replace(base, address=one, primary=False, name=f"{base.name} 2nd") for one in seconds]
        names += [replace(base, address=one, primary=False) for one in row.get("public_addresses") or ()]
    return names


def _interface_kind(row: Mapping[Any, Any]) -> str:
    kind, description = str(row.get("interface_type") or ""), str(row.get("description") or "")
    if kind == "nat_gateway" or "NAT Gateway" in description:
        return "nat gateway"
    if kind in ("network_load_balancer", "gateway_load_balancer") or description.startswith("ELB "):
        return "load balancer"
    if kind in ("vpc_endpoint", "gateway_load_balancer_endpoint") or "VPC Endpoint" in description:
        return "endpoint"
    return "instance" if row.get("instance_id") else "interface"


def _interface_name(row: Mapping[Any, Any]) -> str:
    description = str(row.get("description") or "")
    if description.startswith("ELB "):  # "ELB app/shop/50dc6c495c0c9188": the load balancer's name is in the middle
        return (
            description.removeprefix("ELB ").split("/")[1] if "/" in description else description.removeprefix("ELB ")
        )
    for key in ("instance_name", "name", "description"):
        if text := str(row.get(key) or ""):
            return text.replace("Interface for NAT Gateway ", "")
    return str(row["interface_id"])


def from_dns(answers: pd.DataFrame) -> list[Name]:
    """Names from Route 53 Resolver query logs: columns query_name and answers (a list of {"Rdata", "Type"})."""
    names: list[Name] = []
    for row in answers.to_dict("records"):
        for answer in row["answers"] or ():
            if answer.get("Type") in ("A", "AAAA"):
                address = str(answer["Rdata"])
                kind = "internet" if is_public(address) else "inside"
                names.append(Name(address, str(row["query_name"]).rstrip("."), kind, known_from="dns"))
    return names


def from_services(services: pd.DataFrame) -> list[Name]:
    """Names from the log's own pkt-*-aws-service fields: columns address and aws_service."""
    rows = services.dropna(subset=["address", "aws_service"]).to_dict("records")
    return [Name(str(row["address"]), str(row["aws_service"]), "aws service") for row in rows]


def from_log(own: pd.DataFrame, rewrites: pd.DataFrame, checks: pd.DataFrame | None = None) -> list[Name]:
    """Names that the log itself gives away, for files that come without an account.

    own       query interface_addresses: interface_id, own_address, sure
    rewrites  query address_rewrites or packet_rewrites: interface_id, own_address, real_address, side
    checks    query health_checks: interface_id, client

    An interface that shows its own address where the host at the other end shows many public ones (side "source") stands
    in for them: a NAT gateway. One that shows its own address where the sender sent to another private one (side
    "destination") carries that address as a secondary one, as Kubernetes nodes do for pods; where that other address is another
    interface's own it is a gateway's interface, and carries nothing. Health checks to one NodePort of several hosts, at a fixed beat, are a load
    balancer's (Elastic Load Balancing guide, "Health checks for Network Load Balancer target groups").
    """
    sure = own[own["sure"] == 1] if "sure" in own else own
    owners = dict(zip(sure["own_address"], sure["interface_id"], strict=True))
    gateways, relays = _standing(rewrites, owners)
    balancers = set() if checks is None else set(zip(checks["interface_id"], checks["client"], strict=True))
    names = []
    for row in sure.to_dict("records"):
        interface, address = str(row["interface_id"]), str(row["own_address"])
        if interface in gateways:
            names.append(Name(address, f"NAT gateway at {interface}", "nat gateway", interface))
        elif interface in relays:
            names.append(Name(address, f"gateway at {interface}", "gateway", interface))
        elif (interface, address) in balancers:
            names.append(Name(address, f"load balancer at {interface}", "load balancer", interface))
        else:
            names.append(Name(address, "", "interface", interface))
    carried = rewrites[(rewrites["side"] == "destination") & ~rewrites["interface_id"].isin(gateways | relays)]
    for row in carried.to_dict("records"):
        second = str(row["real_address"])
        # With the pkt- fields only an instance's interface is known to carry what it shows another address for.
        known = "managed" not in row or row["managed"] == 0
        if known and not is_public(second) and second not in owners:
            kind = "pod or second address"
            names.append(Name(second, f"behind {row['own_address']}", kind, str(row["interface_id"]), primary=False))
    return names


def _standing(rewrites: pd.DataFrame, owners: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """The interfaces of NAT gateways (they stand in for three or more public addresses), and of other gateways.

    With the pkt- fields (query packet_rewrites) an interface without an instance that shows its own address for others is a gateway's, and so is one
    that shows it for an address that another interface has.
    """
    public: dict[str, set[str]] = {}
    relays: set[str] = set()
    typed: dict[str, str] = {}
    for row in rewrites.to_dict("records"):
        interface, real = str(row["interface_id"]), str(row["real_address"])
        if row["side"] == "source" and is_public(real):
            public.setdefault(interface, set()).add(real)
        if "managed" in row and (row["managed"] == 1 or owners.get(real, interface) != interface):
            relays.add(interface)
        if row.get("type"):
            typed[interface] = str(row["type"])
    gateways = {interface for interface, addresses in public.items() if len(addresses) >= 3}
    gateways = {one for one in gateways if typed.get(one, "nat_gateway") == "nat_gateway"}
    gateways |= {one for one, kind in typed.items() if kind == "nat_gateway"}
    return gateways, relays - gateways
