"""What the mirrors in force deliver: captures of the world's traffic in S3, and the metrics of the sources.

The packets are those of the flow-log records of ten minutes, so a mirror that is right and the flow logs agree. Which of them
are copied, by which session, whether they arrive: from the configuration as it is when somebody looks; the capture is
written again when that has changed. Sources: Amazon VPC Traffic Mirroring, "Traffic mirror filters" (first match, no
match is not mirrored), "Traffic mirror sessions" (each packet once, lowest session number first), "Traffic mirror targets"
(UDP 4789 open at the target; not subject to the source's security groups; what these or a network ACL drop at the source is
not mirrored), "Limitations" (what is never mirrored), "Packet format"; RFC 7348. Decided here, as AWS does not say it: the
metrics' bytes are those of the mirrored IP packets, without what the mirror puts around them.
"""

from __future__ import annotations

import gzip
import hashlib
import ipaddress
import json
import random
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from netkit.mirror.filters import MirrorFilter, Rule
from netkit.sandbox.services import mirror_api
from netkit.sandbox.services.cloudwatch_metrics import keep_points
from netkit.sandbox.services.mirror_api import FILTER, SESSION, TARGET, Record
from netkit.sandbox.world import traffic, world
from netkit.sandbox.world.mirror_packets import Packet, Way, expand, ipv4, lookup
from netkit.sandbox.world.pcap import pcap_bytes
from netkit.sandbox.world.world import ACCOUNT, HOSTS, REGION

START, SECONDS = (
    int(world.moment("13:00")),
    600,
)  # the window of every capture: one aggregation interval of the flow logs
RING_S = 240  # seconds in one file of the ring
MOST_PACKETS = 50_000  # of one interface; later conversations are left out whole
VXLAN_PORT = 4789
RESOLVERS = ("10.0.0.2", "169.254.169.253")  # Amazon's DNS in the shop's VPCs: base address plus two, and link-local
# Where the shop calls, and the name that it asks for before.
SITES = {world.PARTNER: "api.partner.example"} | dict.fromkeys(
    world.S3_ADDRESSES, "shop-assets.s3.us-east-1.amazonaws.com"
)
BUCKET = "netkit-captures"
TRANSIT_NS = 150_000  # from the source to the capture
_lock = threading.RLock()


@dataclass(frozen=True)
class Earlier:
    """A session that had another VNI when its packets were captured: the VNI that it has, the one of then, its filter's rules."""

    vni: int
    captured_vni: int
    rules: tuple[Rule, ...]


# Laid by whoever seeds mirrors: sessions changed since their capture, by id, and the share of the copies that a source has no
# bandwidth for, by (scenario, host).
earlier: dict[str, Earlier] = {}
skipped: dict[tuple[str, str], float] = {}


# ------------------------------------------------------------------------------------------------- the world's packets


def window() -> tuple[datetime, datetime]:
    """The start and end (UTC) of what captures hold."""
    start = datetime.fromtimestamp(START, UTC)
    return start, start + timedelta(seconds=SECONDS)


@lru_cache(maxsize=4)
def _ways(scenario: str) -> dict[str, list[Way]]:
    """By host: what its interface's flow log says was accepted within the window."""
    one = world.scenario(scenario)
    columns, addresses = traffic.records(one, one.spec)
    inside = (columns["start"] >= START) & (columns["end"] < START + SECONDS)
    chosen = inside & (columns["status"] == traffic.OK) & (columns["action"] == traffic.ACCEPT)
    names = ("host", "egress", "proto", "psrc", "pdst", "sport", "dport", "packets", "bytes", "start", "end", "flags")
    found: dict[str, list[Way]] = {host.name: [] for host in HOSTS}
    for host, egress, protocol, source, target, *rest in zip(*(columns[name][chosen].tolist() for name in names), strict=True):  # fmt: skip
        found[HOSTS[host].name].append(Way(bool(egress), protocol, addresses[source], addresses[target], *rest))
    return found


def conversations(scenario: str, host: str) -> list[tuple[Way, Way | None]]:
    """The records of an interface two by two: who began, and the other direction, where there is one. Earliest first."""
    waiting: dict[tuple[Any, ...], list[Way]] = {}
    pairs: list[tuple[Way, Way | None]] = []
    for way in sorted(_ways(scenario)[host], key=lambda way: (way.start, bool(way.flags & 16))):
        ends = frozenset([(way.source, way.source_port), (way.destination, way.destination_port)])
        before = waiting.setdefault((way.protocol, ends, way.start), [])
        match = next((one for one in before if way.answers(one)), None)
        if match is None:
            before.append(way)
            continue
        before.remove(match)
        pairs.append((match, way))
    alone = [(way, None) for left in waiting.values() for way in left]
    return sorted([*pairs, *alone], key=lambda pair: (pair[0].start, repr(pair[0])))


