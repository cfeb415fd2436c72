"""The matrix says what trace() says, on every pair of every test network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from little_net import ALL, Net, allow, entry, pair, two_vpcs
from test_reach_trace import balanced, behind_nat, peered, public, transited, with_s3

from netkit.core.errors import InputError
from netkit.reach import load_snapshot, trace
from netkit.reach.engine.matrix import classes, matrix
from netkit.reach.network.snapshot import Snapshot

BATFISH = Path(__file__).parents[1].parent / "shared" / "data" / "reach" / "batfish"
SERVICES = [("tcp", 443), ("tcp", 22), ("udp", 53), ("icmp", None), (47, None), ("all", None), ("tcp", None)]


def agrees(snapshot: Snapshot, services: list[tuple[str | int, int | None]] | None = None) -> dict[str, int]:
    """Compare every pair; gives how often each status was said."""
    said: dict[str, int] = {}
    for protocol, port in services or SERVICES:
        frame = matrix(snapshot, protocol=protocol, port=port)
        for one in frame.index:
            for other in frame.columns:
                verdict = trace(snapshot, source=one, destination=other, protocol=protocol, port=port)
                assert frame.loc[one, other] == verdict.status, f"{protocol} {port}\n{verdict}"
                said[verdict.status] = said.get(verdict.status, 0) + 1
    return said


@pytest.mark.skipif(not BATFISH.is_dir(), reason="../shared/data/reach/batfish is not here")
@pytest.mark.parametrize("name", sorted(path.name for path in BATFISH.glob("test-*")))
def test_live_accounts(name: str) -> None:
    agrees(load_snapshot(BATFISH / name))


@pytest.mark.parametrize("make", [pair, two_vpcs, public, behind_nat, peered, transited, with_s3, balanced])
def test_little_networks(make: Callable[[], Net]) -> None:
    agrees(make().snapshot())


def replies_in_part() -> Net:
    net = transited(SecurityGroupReferencingSupport="enable")
    for letter, block in (("a", "10.0.8.0/28"), ("b", "10.1.8.0/28")):
        net.subnet(f"subnet-t{letter}", f"vpc-{letter}", block)
        net.find("TransitGatewayVpcAttachments", f"tgw-attach-{letter}")["SubnetIds"] = [f"subnet-t{letter}"]
    net.acl(
        "acl-ta",
        "vpc-a",
        "subnet-ta",
        entries=[entry(100, "allow", egress=True), entry(100, "allow", egress=False, protocol="6", ports=(0, 40000))],
    )
    net.host("windows", "subnet-a", "10.0.1.20", platform="windows")
    net.interface("eni-managed", "subnet-b", "10.1.1.30")
    net.group("sg-s", "vpc-b", [allow("tcp", (443, 443), "sg-a"), allow("icmp", (8, -1), "0.0.0.0/0")], ALL)
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-s"}]
    net.host("stopped", "subnet-b", "10.1.1.40", state="stopped")
    return net


def same_addresses() -> Net:
    net = two_vpcs()
    net.vpc("vpc-c", "10.0.0.0/16")
    net.subnet("subnet-x", "vpc-c", "10.0.1.0/24")
    net.host("twin", "subnet-x", "10.0.1.10")
    net.host("other", "subnet-x", "10.0.1.11")
    net.peering("pcx-1", "vpc-b", "vpc-c")
    net.route("rtb-b", "10.0.0.0/16", "pcx-1")
    net.route("rtb-c", "10.1.0.0/16", "pcx-1")
    return net


def appliance() -> Net:
    net = behind_nat()
    net.subnet("subnet-f", "vpc-a", "10.0.9.0/24")
    net.host("firewall", "subnet-f", "10.0.9.9")
    net.route("rtb-c", "10.0.2.0/25", "eni-firewall")
    net.host("six", "subnet-f", "10.0.9.19", v6="2001:db8::1")
    return net


def there_by_transit_and_back_by_peering() -> Net:
    """The server is in the attachment's own subnet, where no ACL is asked on the way in (facts 6.3)."""
    net = transited()
    net.peering("pcx-1", "vpc-a", "vpc-b")
    net.tables["RouteTables"][1]["Routes"].pop()
    net.route("rtb-b", "10.0.0.0/16", "pcx-1")
    net.acl("acl-b", "vpc-b", "subnet-b", entries=[entry(100, "allow", egress=True)])
    return net


@pytest.mark.parametrize("make", [there_by_transit_and_back_by_peering, replies_in_part, same_addresses, appliance])
def test_what_is_hard(make: Callable[[], Net]) -> None:
    said = agrees(make().snapshot())
    assert "REACHABLE" in said


@pytest.mark.parametrize(
    "table",
    [
        "SecurityGroups",
        "NetworkAcls",
        "RouteTables",
        "Reservations",
        "TransitGatewayRoutes",
        "TransitGatewayAttachments",
    ],
)
def test_with_a_table_missing(table: str) -> None:
    said = agrees(replies_in_part().snapshot().without(table), [("tcp", 443)])
    assert "UNKNOWN" in said


def test_bad_input_and_nothing_there() -> None:
    with pytest.raises(InputError, match="has no ports"):
        matrix(pair().snapshot(), protocol="icmp", port=443)
    assert matrix(Net().snapshot(), protocol="tcp", port=443).shape == (0, 0)


def test_classes_are_those_that_answer_alike() -> None:
    net = pair()
    for number in range(20, 40):
        net.host(f"more-{number}", "subnet-c", f"10.0.1.{number}")
    held = classes(net.snapshot())
    assert len(held) == 22
    assert len(set(held.values())) == 2
    agrees(net.snapshot(), [("tcp", 443)])
