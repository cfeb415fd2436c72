"""Through Network Firewall and Gateway Load Balancer endpoints: the policy both ways, both sides of the path, and one endpoint for both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from little_net import Net, allow, codes, kinds

from netkit.core.model import Verdict
from netkit.core.packets import Box, Packets
from netkit.reach import load_snapshot, matrix, trace
from netkit.reach.network.firewall import DROP, PASS, UNKNOWN, Connection, judge, judge_packets

FIREWALL = "arn:aws:network-firewall:us-east-1:111111111111:firewall/wall"
POLICY = "arn:aws:network-firewall:us-east-1:111111111111:firewall-policy/wall"
GROUP = "arn:aws:network-firewall:us-east-1:111111111111:stateful-rulegroup/wall"
STATELESS = "arn:aws:network-firewall:us-east-1:111111111111:stateless-rulegroup/wall"
CASES = Path(__file__).parents[2] / "shared/data/incidents"


def endpoint(name: str, subnet: str) -> dict[str, Any]:
    return {
        "VpcEndpointId": name, "VpcEndpointType": "GatewayLoadBalancer", "VpcId": "vpc-a", "ServiceName": "com.amazonaws.vpce.us-east-1.vpce-svc-1", "State": "available",
        "SubnetIds": [subnet], "NetworkInterfaceIds": [],
    }  # fmt: skip


def firewall(
    net: Net, rules: str, *, strict: bool = True, stateless: list[Mapping[str, Any]] | None = None, **more: Any
) -> Net:
    """A firewall with an endpoint in each of two zones and one rule group."""
    states = {
        zone: {"Attachment": {"SubnetId": subnet, "EndpointId": name, "Status": more.get("status", "READY")}}
        for zone, subnet, name in (("us-east-1a", "subnet-fa", "vpce-a"), ("us-east-1b", "subnet-fb", "vpce-b"))
    }
    net.tables["Firewalls"] = [
        {
            "Firewall": {"FirewallName": "wall", "FirewallArn": FIREWALL, "FirewallPolicyArn": POLICY, "VpcId": "vpc-a"},
            "FirewallStatus": {"Status": "READY", "ConfigurationSyncStateSummary": more.get("sync", "IN_SYNC"), "SyncStates": states},
        }
    ]  # fmt: skip
    held: dict[str, Any] = {
        "StatelessDefaultActions": ["aws:forward_to_sfe"],
        "StatefulRuleGroupReferences": [{"ResourceArn": GROUP, "Priority": 1}],
    }
    if strict:
        held |= {
            "StatefulEngineOptions": {"RuleOrder": "STRICT_ORDER", **more.get("options", {})},
            "StatefulDefaultActions": ["aws:drop_strict"],
        }
    if stateless is not None:
        held["StatelessRuleGroupReferences"] = [{"ResourceArn": STATELESS, "Priority": 1}]
    net.tables["FirewallPolicies"] = [
        {"FirewallPolicyResponse": {"FirewallPolicyArn": POLICY}, "FirewallPolicy": held | more.get("policy", {})}
    ]
    net.tables["FirewallRuleGroups"] = [
        {"RuleGroupResponse": {"RuleGroupArn": GROUP}, "RuleGroup": {"RulesSource": {"RulesString": rules}}},
        {"RuleGroupResponse": {"RuleGroupArn": STATELESS}, "RuleGroup": {"RulesSource": {"StatelessRulesAndCustomActions": {"StatelessRules": stateless or []}}}},
    ]  # fmt: skip
    return net


def inspected(back: str = "vpce-a") -> Net:
    """Two subnets of one VPC with a more specific route through an endpoint each way; the replies' goes to `back`."""
    net = Net()
    net.vpc("vpc-a", "10.0.0.0/16")
    for name, block, zone in (("c", "10.0.1.0/24", "us-east-1a"), ("s", "10.0.2.0/24", "us-east-1b"), ("fa", "10.0.8.0/28", "us-east-1a"), ("fb", "10.0.9.0/28", "us-east-1b")):  # fmt: skip
        net.subnet(f"subnet-{name}", "vpc-a", block, az=zone)
        net.table(f"rtb-{name}", "vpc-a", f"subnet-{name}")
    net.host("client", "subnet-c", "10.0.1.10")
    net.host("server", "subnet-s", "10.0.2.10")
    net.tables["VpcEndpoints"] = [endpoint("vpce-a", "subnet-fa"), endpoint("vpce-b", "subnet-fb")]
    for name in ("Firewalls", "FirewallPolicies", "FirewallRuleGroups"):
        net.tables.setdefault(name, [])
    net.route("rtb-c", "10.0.2.0/24", "vpce-a")
    if back:
        net.route("rtb-s", "10.0.1.0/24", back)
    return net


def said(net: Net, **more: Any) -> Verdict:
    """The verdict of the trace, with which the matrix has to agree."""
    verdict = net.ask("client", "server", **more)
    frame = matrix(net.snapshot(), protocol="tcp", port=443)
    if not more:
        assert frame.loc["eni-client", "eni-server"] == verdict.status
    return verdict


