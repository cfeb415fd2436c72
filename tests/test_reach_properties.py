"""Properties that hold in any network: a second opinion agrees, and what cannot open a path never does."""

from __future__ import annotations

import copy
import ipaddress
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from little_net import ACCOUNT, REGION, Net, entry
from networks import OUTSIDE, small_networks
from packet_oracle import Packet, delivered

from netkit.core.errors import NetkitError
from netkit.core.model import Coverage, Verdict
from netkit.core.packets import Box, Packets
from netkit.reach import load_snapshot, matrix
from netkit.reach.engine.trace import trace
from netkit.reach.network.network import network_of
from netkit.reach.network.snapshot import TABLES, Snapshot

FEW = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
BATFISH = Path(__file__).parents[1].parent / "shared" / "data" / "reach" / "batfish"
SERVICES = st.sampled_from([(6, 443, 40000), (6, 443, 500), (17, 443, 50000), (1, 8 << 8, 0), (47, 0, 0)])


def hosts(net: Net) -> dict[str, dict[str, Any]]:
    return {
        one["NetworkInterfaceId"]: one for one in net.tables["NetworkInterfaces"] if one["InterfaceType"] == "interface"
    }


def public_of(interface: dict[str, Any]) -> str:
    """The public address of an interface, "" for none."""
    return str(interface["PrivateIpAddresses"][0].get("Association", {}).get("PublicIp", ""))


def asked(service: tuple[int, int, int]) -> dict[str, Any]:
    """The parameters of trace() for a packet: a ping for ICMP."""
    protocol, port, source_port = service
    return {"protocol": protocol, **({"port": port, "source_port": source_port} if protocol in (6, 17) else {})}


@FEW
@given(small_networks(), SERVICES)
def test_a_second_opinion_agrees(net: Net, service: tuple[int, int, int]) -> None:
    """packet_oracle.py takes one packet at a time through the same tables, written without looking at the engine."""
    held, snapshot, (protocol, port, source_port) = hosts(net), net.snapshot(), service
    for source, one in held.items():
        for destination in [
            *(other["PrivateIpAddress"] for name, other in held.items() if name != source),
            *(public for name, other in held.items() if name != source and (public := public_of(other))),
            OUTSIDE,
            "192.0.2.7",
        ]:
            verdict = trace(snapshot, source=source, destination=destination, **asked(service))
            packet = Packet(protocol, one["PrivateIpAddress"], destination, source_port, port)
            assert verdict.status == (
                "REACHABLE" if delivered(net.tables, packet, source=source) else "NOT_REACHABLE"
            ), str(verdict)
        if public := public_of(one):
            verdict = trace(snapshot, source=OUTSIDE, destination=public, **asked(service))
            packet = Packet(protocol, OUTSIDE, public, source_port, port)
            got = delivered(net.tables, packet, source="internet", vpc=one["VpcId"])
            assert verdict.status == ("REACHABLE" if got else "NOT_REACHABLE"), str(verdict)


def verdicts(snapshot: Snapshot, names: list[str], service: dict[str, Any]) -> dict[tuple[str, str], Verdict]:
    publics = [out for one in network_of(snapshot).interfaces.values() for _, out in one.pairs if out is not None]
    texts = [str(ipaddress.ip_address(out)) for out in sorted(publics)]
    pairs = [(one, other) for one in [*names, "internet"] for other in [*names, "internet"] if one != other]
    pairs += [(one, text) for one in names for text in texts]
    return {pair: trace(snapshot, source=pair[0], destination=pair[1], **service) for pair in pairs}


@FEW
@given(small_networks(), st.data())
def test_allowing_more_closes_nothing_and_denying_more_opens_nothing(net: Net, data: st.DataObject) -> None:
    names, service = list(hosts(net)), {"protocol": "tcp", "port": 443}
    before = verdicts(net.snapshot(), names, service)
    more = copy.deepcopy(net)
    if data.draw(st.booleans()):
        group = data.draw(st.sampled_from(more.tables["SecurityGroups"]))
        cidr = data.draw(st.sampled_from(("0.0.0.0/0", "10.0.0.0/8", "10.1.1.10/32")))
        rule = {
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "IpRanges": [{"CidrIp": cidr}],
            "Ipv6Ranges": [],
            "PrefixListIds": [],
            "UserIdGroupPairs": [],
        }
        side = data.draw(st.sampled_from(("IpPermissions", "IpPermissionsEgress")))
        group[side] = [*group[side], rule]
    else:
        acl = data.draw(st.sampled_from(more.tables["NetworkAcls"]))
        acl["Entries"] = [
            entry(0, "allow", egress=data.draw(st.booleans()), protocol="6", ports=(0, 65535)),
            *acl["Entries"],
        ]
    for pair, verdict in verdicts(more.snapshot(), names, service).items():
        assert not (before[pair].reachable and verdict.status == "NOT_REACHABLE"), str(verdict)
    less = copy.deepcopy(net)
    acl = data.draw(st.sampled_from(less.tables["NetworkAcls"]))
    ports = data.draw(st.sampled_from(((443, 443), (32768, 50000), (0, 65535))))
    acl["Entries"] = [
        *acl["Entries"],
        entry(
            data.draw(st.sampled_from((0, 20, 200))), "deny", egress=data.draw(st.booleans()), protocol="6", ports=ports
        ),
    ]
    for pair, verdict in verdicts(less.snapshot(), names, service).items():
        assert not (verdict.reachable and before[pair].status == "NOT_REACHABLE"), str(verdict)


