"""What notebook 10 asks, where the notebook itself does not come: old windows, coarse points, paths, error lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from inprocess import account

from netkit.cloudwatch import dashboard_grammar, proof, read
from netkit.cloudwatch.alarms import AlarmSpec
from netkit.cloudwatch.metrics import MetricQuery
from netkit.cloudwatch.provision import plan_alarms
from netkit.core.errors import AccessError, BudgetError, InputError, SourceError
from netkit.core.model import Window
from netkit.core.session import Session
from netkit.investigate import monitoring as check
from netkit.sandbox import WORLD_END
from netkit.sandbox.labs import cloudwatch as cloudwatch_lab
from netkit.sandbox.labs import seeds
from netkit.sandbox.world import world

DAY = Window.parse("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")
LABS = {lab.name: lab for lab in cloudwatch_lab.LABS}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, account(patch) as found:
        seeds.seed_all()
        yield replace(found, clock=lambda: WORLD_END)


def run_of(session: Session) -> Any:
    return SimpleNamespace(session=session, window=DAY)


def later(session: Session, *moment: int) -> Any:
    return run_of(replace(session, clock=lambda: datetime(*moment, tzinfo=UTC)))  # type: ignore[misc,arg-type]


def test_an_old_window_is_read_by_the_points_that_are_still_kept(session: Session) -> None:
    instance = next(iter(LABS["healthy"].instances))
    query = MetricQuery("AWS/EC2", "StatusCheckFailed", {"InstanceId": instance}, "Maximum")
    for moment, period in (((2026, 11, 21), 60), ((2026, 12, 20), 300), ((2027, 3, 1), 3600)):
        found = read.metric_data(later(session, *moment).session, [query], DAY)
        assert set(found["period_s"]) == {period} and len(found) == 86_400 // period
    with pytest.raises(InputError, match="keeps no points"):
        read.metric_data(later(session, 2028, 6, 1).session, [query], DAY)


def test_an_alarm_is_not_replayed_on_coarser_points_than_its_own(session: Session) -> None:
    lab = LABS["alarm-firing"]
    (record,) = read.alarm_records(session, names=["alarm-firing-errors"])
    spec = AlarmSpec.of(record)
    done = check.replayed(run_of(session), spec, ())
    assert done is not None and done.fired["time"].iloc[0] == datetime(2026, 11, 19, 9, 55, tzinfo=UTC)
    assert check.replayed(later(session, 2026, 12, 20), spec, ()) is not None, "five minutes are kept for 63 days"
    assert check.replayed(later(session, 2027, 3, 1), spec, ()) is None
    assert check.would_fire(later(session, 2027, 3, 1), [spec])["state"].tolist() == ["no points"]
    assert lab.namespace == spec.namespace


def test_an_agent_is_judged_by_coarse_points_too(session: Session) -> None:
    lab = LABS["agent-silent"]
    hosts = read.hosts(session, tags={"netkit:lab": lab.name})
    for run in (run_of(session), later(session, 2026, 12, 20), later(session, 2027, 3, 1)):
        found = check.monitored(run, hosts, lab.config(), lab.parameter, f"{lab.name}-")
        states = found.arrivals.groupby("instance_id")["state"].unique().map(list).to_dict()
        named = {name: states[instance] for instance, name in lab.instances.items()}
        assert named == {"web-2": ["stopped"], "app-2": ["arrived"], "app-3": ["missing"]}


def test_the_path_between_two_ends_has_the_gateway(session: Session) -> None:
    found = check.proposed(run_of(session), [], ["app-1", "151.101.64.81", "443", "shop-quiet"])
    gateway, instance = world.ident("quiet", "nat-gateway", "nat"), world.ident("quiet", "app-1", "i")
    assert set(found.loc[found["type"] == "nat-gateway", "id"]) == {gateway}
    assert set(found.loc[found["type"] == "instance", "id"]) == {instance}
    by_hand = check.proposed(run_of(session), [f"nat-gateway {gateway}"], [])
    assert by_hand["metric"].tolist() == ["ErrorPortAllocation", "PacketsDropCount"]
    assert len(check.lacking(run_of(session), found)) == len(found)
    for ends, lines in ((["app-1"], []), (["a", "b", "https"], []), ([], ["nat-gateway"])):
        with pytest.raises(InputError):
            check.proposed(run_of(session), lines, ends)


def test_error_lines_are_told_by_what_they_say(session: Session) -> None:
    lines = check.error_lines(run_of(session), LABS["alarm-firing"].group, "ERROR")
    assert lines["message"].tolist() == ["ERROR could not connect to 10.0.20.5:5432: timed out after 3 s"]
    assert lines["streams"].tolist() == [3] and lines["first"].iloc[0] == datetime(2026, 11, 19, 9, 40, 14, tzinfo=UTC)
    assert check.error_lines(run_of(session), "/no/such/group", "ERROR").empty


def test_what_is_not_there_is_named(session: Session) -> None:
    with pytest.raises(SourceError, match="no such instance"):
        check.hosts(run_of(session), [], "netkit:lab:none")
    with pytest.raises(InputError, match="no instance was chosen"):
        check.hosts(run_of(session), [], "")
    what = check.monitored(
        run_of(session), read.hosts(session, tags={"netkit:lab": "healthy"}), LABS["healthy"].config(), "", "healthy-"
    )
    with pytest.raises(SourceError, match="no alarm 'nothing'"):
        check.life(run_of(session), what, "nothing")
    assert not what.stored and check.life(run_of(session), what).name.startswith("healthy-")  # type: ignore[union-attr]


def test_an_alarm_of_an_unknown_form_stops_nothing(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = {"AlarmName": "healthy-query", "StateValue": "ALARM", "EvaluationCriteria": {"PromQLCriteria": {"Query": "up"}}, "AlarmActions": []}  # fmt: skip
    real = Session.call

    def called(self: Session, service: str, operation: str, **request: Any) -> Any:
        answer = real(self, service, operation, **request)
        return (
            answer | {"MetricAlarms": [*answer["MetricAlarms"], strange]} if operation == "describe_alarms" else answer
        )

    monkeypatch.setattr(Session, "call", called)
    hosts = read.hosts(session, tags={"netkit:lab": "healthy"})
    what = check.monitored(run_of(session), hosts, LABS["healthy"].config(), "", "healthy-")
    life = check.life(run_of(session), what)
    assert life is not None and life.name == "healthy-query" and life.replay is None and life.why
    spec = AlarmSpec(name="healthy-query", namespace="S", metric="M", statistic="Sum", period=60, threshold=1)
    (conflict,) = plan_alarms(replace(session), [spec], folder=tmp_path).conflicts
    assert "PromQL" in conflict.difference[0]


def test_what_systems_manager_may_not_say_is_no_cause(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Session.pages

    def denied(self: Session, service: str, operation: str, key: str, **request: Any) -> Any:
        if operation == "describe_instance_information":
            raise AccessError("AWS denied ssm:describe_instance_information (AccessDeniedException): no")
        return real(self, service, operation, key, **request)

    monkeypatch.setattr(Session, "pages", denied)
    lab = LABS["agent-silent"]
    hosts = read.hosts(session, tags={"netkit:lab": lab.name})
    assert hosts["managed"].tolist() == [None, None, None]
    found = check.monitored(run_of(session), hosts, lab.config(), lab.parameter, f"{lab.name}-")
    causes = " ".join(found.arrivals["cause"])
    assert "does not run" in causes and "Systems Manager does not know it" not in causes


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("list_metrics", "CW-AGENT-SILENT"),
        ("describe_alarms", "CW-ALARM-FIRING"),
        ("describe_log_streams", "CW-LOG-SILENT"),
    ],
)
def test_what_may_not_be_read_is_not_taken_for_absent(
    operation: str, code: str, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a lab in which things are silent: without the right to see, nothing is confirmed of them."""
    lab = LABS["agent-silent"]
    hosts = read.hosts(session, tags={"netkit:lab": lab.name})
    pages, call = Session.pages, Session.call

    def denied(real: Any) -> Any:
        def wrapped(self: Session, service: str, asked: str, *rest: Any, **request: Any) -> Any:
            if asked == operation:
                raise AccessError(f"AWS denied {service}:{asked} (AccessDenied): no")
            return real(self, service, asked, *rest, **request)

        return wrapped

    monkeypatch.setattr(Session, "pages", denied(pages))
    monkeypatch.setattr(Session, "call", denied(call))
    run = run_of(session)
    what = check.monitored(run, hosts, lab.config(), lab.parameter, f"{lab.name}-")
    proposals = check.proposed(run, ["nat-gateway nat-0123456789abcdef0"], [])
    found = check.findings(run, what, {}, pd.DataFrame(), proposals, check.lacking(run, proposals))
    mine = [one for one in found if one.code == code]
    assert [one.status for one in mine] == ["inconclusive"] and "may not be read" in mine[0].claim
    if operation == "describe_alarms":
        assert not [one for one in found if one.code in ("CW-METRIC-UNALARMED", "CW-ALARM-MUTE", "CW-ALARM-NO-DATA")]
    if operation == "list_metrics":
        assert not [one for one in found if one.code == "CW-DIMENSION-MISMATCH"]


