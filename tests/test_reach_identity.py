"""Whose answers they are: accounts by their records, shared VPCs by their owner, and what stands twice."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from little_net import Net, codes, pair, two_vpcs

from netkit.core.errors import SourceError
from netkit.core.model import Coverage
from netkit.reach import load_snapshot, trace
from netkit.reach.engine.matrix import matrix
from netkit.reach.network.snapshot import Snapshot

OWNER, OTHER = "111111111111", "999999999999"


def public(letter: str, account: str, mode: str = "off") -> Net:
    """A VPC of one account with a host that has a public address."""
    net = Net()
    net.vpc(f"vpc-{letter}", "10.0.0.0/16")
    net.subnet(f"subnet-{letter}", f"vpc-{letter}", "10.0.1.0/24")
    net.host(letter, f"subnet-{letter}", "10.0.1.10", public=f"203.0.113.{ord(letter) - 90}")
    net.igw(f"igw-{letter}", f"vpc-{letter}")
    net.route(f"rtb-{letter}", "0.0.0.0/0", f"igw-{letter}")
    return of_account(net, account, mode)


def of_account(net: Net, account: str, mode: str = "off", owner: str = "") -> Net:
    """The tables as an account is told them: its own, but for the VPC's, which are its owner's."""
    net.tables["VpcBlockPublicAccessOptions"] = [
        {"AwsAccountId": account, "AwsRegion": "us-east-1", "InternetGatewayBlockMode": mode}
    ]
    for key in ("Vpcs", "Subnets", "RouteTables", "NetworkAcls", "InternetGateways"):
        for record in net.tables[key]:
            record["OwnerId"] = owner or account
    for key in ("NetworkInterfaces", "SecurityGroups", "Reservations"):
        for record in net.tables[key]:
            record["OwnerId"] = account
    return net


def written(root: Path, nets: dict[str, Net], *without: str) -> Path:
    for inner, net in nets.items():
        (root / inner).mkdir(parents=True)
        for key, rows in net.tables.items():
            if key not in without or inner != list(nets)[-1]:
                (root / inner / f"{key}.json").write_text(json.dumps({key: rows}), "utf-8")
    return root


@pytest.mark.parametrize(("one", "two"), [("prod", "sandbox"), ("sandbox", "prod"), ("z", "a"), ("accounts/1", "accounts/2")])  # fmt: skip
@pytest.mark.parametrize("inner", ["/us-east-1", "", "/aws_configs"])
def test_two_folders_are_two_accounts_as_their_records_say(tmp_path: Path, one: str, two: str, inner: str) -> None:
    nets = {one + inner: public("a", OWNER, "block-bidirectional"), two + inner: public("b", OTHER)}
    held = load_snapshot(written(tmp_path, nets))
    assert len(held.scopes) == 2
    closed = trace(held, source="internet", destination="a", port=443)
    assert codes(closed) == ["VPC_BLOCK_PUBLIC_ACCESS_ENABLED"]
    assert trace(held, source="internet", destination="b", port=443).reachable
    frame = matrix(held, protocol="tcp", port=443)
    for source, row in frame.iterrows():
        for destination, status in row.items():
            assert status == trace(held, source=str(source), destination=str(destination), port=443).status


@pytest.mark.parametrize("said", [True, False])
def test_a_table_that_one_of_two_folders_lacks_is_not_empty(tmp_path: Path, said: bool) -> None:
    nets = {"prod/us-east-1": public("a", OWNER), "sandbox/us-east-1": public("b", OTHER)}
    if not said:
        for net in nets.values():
            net.tables["VpcBlockPublicAccessOptions"] = []
            for rows in net.tables.values():
                for record in rows:
                    record.pop("OwnerId", None)
    held = load_snapshot(written(tmp_path, nets, "InternetGateways"))
    assert len(held.scopes) == 2
    verdict = trace(held, source="internet", destination="b", port=443)
    assert verdict.status == "UNKNOWN", str(verdict)
    assert any(one.what == "InternetGateways" for one in verdict.unknowns)


def test_one_account_in_several_folders_is_one(tmp_path: Path) -> None:
    net = public("a", OWNER)
    for key, rows in net.tables.items():
        home = tmp_path / ("lb" if key in ("LoadBalancers", "TargetGroups") else "ec2")
        home.mkdir(exist_ok=True)
        (home / f"{key}.json").write_text(json.dumps({key: rows}), "utf-8")
    held = load_snapshot(tmp_path)
    assert held.scopes == (("", ""),)
    assert trace(held, source="internet", destination="a", port=443).reachable


@pytest.mark.parametrize("key", ["SecurityGroups", "RouteTables", "NetworkAcls", "Subnets"])
@pytest.mark.parametrize("folder", ["old", "Desktop/us-east-1"])
def test_two_records_of_one_id_are_refused_and_one_twice_is_one(tmp_path: Path, key: str, folder: str) -> None:
    net = public("a", OWNER)
    root = written(tmp_path / "s", {"us-east-1": net})
    (root / folder).mkdir(parents=True)
    rows = copy.deepcopy(net.tables[key])
    (root / folder / f"{key}.json").write_text(json.dumps({key: rows}), "utf-8")
    assert trace(load_snapshot(root), source="internet", destination="a", port=443).reachable
    rows[0]["Changed"] = "since"
    (root / folder / f"{key}.json").write_text(json.dumps({key: rows}), "utf-8")
    with pytest.raises(SourceError, match="two different records of") as raised:
        load_snapshot(root)
    assert len(str(raised.value).splitlines()) <= 3


def two_accounts(nets: dict[str, Net]) -> Snapshot:
    """Both accounts in one snapshot."""
    tables = {
        (account, "us-east-1"): {key: tuple(rows) for key, rows in net.tables.items()} for account, net in nets.items()
    }
    rows = tuple(
        Coverage(*scope, key, "ok" if records else "empty", len(records))
        for scope, held in tables.items()
        for key, records in held.items()
    )
    return Snapshot(tables, rows, "2026-11-23T12:00:00Z")


@pytest.mark.parametrize(("owner", "guest"), [(OWNER, OTHER), (OTHER, OWNER)])
@pytest.mark.parametrize("mode", ["block-bidirectional", "block-ingress", "off"])
def test_a_shared_vpc_is_under_its_owners_block(owner: str, guest: str, mode: str) -> None:
    for owners, guests in ((mode, "off"), ("off", "block-bidirectional")):
        theirs = of_account(public("a", owner), guest, guests, owner)
        theirs.tables["InternetGateways"] = []
        held = two_accounts({owner: public("a", owner, owners), guest: theirs})
        verdict = trace(held, source="internet", destination="eni-a", port=443)
        assert ("VPC_BLOCK_PUBLIC_ACCESS_ENABLED" in codes(verdict)) == (owners != "off"), str(verdict)
        out = trace(held, source="eni-a", destination="internet", port=443)
        assert ("VPC_BLOCK_PUBLIC_ACCESS_ENABLED" in codes(out)) == (owners != "off"), str(out)


def guest_only(mode: str = "off") -> Net:
    net = pair()
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "0.0.0.0/0", "igw-1")
    net.find("NetworkInterfaces", "eni-client")["PrivateIpAddresses"][0]["Association"] = {"PublicIp": "203.0.113.9"}
    for key in ("Vpcs", "Subnets"):
        for record in net.tables[key]:
            record["BlockPublicAccessStates"] = {"InternetGatewayBlockMode": mode}
    net = of_account(net, OTHER, "off", OWNER)
    net.tables["NetworkInterfaces"] = [
        one for one in net.tables["NetworkInterfaces"] if "server" not in one["NetworkInterfaceId"]
    ]
    return net


@pytest.mark.parametrize(("mode", "asked"), [("off", False), ("block-bidirectional", True)])
def test_who_takes_part_is_told_the_mode_and_not_the_exclusions(mode: str, asked: bool) -> None:
    verdict = trace(two_accounts({OTHER: guest_only(mode)}), source="client", destination="internet", port=443)
    assert verdict.status == "UNKNOWN", str(verdict)  # it is not shown the gateway's route table either
    assert ("VpcBlockPublicAccessExclusions" in [one.what for one in verdict.unknowns]) == asked


def test_who_takes_part_does_not_see_the_others() -> None:
    net = guest_only()
    held = two_accounts({OTHER: net})
    for destination in ("10.0.2.10", "10.0.1.77"):
        verdict = trace(held, source="client", destination=destination, port=443)
        assert verdict.status == "UNKNOWN", str(verdict)
        assert "shared VPC" in str(verdict)
    assert trace(held, source="10.0.2.10", destination="client", port=443).status == "UNKNOWN"
    net.tables["InternetGateways"] = []
    assert trace(two_accounts({OTHER: net}), source="internet", destination="client", port=443).status == "UNKNOWN"
    whole = of_account(pair(), OWNER)
    whole.find("NetworkInterfaces", "eni-client")["OwnerId"] = OTHER
    whole.tables["SecurityGroups"][0]["OwnerId"] = OTHER
    whole.tables["Reservations"].pop(0)
    known = two_accounts({OTHER: guest_only(), OWNER: whole})
    assert codes(trace(known, source="eni-client", destination="10.0.2.77", port=443)) == ["NO_POSSIBLE_DESTINATION"]


def test_the_matrix_says_the_same_of_what_is_shared() -> None:
    twin = guest_only()
    twin.vpc("vpc-b", "10.0.0.0/16")
    twin.subnet("subnet-b", "vpc-b", "10.0.2.0/24")
    twin.host("far", "subnet-b", "10.0.2.10")
    for snapshot in (two_accounts({OTHER: guest_only()}), two_accounts({OTHER: of_account(twin, OTHER, "off", OWNER)})):
        frame = matrix(snapshot, protocol="tcp", port=443)
        for one in frame.index:
            for other in frame.columns:
                assert frame.loc[one, other] == trace(snapshot, source=one, destination=other, port=443).status, (
                    f"{one} {other}"
                )
        if "eni-far" in frame.columns:
            assert frame.loc["eni-client", "eni-far"] == "UNKNOWN"


def test_a_shared_subnet_says_so_too() -> None:
    net = guest_only()
    for record in net.tables["Vpcs"]:
        del record["OwnerId"]
    assert trace(two_accounts({OTHER: net}), source="client", destination="10.0.2.10", port=443).status == "UNKNOWN"


def test_options_that_say_off_where_the_vpc_says_on() -> None:
    net = public("a", OWNER)
    net.tables["Vpcs"][0]["BlockPublicAccessStates"] = {"InternetGatewayBlockMode": "block-bidirectional"}
    for ends in (("internet", "a"), ("a", "internet")):
        assert net.ask(*ends).status == "UNKNOWN"


def test_who_takes_part_does_not_see_the_attachment_of_the_vpc() -> None:
    net = two_vpcs()
    net.subnet("subnet-t", "vpc-b", "10.1.9.0/28")
    net.transit("tgw-1", ("tgw-attach-b", "vpc-b", "subnet-t"))
    net.route("rtb-a", "10.1.0.0/16", "tgw-1")
    own, shared = of_account(copy.deepcopy(net), OTHER), of_account(net, OTHER, "off", OWNER)
    assert codes(trace(two_accounts({OTHER: own}), source="client", destination="server", port=443))[:1] == [
        "UNASSOCIATED_COMPONENT"
    ]
    assert trace(two_accounts({OTHER: shared}), source="client", destination="server", port=443).status == "UNKNOWN"


def test_an_association_that_only_the_owner_is_told() -> None:
    net = two_vpcs()
    for letter, block in (("a", "10.0.9.0/28"), ("b", "10.1.9.0/28")):
        net.subnet(f"subnet-t{letter}", f"vpc-{letter}", block)
        net.route(f"rtb-{letter}", "10.0.0.0/8", "tgw-1")
    net.transit("tgw-1", ("tgw-attach-a", "vpc-a", "subnet-ta"), ("tgw-attach-b", "vpc-b", "subnet-tb"))
    del net.find("TransitGatewayAttachments", "tgw-attach-a")["Association"]
    assert codes(net.ask("client", "server")) == ["TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION"]
    net.find("TransitGatewayAttachments", "tgw-attach-a")["TransitGatewayOwnerId"] = OWNER
    assert net.ask("client", "server").status == "UNKNOWN"


@pytest.mark.parametrize("key", ["SecurityGroups", "RouteTables", "NetworkInterfaces", "Reservations"])
def test_two_records_of_one_id_in_one_table_open_nothing(key: str) -> None:
    for turned in (False, True):
        net = pair()
        other = copy.deepcopy(net.tables[key][-1])
        other |= {"IpPermissions": [], "Routes": [], "Status": "available"}
        for one in other.get("Instances", []):
            one["State"] = {"Name": "stopped"}
        net.tables[key].insert(0 if turned else len(net.tables[key]), other)
        verdict = net.ask("client", "server")
        assert not verdict.reachable, str(verdict)


def test_what_two_accounts_show_differently_and_neither_owns_is_unknown() -> None:
    one, two = public("a", OWNER), public("a", OTHER)
    for net in (one, two):
        for record in net.tables["SecurityGroups"]:
            record["OwnerId"] = "222222222222"
    assert (
        trace(two_accounts({OWNER: one, OTHER: two}), source="internet", destination="eni-a", port=443).status
        != "NOT_REACHABLE"
    )
    two.find("SecurityGroups", "sg-a")["IpPermissions"] = []
    for nets in ({OWNER: one, OTHER: two}, {OTHER: one, OWNER: two}):
        verdict = trace(two_accounts(nets), source="internet", destination="eni-a", port=443)
        assert not verdict.reachable


# --- local routes


@pytest.mark.parametrize(("destination", "origin", "state", "status"), [
    ("10.0.2.0/24", "EnableVgwRoutePropagation", "active", "REACHABLE"), ("10.0.2.10/32", "EnableVgwRoutePropagation", "active", "REACHABLE"),
    ("10.0.0.0/16", "EnableVgwRoutePropagation", "active", "REACHABLE"), ("10.0.0.0/8", "EnableVgwRoutePropagation", "active", "REACHABLE"),
    ("10.0.2.0/24", "EnableVgwRoutePropagation", "blackhole", "REACHABLE"), ("10.0.2.0/24", "CreateRoute", "active", "NOT_REACHABLE"),
])  # fmt: skip
def test_local_wins_over_what_is_propagated_even_where_that_is_more_specific(
    destination: str, origin: str, state: str, status: str
) -> None:
    net = pair()
    net.tables["VpnGateways"].append(
        {"VpnGatewayId": "vgw-1", "VpcAttachments": [{"VpcId": "vpc-a", "State": "attached"}]}
    )
    net.tables["VpnConnections"] = []
    net.route("rtb-a", destination, "vgw-1", state)
    net.find("RouteTables", "rtb-a")["Routes"][-1]["Origin"] = origin
    net.find("RouteTables", "rtb-a")["PropagatingVgws"] = [{"GatewayId": "vgw-1"}]
    held = net.snapshot()
    assert trace(held, source="client", destination="server", port=443).status == status
    assert trace(held, source="server", destination="client", port=443).status == status
    frame = matrix(held, protocol="tcp", port=443)
    assert frame.loc["eni-client", "eni-server"] == frame.loc["eni-server", "eni-client"] == status


# --- VPN attachments


def over_vpn(*status: str, state: str = "available") -> Net:
    net = pair()
    net.subnet("subnet-t", "vpc-a", "10.0.9.0/28")
    net.transit("tgw-1", ("tgw-attach-a", "vpc-a", "subnet-t"))
    net.tables["TransitGatewayAttachments"].append({
        "TransitGatewayAttachmentId": "tgw-attach-v", "TransitGatewayId": "tgw-1", "State": "available", "ResourceType": "vpn", "ResourceId": "vpn-1",
        "Association": {"State": "associated", "TransitGatewayRouteTableId": "tgw-rtb-1"},
    })  # fmt: skip
    net.tables["TransitGatewayRoutes"][0]["Routes"].append(
        net.transit_route("192.168.0.0/16", "tgw-attach-v", "vpn-1", kind="vpn")
    )
    net.tables["VpnConnections"].append(
        {
            "VpnConnectionId": "vpn-1",
            "State": state,
            "TransitGatewayId": "tgw-1",
            "VgwTelemetry": [{"Status": one} for one in status],
        }
    )
    net.route("rtb-a", "192.168.0.0/16", "tgw-1")
    return net


@pytest.mark.parametrize(("status", "state", "code"), [
    (("DOWN", "DOWN"), "available", ["TGW_BAD_STATE_VPN"]), (("DOWN",), "available", ["TGW_BAD_STATE_VPN"]), (("DOWN", "UP"), "available", []),
    ((), "available", []), (("UP", "UP"), "deleted", ["TGW_BAD_STATE_VPN"]),
])  # fmt: skip
def test_a_vpn_whose_tunnels_are_all_down(status: tuple[str, ...], state: str, code: list[str]) -> None:
    net = over_vpn(*status, state=state)
    there = net.ask("client", "192.168.7.7")
    assert codes(there) == code and there.status == ("NOT_REACHABLE" if code else "UNKNOWN"), str(there)
    assert codes(net.ask("client", "tgw-attach-v")) == code
    assert codes(net.ask("tgw-attach-v", "client"))[:1] == code
    gone = net.snapshot().without("VpnConnections")
    for ends in (("client", "tgw-attach-v"), ("tgw-attach-v", "client"), ("client", "192.168.7.7")):
        assert trace(gone, source=ends[0], destination=ends[1], port=443).status == "UNKNOWN"