def never_opens(snapshot: Snapshot, names: list[str], service: dict[str, Any]) -> None:
    """Taking a table out turns nothing but REACHABLE into REACHABLE."""
    whole = verdicts(snapshot, names, service)
    present = {row.table for row in snapshot.coverage}
    for table in present:
        less = snapshot.without(table)
        for pair in whole:
            verdict = trace(less, source=pair[0], destination=pair[1], **service)
            assert not verdict.reachable or whole[pair].reachable, f"without {table}: {verdict}"


@settings(FEW, max_examples=12)
@given(small_networks())
def test_taking_a_table_out_opens_nothing(net: Net) -> None:
    never_opens(net.snapshot(), list(hosts(net)), {"protocol": "tcp", "port": 443})


@pytest.mark.skipif(not BATFISH.is_dir(), reason="../shared/data/reach/batfish is not here")
@pytest.mark.parametrize(
    "service", [{"protocol": "tcp", "port": 22}, {"protocol": "icmp"}, {"protocol": "all"}], ids=str
)
@pytest.mark.parametrize("name", sorted(path.name for path in BATFISH.glob("test-*")))
def test_taking_a_table_out_of_a_live_account_opens_nothing(name: str, service: dict[str, Any]) -> None:
    snapshot = load_snapshot(BATFISH / name)
    never_opens(snapshot, sorted(network_of(snapshot).interfaces_of), service)


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same records with every list in another order."""
    if isinstance(value, dict):
        return {name: shuffled(one, chance) for name, one in value.items()}
    if isinstance(value, list | tuple):
        held = [shuffled(one, chance) for one in value]
        chance.shuffle(held)
        return held
    return value


@settings(FEW, max_examples=25)
@given(small_networks(), st.integers(0, 1 << 30))
def test_the_order_of_records_says_nothing(net: Net, seed: int) -> None:
    chance, other = random.Random(seed), Net()
    other.tables = {key: shuffled(rows, chance) for key, rows in net.tables.items()}
    for service in ({"protocol": "tcp", "port": 443}, {"protocol": "all"}):
        assert verdicts(net.snapshot(), list(hosts(net)), service) == verdicts(
            other.snapshot(), list(hosts(net)), service
        )


@settings(FEW, max_examples=40)
@given(small_networks(), st.integers(0, 1 << 30))
def test_damaged_records_make_no_traceback_and_open_nothing(net: Net, seed: int) -> None:
    """Members are dropped at random, as from files that somebody edited."""
    names, service, chance = list(hosts(net)), {"protocol": "tcp", "port": 443}, random.Random(seed)
    whole = verdicts(net.snapshot(), names, service)
    damaged = copy.deepcopy(net)
    table = chance.choice(
        [key for key, rows in damaged.tables.items() if rows and key != "VpcBlockPublicAccessOptions"]
    )
    record = chance.choice(damaged.tables[table])
    inner = [held for value in record.values() if isinstance(value, list) for held in value if isinstance(held, dict)]
    victim = chance.choice([record, *inner])
    gone = chance.choice(sorted(victim))
    # An absent list of rules, tags or addresses is an empty one in AWS's answers too; only what is always there can be missed.
    if isinstance(victim.get(gone), list) or gone in ("Tags", "Description", "PublicIp", "Association"):
        return
    del victim[gone]
    for source, destination in whole:
        try:
            verdict = trace(damaged.snapshot(), source=source, destination=destination, **service)
        except NetkitError:
            continue
        assert not verdict.reachable or whole[source, destination].reachable, f"without {table} {gone}: {verdict}"


@settings(FEW, max_examples=15)
@given(small_networks(), st.sampled_from([("tcp", 443), ("icmp", None), ("all", None), ("tcp", None)]))
def test_the_matrix_says_what_trace_says(net: Net, service: tuple[str, int | None]) -> None:
    snapshot = net.snapshot()
    frame = matrix(snapshot, protocol=service[0], port=service[1])
    for one in frame.index:
        for other in frame.columns:
            verdict = trace(snapshot, source=one, destination=other, protocol=service[0], port=service[1])
            assert frame.loc[one, other] == verdict.status, str(verdict)


# --- sets of packets, against membership one by one

SPAN = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda two: (min(two), max(two)))
BOXES = st.lists(st.builds(Box, SPAN, SPAN, SPAN, SPAN, SPAN), max_size=3)


@cache
def points() -> list[tuple[int, ...]]:
    chance = random.Random(3)
    return [tuple(chance.randrange(6) for _ in range(5)) for _ in range(400)]


def holds(boxes: Any, point: tuple[int, ...]) -> bool:
    return any(all(low <= value <= high for (low, high), value in zip(box, point, strict=True)) for box in boxes)


@settings(FEW, max_examples=100)
@given(BOXES, BOXES)
def test_sets_of_packets(one: list[Box], other: list[Box]) -> None:
    left, right = Packets.of(4, one), Packets.of(4, other)
    for point in points():
        a, b = holds(one, point), holds(other, point)
        assert holds(left.boxes, point) == a
        assert holds((left & right).boxes, point) == (a and b)
        assert holds((left | right).boxes, point) == (a or b)
        assert holds((left - right).boxes, point) == (a and not b)
    assert left.covers(left & right) and (left | right).covers(right)
    assert left.covers(right) == (not (right - left))
    for box in left.boxes:
        assert sum(holds([held], tuple(low for low, _ in box)) for held in left.boxes) == 1  # boxes do not overlap


def test_a_table_that_was_never_asked_for_is_not_empty() -> None:
    """Coverage decides, and not the absence of records."""
    held = Snapshot({(ACCOUNT, REGION): {}}, (Coverage(ACCOUNT, REGION, "Vpcs", "empty"),), "2026-11-23T00:00:00Z")
    assert held.known("Vpcs") and not held.known("Subnets")
    assert set(TABLES) > {"Vpcs", "Subnets"}
