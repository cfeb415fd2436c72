"""Plan kind by fault, at every call that changes something: re-applied and torn down, nothing of ours is left, nothing doubled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from inprocess import READS, Kill, account, calls, only_watch
from test_plan_killed import everything, to_cloudwatch
from test_plan_owned import ALARM, BODY

from netkit.cloudwatch.log_groups import MetricFilter
from netkit.cloudwatch.provision import plan_alarms, plan_dashboard, plan_log_group
from netkit.core.errors import NetkitError
from netkit.core.plan import Plan
from netkit.core.session import Session

COUNTS = [MetricFilter("errors", "ERROR", "Team", "Errors")]
KINDS: dict[str, Callable[[Session, Path], Callable[[], Plan]]] = {
    "flow logs to CloudWatch": to_cloudwatch,
    "log group": lambda session, folder: lambda: plan_log_group(session, "/ours", filters=COUNTS, folder=folder),
    "alarm, topic, rule": lambda session, folder: lambda: plan_alarms(session, [ALARM], topic="told", rule="changed", folder=folder),
    "dashboard": lambda session, folder: lambda: plan_dashboard(session, "net", BODY, folder=folder),
}  # fmt: skip


def refused(code: str, status: int) -> Callable[[str], BaseException]:
    return lambda name: ClientError({"Error": {"Code": code, "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}}, name)  # fmt: skip


FAULTS: dict[str, tuple[str, Callable[[str], BaseException]]] = {
    "500 after the work": ("after", refused("InternalFailure", 500)),
    "answer lost": ("after", lambda name: ReadTimeoutError(endpoint_url="https://x")),
    "timed out": ("before", lambda name: ReadTimeoutError(endpoint_url="https://x")),
    "throttled": ("before", refused("Throttling", 400)),
    "denied": ("before", refused("AccessDenied", 403)),
    "killed": ("after", Kill),
}


def whole(session: Session) -> dict[str, Any]:
    names = {"cloudwatch": ("describe_alarms", "MetricAlarms"), "events": ("list_rules", "Rules"), "sns": ("list_topics", "Topics")}  # fmt: skip
    boards = [one["DashboardName"] for one in session.pages("cloudwatch", "list_dashboards", "DashboardEntries")]
    counts = {name: len(session.pages(name, read, key)) for name, (read, key) in names.items()}
    return everything(session) | counts | {"dashboards": boards}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_at_every_call(kind: str, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        ready = KINDS[kind](session, tmp_path / "whole")()
        with calls(monkeypatch, only_watch) as made:
            ready.apply(armed=True)
        wanted = whole(session)
    moment, raised = FAULTS[fault]
    places = [number for number, (operation, _) in enumerate(made, 1) if not operation.startswith(READS)]
    for place in places:
        with account(monkeypatch) as session:
            plan = KINDS[kind](session, tmp_path / str(place))
            before, started = whole(session), plan()

            def on_call(number: int, name: str, when: str, place: int = place) -> None:
                if (number, when) == (place, moment):
                    raise raised(name)

            with calls(monkeypatch, on_call), pytest.raises((NetkitError, Kill)):
                started.apply(armed=True)
            plan().apply(armed=True)
            assert whole(session) == wanted, f"{kind} x {fault} at call {place}, {made[place - 1][0]}"
            torn = plan().teardown(armed=True)
            assert whole(session) == before, (made[place - 1][0], torn.to_dict("records"))
    print(f"{kind} x {fault}: ok at {len(places)} calls")  # noqa: T201
