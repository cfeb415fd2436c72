"""What is monitored from the start: a lab for each way in which monitoring goes well or silently wrong.

A lab is some hosts of the shop with an agent's configuration, a log group with a metric filter, alarms, a topic. Everything in it
is as the plans of notebook 10 make it, so that a plan for a lab keeps what is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.ec2.models import ec2_backends
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.logs.models import logs_backends
from moto.sns.models import sns_backends
from moto.ssm.models import ssm_backends

from netkit.cloudwatch.agent import AgentConfig, LogFile
from netkit.cloudwatch.agent_install import managed_policies, parameter_request, trust_policy
from netkit.cloudwatch.alarm_lines import parse_alarms
from netkit.sandbox.world import cloudwatch as cloudwatch_world
from netkit.sandbox.world import world
from netkit.sandbox.world.cloudwatch import Agent, agents
from netkit.sandbox.world.world import ACCOUNT, HOSTS, REGION

ROLE = TOPIC = "netkit-lab"
TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:{TOPIC}"
RETENTION_DAYS = 30
METRICS = "cpu_usage_idle mem_used_percent disk_used_percent netstat_tcp_syn_sent"
ALARMS = (
    "unanswered: Maximum {namespace} netstat_tcp_syn_sent per host > 0, 5 of 15 x 60s",
    "memory: Average {namespace} mem_used_percent per host > 90, 3 x 300s",
    "status: Maximum AWS/EC2 StatusCheckFailed per host >= 1, 2 x 60s",
    "errors: Sum {namespace} Errors > 0, 3 of 5 x 300s, missing notBreaching",
)


@dataclass(frozen=True)
class Lab:
    """One lab: its name, what it teaches, the scenario and hosts, what is wrong with which agent.

    stopped: host to the clock time on the second day at which its agent ended; without: hosts that were given no configuration
    """

    name: str
    teaches: str
    scenario: str
    hosts: tuple[str, ...]
    append: bool = True
    stopped: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    @property
    def parameter(self) -> str:
        """The name of the parameter that holds its agents' configuration."""
        return f"AmazonCloudWatch-netkit-{self.name}"

    @property
    def group(self) -> str:
        """Its log group."""
        return f"/netkit/lab/{self.name}/app"

    @property
    def namespace(self) -> str:
        """The namespace of its metrics."""
        return f"Shop/{self.name}"

    @property
    def instances(self) -> dict[str, str]:
        """Its instances: id to name."""
        return {host.instance_id(self.scenario): host.name for host in HOSTS if host.name in self.hosts}

    def config(self) -> dict[str, Any]:
        """The configuration of its agents."""
        logs = (LogFile("/var/log/shop/app.log", self.group, retention_days=RETENTION_DAYS),)
        plain = {} if self.append else {"append": (), "aggregate": ()}
        return AgentConfig.of(METRICS, logs, namespace=self.namespace, **plain).document()  # type: ignore[arg-type]


LABS = (
    Lab("healthy", "everything arrives, no alarm", "quiet", ("web-1", "app-1")),
    Lab("alarm-firing", "application servers do not reach their database", "blocked-database", ("app-1", "app-2", "app-3")),
    Lab("agent-silent", "an agent stopped, another was never configured", "quiet", ("web-2", "app-2", "app-3"), stopped={"web-2": "13:00"}, without=("app-3",)),
    Lab("wrong-dimension", "metrics carry host, alarms wait for InstanceId", "bad-day", ("app-1", "app-2"), append=False),
)  # fmt: skip


def seed() -> None:
    """Lay all labs into moto. The world's instances are there; cloudwatch_api.install() has run."""
    iam, sns = iam_backends[ACCOUNT]["aws"], sns_backends[ACCOUNT][REGION]
    iam.create_role(ROLE, json.dumps(trust_policy()), "/", None, "", [], "3600")
    for arn in managed_policies():
        _publish_policy(iam, arn.rpartition("/")[2])
        iam.attach_role_policy(arn, ROLE)
    iam.create_instance_profile(ROLE, "/", [ROLE])
    sns.create_topic(TOPIC)
    for lab in LABS:
        _seed(lab)


def _publish_policy(iam: Any, name: str) -> None:
    """Give moto one of AWS's own policies; it has none unless it is told to load all of them."""
    data = json.loads(aws_managed_policies_data)[name]
    policy = AWSManagedPolicy.from_data(name, ACCOUNT, REGION, data)
    iam.managed_policies[policy.arn] = policy


def _seed(lab: Lab) -> None:
    ec2, ssm, logs = ec2_backends[ACCOUNT][REGION], ssm_backends[ACCOUNT][REGION], logs_backends[ACCOUNT][REGION]
    logs.create_log_group(lab.group, {})
    logs.put_retention_policy(lab.group, str(RETENTION_DAYS))
    made: Any = [{"metricName": "Errors", "metricNamespace": lab.namespace, "metricValue": "1", "defaultValue": 0.0, "unit": "Count"}]  # fmt: skip
    logs.put_metric_filter("errors", "ERROR", lab.group, made)
    asked = parameter_request(lab.config(), lab.parameter)
    ssm.put_parameter(lab.parameter, asked["Description"], asked["Value"], "String", "", "", False, [], "text", tier=asked["Tier"], policies=None)  # fmt: skip
    for instance, name in lab.instances.items():
        ec2.create_tags([instance], {"netkit:lab": lab.name})
        if instance not in ec2.iam_instance_profile_associations:
            ec2.associate_iam_instance_profile(instance, ROLE)
        agents()[instance] = Agent(lab.scenario, next(host for host in HOSTS if host.name == name))
        if name not in lab.without:
            stops = int(world.moment(lab.stopped[name])) if name in lab.stopped else cloudwatch_world.END
            why = cloudwatch_world.configure(instance, lab.parameter, stops=stops)
            assert not why, why
    _alarms(lab)


def _alarms(lab: Lab) -> None:
    lines = [one.format(namespace=lab.namespace) for one in ALARMS]
    backend: Any = cloudwatch_backends[ACCOUNT][REGION]
    for spec in parse_alarms(lines, lab.instances, prefix=f"{lab.name}-", actions=[TOPIC_ARN], region=REGION):
        one = spec.request()
        backend.put_metric_alarm(
            name=one["AlarmName"], namespace=one["Namespace"], metric_name=one["MetricName"], comparison_operator=one["ComparisonOperator"],
            evaluation_periods=one["EvaluationPeriods"], datapoints_to_alarm=one["DatapointsToAlarm"], period=one["Period"],
            threshold=one["Threshold"], statistic=one["Statistic"], description=one["AlarmDescription"], dimensions=one.get("Dimensions", []),
            alarm_actions=one["AlarmActions"], ok_actions=one["OKActions"], treat_missing_data=one["TreatMissingData"],
        )  # fmt: skip
