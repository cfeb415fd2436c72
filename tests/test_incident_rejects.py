"""REJECT to its rule, as of its second: on bundles of another hand, and each cause on a small network."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from netkit.history.trail import Trail, trail_of
from netkit.incident.evidence import read_folder
from netkit.incident.flow_records import typed
from netkit.incident.rejects import attributed, clusters, findings, rejects, states
from netkit.incident.scene import Scene
from netkit.reach.network.snapshot import Snapshot

CASES = Path(__file__).parents[2] / "shared/data/incidents"
ANSWERS: dict[str, Any] = json.loads((CASES / "answers.json").read_text("utf-8")) if CASES.is_dir() else {}
T0 = datetime(2026, 10, 1, 12, tzinfo=UTC)
VPC, SUBNET, ENI = "vpc-0000000000000001", "subnet-0000000000000001", "eni-0000000000000001"
RULE = {
    "IpProtocol": "tcp",
    "FromPort": 443,
    "ToPort": 443,
    "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
    "Ipv6Ranges": [],
    "UserIdGroupPairs": [],
    "PrefixListIds": [],
}


@pytest.mark.skipif(not ANSWERS, reason="needs ../shared/data/incidents")
@pytest.mark.parametrize(
    "case", [name for name, one in ANSWERS.items() if one["cause"] in ("sg-no-ingress", "nacl-denies-reply")]
)
def test_the_rejects_of_the_pair_have_the_resource_and_actor_that_the_answer_names(case: str) -> None:
    scene = Scene(read_folder(CASES / case))
    frame = rejects(scene)
    ends = scene.source.addresses | scene.destination.addresses
    own = frame[frame["src"].isin(ends) & frame["dst"].isin(ends)]
    assert len(own) >= 50
    assert set(own["resource"]) == {ANSWERS[case]["resource"]}
    assert set(own["actor"]) == {ANSWERS[case]["actor"]}


@pytest.mark.skipif(not ANSWERS, reason="needs ../shared/data/incidents")
@pytest.mark.parametrize("case", ANSWERS)
def test_every_reject_has_its_rule_and_none_is_blamed_on_a_change_that_did_not_begin_it(case: str) -> None:
    frame = rejects(Scene(read_folder(CASES / case)))
    assert not (frame["cause"] == "unknown").any()
    assert set(frame["actor"]) - {""} <= {ANSWERS[case]["actor"]}


def network(rules: list[dict[str, Any]], entries: list[tuple[int, bool, str, str]] = ()) -> Snapshot:  # type: ignore[assignment]
    made: dict[str, list[dict[str, Any]]] = {
        "Vpcs": [{"VpcId": VPC, "CidrBlock": "10.1.0.0/16", "CidrBlockAssociationSet": [{"CidrBlock": "10.1.0.0/16", "CidrBlockState": {"State": "associated"}}]}],
        "Subnets": [{"SubnetId": SUBNET, "VpcId": VPC, "CidrBlock": "10.1.0.0/24", "AvailabilityZone": "us-east-1a"}],
        "NetworkInterfaces": [
            {
                "NetworkInterfaceId": ENI, "SubnetId": SUBNET, "VpcId": VPC, "Groups": [{"GroupId": "sg-0000000000000001"}], "InterfaceType": "interface",
                "PrivateIpAddress": "10.1.0.5", "PrivateIpAddresses": [{"PrivateIpAddress": "10.1.0.5", "Primary": True}], "SourceDestCheck": True, "Status": "in-use",
            }
        ],
        "SecurityGroups": [{"GroupId": "sg-0000000000000001", "GroupName": "web", "VpcId": VPC, "IpPermissions": rules, "IpPermissionsEgress": []}],
        "NetworkAcls": [
            {
                "NetworkAclId": "acl-0000000000000001", "VpcId": VPC, "IsDefault": True, "Associations": [{"SubnetId": SUBNET}],
                "Entries": [
                    *({"RuleNumber": number, "Egress": egress, "RuleAction": action, "Protocol": "-1", "CidrBlock": block} for number, egress, action, block in entries),
                    *({"RuleNumber": 100, "Egress": egress, "RuleAction": "allow", "Protocol": "-1", "CidrBlock": "0.0.0.0/0"} for egress in (True, False)),
                ],
            }
        ],
    }  # fmt: skip
    held = Snapshot({("1", "us-east-1"): {}}, ())
    for key, records in made.items():
        held = held.with_records(key, records)
    return held


def record(
    src: str = "10.2.0.9",
    dport: int = 443,
    *,
    flags: int = 2,
    minutes: int = 5,
    dst: str = "10.1.0.5",
    sport: int = 40000,
    reason: str = "",
) -> dict[str, str]:
    start = int((T0 + timedelta(minutes=minutes)).timestamp())
    return {
        "interface": ENI, "src": src, "dst": dst, "sport": str(sport), "dport": str(dport), "protocol": "6", "packets": "1", "bytes": "60", "start": str(start),
        "end": str(start + 50), "action": "REJECT", "status": "OK", "flags": str(flags), "direction": "ingress" if dst == "10.1.0.5" else "egress", "reject_reason": reason,
    }  # fmt: skip


def told(
    rows: list[dict[str, str]], snapshots: list[tuple[datetime, Snapshot]], trail: Trail | None = None
) -> pd.DataFrame:
    return attributed(typed(pd.DataFrame(rows), "log"), states(snapshots, trail or Trail()))


@pytest.mark.parametrize(
    ("row", "entries", "cause", "resource", "rule"),
    [
        (record(dport=22), [], "sg-no-ingress", "sg-0000000000000001", ""),
        (record(src="192.0.2.1"), [], "sg-no-ingress", "sg-0000000000000001", ""),
        (record(src="10.1.0.5", dst="10.2.0.9"), [], "sg-no-egress", "sg-0000000000000001", ""),
        (record(), [(90, False, "deny", "10.2.0.0/16")], "nacl-denies", "acl-0000000000000001", "entry 90"),
        (
            record(flags=18, sport=443, dport=40000),
            [(80, False, "deny", "10.2.0.0/16")],
            "nacl-denies",
            "acl-0000000000000001",
            "entry 80",
        ),
        (record(flags=4), [], "late-packet", "", ""),
        (record(flags=17), [], "late-packet", "", ""),
        (record(flags=2), [], "unknown", "", ""),
        (record(reason="BPA"), [], "block-public-access", VPC, ""),
        (record(reason="EC"), [], "encryption-controls", VPC, ""),
    ],
)
def test_each_cause(row: dict[str, str], entries: Any, cause: str, resource: str, rule: str) -> None:
    found = told([row], [(T0, network([RULE], entries))]).iloc[0]
    assert (found["cause"], found["resource"], found["rule"]) == (cause, resource, rule)


def test_an_acl_says_nothing_within_one_subnet() -> None:
    found = told([record(src="10.1.0.9")], [(T0, network([], [(90, False, "deny", "10.1.0.0/16")]))]).iloc[0]
    assert found["cause"] == "sg-no-ingress"


def test_the_configuration_of_that_second_counts_and_the_change_has_its_actor() -> None:
    request = {
        "groupId": "sg-0000000000000001",
        "ipPermissions": {
            "items": [
                {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]}}
            ]
        },
    }
    events = [
        {
            "eventID": name, "eventName": name, "eventTime": f"{T0 + timedelta(minutes=at):%Y-%m-%dT%H:%M:%SZ}", "readOnly": False, "requestParameters": request,
            "userIdentity": {"arn": f"arn:aws:iam::1:user/{name}"},
        }
        for name, at in (("RevokeSecurityGroupIngress", 10), ("AuthorizeSecurityGroupIngress", 20))
    ]  # fmt: skip
    frame = told(
        [record(minutes=5, flags=4), record(minutes=15), record(minutes=15, dport=22), record(minutes=25, flags=4)],
        [(T0, network([RULE]))],
        trail_of(events),
    )
    assert frame["cause"].tolist() == ["late-packet", "sg-no-ingress", "sg-no-ingress", "late-packet"]
    assert frame["actor"].tolist() == ["", "arn:aws:iam::1:user/RevokeSecurityGroupIngress", "", ""], (
        "port 22 was refused all along"
    )


def test_many_records_are_few_classes_and_findings_count_them() -> None:
    rows = [
        record(src=f"10.2.{number // 250}.{number % 250}", dport=22, sport=30000 + number) for number in range(2000)
    ]
    frame = told(rows, [(T0, network([RULE]))])
    assert len(frame) == 2000
    assert clusters(frame)["records"].tolist() == [2000]
    found = list(findings(frame))
    assert found[0].code == "INCIDENT-REJECT" and found[0].evidence["sources"] == 2000
    assert list(findings(frame.iloc[:0])) == []