@lru_cache(maxsize=32)
def packets(scenario: str, host: str) -> tuple[Packet, ...]:
    """Every packet of an interface in the window, in order of time, as long as there are not too many.

    Before a call to a site there is the question for its address, which flow logs do not have (Amazon VPC User Guide, "Flow
    log limitations"), and mirrors only by the network service amazon-dns.
    """
    found: list[Packet] = []
    for there, back in conversations(scenario, host):
        if len(found) + there.packets + (back.packets if back else 0) <= MOST_PACKETS:
            made = expand(there, back)
            found += made
            if there.egress and there.destination in SITES:
                before = made[0].time - 900_000
                found += lookup(there.source, RESOLVERS[0], SITES[there.destination], there.destination, before)
    return tuple(sorted(found, key=lambda packet: packet.time))


# --------------------------------------------------------------------------------------------- the configuration in force


@dataclass(frozen=True)
class Source:
    """An interface of the world that is mirrored, and its sessions with their filters, lowest number first."""

    scenario: str
    host: str
    interface: str
    instance: str
    address: str
    sessions: tuple[tuple[Record, MirrorFilter], ...]


def _sources(ec2: Any) -> list[Source]:
    sessions: dict[str, list[Record]] = {}
    for session in list(mirror_api.shelf(ec2, SESSION).values()):
        sessions.setdefault(session["NetworkInterfaceId"], []).append(session)
    found = []
    for interface, held in sessions.items():
        eni = ec2.enis.get(interface)
        if eni is None:
            continue
        scenario, host = _interfaces().get(interface, ("", ""))
        pairs = [(session, _filter(ec2, session)) for session in sorted(held, key=lambda one: one["SessionNumber"])]
        instance = eni.instance.id if eni.instance else ""
        found.append(Source(scenario, host, interface, instance, eni.private_ip_address, tuple(pairs)))
    return found


@lru_cache(maxsize=1)
def _interfaces() -> dict[str, tuple[str, str]]:
    return {host.interface_id(name): (name, host.name) for name in world.NAMES for host in HOSTS}


def _filter(ec2: Any, session: Record) -> MirrorFilter:
    return MirrorFilter.of(mirror_api.told(ec2, FILTER, mirror_api.shelf(ec2, FILTER)[session[FILTER.id]]))


# --------------------------------------------------------------------------------------------------- which are copied


def eligible(way: Way, services: Sequence[str]) -> bool:
    """Whether packets may be mirrored at all: never what is link-local (metadata, time, activation) or DHCP, and Amazon's
    DNS only where the filter has that service."""
    far = way.destination if way.egress else way.source
    if way.protocol == 17 and {way.source_port, way.destination_port} & {67, 68}:
        return False
    if far in RESOLVERS:
        return "amazon-dns" in services
    return not far.startswith("169.254.")


def takes(mirror: MirrorFilter, way: Way) -> bool:
    """Whether a filter has the packets of one direction copied; those of a network service are, whatever the rules say."""
    far = way.destination if way.egress else way.source
    if not eligible(way, mirror.network_services):
        return False
    if far in RESOLVERS:
        return True
    ports = (way.source_port, way.destination_port) if way.protocol in (6, 17) else (None, None)
    rule = mirror.first("egress" if way.egress else "ingress", way.protocol, way.source, way.destination, *ports)
    return rule is not None and rule.action == "accept"


@dataclass(frozen=True)
class Copies:
    """What a session takes of an interface's packets, and what the source had no bandwidth to send of it."""

    sent: tuple[Packet, ...]
    skipped: tuple[Packet, ...]


def copies(source: Source) -> dict[str, Copies]:
    """By session id, which packets of a source are copied: each once, by the first session whose filter takes it."""
    owner: dict[Way, str] = {}
    found: dict[str, tuple[list[Packet], list[Packet]]] = {one[SESSION.id]: ([], []) for one, _ in source.sessions}
    skip = _skipping(source)
    for packet in packets(source.scenario, source.host) if source.host else ():
        if packet.way not in owner:
            owner[packet.way] = next((one[SESSION.id] for one, mirror in source.sessions if takes(mirror, packet.way)), "")  # fmt: skip
        if owner[packet.way]:
            found[owner[packet.way]][next(skip)].append(packet)
    return {name: Copies(tuple(sent), tuple(skipped)) for name, (sent, skipped) in found.items()}


