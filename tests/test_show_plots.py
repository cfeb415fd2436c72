"""What is drawn is where and what the frame says: cells on their own bucket, nothing left out in silence, one colour an action."""

from __future__ import annotations

import pandas as pd
import pytest

from netkit import show
from netkit.core.errors import InputError
from netkit.show import plots

HOUR = 3600
REJECTS = pd.DataFrame(
    {"bucket": [0, HOUR, 3 * HOUR, 3 * HOUR], "dstport": [22, 22, 22, 0], "protocol": [6, 6, 6, 1], "records": [1, 100, 10, 7]}
)  # fmt: skip


def test_a_heatmap_cell_begins_and_ends_with_its_bucket() -> None:
    trace = show.reject_heatmap(REJECTS).data[0]
    # One more edge than cells: the hour without a record stands empty and its neighbours are not drawn wider.
    assert [pd.Timestamp(one).hour for one in trace.x] == [0, 1, 2, 3, 4]
    assert list(trace.y) == ["icmp", "tcp 22 ssh"]
    assert trace.z[1][0] == 0 and trace.z[1][1] == 2 and trace.z[1][3] == 1
    assert pd.isna(trace.z[1][2])
    assert trace.customdata[1][1] == ["1970-01-01 01:00Z", 100]


def test_one_hour_of_rejects_is_an_hour_wide() -> None:
    trace = show.reject_heatmap(REJECTS.head(1)).data[0]
    assert pd.Timestamp(trace.x[1]) - pd.Timestamp(trace.x[0]) == pd.Timedelta(hours=1)


def test_the_step_is_the_one_that_all_buckets_keep() -> None:
    assert plots._step(pd.Series([0, 7200, 18000]), 600) == HOUR
    assert plots._step(pd.Series([5]), 600) == 600


def test_the_coverage_strip_says_what_each_interface_logged() -> None:
    frame = pd.DataFrame(
        {"label": ["a", "a", "b", "b"], "bucket": [0, 600, 0, 1200], "state": ["ok", "missing", "nodata", "skipdata"]}
    )
    trace = show.coverage_strip(frame).data[0]
    words = {(y, cell[0][-6:], cell[1]) for y, row in zip(trace.y, trace.customdata, strict=True) for cell in row}
    assert words == {
        ("a", "00:00Z", "ok"), ("a", "00:10Z", "missing"), ("a", "00:20Z", ""),
        ("b", "00:00Z", "nodata"), ("b", "00:10Z", ""), ("b", "00:20Z", "skipdata"),
    }  # fmt: skip
    assert len(trace.x) == 4


def test_a_measure_that_is_none_is_refused() -> None:
    frame = pd.DataFrame({"bucket": [0], "action": ["ACCEPT"], "records": [1], "packets": [1], "bytes": [1]})
    with pytest.raises(InputError, match="octets"):
        show.timeline(frame, measure="octets")
    assert show.timeline(frame).layout.yaxis.ticksuffix == "B"
    assert show.timeline(frame, measure="packets").layout.yaxis.ticksuffix == ""


def test_every_point_of_many_sources_is_drawn() -> None:
    frame = pd.DataFrame(
        {"start": range(60), "srcaddr": [f"192.0.2.{number % 12}" for number in range(60)], "dstaddr": "10.0.0.1", "dstport": range(60), "action": "REJECT"}
    )  # fmt: skip
    figure = show.scan_scatter(frame)
    assert sum(len(trace.x) for trace in figure.data) == 60
    assert sorted(port for trace in figure.data for port in trace.y) == list(range(60))
    names = [trace.name for trace in figure.data]
    assert len(names) == 8 and "other (5)" in names
    assert len({trace.marker.color for trace in figure.data}) == 8
    folded = next(trace for trace in figure.data if trace.name == "other (5)")
    assert {row[0] for row in folded.customdata}.isdisjoint(names)


def test_what_the_bars_leave_out_is_said() -> None:
    egress = pd.DataFrame({"label": list("abc"), "path": "p", "source": "s", "bytes": [60, 30, 10]})
    assert "the first 2 of 3, 90% of bytes" in show.egress_bars(egress, most=2).layout.title.text
    assert "first" not in show.egress_bars(egress).layout.title.text
    ends = pd.DataFrame({"label": list("abc"), "established": 1, "refused": 0, "unanswered": 0, "rejected": 2})
    figure = show.tcp_outcomes(ends, most=2)
    assert "the first 2 of 3" in figure.layout.title.text
    assert {bar.name: sum(bar.x) for bar in figure.data} == {
        "established": 2,
        "refused": 0,
        "unanswered": 0,
        "rejected": 4,
    }
    assert next(bar for bar in figure.data if bar.name == "rejected").marker.color == plots.REJECT


HOP = {"label": "nat", "srcaddr": "10.0.0.9", "dstaddr": "192.0.2.1", "action": "ACCEPT", "packets": 3, "bytes": 1500, "source_label": "nat", "destination_label": "out"}  # fmt: skip


def test_a_hop_tells_the_addresses_inside_the_packet() -> None:
    row = {
        **HOP,
        "pkt_srcaddr": "10.0.1.5",
        "pkt_dstaddr": "192.0.2.1",
        "first_seen": 0,
        "last_seen": 60,
        "flow_direction": "egress",
    }
    told = show.hop_ladder(pd.DataFrame([row])).data[-1].hovertemplate
    assert "10.0.0.9 → 192.0.2.1" in told
    assert "packet 10.0.1.5 → 192.0.2.1" in told
    assert "1970-01-01 00:00:00Z to 1970-01-01 00:01:00Z" in told
    assert "3 packets, 1.5 kB" in told


@pytest.mark.parametrize("absent", [{}, {"flow_direction": None, "pkt_srcaddr": None, "pkt_dstaddr": None}])
def test_a_log_of_version_2_has_a_ladder_too(absent: dict[str, None]) -> None:
    figure = show.hop_ladder(pd.DataFrame([{**HOP, **absent}]))
    texts = " ".join(note.text for note in figure.layout.annotations)
    assert "seen at nat" in texts
    assert "None" not in texts + figure.data[-1].hovertemplate and "nan" not in texts
