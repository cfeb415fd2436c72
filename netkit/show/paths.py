"""plotly figures of the reachability wing: a path as hops in lanes, and all pairs as a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from netkit.core.model import Hop, Verdict
from netkit.reach.explain import hops_frame
from netkit.reach.network.network import network_of
from netkit.reach.network.snapshot import Snapshot
from netkit.show.plots import GREY, REJECT, _figure, nothing

OPEN, BLOCKED, BEHIND, UNKNOWN = "#009E73", REJECT, "#B9C2CB", "#E69F00"
_SHORT = {
    "instance": "instance", "network-interface": "interface", "security-group": "security group", "network-acl": "network ACL", "route-table": "routes",
    "internet-gateway": "internet gateway", "egress-only-internet-gateway": "egress-only gateway", "nat-gateway": "NAT gateway",
    "vpc-peering-connection": "peering", "transit-gateway": "transit gateway", "transit-gateway-attachment": "attachment",
    "transit-gateway-route-table": "TGW routes", "vpc-endpoint": "endpoint", "vpn-gateway": "VPN gateway", "load-balancer": "load balancer",
    "target-group": "target group", "vpc": "VPC router", "internet": "internet",
}  # fmt: skip
_SYMBOL = {
    "instance": "square",
    "network-interface": "square",
    "security-group": "diamond",
    "network-acl": "diamond",
    "route-table": "triangle-right",
}
# The grid's ground of each state and its mark; plotly writes #444444 on a light ground and white on a dark one.
GRID = {"REACHABLE": ("#E3F4EA", "✓"), "NOT_REACHABLE": ("#741C00", "✗"), "UNKNOWN": ("#F2B632", "?")}
_MARKED = 60  # with more interfaces a cell is smaller than a mark
_BETWEEN = "between VPCs"


def path(verdict: Verdict, snapshot: Snapshot, *, title: str = "") -> Figure:
    """A verdict drawn: hops from left to right in lanes (subnet, VPC, beyond), the way there above and the replies below.

    Green up to the first blocker, red at each blocker, grey behind it; amber where something is unknown. Hover shows rule and packets.
    """
    words = title or f"{verdict.status.replace('_', ' ')}: {verdict.question}"
    legs = [(name, hops) for name, hops in (("there", verdict.forward), ("back", verdict.back)) if hops]
    if not legs:
        missing = "; ".join(str(one) for one in (*verdict.unknowns, *verdict.blockers)) or "there are no hops"
        return nothing(words, missing[:160])
    lanes = _lanes([hops for _, hops in legs], snapshot)
    height = 130 + len(legs) * (54 * len(lanes) + 66)
    figure = _figure(words, height=height, showlegend=False)
    for row, (name, hops) in enumerate(legs):
        base = -row * (len(lanes) + 1.2)
        _draw_lanes(figure, lanes, base, max(len(held) for _, held in legs), name)
        _draw_leg(figure, name, hops, verdict, lanes, base)
    figure.update_xaxes(visible=False, range=[-2.6, max(len(hops) for _, hops in legs) - 0.2])
    figure.update_yaxes(visible=False)
    return figure.update_layout(plot_bgcolor="white", margin={"l": 12, "r": 12, "t": 56, "b": 12})


def _lane(hop: Hop, before: str) -> str:
    if hop.type in ("vpc-peering-connection", "transit-gateway", "transit-gateway-route-table"):
        return _BETWEEN
    if hop.type == "internet":
        return "internet"
    if hop.type in (
        "route-table",
        "internet-gateway",
        "egress-only-internet-gateway",
        "vpn-gateway",
        "vpc-endpoint",
        "vpc",
        "transit-gateway-attachment",
        "load-balancer",
    ):
        return hop.vpc or before
    return hop.subnet or hop.vpc or before


def _placed(hops: Sequence[Hop]) -> list[str]:
    """The lane of each hop: its subnet for hosts and ACLs, its VPC for routers and gateways; a group is where its interface is."""
    places: list[str] = []
    for number, hop in enumerate(hops):
        before = places[-1] if places else ""
        if hop.type == "security-group":
            beside = next(
                (one.subnet for one in hops[max(0, number - 1) : number + 2] if one.component == hop.attached_to), ""
            )
            places.append(beside or before or hop.vpc)
        else:
            places.append(_lane(hop, before))
    return places


def _lanes(legs: Sequence[Sequence[Hop]], snapshot: Snapshot) -> dict[str, str]:
    """Lanes in the order in which they are first met, with their labels."""
    network = network_of(snapshot)
    lanes: dict[str, str] = {}
    for place in (place for hops in legs for place in _placed(hops)):
        if place in lanes:
            continue
        subnet, vpc = network.subnets.get(place), network.vpcs.get(place)
        label = (
            f"subnet {subnet.name or subnet.id}"
            if subnet
            else f"VPC {vpc.name or vpc.id}"
            if vpc
            else place or "elsewhere"
        )
        lanes[place] = label if len(label) < 34 else label[:32] + "…"
    return lanes


def _draw_lanes(figure: Figure, lanes: dict[str, str], base: float, width: int, name: str) -> None:
    for number, (place, label) in enumerate(lanes.items()):
        y = base - number
        tint = f"rgba({'60,130,200' if place.startswith('subnet-') else '150,150,100' if place.startswith('vpc-') else '220,150,60'},.12)"
        figure.add_shape(
            type="rect", x0=-2.55, x1=width - 0.3, y0=y - 0.46, y1=y + 0.46, fillcolor=tint, line_width=0, layer="below"
        )
        figure.add_annotation(
            x=-2.5, y=y, text=label, showarrow=False, xanchor="left", font={"size": 11, "color": "#44525f"}
        )
    figure.add_annotation(
        x=-2.5,
        y=base + 0.75,
        text=f"<b>{'the way there' if name == 'there' else 'the replies'}</b>",
        showarrow=False,
        xanchor="left",
        font={"size": 12},
    )


def _draw_leg(
    figure: Figure, name: str, hops: Sequence[Hop], verdict: Verdict, lanes: dict[str, str], base: float
) -> None:
    rows = list(lanes)
    ys = [base - rows.index(place) for place in _placed(hops)]
    colours = _colours(hops, verdict)
    for number in range(len(hops) - 1):
        figure.add_scatter(
            x=[number, number + 1],
            y=ys[number : number + 2],
            mode="lines",
            line={"color": colours[number + 1] if colours[number] != BLOCKED else BEHIND, "width": 3},
            hoverinfo="skip",
        )
    texts = [
        f"{_SHORT.get(hop.type, hop.type)}<br><span style='font-size:9px'>{(hop.name or hop.component)[:22]}</span>"
        for hop in hops
    ]
    figure.add_scatter(
        x=list(range(len(hops))), y=ys, mode="markers+text", text=texts, textposition=_sides(ys),
        textfont={"size": 10}, marker={"size": 17, "color": colours, "symbol": [_SYMBOL.get(hop.type, "circle") if not hop.blocked else "x" for hop in hops], "line": {"width": 1, "color": "white"}},
        hovertext=[_hover(hop, verdict, "forward" if name == "there" else "return") for hop in hops], hoverinfo="text",
    )  # fmt: skip


def _sides(ys: Sequence[float]) -> list[str]:
    """Where each hop's words stand: on the side that no line leaves by, beside a line that runs through, else over and under in turn."""
    sides: list[str] = []
    for number, y in enumerate(ys):
        before, after = (ys[max(0, number - 1)] - y, ys[min(len(ys) - 1, number + 1)] - y)
        if before * after < 0:
            sides.append("top right" if before > 0 else "top left")
        elif before or after:
            sides.append("bottom center" if max(before, after) > 0 else "top center")
        else:
            sides.append("")
    for number in range(len(sides) - 2, -1, -1):
        sides[number] = sides[number] or _other(sides[number + 1])
    for number in range(len(sides)):
        sides[number] = sides[number] or _other(sides[number - 1] if number else "") or "top center"
    return sides


