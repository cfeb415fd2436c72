"""plotly figures from the frames of the flow-log wing. Each names the columns it needs; none asks a query or changes a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
from plotly.graph_objects import Figure

from netkit.core.errors import InputError
from netkit.core.net import protocol_name
from netkit.flowlogs.names import service_name

# Okabe and Ito's palette, which people with any colour vision tell apart; ACCEPT and REJECT are the same everywhere.
ACCEPT, REJECT, GREY = "#0072B2", "#D55E00", "#9AA5B1"
_FAINT = "#5b6b7a"
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7F7F7F")
ACTIONS = {"ACCEPT": ACCEPT, "REJECT": REJECT}
STATES = {"ok": ACCEPT, "nodata": "#CFE3F1", "skipdata": "#E69F00", "missing": REJECT}
_LEGEND = {"traceorder": "normal", "orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 1, "xanchor": "right"}
_MEASURES = {"records": "flow records", "packets": "packets", "bytes": "bytes"}


def _figure(title: str, *, height: int = 420, **layout: Any) -> Figure:
    """An empty figure in the kit's one style."""
    figure = go.Figure()
    figure.update_layout(
        template="plotly_white", title={"text": title, "x": 0.01, "font": {"size": 16}}, height=height, hovermode="closest",
        margin={"l": 70, "r": 24, "t": 64, "b": 56}, font={"family": "system-ui, sans-serif", "size": 12}, **layout,
    )  # fmt: skip
    # Ticks without a colour keep the first number of one axis off that of the other.
    figure.update_xaxes(ticks="outside", ticklen=7, tickcolor="rgba(0,0,0,0)")
    return figure


def _why(frame: pd.DataFrame, words: str) -> str:
    """What an empty frame means: that there was nothing, or that the log lacks what the question needs (ask.answer)."""
    lacks = frame.attrs.get("lacks", "")
    return f"this log cannot answer that: it has no {lacks}" if lacks else words


def nothing(title: str, words: str) -> Figure:
    """A figure that says in words why there is none to draw."""
    figure = _figure(title, height=180)
    figure.add_annotation(
        text=words, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 14, "color": _FAINT}
    )
    return figure.update_xaxes(visible=False).update_yaxes(visible=False)


def _time(seconds: pd.Series) -> pd.Series:
    """Unix seconds as UTC times."""
    return pd.to_datetime(seconds.astype("int64"), unit="s", utc=True)


def timeline(frame: pd.DataFrame, *, measure: str = "bytes", title: str = "Traffic over time, by action") -> Figure:
    """Stacked bars in time, one colour an action, with a button for each measure; buckets that lack are grey.

    frame: bucket (Unix s), action, records, packets, bytes: the query timeline
    measure: records, packets or bytes. Raises InputError for another.
    """
    if measure not in _MEASURES:
        raise InputError(f"no measure {measure!r}", hint=f"one of: {', '.join(_MEASURES)}")
    if frame.empty:
        return nothing(title, "no records in this window")
    figure = _figure(title, barmode="stack", legend=_LEGEND, bargap=0)
    step = _step(frame["bucket"], 300)
    for action, colour in ACTIONS.items():
        rows = frame[frame["action"] == action]
        figure.add_bar(
            x=_time(rows["bucket"]), y=rows[measure].astype(float), name=action, marker_color=colour, width=step * 1000,
            customdata=rows[list(_MEASURES)].to_numpy(), offset=0,
            hovertemplate=f"%{{x|%Y-%m-%d %H:%M}}Z {action}<br>%{{customdata[0]:,}} records<br>%{{customdata[1]:,}} packets<br>%{{customdata[2]:.3s}}B<extra></extra>",
        )  # fmt: skip
    _mark_rejected(figure, frame, step)
    for start, end in _missing(frame["bucket"], step):
        figure.add_vrect(
            x0=_stamp(start),
            x1=_stamp(end),
            fillcolor=GREY,
            opacity=0.35,
            line_width=0,
            annotation_text="no records",
            annotation_position="bottom left",
        )
    buttons = [
        {
            "label": words,
            "method": "update",
            "args": [
                {"y": [frame.loc[frame["action"] == action, name].astype(float).tolist() for action in ACTIONS]},
                {"yaxis.title.text": words, "yaxis.ticksuffix": _suffix(name)},
                list(range(len(ACTIONS))),
            ],
        }
        for name, words in _MEASURES.items()
    ]
    chosen = list(_MEASURES).index(measure)
    figure.update_layout(
        updatemenus=[
            {
                "type": "buttons",
                "direction": "right",
                "buttons": buttons,
                "active": chosen,
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "pad": {"t": 0},
            }
        ],
        margin_t=96,
        title_y=0.97,
    )
    return figure.update_xaxes(title="time (UTC)").update_yaxes(
        title=_MEASURES[measure], tickformat=".3~s", ticksuffix=_suffix(measure), rangemode="tozero"
    )


