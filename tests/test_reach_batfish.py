"""Batfish's verdicts on snapshots of live accounts: ours agree, hops included. Data of others, read by path."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from netkit.core.model import Hop
from netkit.reach import Snapshot, load_snapshot, trace

FOLDER = Path(__file__).parents[1].parent / "shared" / "data" / "reach"
VERDICTS: list[dict[str, Any]] = (
    json.loads((FOLDER / "batfish" / "verdicts.json").read_text("utf-8")) if FOLDER.is_dir() else []
)
pytestmark = pytest.mark.skipif(not VERDICTS, reason="../shared/data/reach is not here")
# Batfish writes subnets, VPCs and its model of the world beyond as nodes; here they are a hop's place, or "internet".
NOT_HOPS = ("subnet-", "vpc-", "aws-backbone")


@cache
def snapshot(name: str) -> Snapshot:
    return load_snapshot(FOLDER / "batfish" / name)


def named(theirs: list[str]) -> list[str]:
    """Batfish's nodes as we name them: what AWS has on the internet is on the internet."""
    return ["internet" if one == "aws-services-gateway" else one for one in theirs if not one.startswith(NOT_HOPS)]


def nodes(hops: list[Hop]) -> list[str]:
    """Our hops as Batfish's nodes: what it has no node for (interfaces, groups, ACLs, tables) left out."""
    kept = ("instance", "internet", "internet-gateway", "nat-gateway", "transit-gateway", "vpn-gateway", "vpc-endpoint")
    return [hop.component for hop in hops if hop.type in kept]


@pytest.mark.parametrize("row", VERDICTS, ids=lambda row: row["id"])
def test_verdict(row: dict[str, Any]) -> None:
    protocol = {"HOPOPT(0)": "all", "AN(107)": 107}.get(row["protocol"], row["protocol"])
    verdict = trace(
        snapshot(row["snapshot"]),
        source=row["source"],
        destination=row["dst_ip"],
        protocol=protocol,
        port=row["dst_port"],
        source_port=row["src_port"],
    )
    assert verdict.status == ("REACHABLE" if row["reachable"] else "NOT_REACHABLE"), str(verdict)
    assert bool(verdict.blockers) != row["reachable"]
    theirs = named(row["hops"])
    ours = nodes(verdict.forward)
    # Batfish stops at the first blocker; we walk on where a filter or a zone stopped the packets (BF-11, BF-16, BF-47).
    assert ours[: len(theirs)] == theirs if row["id"] not in ("BF-47",) else ours[:1] == theirs, str(verdict)
    for place in (one for one in row["hops"] if one.startswith(("subnet-", "vpc-"))):
        assert place in {value for hop in verdict.forward for value in (hop.subnet, hop.vpc, hop.component)}, place
    if row["reverse_hops"]:
        assert nodes(verdict.back) == named(row["reverse_hops"])


def test_bf_15_leaves_at_the_edge_and_says_so() -> None:
    """Batfish says EXITS_NETWORK: the VPN's static route names the destination. Beyond the tunnel nobody here can look."""
    verdict = trace(
        snapshot("test-public-private-subnet"), source="i-099cf38911942421c", destination="19.168.0.0", protocol="all"
    )
    assert verdict.reachable
    assert any("vpn-05044757278685fd3" in note and "not modelled" in note and "down" in note for note in verdict.notes)


def test_bf_48_there_is_a_way_but_none_back() -> None:
    """Batfish asks for one direction only; the replies of BF-48 leave from a zone without an attachment, as BF-47 says."""
    verdict = trace(
        snapshot("test-transit-gateway"),
        source="i-0b14080af811fda3d",
        destination="10.10.20.154",
        protocol="tcp",
        port=22,
    )
    assert [(one.code, one.leg) for one in verdict.blockers] == [("TGW_ROUTE_AZ_RESTRICTION", "return")]


def test_ssh_that_the_groups_allow() -> None:
    """The same ends on tcp/22, which the groups let in: so the verdicts above hang on the service and not on the path."""
    for name, source, destination in (
        ("test-public-private-subnet", "i-099cf38911942421c", "10.0.0.47"),
        ("test-vpc-peering", "i-06ba034d88c84ef07", "192.168.1.106"),
        ("test-transit-gateway", "i-06ba034d88c84ef07", "192.168.1.106"),
        ("test-subnet", "i-08ef86e76fceabd8d", "10.10.1.44"),
        ("test-public-private-subnet", "internet", "13.58.55.60"),
    ):
        verdict = trace(snapshot(name), source=source, destination=destination, protocol="tcp", port=22)
        assert verdict.reachable, str(verdict)
        assert verdict.back, name


def test_ping_of_the_jump_host_only_as_an_echo_request() -> None:
    """Its group has icmp type 8 code 0: the echo request and nothing else."""
    held = snapshot("test-nat-gateway")
    ask = {"source": "internet", "destination": "i-0b31b509174d7f5de", "protocol": "icmp"}
    assert trace(held, **ask).reachable
    assert trace(held, **ask, icmp_type=13, icmp_code=0).status == "NOT_REACHABLE"


def test_keys_of_tunnels_are_not_kept() -> None:
    assert "pre_shared_key" in (
        FOLDER / "batfish/test-public-private-subnet/aws_configs/VpnConnections.json"
    ).read_text("utf-8")
    assert "pre_shared_key" not in str(snapshot("test-public-private-subnet").tables)


def test_every_code_that_we_can_say_is_aws_own() -> None:
    known = {
        line.split("\t")[1]
        for line in (FOLDER / "aws_answers" / "explanation_codes.tsv").read_text("utf-8").splitlines()[1:]
    }
    source = Path(__file__).parents[1] / "netkit" / "reach"
    said = {
        word
        for path in [*(source / "engine").glob("*.py"), source / "network" / "filters.py"]
        for word in re.findall(r'"([A-Z0-9]+(?:_[A-Z0-9]+)+)"', path.read_text("utf-8"))
    }
    assert said - {"REACHABLE", "NOT_REACHABLE", "TCP_UDP"} <= known
    assert len(said) > 30