PASS_443 = "pass tcp 10.0.1.0/24 any -> any 443 (sid:1;)"


def test_both_ways_through_the_firewall() -> None:
    verdict = said(firewall(inspected(), PASS_443))
    assert verdict.reachable, str(verdict)
    assert kinds(verdict.forward).count("network-firewall") == 1
    assert kinds(verdict.back).count("network-firewall") == 1


@pytest.mark.parametrize(("rules", "strict", "status"), [
    ("drop tcp any any -> any 443 (sid:1;)", True, "NOT_REACHABLE"), ("drop tcp any any -> any 443 (sid:1;)", False, "NOT_REACHABLE"),
    ("reject ip any any -> 10.0.2.10 any (sid:1;)", False, "NOT_REACHABLE"), ("pass tcp any any -> any 80 (sid:1;)", True, "NOT_REACHABLE"),
    ("pass tcp any any -> any 80 (sid:1;)", False, "REACHABLE"), ("alert tcp any any -> any any (sid:1;)", False, "REACHABLE"),
    (f"drop tls any any -> any any (tls.sni; content:\"x\"; sid:2;)\n{PASS_443}", True, "UNKNOWN"),
    ("drop http any any -> any any (content:\"x\"; sid:2;)", False, "UNKNOWN"), (f"drop tls any any -> any any (content:\"x\"; sid:2;)\ndrop tcp any any -> any 443 (sid:3;)\n{PASS_443}", True, "NOT_REACHABLE"),
    (f"pass tcp $CLIENTS any -> any 443 (sid:2;)\n{PASS_443}", True, "REACHABLE"), ("pass tcp $CLIENTS any -> any 443 (sid:2;)", True, "UNKNOWN"),
    ("this is no rule", False, "UNKNOWN"), ("# a comment\n", False, "REACHABLE"), ("drop tcp any 443 -> any any (sid:4;)", False, "NOT_REACHABLE"),
    (f"{PASS_443}\ndrop tcp any 443 -> any any (sid:4;)", True, "REACHABLE"), ("drop tcp any 40000:41000 -> any 443 (sid:1;)", False, "UNKNOWN"),
    ("pass tcp any any -> any 443 (flow:to_server,established; sid:1;)", True, "UNKNOWN"), ("pass tcp any any <> any [80,443] (sid:1;)", True, "REACHABLE"),
    ("pass tcp ![10.0.1.0/25] any -> any 443 (sid:1;)", True, "NOT_REACHABLE"), ("pass udp any any -> any 443 (sid:1;)", True, "NOT_REACHABLE"),
])  # fmt: skip
def test_the_policy_is_judged(rules: str, strict: bool, status: str) -> None:
    verdict = said(firewall(inspected(), rules, strict=strict))
    assert verdict.status == status, str(verdict)
    if status == "NOT_REACHABLE":
        assert {one.code for one in verdict.blockers} == {"FIREWALL_RULES_RESTRICTION"}
        assert verdict.blockers[0].component == FIREWALL
    if status == "UNKNOWN":
        assert {one.what for one in verdict.unknowns} == {FIREWALL}


def stateless(action: str, number: int = 1, **match: Any) -> dict[str, Any]:
    return {"Priority": number, "RuleDefinition": {"MatchAttributes": match, "Actions": [action]}}


PORT = {"DestinationPorts": [{"FromPort": 443, "ToPort": 443}], "Protocols": [6]}
REPLY = {"SourcePorts": [{"FromPort": 443, "ToPort": 443}], "Protocols": [6]}


@pytest.mark.parametrize(("rules", "status"), [
    ([stateless("aws:drop", **PORT)], "NOT_REACHABLE"), ([stateless("aws:drop", **REPLY)], "NOT_REACHABLE"),
    ([stateless("aws:pass", 1, **PORT), stateless("aws:pass", 2, **REPLY)], "REACHABLE"), ([stateless("aws:pass", 1, **PORT)], "UNKNOWN"),
    ([stateless("aws:drop", 2, **PORT), stateless("aws:pass", 1)], "REACHABLE"), ([stateless("aws:drop", Sources=[{"AddressDefinition": "10.9.0.0/16"}])], "NOT_REACHABLE"),
    ([stateless("aws:drop", TCPFlags=[{"Flags": ["SYN"]}], **PORT), stateless("aws:pass", 2)], "UNKNOWN"),
])  # fmt: skip
def test_the_stateless_rules_come_first(rules: list[dict[str, Any]], status: str) -> None:
    verdict = said(firewall(inspected(), "drop tcp any any -> any any (sid:1;)", stateless=rules))
    assert verdict.status == status, str(verdict)


@pytest.mark.parametrize("missing", ["Firewalls", "FirewallPolicies", "FirewallRuleGroups"])
def test_a_table_that_is_missing_is_unknown(missing: str) -> None:
    snapshot = firewall(inspected(), PASS_443).snapshot().without(missing)
    verdict = trace(snapshot, source="client", destination="server", port=443)
    assert verdict.status == "UNKNOWN", str(verdict)
    assert matrix(snapshot, protocol="tcp", port=443).loc["eni-client", "eni-server"] == "UNKNOWN"


