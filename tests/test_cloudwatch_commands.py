"""The guide's commands for monitoring become arguments of the plans, with a notice for what was read otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inprocess import account

from netkit.cloudwatch.commands import Seed, point_of, seed_command, seed_commands
from netkit.cloudwatch.provision import plan_agent, plan_alarms, plan_dashboard, plan_log_group, send_metrics
from netkit.core.errors import InputError

SEED = Path(__file__).parents[2] / "shared" / "seed.txt"
INSTANCE = "i-0123456789abcdef0"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1b2c"
CONFIG = json.dumps({"metrics": {"metrics_collected": {"mem": {"measurement": ["used_percent"]}}}})
BODY = json.dumps({"widgets": [{"type": "number", "x": 0, "y": 0, "width": 6, "height": 3, "properties": {"metrics": [["A", "B"]], "region": "us-east-1"}}]})  # fmt: skip
FILES = {"agent.json": CONFIG, "board.json": BODY}
POINT = f"MetricName=Open,Value=25,Unit=Count,Dimensions=InstanceId={INSTANCE}"
ALARM = (
    f"aws cloudwatch put-metric-alarm --alarm-name busy --metric-name CPUUtilization --namespace AWS/EC2 --statistic Average --period 300 "
    f"--threshold 70 --comparison-operator GreaterThanThreshold --evaluation-periods 2 --dimensions Name=InstanceId,Value={INSTANCE}"
)
TOPIC = "arn:aws:sns:us-east-1:123456789012:oncall"
TEXT = f"""
First a group:
  aws logs create-log-group --log-group-name /shop/app --retention-in-days 14 \\
      --tags team=net,stage=test --region us-east-1