def _skipping(source: Source) -> Iterator[bool]:
    """For one copy after another whether it is left out: some in a row, as it is while a link is busy."""
    share = skipped.get((source.scenario, source.host), 0.0)
    rng = random.Random(zlib.crc32(source.interface.encode()))  # noqa: S311  (no secret, the same every time)
    while True:
        burst = rng.randrange(1, 6) if rng.random() < share / 3 else 0
        yield from [True] * burst
        yield False


# ----------------------------------------------------------------------------------------------------- do they arrive


def arrival(ec2: Any, source: Source, session: Record) -> str:
    """The address at which copies arrive, "" where none does: no target or route, or UDP 4789 is closed at the target."""
    target = mirror_api.shelf(ec2, TARGET)[session[TARGET.id]]
    start = ec2.enis[source.interface]
    if target["Type"] == "network-load-balancer":
        return _balancer(ec2, target["NetworkLoadBalancerArn"])
    eni = ec2.enis.get(target.get("NetworkInterfaceId", ""))
    if eni is None:  # a Gateway Load Balancer endpoint: what is behind it is not modelled, so nothing is said to arrive
        return ""
    routed = eni.subnet.vpc_id == start.subnet.vpc_id or _routed(ec2, start, eni)
    admitted = _group_admits(eni, start) and _acls_admit(ec2, start.subnet.id, eni.subnet.id, source.address, eni.private_ip_address)  # fmt: skip
    return str(eni.private_ip_address) if routed and admitted else ""


def _group_admits(eni: Any, start: Any) -> bool:
    own = {group.id for group in start.group_set}
    for group in eni.group_set:
        for rule in group.ingress_rules:
            if not _covers(rule.ip_protocol, rule.from_port, rule.to_port):
                continue
            block = rule.ip_range.get("CidrIp")
            if (block and _inside(start.private_ip_address, block)) or rule.source_group.get("GroupId") in own:
                return True
    return False


def _acls_admit(ec2: Any, start: str, end: str, source: str, target: str) -> bool:
    """Out of the source's subnet and into the target's. AWS exempts copies from the source's security groups and says nothing
    of its network ACL, so that counts as it does for all that leaves a subnet."""
    return start == end or (_acl_admits(ec2, start, target, egress=True) and _acl_admits(ec2, end, source, egress=False))  # fmt: skip


def _acl_admits(ec2: Any, subnet: str, peer: str, *, egress: bool) -> bool:
    """What a subnet's network ACL says of UDP 4789 to or from an address: the lowest number that matches decides."""
    for acl in ec2.network_acls.values():
        if all(link.subnet_id != subnet for link in acl._associations.values()):
            continue
        entries = [one for one in acl.network_acl_entries if one.egress == egress and one.cidr_block]
        for entry in sorted(entries, key=lambda one: int(one.rule_number)):
            if _covers(entry.protocol, entry.port_range_from, entry.port_range_to) and _inside(peer, entry.cidr_block):
                return bool(entry.rule_action == "allow")
        return False
    return True


def _covers(protocol: Any, first: Any, last: Any) -> bool:
    if str(protocol) == "-1":
        return True
    if str(protocol) not in ("17", "udp"):
        return False
    return first is None or int(first) <= VXLAN_PORT <= int(last)


def _inside(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block)


def _routed(ec2: Any, start: Any, eni: Any) -> bool:
    """Whether the source subnet's route table leads to a target in another VPC, by a peering or a transit gateway."""
    tables = [one for one in ec2.route_tables.values() if one.vpc_id == start.subnet.vpc_id]
    own = [one for one in tables if start.subnet.id in one._associations.values()]
    table = next(iter(own), next((one for one in tables if one.main_association_id), None))
    routes = [one for one in table.routes if one.destination_cidr_block and _inside(eni.private_ip_address, one.destination_cidr_block)] if table else []  # fmt: skip
    best = max(routes, key=lambda one: ipaddress.ip_network(one.destination_cidr_block).prefixlen, default=None)
    return best is not None and best.state == "active" and bool(best.vpc_pcx or best.transit_gateway)


