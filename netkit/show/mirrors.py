"""plotly figures and widgets of traffic mirrors: what goes where, which rules were seen, what came beside what should have."""

from __future__ import annotations

import ipaddress
from typing import Any

import ipywidgets as w
import pandas as pd
import plotly.graph_objects as go
from IPython.display import DisplayHandle, display
from plotly.graph_objects import Figure

from netkit.core.errors import InputError
from netkit.core.net import parse_cidr, protocol_name
from netkit.core.text import help_html
from netkit.mirror.capture import Capture
from netkit.show.plots import _FAINT, ACCEPT, GREY, PALETTE, REJECT, _figure, nothing
from netkit.show.widgets import fill, panel

ROWS = 25
_MOST_BARS = 160
_RULE_STATES = {
    "seen": ACCEPT,
    "not seen": "#E69F00",
    "never asked": GREY,
    "kept out": "#CFE3F1",
    "came anyway": REJECT,
}
_SEEN_BY = {"both": ACCEPT, "flow log": REJECT, "capture": "#E69F00"}
_SEVERITIES = {1: REJECT, 2: "#E69F00", 3: "#CC79A7"}
_ENDS = ("source", "destination")


def mirror_map(sessions: pd.DataFrame, targets: pd.DataFrame, filters: pd.DataFrame | None = None, sources: pd.DataFrame | None = None, *, title: str = "What is mirrored where") -> Figure:  # fmt: skip
    """Source interfaces on the left, filters in the middle, targets on the right; a band is a session.

    sessions: session_id, name, interface_id, target_id, filter_id, number, packet_length, vni; targets: target_id, name,
    kind, resource; filters and sources (filter_id, name; interface_id, name, instance_name) give names.
    """
    if sessions.empty:
        return nothing(title, "nothing is mirrored here")
    names = _names(targets, "target_id") | _names(filters, "filter_id") | _names(sources, "interface_id")
    nodes: dict[str, int] = {}
    links: list[tuple[int, int, str, str]] = []
    for place, row in enumerate(sessions.to_dict("records")):
        ends = [nodes.setdefault(str(row[name]), len(nodes)) for name in ("interface_id", "filter_id", "target_id")]
        length = (
            "whole packets" if pd.isna(row["packet_length"]) else f"{int(row['packet_length']):,} bytes of each packet"
        )
        words = f"{row['name'] or row['session_id']}<br>session {row['number']}, VNI {row['vni']}, {length}"
        colour = PALETTE[place % len(PALETTE)]
        links += [(ends[0], ends[1], words, colour), (ends[1], ends[2], words, colour)]
    figure = _figure(title, height=max(260, 90 + 46 * sessions["interface_id"].nunique()))
    figure.add_trace(
        go.Sankey(
            arrangement="snap",
            node={"label": [names.get(node, node) for node in nodes], "customdata": list(nodes), "color": GREY, "pad": 18, "thickness": 14, "hovertemplate": "%{customdata}<extra></extra>"},
            link={
                "source": [one[0] for one in links], "target": [one[1] for one in links], "value": [1] * len(links), "customdata": [one[2] for one in links],
                "color": [_pale(one[3]) for one in links], "hovertemplate": "%{customdata}<extra></extra>",
            },
        )
    )  # fmt: skip
    figure.update_layout(margin_t=92)
    for x, words, anchor in ((0, "source interface", "left"), (0.5, "filter", "center"), (1, "target", "right")):
        figure.add_annotation(
            x=x,
            y=1,
            yshift=22,
            xref="paper",
            yref="paper",
            text=words,
            showarrow=False,
            xanchor=anchor,
            font={"color": _FAINT},
        )
    return figure


def _names(frame: pd.DataFrame | None, key: str) -> dict[str, str]:
    if frame is None:
        return {}
    named = {}
    for row in frame.to_dict("records"):
        words = row.get("name") or row.get("instance_name") or row.get("resource") or ""
        named[str(row[key])] = f"{words} ({row[key][:12]}…)" if words else str(row[key])
    return named


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.35)"


def rule_grid(coverage: pd.DataFrame, *, title: str = "Which rules of the filter were seen") -> Figure:
    """A line a rule: direction, what it names, what of the capture it decided, and in colour whether it was seen.

    coverage: netkit.mirror.rule_coverage (direction, number, action, rule, conversations, packets, bytes, state)
    """
    if coverage.empty:
        return nothing(title, "no rules were given to look for")
    cells = ["direction", "number", "action", "rule", "conversations", "packets", "bytes", "state"]
    white = ["white"] * len(coverage)
    words = [text.split(" ", 3)[-1] for text in coverage["rule"].tolist()]
    figure = _figure(title, height=170 + 30 * len(coverage))
    figure.add_trace(
        go.Table(
            columnwidth=[9, 8, 8, 44, 13, 12, 14, 13],
            header={"values": ["", "number", "action", "packets named", *cells[4:]], "align": "left", "fill_color": "#eef2f5"},
            cells={
                "values": [coverage["direction"], coverage["number"], coverage["action"], words, *(coverage[name] for name in cells[4:])],
                "align": ["left"] * 4 + ["right"] * 3 + ["left"], "height": 28, "format": [None] * 4 + [",d"] * 3 + [None],
                "fill_color": [white] * 7 + [[_pale(_RULE_STATES[state]) for state in coverage["state"]]],
            },
        )
    )  # fmt: skip
    return figure


