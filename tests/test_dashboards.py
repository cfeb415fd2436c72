"""Dashboards: the layout holds, AWS's rules are checked before the call, others' bodies are taken, and a body can be drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.cloudwatch import dashboards as d
from netkit.cloudwatch.metrics import MetricQuery
from netkit.core.errors import InputError

REAL = Path(__file__).parents[2] / "shared" / "data" / "cloudwatch" / "dashboards"
BODIES = sorted(REAL.glob("*.json")) if REAL.is_dir() else []
CPU = ["AWS/EC2", "CPUUtilization", "InstanceId", "i-1234567890abcdef0"]
ALARM = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:cpu"
# The dashboard of the guide that netkit grew from: dots, two widgets, an Insights query of an access log.
GUIDE = {
    "widgets": [
        {
            "type": "metric", "x": 0, "y": 0, "width": 12, "height": 6,
            "properties": {
                "metrics": [CPU, [".", "NetworkIn", ".", "."], [".", "NetworkOut", ".", "."]],
                "period": 300, "stat": "Average", "region": "us-east-1", "title": "EC2 Instance Metrics",
            },
        },
        {
            "type": "log", "x": 0, "y": 6, "width": 24, "height": 6,
            "properties": {
                "query": "SOURCE '/aws/ec2/apache-access' | fields @timestamp, @message\n| filter @message like /ERROR/\n| limit 100",
                "region": "us-east-1", "title": "Application Errors",
            },
        },
    ]
}  # fmt: skip


def metric(**properties: Any) -> dict[str, Any]:
    return {"type": "metric", "properties": {"metrics": [CPU], "region": "eu-central-1"} | properties}


def errors(*widgets: Any, strict: bool = True, **top: Any) -> list[tuple[str, str]]:
    found = d.check({"widgets": list(widgets), **top}, strict=strict)
    return [(one.path, one.message) for one in found if one.level == "error"]


# ---------------------------------------------------------------------------------------------------------------- layout

WIDGETS = st.one_of(
    st.builds(lambda w, h: d.chart("graph", [CPU], width=w, height=h), st.integers(0, 24), st.integers(0, 9)),
    st.builds(lambda w: d.number("value", [CPU], width=w), st.integers(0, 24)),
    st.builds(lambda w: d.logs("lines", "limit 5", ["/shop/app"], width=w), st.integers(0, 24)),
    st.builds(lambda h: d.alarms("states", [ALARM], height=h), st.integers(0, 9)),
    st.just(d.text("# words")),
)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.lists(WIDGETS, max_size=9), max_size=6))
def test_every_widget_is_there_in_the_grid_and_none_lies_on_another(rows: list[list[d.Widget]]) -> None:
    body = d.DashboardSpec("shop", rows, "eu-central-1").body
    asked = [one for row in rows for one in row]
    assert [one["type"] for one in body["widgets"]] == [one.type for one in asked]
    taken: set[tuple[int, int]] = set()
    for one, wanted in zip(body["widgets"], asked, strict=True):
        assert one["width"] == wanted.width or not wanted.width
        assert one["height"] == wanted.height or not wanted.height
        cells = {(x, y) for x in range(one["x"], one["x"] + one["width"]) for y in range(one["y"], one["y"] + one["height"])}  # fmt: skip
        assert cells and all(0 <= x < 24 and y >= 0 for x, y in cells)
        assert not cells & taken
        taken |= cells
    assert d.check(body) == []


def test_a_row_is_shared_out_whole_and_goes_on_below() -> None:
    row = [d.chart("wide", [CPU], width=10), d.chart("a", [CPU]), d.chart("b", [CPU]), d.logs("c", "limit 1", ["/g"])]
    body = d.DashboardSpec("shop", [[d.text("# Shop")], row], "eu-central-1").body
    placed = [(one["x"], one["y"], one["width"], one["height"]) for one in body["widgets"]]
    assert placed == [(0, 0, 24, 2), (0, 2, 10, 6), (10, 2, 7, 6), (17, 2, 7, 6), (0, 8, 24, 6)]
    assert "region" not in body["widgets"][0]["properties"]
    assert body["widgets"][1]["properties"]["region"] == "eu-central-1"


def test_a_description_from_a_file_of_parameters() -> None:
    rows = [[{"type": "numbers", "title": "errors", "metrics": [CPU]}], [{"type": "logs", "title": "lines", "query": "limit 5", "groups": ["/a", "/b"]}]]  # fmt: skip
    spec = d.DashboardSpec("shop", rows, "eu-central-1", start="-PT3H", period_override="inherit")
    number, log = spec.body["widgets"]
    assert number["type"] == "metric" and number["properties"]["view"] == "singleValue"
    assert log["properties"]["query"] == "SOURCE '/a' | SOURCE '/b' | limit 5"
    assert spec.notices == (
        "the widget type 'numbers' is read as metric with the view singleValue",
        "the widget type 'logs' is read as log",
    )
    request = spec.request()
    assert request["DashboardName"] == "shop" and json.loads(request["DashboardBody"]) == spec.body


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: d.chart("wide", [CPU], width=25), "off the grid"),
        (lambda: d.DashboardSpec("two words", [], "eu-central-1"), "no name of a dashboard"),
        (lambda: d.DashboardSpec("x" * 256, [], "eu-central-1"), "no name of a dashboard"),
        (lambda: d.DashboardSpec("many", [[d.text("a")] * 501], "eu-central-1"), "at most 500 widgets"),
        (lambda: d.DashboardSpec("p", [[d.chart("c", [CPU], period_s=45)]], "eu-central-1"), "a period of 45 s"),
        (lambda: d.DashboardSpec("g", [[d.chart("c", [CPU], view="gauge")]], "eu-central-1"), "a gauge needs both ends"),
        (lambda: d.DashboardSpec("s", [[d.chart("c", [CPU], stat="Mean")]], "eu-central-1"), "'Mean' is no statistic"),
        (lambda: d.DashboardSpec("a", [[d.alarms("c", ["cpu"])]], "eu-central-1"), "'cpu' is not the ARN of an alarm"),
        (lambda: d.logs("l", "fields @message"), "has no SOURCE"),
        (lambda: d.logs("l", "SOURCE 'a' | limit 1", ["a"]), "groups are given too"),
        (lambda: d.chart("c", [CPU], view="radar"), "no view"),
        (lambda: d.DashboardSpec("t", [[{"type": "map"}]], "eu-central-1"), "'map' is no type of widget"),
        (lambda: d.DashboardSpec("t", [[{"type": "text", "words": "a"}]], "eu-central-1"), "cannot be made"),
        (lambda: d.refuse_errors({"widgets": [metric() | {"x": 24, "y": 0}]}, strict=True), "24 is not between 0 and 23"),
        (lambda: d.refuse_errors({"widgets": [metric() | {"x": 20, "y": 0}]}, strict=True), "off the grid"),
        (lambda: d.request("shop", "{"), "must be a valid JSON object"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as raised:
        make()
    assert len(str(raised.value).splitlines()) <= 3


# ----------------------------------------------------------------------------------------------------------------- check


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_bodies_that_people_run_are_taken(path: Path) -> None:
    body = json.loads(path.read_text("utf-8"))
    assert [one for one in d.check(body) if one.level == "error"] == []
    assert json.loads(d.request("theirs", path.read_text("utf-8"))["DashboardBody"]) == body
    asked = d.queries(body)
    rows = [row for one in body["widgets"] for row in one["properties"].get("metrics", [])]
    assert len(asked) == len(rows)
    assert {".", "..."}.isdisjoint(text for one in asked for text in (one.query.namespace, one.query.metric))
    assert d.compare(body, path.read_text("utf-8")).empty


def test_the_guides_dashboard_is_taken_with_its_warnings() -> None:
    body, notices = d.translated(json.dumps(GUIDE))
    assert body == GUIDE and notices == ()
    found = d.check(body)
    assert [(one.level, one.path) for one in found] == [("warning", "/widgets/0/properties/metrics"), ("warning", "/widgets/1/properties/query")]  # fmt: skip
    assert "share the left axis" in found[0].message and "access log" in found[1].message


# What PutDashboard answered to others (see the grammar's sources), for the body that they give.
ANSWERED = [
    # aws-cdk 5026: a colour that is none
    (metric(metrics=[["ECSLogs", "Errors", {"stat": "Sum", "color": "red"}]]), "/metrics/0", "Should NOT have more than 2 items"),
    # aws-cdk 31066: the metric's name is missing, so that a dimension lacks its value
    (metric(metrics=[["AWS/ApplicationELB", "LoadBalancer", "app/x", {"stat": "Sum"}]]), "/metrics/0", "Should NOT have more than 3 items"),
    (metric(metrics=[["AWS/Billing", "EstimatedCharges", "Currency", "USD"], [".", ".", ".", "Service", "S3"]]), "/metrics/1", "Should NOT have more than 4 items"),
    (metric(metrics=[["AWS/Lambda", "Errors", {"stat": "Sum", "dimensions": {"FunctionName": "f"}}]]), "/metrics/0", "Should NOT have more than 2 items"),
    (metric(metrics=[["AWS/Lambda", "Errors", {"stat": "Sum"}, {"FunctionName": "f"}]]), "/metrics/0/2", 'Invalid metric field type, only "String" type is allowed'),
    (metric(metrics=[["AWS/Billing", "EstimatedCharges"], [".", "Other", "Currency", "."]]), "/metrics/1/3", 'Repeat marker "." used but not enough fields in previous metric'),
    ({"type": "metric", "properties": {"metrics": [CPU]}}, "", "Should have required property 'region'"),
    ({"type": "alarm", "properties": {"alarms": []}}, "/alarms", "Should NOT have less than 1 items"),
]  # fmt: skip


@pytest.mark.parametrize(("widget", "path", "message"), ANSWERED)
def test_what_putdashboard_answered_to_others(widget: dict[str, Any], path: str, message: str) -> None:
    found = errors({"type": "text", "properties": {"markdown": "a"}}, widget, strict=False)
    assert found[0][0] == f"/widgets/1/properties{path}" and found[0][1].startswith(message)


def test_a_rule_of_contributor_insights_is_a_source_of_data() -> None:
    rule = {"ruleName": "top", "maxContributorCount": 10, "orderBy": "Sum"}
    assert (
        d.check({"widgets": [{"type": "metric", "properties": {"insightRule": rule, "region": "eu-central-1"}}]}) == []
    )


def test_a_metric_widget_without_data_has_awss_three_messages() -> None:
    # aws-eda-slurm-cluster 116: these three, in this order
    assert errors({"type": "metric", "properties": {"region": "eu-central-1"}}, strict=False) == [
        ("/widgets/0/properties", "Should have required property 'metrics'"),
        ("/widgets/0/properties", "The metric widget should have specified a region and a data source or an alarm annotation"),
        ("/widgets/0/properties", "Should have required property 'annotations'"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("widget", "path"),
    [
        (metric(period=45), "/properties/period"),
        (metric(period=30), "/properties/period"),
        (metric(view="numbers"), "/properties/view"),
        (metric(stat="avg"), "/properties/stat"),
        (metric(legend={"position": "top"}), "/properties/legend/position"),
        (metric(timezone="CET"), "/properties/timezone"),
        (metric(view="gauge"), "/properties/yAxis/left"),
        (metric(view="gauge", yAxis={"left": {"min": 5, "max": 5}}), "/properties/yAxis/left"),
        (metric(annotations={"horizontal": [{"label": "no value"}]}), "/properties/annotations/horizontal/0"),
        (metric(annotations={"horizontal": [[{"value": 1}]]}), "/properties/annotations/horizontal/0"),
        (metric(annotations={"vertical": [{"value": "yesterday"}]}), "/properties/annotations/vertical/0/value"),
        (metric(annotations={"alarms": [ALARM]}), "/properties/annotations/alarms"),
        (metric(metrics=[[*CPU, {"period": 45}]]), "/properties/metrics/0/4/period"),
        (metric(metrics=[[{"label": "no expression"}]]), "/properties/metrics/0/0"),
        (metric(metrics=["AWS/EC2"]), "/properties/metrics/0"),
        (metric(metrics=[["AWS/EC2"]]), "/properties/metrics/0"),
        (metric(metrics=[["..."]]), "/properties/metrics/0/0"),
        (metric(metrics=[CPU] * 501), "/properties/metrics"),
        ({"type": "numbers", "properties": {}}, "/type"),
        ({"type": "text", "properties": {}}, "/properties"),
        ({"type": "log", "properties": {"region": "eu-central-1", "query": "fields @message"}}, "/properties/query"),
        ({"type": "log", "properties": {"region": "eu-central-1", "query": "SOURCE 'a'", "view": "gauge"}}, "/properties/view"),
        ({"type": "alarm", "properties": {"alarms": ["cpu"]}}, "/properties/alarms/0"),
        ({"type": "alarm", "properties": {"alarms": [ALARM], "states": ["FIRING"]}}, "/properties/states/0"),
        (metric() | {"x": 3}, ""),
        (metric() | {"x": -1, "y": 0}, "/x"),
        (metric() | {"x": 0, "y": 0, "height": 1001}, "/height"),
        (metric() | {"x": 0, "y": 0, "width": True}, "/width"),
        (metric() | {"x": 12, "y": 0, "width": 13}, ""),
        ("text", ""),
    ],
)  # fmt: skip
def test_what_the_page_does_not_allow_is_said_with_its_path(widget: Any, path: str) -> None:
    found = errors(widget)
    assert [one for one, _ in found][:1] == [f"/widgets/0{path}"], found
    assert len({one for one, _ in found}) == 1


STANDING = [
    metric(timezone="UTC"), metric(timezone="CET"), metric(annotations={"horizontal": [{"value": 1, "color": "red"}]}),
    {"type": "log", "properties": {"query": "SELECT * FROM x", "queryLanguage": "LOGSQL"}}, metric(period="300"), metric(view="radar"),
    {"type": "log", "properties": {"query": "fields @message", "region": "eu-central-1"}}, metric(stacked="false"), metric(stat="avg"),
    {"type": "alarm", "properties": {"alarms": ["cpu"], "states": ["FIRING"]}}, metric(legend={"position": "top"}), metric(view="gauge"),
    metric(metrics=[[*CPU, {"yAxis": "middle"}]]), metric(metrics=[[*CPU, {"color": "#1f77b4ff"}]]), metric(metrics=[[*CPU[:3], ""]]), {"type": "inventory", "properties": {}}, metric() | {"x": 20, "y": 0}, metric() | {"x": 1},
    {"type": "explorer", "properties": {"metrics": []}}, metric(annotations={"vertical": [{"value": "yesterday"}]}),
]  # fmt: skip


@pytest.mark.parametrize("widget", STANDING, ids=str)
def test_what_no_refusal_is_recorded_of_is_a_warning(widget: dict[str, Any]) -> None:
    """Dashboards with the like have stood for a year; what is made here keeps to the page all the same."""
    found = d.check({"widgets": [widget]})
    assert found and {one.level for one in found} == {"warning"}, found
    assert errors(widget) and json.loads(d.request("theirs", {"widgets": [widget]})["DashboardBody"])


def test_a_dashboard_as_a_whole() -> None:
    assert errors(*[metric(metrics=[CPU] * 500)] * 5) == []
    assert errors(*[metric(metrics=[CPU] * 500)] * 5, metric())[0][0] == "/widgets"
    assert errors(*[metric()] * 501)[0] == ("/widgets", "Should NOT have more than 500 items (501)")
    assert errors(periodOverride="always")[0][0] == "/periodOverride"
    assert errors(start="3h")[0][0] == "/start"
    assert errors(start="-PT3H") == errors(start="-P7D") == []
    assert [(one.level, one.path) for one in d.check({})] == [("error", "")]
    variable = {"type": "property", "property": "region", "inputType": "select", "id": "region"}
    assert errors(variables=[variable]) == [("/variables/0", "Should have required property 'values': or search and populateFrom")]  # fmt: skip
    assert errors(variables=[variable | {"values": [{"value": "eu-central-1"}]}]) == []


def test_what_aws_takes_and_a_reader_suffers_from_is_a_warning() -> None:
    over = [metric() | {"x": 0, "y": 0, "width": 12}, metric() | {"x": 6, "y": 5}]
    found = d.check({"widgets": [*over, metric(metrics=[[*CPU, {"id": "m1"}], ["...", {"id": "m1"}]], copilot=True)], "end": "2026-11-19T12:00:00Z"})  # fmt: skip
    assert {one.level for one in found} == {"warning"}
    assert {one.path for one in found} == {
        "/widgets/1",
        "/widgets/2/properties/metrics/1",
        "/widgets/2/properties",
        "/end",
    }


# ----------------------------------------------------------------------------------------------------- repeats, queries


def test_dots_are_written_out() -> None:
    rows = [CPU, [".", "NetworkIn", ".", "."], [{"expression": "m1*2"}], ["...", "i-2"], ["...", {"stat": "p99"}], [".", "X"]]  # fmt: skip
    assert d.expanded(rows) == [
        CPU,
        ["AWS/EC2", "NetworkIn", "InstanceId", "i-1234567890abcdef0"],
        [{"expression": "m1*2"}],
        ["AWS/EC2", "NetworkIn", "InstanceId", "i-2"],
        ["AWS/EC2", "NetworkIn", "InstanceId", "i-2", {"stat": "p99"}],
        ["AWS/EC2", "X"],
    ]


def test_what_a_widget_needs_to_be_drawn() -> None:
    rows = [[*CPU, {"id": "m1", "visible": False}], ["...", "i-2", {"stat": "p99", "period": 60, "yAxis": "right"}], [{"expression": "m1*2", "id": "e1"}]]  # fmt: skip
    first, second, third = d.queries({"widgets": [{"type": "text", "properties": {"markdown": "a"}}, metric(metrics=rows, stat="Sum")]})  # fmt: skip
    assert (first.widget, first.key, first.shown, first.region) == (1, "m1", False, "eu-central-1")
    assert first.query == MetricQuery("AWS/EC2", "CPUUtilization", {"InstanceId": CPU[3]}, "Sum", 300, f"{CPU[3]} Sum")
    assert (second.query.statistic, second.query.period_s, second.query.name, second.right) == ("p99", 60, "i-2 p99", True)  # fmt: skip
    assert (third.key, third.query.expression, third.query.name) == ("e1", "m1*2", "m1*2")
    with pytest.raises(InputError, match="a period of 45 s"):
        d.queries({"widgets": [metric(period=45)]})


def test_a_description_with_queries_gives_the_same_queries_back() -> None:
    asked = [MetricQuery("Shop", "Errors", {"Host": "a"}, "Sum", 60, "a"), MetricQuery("Shop", "Errors", {"Host": "b"}, "Sum", 60, "b")]  # fmt: skip
    body = d.DashboardSpec("shop", [[d.chart("errors", asked), d.number("errors", asked[:1])]], "eu-central-1").body
    assert [(one.widget, one.query) for one in d.queries(body)] == [(0, asked[0]), (0, asked[1]), (1, asked[0])]
    assert [one.query for one in d.queries(body, 1)] == asked[:1]


def test_labels_in_a_widget_are_each_others_different() -> None:
    twice = d.queries({"widgets": [metric(metrics=[CPU, CPU, [*CPU, {"label": "cpu"}], ["...", {"label": "cpu"}]])]})
    names = [one.query.name for one in twice]
    assert len(set(names)) == 4 and len({one.key for one in twice}) == 4


# --------------------------------------------------------------------------------------------------------------- compare


def test_what_differs_from_a_dashboard_that_exists() -> None:
    rows = [[d.chart("cpu", [CPU, [*CPU[:3], "i-2"]]), d.text("# Shop\nwords")], [d.logs("lines", "limit 5", ["/a"])]]
    existing = d.DashboardSpec("shop", rows, "eu-central-1", start="-PT3H").body
    # the same in other words: dots, defaults left out, another order of members
    same = json.loads(json.dumps(existing))
    same["widgets"][0]["properties"]["metrics"][1] = ["...", "i-2"]
    del same["widgets"][0]["properties"]["period"], same["widgets"][2]["height"]
    assert d.compare(existing, same).empty and d.compare(json.dumps(same), existing).empty

    wanted = [[d.chart("cpu", [CPU, [*CPU[:3], "i-3"]], stat="p90"), d.text("# Shop\nother")], [d.alarms("states", [ALARM])]]  # fmt: skip
    found = d.compare(existing, d.DashboardSpec("shop", wanted, "eu-central-1").body)
    assert list(found.columns) == list(d.DIFFERENCES)
    assert found[["widget", "title", "change", "path"]].to_numpy().tolist() == [
        [-1, "", "removed", "start"],
        [0, "cpu", "changed", "properties/stat"],
        [0, "cpu", "changed", "properties/metrics/1"],
        [1, "# Shop", "changed", "properties/markdown"],
        [2, "states", "added", ""],
        [2, "lines", "removed", ""],
    ]
    assert found.loc[1, ["existing", "wanted"]].tolist() == ["Average", "p90"]
    assert d.compare({"widgets": []}, existing)["change"].tolist() == ["added", "added", "added", "added"]


def test_words_of_other_guides_are_translated_and_said() -> None:
    body, notices = d.translated({"widgets": [metric() | {"type": "numbers"}, {"type": "logs", "properties": {}}]})
    assert [one["type"] for one in body["widgets"]] == ["metric", "log"]
    assert body["widgets"][0]["properties"]["view"] == "singleValue"
    assert len(notices) == 2 and "/widgets/0/type" in notices[0]
    with pytest.raises(InputError, match="JSON object"):
        d.translated("[]")