def _balancer(ec2: Any, arn: str) -> str:
    """An address of a Network Load Balancer that listens on UDP 4789, "" where it does not, or has no target."""
    from moto.elbv2.models import elbv2_backends

    elb: Any = elbv2_backends[ACCOUNT][REGION]
    balancer = elb.load_balancers.get(arn)
    for listener in balancer.listeners.values() if balancer else ():
        groups = [elb.target_groups.get(action.data.get("TargetGroupArn")) for action in listener.default_actions]
        heard = listener.protocol in ("UDP", "TCP_UDP") and int(listener.port) == VXLAN_PORT
        if heard and any(one and one.targets for one in groups):
            return str(ipaddress.ip_network(balancer.subnets[0].cidr_block)[100])  # moto gives it no interface
    return ""


# --------------------------------------------------------------------------------------------------- what is captured


def frames(source: Source, session: Record, sent: Sequence[Packet], target: str) -> list[tuple[int, bytes]]:
    """(ns since 1970, frame) of copies at the target: outer Ethernet, IPv4, UDP 4789, VXLAN, and the inner frame as far as
    the session's packet length goes."""
    vni, length = session["VirtualNetworkId"], session.get("PacketLength")
    outer_ethernet = _mac(target) + _mac(f"router of {target}") + b"\x08\x00"
    vxlan = struct.pack("!BxxxI", 0x08, vni << 8)
    found = []
    for number, packet in enumerate(sent):
        payload = vxlan + (_ethernet(packet.way, source.address) + packet.body)[:length]
        # 0 is "no checksum", as RFC 7348 has it for what a tunnel's end sends
        udp = struct.pack("!HHHH", _port(packet.way), VXLAN_PORT, 8 + len(payload), 0)
        outer = ipv4(source.address, target, 17, udp + payload, number, ttl=254)
        found.append((packet.time + TRANSIT_NS, outer_ethernet + outer))
    return found


def _port(way: Way) -> int:
    """The outer source port: a hash of what tells inner flows apart."""
    ends = (way.source, way.destination, way.protocol, way.source_port, way.destination_port)
    return 32768 + zlib.crc32(repr(ends).encode()) % 28000


@lru_cache(maxsize=4096)
def _ethernet(way: Way, own: str) -> bytes:
    peer = way.destination if way.egress else way.source
    far = _mac(peer if peer.rsplit(".", 1)[0] == own.rsplit(".", 1)[0] else f"router of {own}")
    return (far + _mac(own) if way.egress else _mac(own) + far) + b"\x08\x00"


@lru_cache(maxsize=4096)
def _mac(name: str) -> bytes:
    return b"\x02" + hashlib.sha256(name.encode()).digest()[:5]