def _other(side: str) -> str:
    """The side across; "" where none is taken yet."""
    return ("bottom center" if side.startswith("top") else "top center") if side else ""


def _colours(hops: Sequence[Hop], verdict: Verdict) -> list[str]:
    colours, reached = [], True
    doubtful = {one.what for one in verdict.unknowns}
    for hop in hops:
        colours.append(
            BLOCKED if hop.blocked else (UNKNOWN if hop.component in doubtful else OPEN) if reached else BEHIND
        )
        reached = reached and not hop.blocked
    return colours


def _hover(hop: Hop, verdict: Verdict, leg: str) -> str:
    lines = [f"<b>{hop.type} {hop.component}</b>" + (f" {hop.name}" if hop.name else "")]
    lines += [str(hop.rule)] if hop.rule else []
    lines += [f"in: {hop.inbound}"] if hop.inbound else []
    lines += [f"out: {hop.outbound}"] if hop.outbound else []
    for one in verdict.blockers:
        if hop.blocked and one.leg == leg and one.component == hop.component:
            lines.append(f"{one.code}: {one.because}")
    return "<br>".join(_wrapped(line) for line in lines)


def _wrapped(text: str, width: int = 90) -> str:
    words, lines, line = text.split(), [], ""
    for word in words:
        if len(line) + len(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "<br>".join([*lines, line])


def rule_table(verdict: Verdict) -> pd.DataFrame:
    """The filters and routes on the path with the rule that decided, blocked ones marked: leg, component, type, name, rule, blocked."""
    frame = hops_frame(verdict)
    kept = frame["type"].isin(["security-group", "network-acl", "route-table", "transit-gateway-route-table"])
    return frame.loc[kept, ["leg", "step", "type", "component", "name", "rule", "blocked"]].reset_index(drop=True)


def grid(frame: pd.DataFrame, snapshot: Snapshot, *, title: str = "Who reaches whom") -> Figure:
    """All pairs as a grid, rows the sources, columns the destinations, grouped by subnet and security groups.

    frame: matrix.matrix, interface by interface. Beyond 400 interfaces the grid is drawn without names.
    """
    if frame.empty:
        return nothing(title, "there are no interfaces")
    network = network_of(snapshot)
    known = [one for one in frame.index if one in network.interfaces]
    order = sorted(
        known,
        key=lambda one: (
            network.interfaces[one].vpc,
            network.interfaces[one].subnet,
            network.interfaces[one].groups,
            one,
        ),
    )
    codes = np.select([frame.loc[order, order].to_numpy() == status for status in GRID], [0, 1, 2], default=2)
    labels = [_label(network.interfaces[one].name or _instance_name(snapshot, one) or one, one) for one in order]
    figure = _figure(title, height=min(900, 220 + 16 * len(order)))
    scale = [[number / 3 + step, colour] for number, (colour, _) in enumerate(GRID.values()) for step in (0, 1 / 3)]
    marks = np.array([mark for _, mark in GRID.values()])[codes]
    figure.add_heatmap(
        z=codes, x=labels, y=labels, zmin=-0.5, zmax=2.5, colorscale=scale, xgap=1, ygap=1,
        text=marks, texttemplate="%{text}" if len(order) <= _MARKED else "", textfont={"size": 10},
        colorbar={"tickvals": [0, 1, 2], "ticktext": ["✓ reachable", "✗ not reachable", "? unknown"], "thickness": 12},
        hovertemplate="%{y} → %{x} %{text}<extra></extra>",
    )  # fmt: skip
    for edge in _edges([network.interfaces[one].subnet for one in order]):
        figure.add_hline(y=edge - 0.5, line={"color": GREY, "width": 1})
        figure.add_vline(x=edge - 0.5, line={"color": GREY, "width": 1})
    figure.update_yaxes(autorange="reversed", title="from", showticklabels=len(order) <= 400, tickfont={"size": 10})
    figure.update_xaxes(title="to", showticklabels=len(order) <= 400, tickangle=-60, tickfont={"size": 10})
    return figure.update_layout(margin={"l": 190, "b": 150, "t": 64, "r": 24})


def _label(name: str, interface: str) -> str:
    return name if name == interface else f"{name} · {interface[-5:]}"


def _instance_name(snapshot: Snapshot, interface: str) -> str:
    network = network_of(snapshot)
    held = network.instances.get(network.interfaces[interface].instance)
    return held.name if held else ""


def _edges(subnets: Sequence[str]) -> list[int]:
    return [number for number in range(1, len(subnets)) if subnets[number] != subnets[number - 1]]
