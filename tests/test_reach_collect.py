"""A snapshot is collected whole: every table, region and account, and what was denied is told apart from what is empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from inprocess import account

from netkit.core.errors import AccessError, InputError
from netkit.core.session import Session
from netkit.investigate import path as ask
from netkit.reach import load_snapshot, trace
from netkit.reach.network.firewall import Connection, judge
from netkit.reach.network.network import network_of
from netkit.reach.network.snapshot import TABLES, save_snapshot
from netkit.reach.read import collect
from netkit.sandbox.labs import reach as reach_lab


@pytest.fixture(scope="module")
def lab() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, account(patch) as session:
        reach_lab.seed()
        yield session


ENDS = {"source": "peering-reachable-client", "destination": "peering-reachable-server", "protocol": "tcp", "port": 443}


def test_every_table_has_a_row(lab: Session) -> None:
    held = collect(lab, progress=False)
    assert {row.table for row in held.coverage} == {key for key, table in TABLES.items() if table.operation}
    assert {row.state for row in held.coverage} <= {"ok", "empty"}, [
        str(row) for row in held.coverage if row.state not in ("ok", "empty")
    ]
    assert not network_of(held).damaged
    assert trace(held, **ENDS).reachable
    assert held.collected.endswith("Z")


def test_the_rules_of_a_listener_are_collected(lab: Session) -> None:
    elb = lab.client("elbv2")
    balancer = next(one for one in elb.describe_load_balancers()["LoadBalancers"] if one["Type"] == "application")
    listener = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]
    fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}]
    made = elb.create_rule(
        ListenerArn=listener["ListenerArn"],
        Priority=7,
        Conditions=[{"Field": "path-pattern", "Values": ["/admin/*"]}],
        Actions=fixed,
    )
    held = network_of(collect(lab, progress=False)).balancers[balancer["LoadBalancerArn"]].listeners or ()
    elb.delete_rule(RuleArn=made["Rules"][0]["RuleArn"])
    rules = next(one.rules for one in held if one.id == listener["ListenerArn"]) or ()
    assert [(one.when, one.action.says) for one in rules] == [("rule 7 (path-pattern /admin/*)", "fixed response 404")]


def test_saved_it_answers_the_same(lab: Session, tmp_path: Path) -> None:
    held = collect(lab, progress=False)
    again = load_snapshot(save_snapshot(held, tmp_path / "kept"))
    assert trace(again, **ENDS) == trace(held, **ENDS)


@pytest.mark.parametrize(("operation", "table"), [
    ("describe_network_acls", "NetworkAcls"), ("describe_vpc_peering_connections", "VpcPeeringConnections"), ("describe_instances", "Reservations"),
])  # fmt: skip
def test_a_denied_call_is_unknown_and_not_empty(
    lab: Session, monkeypatch: pytest.MonkeyPatch, operation: str, table: str
) -> None:
    real = Session.pages

    def denied(self: Session, service: str, called: str, key: str, **request: object) -> list[dict[str, object]]:
        if called == operation:
            raise AccessError(f"AWS denied {service}:{called} (UnauthorizedOperation): you may not", subject=called)
        return real(self, service, called, key, **request)

    monkeypatch.setattr(Session, "pages", denied)
    held = collect(lab, progress=False)
    row = next(one for one in held.coverage if one.table == table)
    assert row.state == "denied" and "you may not" in row.note
    verdict = trace(held, **ENDS)
    assert verdict.status == "UNKNOWN"
    assert table in [one.what for one in verdict.unknowns]


def test_regions_and_accounts_side_by_side(lab: Session) -> None:
    other = replace(lab, account_id="210987654321")
    held = collect([lab, other], regions=["us-east-1", "eu-west-1"], progress=False)
    assert set(held.scopes) == {
        (one, region) for one in ("123456789012", "210987654321") for region in ("us-east-1", "eu-west-1")
    }
    assert len({(row.account, row.region, row.table) for row in held.coverage}) == len(held.coverage)


def test_another_account_is_written_as_profile_and_number(lab: Session, tmp_path: Path) -> None:
    class Run:
        session, folder = lab, tmp_path

        def path(self, source: str) -> str:
            return source

    with pytest.raises(InputError, match="does not name an account"):
        ask.snapshot(Run(), others=["audit"])
    held = ask.snapshot(Run())
    assert trace(held, **ENDS).reachable
    kept = list((tmp_path / "snapshots").iterdir())
    assert load_snapshot(kept[0]).tables.keys() == held.tables.keys()


def test_firewalls_are_collected_with_their_policies_and_rule_groups(
    lab: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The requests are checked against botocore's model by a stub of the service, and the answers are of its shape."""
    base = "arn:aws:network-firewall:us-east-1:111111111111:"
    wall, policy, group = base + "firewall/wall", base + "firewall-policy/wall", base + "stateful-rulegroup/wall"
    client = boto3.client("network-firewall", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    stub = Stubber(client)
    stub.add_response("list_firewalls", {"Firewalls": [{"FirewallName": "wall", "FirewallArn": wall}]}, {})
    described = {"FirewallName": "wall", "FirewallArn": wall, "FirewallPolicyArn": policy, "VpcId": "vpc-1", "SubnetMappings": [{"SubnetId": "subnet-1"}], "FirewallId": "0" * 36}  # fmt: skip
    states = {"us-east-1a": {"Attachment": {"SubnetId": "subnet-1", "EndpointId": "vpce-1", "Status": "READY"}}}
    status = {"Status": "READY", "ConfigurationSyncStateSummary": "IN_SYNC", "SyncStates": states}
    stub.add_response(
        "describe_firewall",
        {"UpdateToken": "t", "Firewall": described, "FirewallStatus": status},
        {"FirewallArn": wall},
    )
    held = {"StatelessDefaultActions": ["aws:forward_to_sfe"], "StatelessFragmentDefaultActions": ["aws:forward_to_sfe"], "StatefulRuleGroupReferences": [{"ResourceArn": group}]}  # fmt: skip
    told = {"FirewallPolicyName": "wall", "FirewallPolicyArn": policy, "FirewallPolicyId": "0" * 36}
    stub.add_response("describe_firewall_policy", {"UpdateToken": "t", "FirewallPolicyResponse": told, "FirewallPolicy": held}, {"FirewallPolicyArn": policy})  # fmt: skip
    rules = {"RulesSource": {"RulesString": "drop tcp any any -> any 443 (sid:1;)"}}
    answer = {"RuleGroupArn": group, "RuleGroupName": "wall", "RuleGroupId": "0" * 36}
    stub.add_response("describe_rule_group", {"UpdateToken": "t", "RuleGroup": rules, "RuleGroupResponse": answer}, {"RuleGroupArn": group})  # fmt: skip
    real = Session.client
    monkeypatch.setattr(
        Session, "client", lambda self, name, **more: client if name == "network-firewall" else real(self, name, **more)
    )
    with stub:
        found = collect(lab, progress=False)
    stub.assert_no_pending_responses()
    assert all(found.known(key) for key in ("Firewalls", "FirewallPolicies", "FirewallRuleGroups"))
    assert network_of(found).firewalls["vpce-1"].arn == wall
    assert judge(found, wall, Connection(6, "10.0.0.1", "10.0.0.2", 5000, 443)).action == "drop"
    assert [one["RuleGroupArn"] for _, one in found.records("FirewallRuleGroups")] == [group]
