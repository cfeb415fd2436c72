"""What a plan replaced comes back at teardown: killed around the call or not, in a run that made it or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inprocess import Kill, account, calls

from netkit.cloudwatch import read
from netkit.cloudwatch.agent import AgentConfig
from netkit.cloudwatch.alarms import AlarmSpec
from netkit.cloudwatch.provision import plan_agent, plan_alarms, plan_dashboard
from netkit.core.plan import Plan, teardown
from netkit.core.session import Session

NAME = "AmazonCloudWatch-a"


def alarm(session: Session, folder: Path, version: int) -> Plan:
    spec = AlarmSpec(name="cpu", namespace="Own", metric="Load", statistic="Average", period=60, threshold=version)
    return plan_alarms(session, [spec], folder=folder, replace=True)


def dashboard(session: Session, folder: Path, version: int) -> Plan:
    text = {"type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": {"markdown": f"version {version}"}}
    return plan_dashboard(session, "d", {"widgets": [text]}, folder=folder, replace=True)


def parameter(session: Session, folder: Path, version: int) -> Plan:
    config = AgentConfig.of("mem", namespace=f"V{version}").document()
    return plan_agent(session, config, NAME, folder=folder, replace=True)


Make = Callable[[Session, Path, int], Plan]
KINDS: dict[str, tuple[Make, str, Callable[[Session], Any]]] = {
    "alarm": (alarm, "PutMetricAlarm", lambda one: [two["Threshold"] for two in read.alarm_records(one)]),
    "dashboard": (dashboard, "PutDashboard", lambda one: read.dashboard(one, "d")),
    "parameter": (parameter, "PutParameter", lambda one: read.agent_config(one, NAME)),
}


def kill_at(wanted: str, moment: str) -> Callable[[int, str, str], None]:
    def on_call(number: int, operation: str, when: str) -> None:
        if (operation, when) == (wanted, moment):
            raise Kill

    return on_call


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_thing_of_others_comes_back_after_a_kill(
    kind: str, moment: str, finish: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan, operation, look = KINDS[kind]
    with account(monkeypatch) as session:
        plan(session, tmp_path / "theirs", 1).apply(armed=True)
        before = look(session)
        started = plan(session, tmp_path / "ours", 2)
        with calls(monkeypatch, kill_at(operation, moment)), pytest.raises(Kill):
            started.apply(armed=True)
        assert (look(session) == before) == (moment == "before")
        if finish:
            plan(session, tmp_path / "ours", 2).apply(armed=True)
            assert look(session) != before
        teardown(session, started.run_id, folder=tmp_path / "ours", armed=True)
        assert look(session) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_thing_of_the_run_goes_though_it_was_replaced_since(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan, _, look = KINDS[kind]
    with account(monkeypatch) as session:
        nothing = look(session)
        for version in (1, 2, 3):
            plan(session, tmp_path, version).apply(armed=True)
        removed = plan(session, tmp_path, 3).teardown(armed=True)
        assert look(session) == nothing and removed["outcome"].tolist() == ["removed"]
        assert plan(session, tmp_path, 3).teardown(armed=True).empty, "what was removed is not removed again"


@pytest.mark.parametrize("kind", ["alarm", "parameter"])
def test_what_others_made_meanwhile_is_not_taken_for_ours(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Killed before the call; somebody else makes the very same; the run is finished, and torn down: theirs stays."""
    plan, operation, look = KINDS[kind]
    with account(monkeypatch) as session:
        started = plan(session, tmp_path, 1)
        with calls(monkeypatch, kill_at(operation, "before")), pytest.raises(Kill):
            started.apply(armed=True)
        (step,) = started.steps
        theirs = {name: value for name, value in step.request.items() if name != "Tags"}
        session.call(step.service, step.operation, **theirs)
        before = look(session)
        finished = plan(session, tmp_path, 1)
        assert finished.apply(armed=True)["outcome"].tolist() == ["kept"]
        assert finished.teardown(armed=True).empty and look(session) == before