def _mark_rejected(figure: Figure, frame: pd.DataFrame, step: int) -> None:
    """A red mark over each bucket in which something was rejected: its packets are few and small, so its bar may have no height.

    Of more than 300 such buckets those with most records.
    """
    rows = frame[(frame["action"] == "REJECT") & (frame["records"] > 0)].nlargest(300, "records")
    for row in rows.to_dict("records"):
        counts = f"{row['records']:,} records<br>{row['packets']:,} packets<br>{_si(row['bytes'])}B"
        figure.add_annotation(
            x=_stamp(int(row["bucket"]) + step // 2), y=1, yref="paper", yanchor="top", text="▼", showarrow=False,
            font={"color": REJECT, "size": 9}, borderpad=0, hovertext=f"rejected:<br>{counts}",
        )  # fmt: skip
    if len(rows):
        figure.update_layout(title_text=f"{figure.layout.title.text} (▼: something was rejected)")


def _suffix(measure: str) -> str:
    return "B" if measure == "bytes" else ""


def _step(buckets: pd.Series, alone: int) -> int:
    """Seconds a bucket: the largest step that all buckets keep; `alone` where there is but one."""
    seen = sorted({int(one) for one in buckets})
    return math.gcd(*(late - early for early, late in zip(seen, seen[1:], strict=False))) or alone


def _grid(frame: pd.DataFrame, values: str, aggfunc: Literal["sum", "max"], step: int) -> pd.DataFrame:
    """label by bucket, with a column for every bucket from the first to the last: a cell is never drawn wider than its bucket."""
    grid = frame.pivot_table(index="label", columns="bucket", values=values, aggfunc=aggfunc)
    return grid.reindex(columns=range(int(grid.columns.min()), int(grid.columns.max()) + step, step))


def _edges(grid: pd.DataFrame, step: int) -> list[pd.Timestamp]:
    """Where cells begin and end: plotly would centre a cell on its bucket's start, half a bucket early."""
    return [_stamp(one) for one in [*map(int, grid.columns), int(grid.columns[-1]) + step]]


def _hover(grid: pd.DataFrame, words: pd.DataFrame) -> list[list[list[str]]]:
    """For each cell the start of its bucket and its words."""
    starts = [f"{_stamp(int(one)):%Y-%m-%d %H:%M}Z" for one in grid.columns]
    return [[list(pair) for pair in zip(starts, row, strict=True)] for row in words.to_numpy().tolist()]


def _stamp(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(seconds, unit="s", tz="UTC")


def _missing(buckets: pd.Series, step: int) -> list[tuple[int, int]]:
    seen = sorted({int(one) for one in buckets})
    return [(early + step, late) for early, late in zip(seen, seen[1:], strict=False) if late - early > step]


def talkers(frame: pd.DataFrame, *, most: int = 24, title: str = "Who talks to whom, by subnet and service") -> Figure:
    """A Sankey of bytes from client groups over services to server groups; the smallest are folded together.

    frame: client_group, service, server_group, bytes, and if there is one action: what was rejected is red, and drawn at least
    as wide as a hundredth of all bytes, since what never got through has few; hover has the bytes
    """
    if frame.empty:
        return nothing(title, "nobody talks to anybody")
    keys = ["client_group", "service", "server_group"]
    rejected = frame["action"] == "REJECT" if "action" in frame else pd.Series(False, index=frame.index)
    parts = [_largest(frame[~rejected], keys, most), _largest(frame[rejected], keys, max(1, most // 2))]
    shown = pd.concat([part.assign(red=red) for part, red in zip(parts, (False, True), strict=True) if len(part)])
    shown["width"] = shown["bytes"].astype(float)
    shown.loc[shown["red"], "width"] = shown.loc[shown["red"], "width"].clip(lower=max(1.0, shown["bytes"].sum() / 100))
    # Names carry their column, so that a group that is both client and server has a node on either side.
    ends = pd.concat(
        [
            shown.assign(a=before + shown[one], b=after + shown[other])
            .groupby(["a", "b", "red"], as_index=False)[["bytes", "width"]]
            .sum()
            for one, other, before, after in (
                ("client_group", "service", "c:", "s:"),
                ("service", "server_group", "s:", "d:"),
            )
        ]
    )
    nodes = list(dict.fromkeys([*ends["a"], *ends["b"]]))
    colours = [{"c": PALETTE[0], "s": PALETTE[1], "d": PALETTE[2]}[node[0]] for node in nodes]
    place = {node: number for number, node in enumerate(nodes)}
    figure = _figure(title + (" (red: rejected)" if rejected.any() else ""), height=max(420, 22 * len(nodes)))
    said = [
        f"{'✗ rejected, ' if red else ''}{_si(count)}B" for red, count in zip(ends["red"], ends["bytes"], strict=True)
    ]
    figure.add_sankey(
        node={"label": [node[2:] for node in nodes], "color": colours, "pad": 14, "thickness": 14},
        link={
            "source": ends["a"].map(place), "target": ends["b"].map(place), "value": ends["width"], "customdata": said,
            "color": ["rgba(213,94,0,.75)" if red else "rgba(120,140,160,.3)" for red in ends["red"]],
            "hovertemplate": "%{source.label} → %{target.label}<br>%{customdata}<extra></extra>",
        },
        valueformat=".3s", valuesuffix="B",
    )  # fmt: skip
    for x, words, anchor in ((0, "client", "left"), (0.5, "service", "center"), (1, "server", "right")):
        figure.add_annotation(
            x=x, y=1, xref="paper", yref="paper", yanchor="bottom", xanchor=anchor, text=words, showarrow=False,
            font={"size": 11, "color": _FAINT},
        )  # fmt: skip
    return figure


def _largest(frame: pd.DataFrame, keys: list[str], most: int) -> pd.DataFrame:
    """The sums of bytes by these keys, largest first; beyond `most` one row for all others."""
    sums = pd.DataFrame(frame.groupby(keys, as_index=False)["bytes"].sum()).sort_values("bytes", ascending=False)
    rest = sums.iloc[most:]
    if rest.empty:
        return sums
    other = dict(zip(keys, (f"other ({len(rest)})", "other", "other "), strict=True))
    return pd.concat([sums.head(most), pd.DataFrame([other | {"bytes": rest["bytes"].sum()}])], ignore_index=True)


def reject_heatmap(frame: pd.DataFrame, *, title: str = "Rejected traffic, port by hour") -> Figure:
    """Rejected records by port and time bucket, in logarithmic colour.

    frame: bucket (Unix s), dstport, protocol, records: the query reject_heatmap
    """
    if frame.empty:
        return nothing(title, "nothing was rejected")
    named = frame.assign(
        label=[_port_label(port, int(p)) for port, p in zip(frame["dstport"], frame["protocol"], strict=True)],
    )
    step = _step(frame["bucket"], 3600)
    grid = _grid(named, "records", "sum", step)
    grid = grid.loc[grid.sum(axis=1).sort_values().index].astype(float)
    figure = _figure(title, height=max(320, 22 * len(grid) + 140))
    figure.add_heatmap(
        x=_edges(grid, step), y=grid.index, z=grid.map(_log).to_numpy(), customdata=_hover(grid, grid), hoverongaps=False, colorscale="Oranges", xgap=1, ygap=1, zmin=0,
        colorbar={"title": "records<br>(log)", "tickvals": [0, 1, 2, 3, 4, 5], "ticktext": ["1", "10", "100", "1k", "10k", "100k"]},
        hovertemplate="from %{customdata[0]}<br>%{y}<br>%{customdata[1]:,.0f} records<extra></extra>",
    )  # fmt: skip
    return figure.update_xaxes(title="time (UTC)").update_yaxes(automargin=True, type="category")


def _port_label(port: Any, protocol: int) -> str:
    """tcp 5432 postgres; only tcp (6), udp (17) and sctp (132) have ports."""
    name = protocol_name(protocol)
    return f"{name} {service_name(port, protocol) or port}" if protocol in (6, 17, 132) else name


def _log(count: float) -> float:
    return math.log10(count) if count > 0 else math.nan


def scan_scatter(frame: pd.DataFrame, *, title: str = "What was tried: time by port") -> Figure:
    """Probes as points, one colour a source.

    frame: start (Unix s), srcaddr, dstaddr, dstport, action: the query scan_probes, of one source or several
    """
    if frame.empty:
        return nothing(title, "no source tried many ports")
    figure = _figure(title, height=460, legend=_LEGEND, showlegend=True)
    loud = list(frame["srcaddr"].value_counts().index[: len(PALETTE) - 1])
    quiet = f"other ({frame['srcaddr'].nunique() - len(loud)})"
    for source, rows in frame.groupby(frame["srcaddr"].where(frame["srcaddr"].isin(loud), quiet), sort=False):
        colour = PALETTE[loud.index(source)] if source in loud else PALETTE[-1]
        figure.add_scattergl(
            x=_time(rows["start"]), y=rows["dstport"].astype(float), mode="markers", name=str(source), text=rows["action"],
            marker={"size": 5, "color": colour, "opacity": 0.6, "symbol": ["x" if one == "REJECT" else "circle" for one in rows["action"]]},
            customdata=rows[["srcaddr", "dstaddr"]].to_numpy(),
            hovertemplate="%{x|%Y-%m-%d %H:%M:%S}Z<br>%{customdata[0]} to %{customdata[1]} port %{y:d}<br>%{text}<extra></extra>",
        )  # fmt: skip
    return figure.update_xaxes(title="time (UTC); a cross is a REJECT").update_yaxes(
        title="destination port", tickformat="d", rangemode="tozero"
    )


def hop_ladder(frame: pd.DataFrame, *, title: str = "One flow, hop by hop") -> Figure:
    """A ladder: a rail for each participant, an arrow for each record, in path order; a rejected one ends in a cross.

    frame: rows in path order: label (who logged it), flow_direction (or none), srcaddr, dstaddr, action, packets, bytes,
    source_label, destination_label: investigate.order_hops
    """
    if frame.empty:
        return nothing(title, "no interface logged this flow")
    rails = list(dict.fromkeys([*frame["source_label"], *frame["destination_label"]]))
    place = {name: number for number, name in enumerate(rails)}
    figure = _figure(title, height=max(320, 58 * len(frame) + 150), showlegend=False)
    for name, x in place.items():
        figure.add_scatter(
            x=[x, x], y=[0.3, -len(frame) - 0.5], mode="lines", line={"color": GREY, "dash": "dot"}, hoverinfo="skip"
        )
        figure.add_annotation(x=x, y=0.55, text=f"<b>{name}</b>", showarrow=False, font={"size": 12})
    for row_number, row in enumerate(frame.to_dict("records"), 1):
        _arrow(figure, row, place[row["source_label"]], place[row["destination_label"]], -row_number)
    figure.update_xaxes(visible=False, range=[-0.45, len(rails) - 0.55])
    return figure.update_yaxes(visible=False, range=[-len(frame) - 0.8, 0.9])


def _arrow(figure: Figure, row: dict[Any, Any], start: int, end: int, y: float) -> None:
    stopped = row["action"] == "REJECT"
    colour = REJECT if stopped else ACCEPT
    tip = start + (end - start) * (0.8 if stopped else 0.98)
    figure.add_annotation(
        x=tip, y=y, ax=start, ay=y, xref="x", yref="y", axref="x", ayref="y",
        showarrow=True, arrowhead=2, arrowwidth=2, arrowcolor=colour, text="",
    )  # fmt: skip
    if stopped:
        figure.add_annotation(x=tip, y=y, text="<b>✕</b>", showarrow=False, font={"color": REJECT, "size": 18})
    counts = f"{int(row['packets']):,} packets, {_si(row['bytes'])}B"
    seen = f"seen at {row['label']}" + (f", {row['flow_direction']}" if pd.notna(row.get("flow_direction")) else "")
    middle = (start + end) / 2
    for words, shift, font in (
        (f"{row['srcaddr']} → {row['dstaddr']}", 13, {"size": 11}),
        (f"{counts}, <i>{seen}</i>", -12, {"size": 10, "color": _FAINT}),
    ):
        # A background, so that a rail which the arrow crosses does not run through the words.
        figure.add_annotation(
            x=middle, y=y, yshift=shift, text=words, showarrow=False, font=font, bgcolor="white", borderpad=0
        )
    figure.add_scatter(
        x=[middle], y=[y], mode="markers", marker={"color": colour, "size": 9, "opacity": 0.01},
        hovertemplate="<br>".join([*_facts(row), counts, seen]) + "<extra></extra>",
    )  # fmt: skip


def _facts(row: dict[Any, Any]) -> list[str]:
    """What an arrow says when pointed at: its own addresses, those inside the packet where they differ, and when."""
    facts = [f"<b>{row['action']}</b> {row['srcaddr']} → {row['dstaddr']}"]
    inner = (row.get("pkt_srcaddr"), row.get("pkt_dstaddr"))
    if all(pd.notna(one) for one in inner) and inner != (row["srcaddr"], row["dstaddr"]):
        facts.append(f"packet {inner[0]} → {inner[1]}")
    if pd.notna(row.get("first_seen")) and pd.notna(row.get("last_seen")):
        early, late = (_stamp(int(row[name])) for name in ("first_seen", "last_seen"))
        facts.append(f"{early:%Y-%m-%d %H:%M:%S}Z to {late:%Y-%m-%d %H:%M:%S}Z")
    return facts


def _si(count: float) -> str:
    value = float(count)
    for unit in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} T"


def coverage_strip(frame: pd.DataFrame, *, title: str = "Coverage: what each interface logged, and when") -> Figure:
    """A strip of time for each interface, in the colour of its state.

    frame: label, bucket (Unix s), state (ok, nodata, skipdata, missing): investigate.coverage_states
    """
    if frame.empty:
        return nothing(title, "no interface is in the log")
    order = {name: number for number, name in enumerate(STATES)}
    step = _step(frame["bucket"], 600)
    grid = _grid(frame.assign(code=frame["state"].map(order)), "code", "max", step)
    words = grid.map(lambda code: list(STATES)[int(code)] if pd.notna(code) else "")
    edges = [number / len(STATES) for number in range(len(STATES) + 1)]
    scale = [
        pair
        for number, colour in enumerate(STATES.values())
        for pair in ((edges[number], colour), (edges[number + 1], colour))
    ]
    figure = _figure(title, height=max(260, 24 * len(grid) + 150))
    figure.add_heatmap(
        x=_edges(grid, step), y=grid.index, z=grid.to_numpy(), customdata=_hover(grid, words), hoverongaps=False, colorscale=scale, zmin=-0.5, zmax=len(STATES) - 0.5, ygap=3,
        colorbar={"tickvals": list(range(len(STATES))), "ticktext": ["traffic", "no traffic", "records lost", "no record"], "title": ""},
        hovertemplate="from %{customdata[0]}<br>%{y}<br>%{customdata[1]}<extra></extra>",
    )  # fmt: skip
    return figure.update_xaxes(title="time (UTC)").update_yaxes(automargin=True, type="category", autorange="reversed")


def egress_bars(frame: pd.DataFrame, *, most: int = 20, title: str = "What leaves the VPC, where to") -> Figure:
    """Bytes by destination, one colour a path.

    frame: label (destination), path, bytes, source (label of the sender): investigate.egress_table
    """
    if frame.empty:
        return nothing(title, _why(frame, "nothing left the VPC"))
    top = frame.sort_values("bytes", ascending=False).head(most)
    share = top["bytes"].sum() / (frame["bytes"].sum() or 1)
    figure = _figure(
        title + (f" (the first {most} of {len(frame)}, {share:.0%} of bytes)" if len(frame) > most else ""),
        height=max(300, 26 * top["label"].nunique() + 150),
        barmode="stack",
        legend=_LEGEND,
    )
    for number, (path, rows) in enumerate(top.groupby("path", sort=False)):
        figure.add_bar(
            x=rows["bytes"].astype(float), y=rows["label"], name=str(path), orientation="h", marker_color=PALETTE[number % len(PALETTE)],
            customdata=rows[["source"]].to_numpy(), hovertemplate="%{customdata[0]} to %{y}<br>%{x:.3s}B<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    return figure.update_xaxes(title="bytes sent", tickformat=".3~s", ticksuffix="B").update_yaxes(
        automargin=True, autorange="reversed", type="category"
    )


def tcp_outcomes(frame: pd.DataFrame, *, most: int = 15, title: str = "How TCP connections end, by server") -> Figure:
    """Connections by server and outcome, as shares.

    frame: label, established, refused, rejected, unanswered: the query tcp_outcomes with a label for each server and port
    """
    if frame.empty:
        return nothing(title, _why(frame, "no TCP connection was opened in this window"))
    top = frame.head(most)
    figure = _figure(
        title + (f" (the first {most} of {len(frame)})" if len(frame) > most else ""),
        height=max(300, 26 * len(top) + 150),
        barmode="stack",
        barnorm="percent",
        legend=_LEGEND,
    )
    colours: Sequence[tuple[str, str]] = (
        ("established", ACCEPT),
        ("refused", "#E69F00"),
        ("unanswered", GREY),
        ("rejected", REJECT),
    )
    for outcome, colour in colours:
        figure.add_bar(
            x=top[outcome].astype(float), y=top["label"], name=outcome, orientation="h", marker_color=colour,
            customdata=top[[outcome]].to_numpy(), hovertemplate="%{y}<br>%{customdata[0]:,} " + outcome + "<extra></extra>",
        )  # fmt: skip
    return figure.update_xaxes(title="share of connections (%)").update_yaxes(
        automargin=True, autorange="reversed", type="category"
    )
