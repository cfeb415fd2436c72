"""CloudWatch: monitoring set up, proved to work, and readable from the notebook."""

from __future__ import annotations

from netkit.cloudwatch.agent import AgentConfig, check_agent_config
from netkit.cloudwatch.agent_grammar import Problem
from netkit.cloudwatch.alarms import AlarmSpec, CompositeSpec
from netkit.cloudwatch.log_groups import MetricFilter, flow_rejects, group_request
from netkit.cloudwatch.metrics import MetricQuery, finding_points, prepare
from netkit.cloudwatch.path_alarms import path_alarms, proposed_specs, unalarmed
from netkit.cloudwatch.replay import Replay, propose, replay, replay_many

__all__ = [
    "AgentConfig", "AlarmSpec", "CompositeSpec", "MetricFilter", "MetricQuery", "Problem", "Replay", "check_agent_config", "finding_points",
    "flow_rejects", "group_request", "path_alarms", "prepare", "propose", "proposed_specs", "replay", "replay_many", "unalarmed",
]  # fmt: skip
