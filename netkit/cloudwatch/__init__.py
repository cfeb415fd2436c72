"""CloudWatch: monitoring set up, proved to work, and readable from the notebook."""

from __future__ import annotations

from netkit.cloudwatch.agent import (
    AgentConfig,
    LogFile,
    WindowsEvents,
    check_agent_config,
    log_files,
    read_agent_config,
)
from netkit.cloudwatch.agent_grammar import Problem
from netkit.cloudwatch.agent_metrics import Match, expected_metrics, match, metric_names, mismatch
from netkit.cloudwatch.alarm_lines import parse_alarms
from netkit.cloudwatch.alarms import AlarmSpec, CompositeSpec
from netkit.cloudwatch.dashboards import DashboardSpec
from netkit.cloudwatch.log_groups import MetricFilter, flow_rejects, group_request
from netkit.cloudwatch.metrics import MetricQuery, finding_points, prepare
from netkit.cloudwatch.path_alarms import path_alarms, proposed_specs, unalarmed
from netkit.cloudwatch.provision import plan_agent, plan_alarms, plan_dashboard, plan_log_group, send_metrics
from netkit.cloudwatch.read import metric_data, query_logs, tail
from netkit.cloudwatch.replay import Replay, propose, replay, replay_many

__all__ = [
    "AgentConfig", "AlarmSpec", "CompositeSpec", "DashboardSpec", "LogFile", "Match", "MetricFilter", "MetricQuery", "Problem", "Replay",
    "WindowsEvents", "check_agent_config", "expected_metrics", "finding_points", "flow_rejects", "group_request", "log_files", "match",
    "metric_data", "metric_names", "mismatch", "parse_alarms", "path_alarms", "plan_agent", "plan_alarms", "plan_dashboard", "plan_log_group",
    "prepare", "propose", "proposed_specs", "query_logs", "read_agent_config", "replay", "replay_many", "send_metrics", "tail", "unalarmed",
]  # fmt: skip
