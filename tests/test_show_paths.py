"""A path drawn: every hop in a lane, green up to the first blocker; all pairs as a grid; the ends picked by widget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from little_net import Net, pair, two_vpcs
from test_reach_trace import balanced, behind_nat, peered, public, transited, with_s3

from netkit.core.look import contrast
from netkit.core.model import Verdict
from netkit.reach.engine.matrix import matrix
from netkit.show import ends, grid, path, rule_table
from netkit.show.paths import BEHIND, BLOCKED, GRID, OPEN, _sides


def with_s3_route() -> Net:
    net = with_s3()
    net.route("rtb-a", "pl-s3", "vpce-s3")
    return net


@pytest.mark.parametrize(("make", "source", "destination"), [
    (pair, "client", "server"), (two_vpcs, "client", "server"), (public, "internet", "web"), (behind_nat, "client", "internet"), (peered, "client", "server"),
    (transited, "client", "server"), (with_s3, "client", "vpce-s3"), (with_s3_route, "client", "vpce-s3"), (balanced, "client", "front"),
])  # fmt: skip
def test_every_hop_is_drawn(make: Callable[[], Net], source: str, destination: str) -> None:
    net = make()
    verdict = net.ask(source, destination)
    figure = path(verdict, net.snapshot())
    drawn = [text for one in figure.data if one.mode == "markers+text" for text in one.hovertext]
    assert len(drawn) == len(verdict.forward) + len(verdict.back)
    for hop, text in zip([*verdict.forward, *verdict.back], drawn, strict=True):
        assert hop.component in text


def test_green_to_the_first_blocker_red_at_each() -> None:
    net = pair()
    net.acl("acl-c", "vpc-a", "subnet-c", entries=[])
    net.group("sg-none", "vpc-a", [], [])
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-none"}]
    verdict = net.ask("client", "server")
    marks = next(one for one in path(verdict, net.snapshot()).data if one.mode == "markers+text")
    assert list(marks.marker.color) == [OPEN, OPEN, OPEN, BLOCKED, BEHIND, BEHIND, BLOCKED, BEHIND, BEHIND]
    assert "SUBNET_ACL_RESTRICTION" in marks.hovertext[3]
    assert list(rule_table(verdict)["blocked"])[:3] == [False, True, False]


def test_without_hops_it_says_why() -> None:
    verdict = Verdict("UNKNOWN", "a", "b", "tcp")
    assert "there are no hops" in path(verdict, pair().snapshot()).layout.annotations[0].text


def test_the_grid() -> None:
    net = pair()
    held = net.snapshot()
    figure = grid(matrix(held, protocol="tcp", port=443), held)
    assert figure.data[0].z.tolist() == [[0, 0], [0, 0]]
    assert "client" in figure.data[0].x[0]
    assert figure.data[0].text.tolist() == [["✓", "✓"], ["✓", "✓"]], "nothing is said by colour alone"


def test_the_grids_states_stand_apart_and_their_marks_stand_out() -> None:
    grounds = {name: ground for name, (ground, _) in GRID.items()}
    assert contrast(grounds["REACHABLE"], grounds["NOT_REACHABLE"]) >= 4.5
    assert len({mark for _, mark in GRID.values()}) == 3
    for ground in grounds.values():
        assert max(contrast(ground, "#444444"), contrast(ground, "#ffffff")) >= 4.5


def test_the_knobs_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []

    class Place:
        def update(self, frame: Any) -> None:
            shown.append(frame)

    monkeypatch.setattr(ends, "display", lambda value, **how: Place() if how.get("display_id") else None)
    monkeypatch.setattr(ends, "panel", lambda *_: None)
    net = public()
    held = net.snapshot()
    assert {"internet", "client", "web", "eni-web", "igw-1"} <= set(ends.end_choices(held))
    asked = {"source": "client", "destination": "server", "vpc": "", "protocol": "tcp", "port": 443}
    knobs = ends._Ends(held, asked, 443, -1)
    knobs.show(net.ask("client", "server"))
    knobs.destination.value = "internet"
    assert "NOT REACHABLE" in knobs.help.value
    assert list(shown[-1]["code"]) == ["IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"]
    knobs.destination.value = "nobody"
    assert "nothing in this snapshot is named nobody" in knobs.help.value
    assert list(shown[-1]["code"]) == [], "no old answer under a question that cannot be answered"
    said = knobs.view.outputs[0]["data"]["application/vnd.plotly.v1+json"]["layout"]
    assert "nobody" in said["annotations"][0]["text"]
    assert "no answer" in said["title"]["text"]


def test_an_ambiguous_end_is_told_apart_in_the_box_for_the_vpc() -> None:
    net = two_vpcs()
    held = net.snapshot()
    asked = {"source": "client", "destination": "server", "vpc": "", "protocol": "tcp", "port": 443}
    knobs = ends._Ends(held, asked, 443, -1)
    assert set(knobs.vpc.options) >= {"vpc-a", "vpc-b"}
    knobs.vpc.value = "vpc-nowhere"
    assert "vpc-nowhere" in knobs.help.value
    knobs.vpc.value = ""
    assert "to server" in knobs.help.value
    knobs.source_port.value = 40000
    assert knobs.view.outputs[0]["data"]["application/vnd.plotly.v1+json"]["data"]


@pytest.mark.parametrize(
    ("ys", "sides"),
    [
        ([0, 0, 0], ["top", "bottom", "top"]),
        ([0, 0, -1, -2, -2], ["bottom", "top", "top right", "bottom", "top"]),
        ([-2, -2, -1, 0, 0], ["top", "bottom", "top left", "top", "bottom"]),
        ([0], ["top"]),
        ([0, -1, 0], ["top", "bottom", "top"]),
    ],
)
def test_words_stand_where_no_line_runs(ys: list[float], sides: list[str]) -> None:
    assert [one.removesuffix(" center") for one in _sides(ys)] == sides