def mirrored_beside_logged(
    beside: pd.DataFrame | None, *, title: str = "Each flow: packets in the mirror beside packets in the flow log"
) -> Figure:
    """A point a flow; on the line both agree, below it the mirror lacks packets, at the edges only one has seen it.

    beside: netkit.mirror.beside_flow_logs, or None without a flow log
    """
    if beside is None or beside.empty:
        return nothing(
            title, "no flow log to compare with" if beside is None else "no flow of this time that the filter takes"
        )
    figure = _figure(title, height=440)
    most = float(max(beside["packets_mirrored"].max(), beside["packets_logged"].max(), 1)) * 1.5
    figure.add_trace(
        go.Scatter(
            x=[0.5, most],
            y=[0.5, most],
            mode="lines",
            line={"color": GREY, "dash": "dot"},
            name="as many",
            hoverinfo="skip",
        )
    )
    for seen_by, some in beside.groupby("seen_by"):
        words = [_flow_words(row) for row in some.to_dict("records")]
        figure.add_trace(
            go.Scattergl(
                x=some["packets_logged"].clip(lower=0.5), y=some["packets_mirrored"].clip(lower=0.5), mode="markers", name=f"seen by {seen_by}",
                text=words, hovertemplate="%{text}<extra></extra>", marker={"color": _SEEN_BY[str(seen_by)], "size": 8, "opacity": 0.7},
            )
        )  # fmt: skip
    figure.update_xaxes(type="log", title="packets in the flow log")
    return figure.update_yaxes(type="log", title="packets in the mirror")


def _flow_words(row: dict[Any, Any]) -> str:
    ends = " → ".join(_end(row[name], row[f"{name}_port"]) for name in _ENDS)
    return f"{protocol_name(int(row['protocol']))} {ends}<br>{row['packets_mirrored']:,} mirrored, {row['packets_logged']:,} logged"


def _end(address: str, port: Any) -> str:
    if pd.isna(port) or not port:
        return address
    return f"[{address}]:{int(port)}" if ":" in address else f"{address}:{int(port)}"


def mirror_timeline(
    capture: Capture, alerts: pd.DataFrame | None = None, *, title: str = "The mirror over time"
) -> Figure:
    """Packets per step, what of them is truncated, where TCP streams have holes, silent spans in grey, alerts on the same axis.

    alerts: time, severity, signature (netkit.mirror.alerts), or None
    """
    if capture.timeline.empty:
        return nothing(title, "no mirrored packet")
    line, step = _bars(capture)
    figure = _figure(title, height=420, barmode="overlay", bargap=0)
    middle = line["start"] + pd.Timedelta(seconds=step / 2)
    for name, words, colour in (("packets", "packets", ACCEPT), ("truncated", "truncated packets", "#E69F00")):
        if line[name].any():
            hover = f"%{{x|%H:%M:%S}}Z %{{y:,}} {words}<extra></extra>"
            figure.add_trace(
                go.Bar(x=middle, y=line[name], width=step * 1000, name=words, marker_color=colour, hovertemplate=hover)
            )
    top = float(line["packets"].max())
    _mark_silence(figure, capture)
    holes = line[line["lost_bytes"] > 0]
    if len(holes):
        figure.add_trace(
            go.Scatter(
                x=holes["start"] + pd.Timedelta(seconds=step / 2), y=[top * 1.08] * len(holes), mode="markers", name="bytes lost",
                marker={"symbol": "triangle-down", "color": REJECT, "size": 11}, customdata=holes["lost_bytes"],
                hovertemplate="%{x|%H:%M:%S}Z %{customdata:,} bytes never seen<extra></extra>",
            )
        )  # fmt: skip
    if alerts is not None and len(alerts):
        figure.add_trace(_alert_marks(alerts, top * 1.2))
    figure.update_xaxes(title="time (UTC)")
    return figure.update_yaxes(title=f"packets in {step} s", rangemode="tozero")


def _bars(capture: Capture) -> tuple[pd.DataFrame, int]:
    """The timeline in so few bars that each can be seen, and their width in seconds."""
    line, step = capture.timeline, capture.step
    span = (line["start"].iloc[-1] - line["start"].iloc[0]).total_seconds()
    while span / step > _MOST_BARS:
        step *= 2
    grouped = line.groupby(line["start"].dt.floor(f"{step}s"))[["packets", "bytes", "truncated", "lost_bytes"]].sum()
    return grouped.reset_index(), step


