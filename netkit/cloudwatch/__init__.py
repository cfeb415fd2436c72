"""CloudWatch: monitoring set up, proved to work, and readable from the notebook."""

from __future__ import annotations

from netkit.cloudwatch.agent import AgentConfig, check_agent_config
from netkit.cloudwatch.agent_grammar import Problem
from netkit.cloudwatch.alarms import AlarmSpec, CompositeSpec
from netkit.cloudwatch.replay import Replay, propose, replay

__all__ = ["AgentConfig", "AlarmSpec", "CompositeSpec", "Problem", "Replay", "check_agent_config", "propose", "replay"]
