"""Figures of monitoring: what arrived, a dashboard before it is made, a replay."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from netkit import show
from netkit.cloudwatch.alarms import AlarmSpec
from netkit.cloudwatch.dashboards import DashboardSpec, alarms, chart, logs, number, text
from netkit.cloudwatch.proof import ARRIVAL_COLUMNS, LOG_COLUMNS
from netkit.cloudwatch.replay import replay
from netkit.core.look import contrast
from netkit.core.model import Window
from netkit.show.arrivals import _MARKS, _STATES, INK

DAY = Window.parse("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")
ROW = ["AWS/EC2", "CPUUtilization", "InstanceId", "i-00000000000000001"]


def frame(columns: tuple[str, ...], *rows: tuple[Any, ...]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=list(columns))
    return made.assign(**{name: pd.to_datetime(made[name], utc=True) for name in ("first", "last")})


def test_the_grid_shows_the_worst_of_each_host_and_metric() -> None:
    arrivals = frame(
        ARRIVAL_COLUMNS,
        ("i-1", "mem", (), "arrived", DAY.start, DAY.end, ""), ("i-1", "disk", (), "arrived", DAY.start, DAY.end, ""),
        ("i-1", "disk", (), "stopped", DAY.start, DAY.start, "it <stopped>"), ("i-2", "mem", (), "missing", None, None, "never"),
    )  # fmt: skip
    found = show.arrival_grid(arrivals, frame(LOG_COLUMNS), window=DAY, names={"i-1": "web"})
    heat = found.data[0]
    assert list(heat.y) == ["mem", "disk"] and list(heat.x) == ["web<br>i-1", "<br>i-2"]
    assert [[None if pd.isna(one) else int(one) for one in line] for line in heat.z] == [[0, 5], [4, None]]
    assert "it &lt;stopped&gt;" in heat.customdata[1][0], "what a host says is text, never markup"
    assert [trace.name for trace in found.data[1:]] == ["arrives", "stopped", "never came"]


def test_nothing_promised_is_said() -> None:
    found = show.arrival_grid(frame(ARRIVAL_COLUMNS), frame(LOG_COLUMNS), window=DAY)
    assert "sends nothing" in found.layout.annotations[0].text


def test_each_widget_is_drawn_at_its_place() -> None:
    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:cpu"
    board = DashboardSpec(
        "d",
        [[text("# Shop")], [number("Now", [ROW]), chart("CPU", [ROW], lines={"alarm": 70.0})], [alarms("Alarms", [arn]), logs("Errors", "fields @message", ["/shop"])]],
        "us-east-1",
    )  # fmt: skip
    widgets = board.body["widgets"]
    times = pd.date_range("2026-11-19", periods=3, freq="5min", tz="UTC")
    points = pd.DataFrame({"widget": [1] * 3 + [2] * 3, "label": "cpu", "time": [*times, *times], "value": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "period_s": 300})  # fmt: skip
    found = show.draw_dashboard(
        board.body, points, tables={4: pd.DataFrame({"@message": ["<b>ERROR</b>"]})}, states={"cpu": "ALARM"}
    )
    kinds = [trace.type for trace in found.data]
    assert kinds == ["indicator", "scatter", "table"]
    assert found.data[0].value == 3.0 and list(found.data[1].y) == [4.0, 5.0, 6.0]
    assert found.layout.xaxis.domain[0] > widgets[2]["x"] / 24 and found.layout.xaxis.domain[1] < (widgets[2]["x"] + widgets[2]["width"]) / 24  # fmt: skip
    said = " ".join(one.text for one in found.layout.annotations)
    assert "<b>Shop</b>" in said and "cpu: ALARM" in said and "no data" not in said
    assert found.layout.shapes[0].y0 == 70.0


def test_a_widget_without_data_says_so_and_a_body_without_places_is_drawn() -> None:
    body = {"widgets": [{"type": "metric", "properties": {"metrics": [ROW], "region": "us-east-1", "title": "CPU"}}, {"type": "text", "properties": {"markdown": "x"}}]}  # fmt: skip
    found = show.draw_dashboard(body, pd.DataFrame(columns=["widget", "label", "time", "value"]))
    assert "no data" in " ".join(one.text for one in found.layout.annotations)
    assert "no widgets" in show.draw_dashboard({"widgets": []}, pd.DataFrame()).layout.annotations[0].text


def test_only_breaching_points_are_marked_as_those_that_raised_it() -> None:
    spec = AlarmSpec(name="e", namespace="S", metric="E", statistic="Sum", period=60, evaluation_periods=3, datapoints_to_alarm=2, threshold=5)  # fmt: skip
    points = pd.DataFrame(
        {"time": pd.date_range("2026-11-19", periods=6, freq="1min", tz="UTC"), "value": [0.0, 0, 9, 8, 7, 6]}
    )
    found = show.replay_chart(replay(spec, points))
    marked = next(trace for trace in found.data if trace.name == "points that raised it")
    assert sorted(marked.y) == [8.0, 9.0]


# what stands in other people's bodies

MARKS: list[tuple[Any, int]] = [
    ({"horizontal": [[{"value": 25}, {"value": 80}]]}, 1),
    ({"horizontal": [{"value": 25}, [{"value": 80, "label": "a"}, {"value": 20, "color": "red"}]]}, 2),
    ({"vertical": [[{"value": "2026-11-19T12:00:00Z"}, {"value": "2026-11-19T13:00:00+01:00"}], {"value": "2026-11-19T12:00:00Z"}]}, 2),
    ({"horizontal": [{"label": "no value"}, {"value": "${var.limit}"}, {"value": None}, "x", [], [{"value": 1}, {}]]}, 0),
    ({"vertical": [{"value": "yesterday"}, {"value": 3}]}, 0),
    ({"horizontal": {"value": 1}}, 0),
    (None, 0),
    ([], 0),
]  # fmt: skip


@pytest.mark.parametrize(("marks", "shapes"), MARKS, ids=str)
def test_annotations_are_drawn_as_far_as_they_can(marks: Any, shapes: int) -> None:
    row = ["AWS/EC2", "CPUUtilization", "InstanceId", "i-1"]
    body = {"widgets": [{"type": "metric", "properties": {"metrics": [row], "region": "x", "annotations": marks}}]}
    nothing = pd.DataFrame(columns=["widget", "label", "time", "value"])
    assert len(show.draw_dashboard(body, nothing).layout.shapes) == shapes


def test_a_body_of_anything_is_drawn() -> None:
    widgets = [
        "x",
        {"type": "metric"},
        {"type": "alarm", "properties": {"alarms": "a"}},
        {"type": "text", "properties": None, "width": "${w}"},
    ]
    drawn = show.draw_dashboard({"widgets": widgets}, pd.DataFrame(columns=["widget", "label", "time", "value"]))
    assert drawn.to_dict()


@pytest.mark.parametrize("state", list(_STATES))
def test_what_a_cell_says_stands_out_from_its_colour(state: str) -> None:
    assert contrast(INK, _STATES[state]) >= 4.5
    assert _MARKS[state]