def _alert_marks(alerts: pd.DataFrame, height: float) -> go.Scatter:
    colours = [_SEVERITIES.get(one, GREY) for one in alerts["severity"].fillna(0).astype(int)]
    return go.Scatter(
        x=alerts["time"], y=[height] * len(alerts), mode="markers", name="alert", text=alerts["signature"],
        marker={"symbol": "diamond", "size": 11, "color": colours}, hovertemplate="%{x|%H:%M:%S}Z %{text}<extra></extra>",
    )  # fmt: skip


def _mark_silence(figure: Figure, capture: Capture) -> None:
    """Grey where nothing came for more than a tenth of the capture: silence is what a broken mirror looks like."""
    starts = capture.timeline["start"]
    span = (starts.iloc[-1] - starts.iloc[0]) / 10
    for before, after in zip(starts[:-1], starts[1:], strict=False):
        if after - before > max(span, pd.Timedelta(seconds=2 * capture.step)):
            figure.add_vrect(x0=before + pd.Timedelta(seconds=capture.step), x1=after, fillcolor=GREY, opacity=0.18, line_width=0, annotation_text="silent", annotation_position="top left")  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- explorer


def select_conversations(
    conversations: pd.DataFrame, *, protocol: str = "", port: int = 0, text: str = "", only: str = ""
) -> pd.DataFrame:
    """The conversations that some knobs keep, with their row numbers as index. Raises InputError for a word of `only` that is none.

    text: part of an address, or a CIDR block; only: "", one way, lost, truncated, retransmitted or not complete
    """
    keep = pd.Series(True, index=conversations.index)
    if protocol:
        keep &= conversations["protocol"].map(lambda number: protocol_name(int(number))) == protocol
    if port:
        keep &= (conversations["source_port"] == port).fillna(False) | (
            conversations["destination_port"] == port
        ).fillna(False)
    if "/" in text:
        block = parse_cidr(text)
        inside = {
            end: ipaddress.ip_address(end) in block for end in {*conversations["source"], *conversations["destination"]}
        }
        keep &= conversations["source"].map(inside) | conversations["destination"].map(inside)
    elif text:
        keep &= conversations["source"].str.contains(text, regex=False) | conversations["destination"].str.contains(
            text, regex=False
        )
    if only:
        if only not in FAULTS:
            raise InputError(f"{only!r} is no kind of conversation", hint=f"one of {', '.join(FAULTS)}")
        keep &= FAULTS[only](conversations)
    return conversations[keep.astype(bool)]


FAULTS = {
    "one way": lambda some: some["packets_back"] == 0,
    "lost": lambda some: (some["lost_bytes"] > 0) | (some["lost_bytes_back"] > 0),
    "truncated": lambda some: (some["truncated"] > 0) | (some["truncated_by_capture"] > 0),
    "retransmitted": lambda some: (some["retransmissions"] > 0) | (some["retransmissions_back"] > 0),
    "not complete": lambda some: ~some["handshake"].isin(["", "complete"]),
}  # fmt: skip
_SHOWN = (
    "protocol", "source", "destination", "packets", "packets_back", "bytes", "bytes_back", "handshake", "lost_bytes",
    "lost_bytes_back", "truncated", "retransmissions", "retransmissions_back",
)  # fmt: skip


def conversation_table(some: pd.DataFrame) -> pd.DataFrame:
    """The first conversations by bytes, ends with their ports; the index is the row in the capture."""
    order = (some["bytes"] + some["bytes_back"]).sort_values(ascending=False, kind="stable").index[:ROWS]
    rows = some.loc[order]
    ends = {name: [_end(*pair) for pair in zip(rows[name], rows[f"{name}_port"], strict=True)] for name in _ENDS}
    names = rows["protocol"].map(lambda number: protocol_name(int(number)))
    return rows.assign(protocol=names, **ends)[list(_SHOWN)]