def ring(frames: Sequence[tuple[int, bytes]]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the files that the analysis host uploads, named as tshark names a ring; one without packets where
    nothing arrived."""
    edges = range(START, START + SECONDS, RING_S) if frames else [START]
    for number, edge in enumerate(edges, 1):
        inside = [one for one in frames if edge <= one[0] // 10**9 < edge + RING_S]
        stamp = datetime.fromtimestamp(edge, UTC).strftime("%Y%m%d%H%M%S")
        yield f"mirror_{number:05d}_{stamp}.pcap.gz", gzip.compress(pcap_bytes(inside), compresslevel=5, mtime=0)


# ------------------------------------------------------------------------------------------------------------ into moto


def deliver_to(bucket: str, key: str) -> None:
    """Write the captures that a key or prefix of the bucket touches, where the configuration has changed since."""
    if bucket != BUCKET:
        return
    from moto.ec2.models import ec2_backends
    from moto.s3.models import s3_backends

    ec2, store = ec2_backends[ACCOUNT][REGION], s3_backends[ACCOUNT]["aws"]
    if BUCKET not in store.buckets:
        return
    with _lock:
        written: dict[str, tuple[str, list[str]]] = ec2.__dict__.setdefault("nk_captures", {})
        folders: dict[str, list[tuple[Source, Record]]] = {}
        for source in _sources(ec2):
            for session, _ in source.sessions:
                folders.setdefault(folder_of(ec2, session), []).append((source, session))
        for folder in written.keys() - folders.keys():
            _remove(store, written.pop(folder)[1])
        for folder, mirrors in folders.items():
            if folder.startswith(key) or key.startswith(folder):
                _bring_up_to_date(ec2, store, written, folder, mirrors)


def folder_of(ec2: Any, session: Record) -> str:
    """The folder of a session's capture: its Name tag, or its id. Sessions of one name are one mirror, captured together."""
    return f"{ec2.tags.get(session[SESSION.id], {}).get('Name') or session[SESSION.id]}/"


def _bring_up_to_date(
    ec2: Any, store: Any, written: dict[str, tuple[str, list[str]]], folder: str, mirrors: Sequence[tuple[Source, Record]]
) -> None:  # fmt: skip
    arrived = [(source, session, arrival(ec2, source, session)) for source, session in mirrors]
    state = "\n".join(_digest(*one) for one in arrived)
    before, keys = written.get(folder, ("", []))
    if state == before:
        return
    _remove(store, keys)
    made: list[tuple[int, bytes]] = []
    for source, session, target in arrived:
        sent = copies(source)[session[SESSION.id]].sent if target else ()
        made += frames(source, _as_captured(source, session), sent, target)
    keys = []
    for name, body in ring(sorted(made, key=lambda one: one[0])):
        keys.append(folder + name)
        store.put_object(BUCKET, keys[-1], body).last_modified = window()[1] + timedelta(minutes=1)
    written[folder] = (state, keys)


def _remove(store: Any, keys: Iterable[str]) -> None:
    for key in keys:
        store.delete_object(BUCKET, key)


def _digest(source: Source, session: Record, target: str) -> str:
    """What a capture follows from, as text: the sessions of the interface with their filters, and where copies arrive."""
    sessions = [[one, list(map(str, mirror.rules)), mirror.network_services] for one, mirror in source.sessions]
    return json.dumps([source.interface, source.address, session[SESSION.id], sessions, target], default=str)


def _as_captured(source: Source, session: Record) -> Record:
    """The session as it was when its packets were captured: one of the lab's got another VNI since, and nothing else."""
    before = earlier.get(session[SESSION.id])
    if before is None:
        return session
    now = next(mirror.rules for one, mirror in source.sessions if one is session)
    same = session["VirtualNetworkId"] == before.vni and "PacketLength" not in session and len(source.sessions) == 1
    if same and set(now) == set(before.rules):
        return session | {"VirtualNetworkId": before.captured_vni}
    return session


def deliver_metrics() -> None:
    """Put the mirror metrics of every source instance in place, five minutes a point, as the configuration is now.

    Names, units and five-minute points: Amazon VPC Traffic Mirroring, "Monitor mirrored traffic using Amazon CloudWatch".
    """
    from moto.cloudwatch.models import cloudwatch_backends
    from moto.ec2.models import ec2_backends

    ec2, watch = ec2_backends[ACCOUNT][REGION], cloudwatch_backends[ACCOUNT][REGION]
    with _lock:
        sources = [one for one in _sources(ec2) if one.instance]
        state = "\n".join(_digest(one, one.sessions[0][0], one.instance) for one in sources)
        before, ours = watch.__dict__.get("nk_mirror", ("", set()))
        if state == before:
            return
        kept = [one for one in watch.metric_data if id(one) not in ours]
        watch.metric_data = []
        keep_points(watch, "AWS/EC2", metric_data(sources))
        made, watch.metric_data = watch.metric_data, kept + watch.metric_data
        watch.__dict__["nk_mirror"] = (state, {id(one) for one in made})


def metric_data(sources: Iterable[Source]) -> list[dict[str, Any]]:
    """PutMetricData's entries: bytes and packets mirrored and skipped, in and out, of each source instance."""
    totals: dict[tuple[str, str, int], list[int]] = {}
    for source in sources:
        points = [(START + 300 * k) for k in range(SECONDS // 300)]
        for word in ("MirrorIn", "MirrorOut", "SkipMirrorIn", "SkipMirrorOut"):
            for point in points:
                totals.setdefault((source.instance, word, point), [0, 0])
        for found in copies(source).values():
            for word, some in (("Mirror", found.sent), ("SkipMirror", found.skipped)):
                for packet in some:
                    point = START + (packet.time // 10**9 - START) // 300 * 300
                    total = totals[source.instance, f"{word}{'Out' if packet.way.egress else 'In'}", point]
                    total[0] += len(packet.body)
                    total[1] += 1
    return [
        {"MetricName": f"Network{middle}{word}", "Dimensions": [{"Name": "InstanceId", "Value": instance}], "Value": value,
         "Timestamp": datetime.fromtimestamp(point, UTC).replace(tzinfo=None), "Unit": unit}
        for (instance, word, point), total in totals.items()
        for middle, value, unit in (("", total[0], "Bytes"), ("Packets", total[1], "Count"))
    ]  # fmt: skip