def test_a_query_is_priced_by_what_came_in_within_its_window(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that stores terabytes may have had megabytes in the hours that are asked about."""
    group = LABS["alarm-firing"].group
    real = Session.pages

    def with_bytes(came: float) -> Any:
        def pages(self: Session, service: str, operation: str, key: str, **request: Any) -> Any:
            if (
                operation == "get_metric_data"
                and request["MetricDataQueries"][0]["MetricStat"]["Metric"]["Namespace"] == "AWS/Logs"
            ):
                return [{"Id": "q0", "Timestamps": [DAY.start], "Values": [came]}] if came else []
            found = real(self, service, operation, key, **request)
            return [one | {"storedBytes": 10**13} for one in found] if operation == "describe_log_groups" else found

        return pages

    monkeypatch.setattr(Session, "pages", with_bytes(2e6))
    assert len(check.error_lines(run_of(session), group, "ERROR")) == 1
    monkeypatch.setattr(Session, "pages", with_bytes(0))
    with pytest.raises(BudgetError, match="above the budget"):
        check.error_lines(run_of(session), group, "ERROR")
    body = check.dashboard(
        run_of(session), "d", [], read.hosts(session, tags={"netkit:lab": "healthy"}), group, "%a/b%"
    ).body
    assert "like /a\\/b/" in body["widgets"][-1]["properties"]["query"]
    assert check.log_tables(run_of(session), body) == {}, "what costs too much is not asked for a picture"


# what a pattern says in three places, and a configuration of several files


def fields_of(lab: cloudwatch_lab.Lab) -> str:
    return f"/netkit/lab/{lab.name}/app"


@pytest.mark.parametrize(
    "pattern", ["ERROR", "?ERROR ?WARN", "ERROR -nothing", "%ERR.R%", "[..., level=ERROR, w1, w2, w3, w4]", "{ $.level = ERROR }", "{ $.a[*] = 1 }"]
)  # fmt: skip
def test_a_filter_pattern_counts_and_is_asked_in_its_own_grammar(session: Session, pattern: str) -> None:
    lab = LABS["alarm-firing"]
    group = fields_of(lab)
    hosts = read.hosts(session, tags={"netkit:lab": lab.name})
    lines = check.error_lines(run_of(session), group, pattern)
    events = read.log_events(session, group, DAY, pattern=pattern)
    assert int(lines["n"].sum()) == len(events), "the metric filter and the table count the same"
    board = check.dashboard(run_of(session), "d", [], hosts, group, pattern)
    assert board.body["widgets"][-1]["type"] in ("log", "text")
    planned = check.plans(
        run_of_folder(session, Path("/nowhere")),
        hosts,
        lab.config(),
        [],
        board,
        log_group=group,
        pattern=pattern,
        namespace="Shop",
        parameter="",
    )
    assert "dashboard" in planned


def run_of_folder(session: Session, folder: Path) -> Any:
    return SimpleNamespace(session=session, window=DAY, folder=folder, path=lambda name: name)


def test_a_query_of_ones_own_goes_before_the_translation(session: Session) -> None:
    group = fields_of(LABS["alarm-firing"])
    board = check.dashboard(
        run_of(session), "d", [], read.hosts(session, tags={"netkit:lab": "healthy"}), group, "[a, b=1]", "b = 1"
    )
    assert "| filter b = 1 |" in board.body["widgets"][-1]["properties"]["query"]
    with pytest.raises(InputError, match="does not end with"):
        check.error_lines(run_of(session), group, "[a, b")


def test_key_and_tags_of_the_log_group(session: Session, tmp_path: Path) -> None:
    hosts = read.hosts(session, tags={"netkit:lab": "healthy"})
    key = f"arn:aws:kms:{session.region}:{session.account_id}:key/abc"
    into: dict[str, Any] = {
        "log_group": "/mine/new",
        "namespace": "Shop",
        "parameter": "",
        "key": key,
        "tags": ["team=web"],
    }
    planned = check.plans(run_of_folder(session, tmp_path), hosts, {}, [], None, **into)
    asked = next(step.request for step in planned["log group"].steps if step.key == "log-group")
    assert asked["kmsKeyId"] == key and asked["tags"]["team"] == "web"
    for wrong in ({"key": "alias/a"}, {"tags": ["team"]}):
        with pytest.raises(InputError):
            check.plans(run_of_folder(session, tmp_path), hosts, {}, [], None, **(into | wrong))


def test_several_files_are_one_configuration(session: Session, tmp_path: Path) -> None:
    run = run_of_folder(session, tmp_path)
    one, two, three = (str(tmp_path / f"{name}.json") for name in ("one", "two", "three"))
    Path(one).write_text(
        '{"agent": {"region": "a"}, "metrics": {"metrics_collected": {"mem": {"measurement": ["used"]}}}}', "utf-8"
    )
    Path(two).write_text('{"metrics": {"metrics_collected": {"swap": {"measurement": ["used"]}}}}', "utf-8")
    Path(three).write_text('{"agent": {"region": "b"}}', "utf-8")
    words: dict[str, Any] = {"metrics": "", "namespace": "", "log_file": "", "log_group": "", "retention_days": 0}
    assert set(check.wanted_config(run, one, **words, more=[two])["metrics"]["metrics_collected"]) == {"mem", "swap"}
    with pytest.raises(InputError, match="refuses these files together"):
        check.wanted_config(run, one, **words, more=[three])
    with pytest.raises(SourceError, match="no such configuration"):
        check.wanted_config(run, one, **words, more=["nowhere.json"])


def test_a_configuration_that_the_agent_refuses_is_a_finding_and_promises_nothing(session: Session) -> None:
    hosts = read.hosts(session, tags={"netkit:lab": "healthy"})
    refused = {"metrics": {"metrics_collected": {"cpu": {"measurement": ["usage_idel"]}}}}
    what = check.monitored(run_of(session), hosts, refused, "", "healthy-")
    assert what.arrivals.empty and what.logs.empty
    empty = pd.DataFrame()
    found = {one.code: one for one in check.findings(run_of(session), what, {}, empty, empty, empty)}
    assert found["CW-AGENT-CONFIG"].status == "confirmed" and found["CW-AGENT-CONFIG"].severity == "high"
    assert "usage_idel" in found["CW-AGENT-CONFIG"].claim and "CW-AGENT-SILENT" not in found


def test_doubts_and_none_are_findings_too() -> None:
    good = cloudwatch_lab.LABS[0].config() if cloudwatch_lab.LABS[0].name == "healthy" else LABS["healthy"].config()
    (clear,) = proof.config_findings(good, "p", DAY)
    assert (clear.status, clear.code) == ("refuted", "CW-AGENT-CONFIG")
    (doubt,) = proof.config_findings({"metrics": {"metrics_collected": {"mem": {"measurement": ["used"]}}}}, "p", DAY)
    assert (doubt.status, doubt.severity) == ("confirmed", "low") and "append_dimensions" in str(doubt.evidence)


def test_nearly_the_right_dimension_is_said(session: Session, tmp_path: Path) -> None:
    spec = AlarmSpec(name="x", namespace="AWS/EC2", metric="CPUUtilization", dimensions={"Instanceid": "i-1"}, statistic="Average", period=300, threshold=1)  # fmt: skip
    assert any("is it InstanceId?" in one for one in plan_alarms(session, [spec], folder=tmp_path).notices)
    rows = [["AWS/EC2", "AutoScalingGroupName", "NetworkPacketsIn", "x"], ["AWS/NATGateway", "BytesIn", "NatGatewayID", "n"], ["AWS/EC2", "CPUUtilization", "InstanceId", "i"]]  # fmt: skip
    body = {"widgets": [{"type": "metric", "properties": {"region": "x", "metrics": rows}}]}
    found = [(one.level, one.path) for one in dashboard_grammar.check(body) if "shows nothing" in one.message]
    assert found == [("warning", f"/widgets/0/properties/metrics/{place}") for place in (0, 1)]


def test_proposals_of_the_incident_fire_in_it(session: Session) -> None:
    lab = LABS["alarm-firing"]
    hosts = read.hosts(session, tags={"netkit:lab": lab.name})
    what = check.monitored(run_of(session), hosts, lab.config(), lab.parameter, f"{lab.name}-")
    found = check.proposals(run_of(session), check.life(run_of(session), what))
    assert found is not None
    assert found["fires"].head(3).all() and found["before"].head(3).eq(0).all()
    assert found["first"].head(3).ge(pd.Timestamp("2026-11-19T09:00Z")).all()


def test_a_hosts_own_system_says_what_it_has_to_send(session: Session) -> None:
    """Event logs on Linux, and no agent at all of a configuration whose agent member is nothing."""
    hosts = read.hosts(session, tags={"netkit:lab": "healthy"})
    assert set(hosts["platform"]) == {"linux"}
    events = {"collect_list": [{"event_name": "System", "event_levels": ["ERROR"], "log_group_name": "/w"}]}
    config = {"agent": None, "logs": {"logs_collected": {"windows_events": events}}, "metrics": {"metrics_collected": {"Memory": {"measurement": ["x"]}}}}  # fmt: skip
    what = check.monitored(run_of(session), hosts, config, "", "healthy-")
    assert what.logs.empty and what.arrivals.empty
    files = {
        "agent": None,
        "logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/x", "log_group_name": "/none"}]}}},
    }
    assert check.monitored(run_of(session), hosts, files, "", "healthy-").logs["state"].eq("missing").all()
    windows = hosts.assign(platform="windows")
    assert len(proof.log_arrivals(config, windows, pd.DataFrame(columns=list(read.STREAM_COLUMNS)), DAY)) == len(hosts)