def packet_ladder(
    packets: pd.DataFrame, *, title: str = "One conversation, packet by packet", most: int = 400
) -> Figure:
    """Packets in time: above the line from who began, below the way back; height is the payload, colour what they are.

    packets: Capture.packets (time, back, bytes, flags, payload, truncated)
    """
    if packets.empty:
        return nothing(title, "no packets")
    some = packets.head(most)
    figure = _figure(
        title if len(some) == len(packets) else f"{title}, the first {most} of {len(packets):,}", height=340
    )
    kinds = some["flags"].map(_kind).where(~some["truncated"], "truncated")
    for kind, colour in (
        ("SYN", "#009E73"),
        ("FIN", "#CC79A7"),
        ("RST", REJECT),
        ("data", ACCEPT),
        ("truncated", "#E69F00"),
    ):
        mine = some[kinds == kind]
        if len(mine):
            heights = mine["bytes"].where(~mine["back"], -mine["bytes"])
            words = [
                f"{flags} {payload:,} bytes of payload"
                for flags, payload in zip(mine["flags"], mine["payload"], strict=True)
            ]
            figure.add_trace(
                go.Scatter(
                    x=mine["time"], y=heights, mode="markers", name=kind, marker={"color": colour, "size": 7}, text=words,
                    error_y={"type": "data", "symmetric": False, "array": [0] * len(mine), "arrayminus": heights, "width": 0, "thickness": 1, "color": colour},
                    hovertemplate="%{x|%H:%M:%S.%L}Z %{text}<extra></extra>",
                )
            )  # fmt: skip
    figure.add_hline(y=0, line_color=GREY)
    figure.update_xaxes(title="time (UTC)")
    return figure.update_yaxes(title="bytes: there above, back below")


def _kind(flags: str) -> str:
    return next((name for name in ("RST", "SYN", "FIN") if name in flags.split()), "data")


def conversation_explorer(
    capture: Capture, *, protocol: str = "", port: int = 0, text: str = "", only: str = ""
) -> None:
    """Show the conversations with knobs that filter them, and one of them opened packet by packet; parameters are the start.

    Without a kernel, as in a report, the cell shows what the parameters keep. Raises InputError as select_conversations() does.
    """
    some = select_conversations(capture.conversations, protocol=protocol, port=port, text=text, only=only)
    _Conversations(capture, protocol, port, text, only).show(some)


class _Conversations:
    """The knobs, the table and the opened conversation."""

    def __init__(self, capture: Capture, protocol: str, port: int, text: str, only: str) -> None:
        self.capture = capture
        style = {"description_width": "70px"}
        names = sorted({protocol_name(int(number)) for number in capture.conversations["protocol"]})
        self.protocol = w.Dropdown(options=[("any", ""), *((name, name) for name in sorted({*names, protocol} - {""}))], value=protocol, description="protocol", style=style)  # fmt: skip
        self.port = w.BoundedIntText(
            value=port,
            min=0,
            max=65535,
            description="port (0 any)",
            style={"description_width": "90px"},
            layout={"width": "190px"},
        )
        seen = {*capture.conversations["source"], *capture.conversations["destination"]}
        self.text = w.Combobox(
            options=sorted(seen)[:2000],
            ensure_option=False,
            value=text,
            description="address",
            placeholder="10.0.1. or 10.0.0.0/16",
            style=style,
            continuous_update=False,
        )
        self.only = w.Dropdown(
            options=[("all", ""), *((name, name) for name in FAULTS)], value=only, description="only", style=style
        )
        self.open = w.Dropdown(options=[], description="open", style=style, layout={"width": "95%"})
        self.help, self.view = w.HTML(), w.Output()
        self.table: DisplayHandle | None = None
        for knob in (self.protocol, self.port, self.text, self.only):
            knob.observe(lambda _: self.update(), "value")

    def show(self, some: pd.DataFrame) -> None:
        """The knobs, the table, and the packets of its first line."""
        self._choices(some)
        row = w.HBox([self.protocol, self.port, self.text, self.only], layout={"flex_flow": "row wrap"})
        panel(w.VBox([row, self.help, self.open]))
        self.table = display(conversation_table(some), display_id=True)
        panel(self.view, fill(self.view, self._figure()))
        self.open.observe(lambda _: self._opened(), "value")

    def update(self) -> None:
        """Follow the knobs."""
        try:
            some = select_conversations(self.capture.conversations, protocol=self.protocol.value, port=self.port.value, text=self.text.value.strip(), only=self.only.value)  # fmt: skip
        except InputError as problem:
            # What answered another question goes with it.
            some, self.help.value = self.capture.conversations.head(0), help_html(f"{problem.what}. {problem.hint}")
        else:
            self.help.value = f"{len(some):,} of {len(self.capture.conversations):,} conversations"
        self._choices(some)
        if self.table is not None:
            self.table.update(conversation_table(some))
        self._opened()

    def _choices(self, some: pd.DataFrame) -> None:
        shown = conversation_table(some)
        words = zip(shown.index.tolist(), shown["protocol"], shown["source"], shown["destination"], strict=True)
        self.open.options = [(f"{row}: {name} {source} → {target}", row) for row, name, source, target in words]
        self.open.value = shown.index.tolist()[0] if len(shown) else None

    def _figure(self) -> Figure:
        if self.open.value is None:
            return nothing("One conversation, packet by packet", "no conversation is left by these knobs")
        return packet_ladder(self.capture.packets(int(self.open.value)), title=f"Conversation {self.open.label}")

    def _opened(self) -> None:
        fill(self.view, self._figure())