wget https://s3.amazonaws.com/amazoncloudwatch-agent/ubuntu/arm64/latest/amazon-cloudwatch-agent.deb
aws ssm put-parameter --name "AmazonCloudWatch-shop" --type String --value file://agent.json
sudo /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c ssm:AmazonCloudWatch-shop
aws cloudwatch put-metric-data --namespace Custom/Shop --metric-data {POINT}
{ALARM} --alarm-actions {TOPIC}
aws cloudwatch put-dashboard --dashboard-name shop --dashboard-body file://board.json
aws ec2 describe-instances
"""


def test_all_steps_of_a_guide_and_their_plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seeds = seed_commands(TEXT, files=FILES)
    assert [one.does for one in seeds] == [
        "plan_log_group", "install_commands", "plan_agent", "start_command", "send_metrics", "plan_alarms", "plan_dashboard"
    ]  # fmt: skip
    group, install, agent, start, points, alarms, board = seeds
    assert group.region == "us-east-1" and "PutRetentionPolicy" in group.notices[0]
    assert install.arguments == {"system": "ubuntu", "architecture": "arm64"}
    assert "dpkg" in install.notices[1] and "an older one" in install.notices[0]
    assert start.arguments == {"parameter": "AmazonCloudWatch-shop", "mode": "ec2"}
    assert any("append_dimensions" in notice for notice in agent.notices)
    assert "the AWS command line refuses" in points.notices[0]
    assert [notice.partition(":")[0] for notice in alarms.notices] == ["--treat-missing-data is not given", "the topic has to be there, and let alarms publish"]  # fmt: skip
    assert "'number' is read as metric" in board.notices[0]
    with account(monkeypatch) as session:
        plans = [
            plan_log_group(session, **group.arguments, folder=tmp_path),
            plan_agent(session, **agent.arguments, folder=tmp_path),
            plan_alarms(session, **alarms.arguments, folder=tmp_path),
            plan_dashboard(session, **board.arguments, folder=tmp_path),
        ]
        for plan in plans:
            assert set(plan.apply(armed=True)["outcome"]) == {"created"}
        assert send_metrics(session, **points.arguments, armed=True)["outcome"].tolist() == ["sent"]
        (made,) = session.pages("logs", "describe_log_groups", "logGroups")
        assert (made["logGroupName"], made["retentionInDays"]) == ("/shop/app", 14)
        (alarm,) = session.pages("cloudwatch", "describe_alarms", "MetricAlarms")
        assert (alarm["Threshold"], alarm["Period"], alarm["AlarmActions"]) == (70.0, 300, [TOPIC])
        assert alarm["Dimensions"] == [{"Name": "InstanceId", "Value": INSTANCE}]


@pytest.mark.skipif(not SEED.is_file(), reason="../shared is not here")
def test_the_guide_itself() -> None:
    text = "\n".join(SEED.read_text("utf-8").splitlines()[:155])
    config = text[text.index('{\n"agent"') : text.index("Configuration Parameters:")]
    board = text[text.index('{\n"widgets"') : text.index("aws cloudwatch put-dashboard")]
    seeds = seed_commands(text, files={"cloudwatch-config.json": config, "dashboard-config.json": board})
    assert [one.does for one in seeds] == [
        "plan_log_group", "install_commands", "plan_agent", "start_command", "send_metrics", "plan_alarms", "plan_dashboard"
    ]  # fmt: skip
    said = [sum(word in notice for one in seeds for notice in one.notices) for word in ("host and not InstanceId", "refuses the first form", "an older one")]  # fmt: skip
    assert said == [1, 1, 1]


def test_points_in_every_form_are_the_same_point() -> None:
    forms = [
        f"--metric-data {POINT}",
        f"--metric-data 'MetricName=Open,Value=25,Unit=Count,Dimensions=[{{Name=InstanceId,Value={INSTANCE}}}]'",
        f"--metric-name Open --value 25 --unit Count --dimensions InstanceId={INSTANCE}",
        f"--metric-name=Open --value=25 --unit=Count --dimensions Name=InstanceId,Value={INSTANCE}",
        f"""--metric-data '[{{"MetricName": "Open", "Value": 25, "Unit": "Count", "Dimensions": [{{"Name": "InstanceId", "Value": "{INSTANCE}"}}]}}]'""",
    ]
    for form in forms:
        ((point,), notices) = _sent(seed_command(f"aws cloudwatch put-metric-data --namespace Own {form}"))
        assert {**point, "value": float(str(point["value"]))} == {"metric": "Open", "value": 25.0, "unit": "Count", "dimensions": {"InstanceId": INSTANCE}}  # fmt: skip
        assert bool(notices) == (form == forms[0])
    two = seed_command("aws cloudwatch put-metric-data --namespace Own --metric-data MetricName=a,Value=1 MetricName=b,Value=2")  # fmt: skip
    assert [one["metric"] for one in two.arguments["points"]] == ["a", "b"]
    assert point_of("MetricName=a,Value=1,StorageResolution=1")[0]["resolution_s"] == 1


def _sent(seed: Seed) -> tuple[list[dict[str, object]], tuple[str, ...]]:
    return seed.arguments["points"], seed.notices


def test_an_alarm_keeps_all_that_it_says() -> None:
    line = f"{ALARM} --datapoints-to-alarm 1 --treat-missing-data breaching --ok-actions {TOPIC} --no-actions-enabled --tags Key=a,Value=b --region us-east-1"  # fmt: skip
    seed = seed_command(line)
    (spec,) = seed.arguments["specs"]
    assert (spec.m, spec.treat_missing, spec.ok_actions, spec.actions_enabled, spec.tags, spec.region) == (1, "breaching", (TOPIC,), False, (("a", "b"),), "us-east-1")  # fmt: skip
    assert seed.notices == ()
    quick = seed_command(ALARM.replace("AWS/EC2", "Own").replace("--period 300", "--period 10"))
    assert quick.arguments["specs"][0].period == 10


def test_a_log_group_with_all_its_options() -> None:
    line = f"aws logs create-log-group --log-group-name /a --kms-key-id {KEY} --log-group-class STANDARD --deletion-protection-enabled"
    seed = seed_command(line)
    assert seed.arguments == {"name": "/a", "kms_key": KEY, "log_class": "STANDARD", "protected": True, "retention_days": 0}  # fmt: skip
    assert "for ever" in seed.notices[0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("aws s3 ls", "no command for monitoring"),
        ("aws logs create-log-group --log-group-name '/a", "open quote"),
        ("aws logs create-log-group", "needs --log-group-name"),
        ("aws logs create-log-group /a", "stands before any option"),
        ("aws logs create-log-group --log-group-name /a --retention 14", "no option '--retention'"),
        ("aws logs create-log-group --log-group-name /a --retention-in-days 42", "nearest is 30"),
        ("aws logs create-log-group --log-group-name /a --retention-in-days two", "not a whole number"),
        ("aws logs create-log-group --log-group-name aws/a", "begins with aws/"),
        ("aws logs create-log-group --log-group-name /a --kms-key-id alias/mine", "not the ARN of a key"),
        (f"aws logs create-log-group --log-group-name /a --kms-key-id {KEY} --region us-east-1", "the key is in eu-west-1"),
        ("aws logs create-log-group --log-group-name /a /b", "takes one value, and has 2"),
        ("aws ssm put-parameter --name AmazonCloudWatch-a --value file://other.json", "reads a file 'other.json'"),
        ("aws ssm put-parameter --name mine --value file://agent.json", "may not read a parameter"),
        ("aws ssm put-parameter --name AmazonCloudWatch-a --type SecureString --value file://agent.json", "type 'SecureString'"),
        ("aws ssm put-parameter --name AmazonCloudWatch-a --value '{'", "not JSON"),
        ("aws cloudwatch put-metric-data --namespace Own", "given by --metric-data"),
        (f"aws cloudwatch put-metric-data --namespace Own --metric-name a --value 1 --metric-data {POINT}", "one of the two"),
        ("aws cloudwatch put-metric-data --namespace Own --metric-name a --value NaN", "not a finite number"),
        ("aws cloudwatch put-metric-data --namespace AWS/EC2 --metric-name a --value 1", "AWS's own metrics"),
        ("aws cloudwatch put-metric-data --namespace Own --metric-data MetricName=a,Value=1,StorageResolution=x", "not a whole number"),
        ("aws cloudwatch put-metric-data --namespace Own --metric-data '[{\"MetricName\": \"a\", \"Values\": [1]}]'", "a point with Values"),
        ("aws cloudwatch put-metric-data --namespace Own --metric-data '[5]'", "a point with 5"),
        (ALARM.replace("300", "45"), "45"),
        (ALARM.replace("300", "60"), "300"),
        (f"{ALARM} --extended-statistic p90", "both a statistic"),
        (f"{ALARM} --alarm-actions oncall", "no ARN"),
        (f"{ALARM} --alarm-actions {TOPIC} --region eu-west-1", "in us-east-1 on an alarm in eu-west-1"),
        (f"{ALARM} --tags =b", "are no tags"),
        (f"""{ALARM} --tags '[{{"x": 1}}]'""", "are no tags"),
        (f"{ALARM} --metrics 5", "no list of metrics"),
        (f"{ALARM} --metrics '[5]'", "no list of metrics"),
        (f"{ALARM} --tags '[{{\"a\"'", "not JSON"),
        ("aws cloudwatch put-dashboard --dashboard-name 'my board' --dashboard-body file://board.json", "no name of a dashboard"),
        ("aws cloudwatch put-dashboard --dashboard-name a --dashboard-body '[]'", "a JSON object"),
        ("wget https://s3.amazonaws.com/amazoncloudwatch-agent/latest.rpm", "no address of an agent package"),
        ("sudo amazon-cloudwatch-agent-ctl -a stop", "started from its parameter"),
    ],
)  # fmt: skip
def test_what_has_no_plain_meaning_is_refused_in_three_lines(line: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        seed_command(line, files=FILES)
    assert says in str(refused.value) and len(str(refused.value).splitlines()) <= 3
