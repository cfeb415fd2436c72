"""Alarms proposed for a path: each hop's metrics, each an alarm that CloudWatch takes, and what no alarm watches yet."""

from __future__ import annotations

import pandas as pd
import pytest

from netkit.cloudwatch.path_alarms import COLUMNS, TYPES, path_alarms, proposed_specs, unalarmed
from netkit.core.errors import InputError

BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/shop/50dc6c495c0c9188"
GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/73e2d6bc24d8a067"
PATH = [
    ("network-interface", "eni-1", "i-1"), ("route-table", "rtb-1"), ("nat-gateway", "nat-1"), ("transit-gateway-attachment", "tgw-attach-1"),
    ("network-load-balancer", BALANCER, GROUP), ("mirror-source", "i-1"), ("instance", "i-1"), ("flow-log-group", "/vpc/flow"),
]  # fmt: skip


def test_each_hop_has_its_metrics_once_with_its_own_dimensions() -> None:
    found = path_alarms(PATH).set_index("metric")
    assert found.index.is_unique  # i-1 is there twice, as an interface and as itself
    assert found.loc["ErrorPortAllocation", "dimensions"] == (("NatGatewayId", "nat-1"),)
    assert found.loc["PacketDropCountNoRoute", "dimensions"] == (("TransitGatewayAttachment", "tgw-attach-1"),)
    assert found.loc["ethtool_conntrack_allowance_exceeded", "dimensions"] == (("InstanceId", "i-1"),)
    assert found.loc["TCP_ELB_Reset_Count", "dimensions"] == (("LoadBalancer", "net/shop/50dc6c495c0c9188"),)
    assert dict(found.loc["UnHealthyHostCount", "dimensions"])["TargetGroup"] == "targetgroup/web/73e2d6bc24d8a067"
    assert found.loc["NetworkSkipMirrorIn", "period_s"] == 300  # basic monitoring
    assert found.loc["FlowLogRejects", "dimensions"] == ()
    assert "rtb-1" not in set(found["id"]) and found["why"].str.len().min() > 10


def test_every_type_gives_alarms_that_are_taken() -> None:
    everything = path_alarms([(kind, f"id-{place}", "i-9") for place, kind in enumerate(TYPES)])
    assert set(everything["type"]) == set(TYPES)
    specs = proposed_specs(everything, alarm_actions=["arn:aws:sns:us-east-1:123456789012:t"], region="us-east-1")
    assert len({spec.name for spec in specs}) == len(everything)
    rates = [spec for spec in specs if spec.kind == "math"]
    assert {spec.metrics[1]["Expression"] for spec in rates} == {"RATE(m1)"} and len(
        rates
    ) == 10  # an instance's and an interface's


def test_what_is_watched_is_left_out_and_other_dimensions_do_not_count() -> None:
    proposals = path_alarms(PATH)
    requests = [spec.request() for spec in proposed_specs(proposals)]
    assert unalarmed(proposals, requests).empty
    assert list(unalarmed(proposals, [])["metric"]) == list(proposals["metric"])
    other = [one | {"Dimensions": [{"Name": "NatGatewayId", "Value": "nat-2"}]} for one in requests if one.get("MetricName") == "PacketsDropCount"]  # fmt: skip
    rest = [one for one in requests if one.get("MetricName") != "PacketsDropCount"]
    assert list(unalarmed(proposals, rest + other)["metric"]) == ["PacketsDropCount"]


def test_a_frame_of_components_and_an_empty_path() -> None:
    rows = [(*one, "")[:3] for one in PATH]
    frame = pd.DataFrame(rows, columns=["type", "id", "instance_id"])
    assert path_alarms(frame).equals(path_alarms(PATH))
    assert list(path_alarms([])) == list(COLUMNS)
    assert path_alarms([("network-interface", "eni-1")]).empty
    with pytest.raises(InputError, match="no column id"):
        path_alarms(frame.drop(columns="id"))


def test_no_hop_has_no_lack() -> None:
    assert list(unalarmed(path_alarms([]), []).columns) == list(path_alarms([]).columns)