def test_the_replies_of_another_zone_are_dropped() -> None:
    verdict = said(firewall(inspected("vpce-b"), PASS_443))
    assert codes(verdict) == ["return FIREWALL_RULES_RESTRICTION"]
    (one,) = verdict.blockers
    assert (one.component, one.leg) == ("rtb-s", "return")
    assert {FIREWALL, "vpce-b"} <= set(one.components)
    both = [stateless("aws:pass", 1)]
    assert said(firewall(inspected("vpce-b"), PASS_443, stateless=both)).reachable
    loose = said(firewall(inspected("vpce-b"), PASS_443, options={"StreamExceptionPolicy": "CONTINUE"}))
    assert loose.status == "UNKNOWN", str(loose)


def test_one_direction_only_is_not_supported() -> None:
    past = said(firewall(inspected(""), PASS_443))
    assert past.status == "UNKNOWN", str(past)
    assert "asymmetric" in str(past)
    net = firewall(inspected("vpce-a"), PASS_443)
    net.find("RouteTables", "rtb-c")["Routes"] = [
        one for one in net.find("RouteTables", "rtb-c")["Routes"] if "vpce-a" not in one.values()
    ]
    only_back = said(net)
    assert [(one.component, one.leg) for one in only_back.blockers] == [("rtb-s", "return")]


@pytest.mark.parametrize(
    ("more", "status"), [({"status": "FAILED"}, "NOT_REACHABLE"), ({"sync": "PENDING"}, "UNKNOWN")]
)
def test_a_firewall_that_is_not_ready(more: dict[str, str], status: str) -> None:
    assert said(firewall(inspected(), PASS_443, **more)).status == status


def test_an_appliance_is_unknown_and_what_is_beyond_it_is_found() -> None:
    net = inspected()
    verdict = said(net)
    assert verdict.status == "UNKNOWN"
    assert {one.what for one in verdict.unknowns} == {"vpce-a"}
    assert verdict.back
    net.find("SecurityGroups", "sg-a")["IpPermissions"] = [allow("tcp", (80, 80), "0.0.0.0/0")]
    assert codes(said(net))
    open_again = inspected()
    open_again.route("rtb-fa", "10.0.2.0/24", "nat-gone", "blackhole")
    assert "BAD_STATE_ROUTE" in codes(said(open_again))


def test_a_group_that_aws_does_not_tell_or_only_alerts() -> None:
    told = {"StatefulRuleGroupReferences": [{"ResourceArn": "arn:aws:network-firewall:us-east-1:aws-managed:stateful-rulegroup/Threats", "Priority": 1}, {"ResourceArn": GROUP, "Priority": 2}]}  # fmt: skip
    assert said(firewall(inspected(), PASS_443, policy=told)).status == "UNKNOWN"
    alerts = {
        "StatefulRuleGroupReferences": [{"ResourceArn": GROUP, "Priority": 1, "Override": {"Action": "DROP_TO_ALERT"}}]
    }
    assert said(firewall(inspected(), "drop tcp any any -> any 443 (sid:1;)", strict=False, policy=alerts)).reachable


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/data/incidents")
def test_the_rule_that_somebody_put_first() -> None:
    before, after = sorted((CASES / "case-f20792/snapshots").iterdir())
    asked: dict[str, Any] = {"source": "ledger-app-1", "destination": "ledger-tools", "protocol": "tcp", "port": 8443}
    assert trace(load_snapshot(before), **asked).reachable
    verdict = trace(load_snapshot(after), **asked)
    assert codes(verdict) == ["FIREWALL_RULES_RESTRICTION"]
    assert verdict.blockers[0].component.endswith(":firewall/ledger-inspect")


_RULES = st.lists(st.tuples(st.sampled_from(["pass", "drop", "alert"]), st.sampled_from(["any", "[443,80]", "!443", "100:500"]), st.sampled_from(["any", "10.0.1.0/24", "!10.0.1.0/28", "[10.0.0.0/16,!10.0.1.9]"])), max_size=4)  # fmt: skip


@given(_RULES, st.booleans(), st.integers(440, 446), st.integers(0, 6))
def test_many_packets_are_judged_as_each_of_them(
    rules: list[tuple[str, str, str]], strict: bool, low: int, more: int
) -> None:
    text = "\n".join(
        f"{action} tcp {source} any -> any {port} (sid:{n};)" for n, (action, port, source) in enumerate(rules, 1)
    )
    snapshot = firewall(inspected(), text, strict=strict).snapshot()
    first = 0x0A000108  # 10.0.1.8
    box = Box((6, 6), (first, first + 2), (1, 1), (1024, 65535), (low, low + more))
    each = {judge(snapshot, FIREWALL, Connection(6, f"10.0.1.{8 + n}", "0.0.0.1", 5000, port)).action for n in range(3) for port in range(low, low + more + 1)}  # fmt: skip
    whole = judge_packets(snapshot, FIREWALL, Packets(4, (box,))).action
    assert each <= {PASS, DROP}
    assert whole == UNKNOWN or each == {whole}
