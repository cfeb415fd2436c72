"""ipywidgets over what was just computed: turn the knobs, click through from a pair to its records."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import ipywidgets as w
import pandas as pd
from IPython.display import DisplayHandle, display
from plotly.graph_objects import Figure

from netkit.core.errors import InputError, NetkitError
from netkit.core.look import UNTYPESET
from netkit.core.net import parse_cidr, protocol_name
from netkit.core.tables import frame_html
from netkit.core.text import help_html
from netkit.flowlogs.names import AddressBook
from netkit.show.plots import nothing, talkers

ROWS = 25
_TITLE = "Who talks to whom, by subnet and service"
WIDGET, PLOTLY = "application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json"


def select_pairs(
    frame: pd.DataFrame,
    *,
    action: str = "",
    protocol: str = "",
    port: int = 0,
    cidr: str = "",
    start: int = 0,
    end: int = 0,
    text: str = "",
    book: AddressBook | None = None,
) -> pd.DataFrame:
    """The conversations that some knobs keep. Raises InputError for a CIDR that is none.

    frame: investigate.with_rejects, or the query conversations, which are all accepted; start and end in Unix seconds
    (0: open), action ACCEPT or REJECT, protocol a name, text part of an address, a group, or with a book of a name
    """
    keep = pd.Series(True, index=frame.index)
    if action:
        keep &= (frame["action"] if "action" in frame else pd.Series("ACCEPT", index=frame.index)) == action
    if protocol:
        keep &= frame["protocol"].map(lambda number: protocol_name(int(number))) == protocol
    if port:
        keep &= frame["server_port"] == port
    if start:
        keep &= frame["last_seen"] >= start
    if end:
        keep &= frame["first_seen"] < end
    if cidr:
        block = parse_cidr(cidr)
        inside = {address: ipaddress.ip_address(address) in block for address in {*frame["client"], *frame["server"]}}
        keep &= frame["client"].map(inside) | frame["server"].map(inside)
    if text:
        found = frame.astype(str).apply(lambda column: column.str.contains(text, regex=False)).any(axis=1)
        if book is not None:
            named = {one: text in book.label(one) for one in {*frame["client"], *frame["server"]}}
            found |= frame["client"].map(named) | frame["server"].map(named)
        keep &= found
    return frame[keep].reset_index(drop=True)


def pair_table(frame: pd.DataFrame, book: AddressBook) -> pd.DataFrame:
    """The conversations as people read them: names, service, bytes and packets both ways, first and last seen (UTC)."""
    top = frame.head(ROWS)
    times = {
        name: pd.to_datetime(top[name].astype("int64"), unit="s", utc=True).dt.strftime("%m-%d %H:%M:%SZ")
        for name in ("first_seen", "last_seen")
    }
    shown = {"client": top["client"].map(book.label), "server": top["server"].map(book.label)}
    service = [
        f"{protocol_name(int(number))}/{port}" for number, port in zip(top["protocol"], top["server_port"], strict=True)
    ]
    if "action" in top:
        shown["action"] = top["action"]
    counts = {name: top[name] for name in ("connections", "bytes_out", "bytes_back", "packets_out", "packets_back")}
    return pd.DataFrame({**shown, "service": service, **counts, **times})


def explorer(
    conversations: pd.DataFrame,
    book: AddressBook,
    *,
    records: Callable[[str, str], pd.DataFrame] | None = None,
    action: str = "",
    protocol: str = "",
    port: int = 0,
    cidr: str = "",
) -> None:
    """Show conversations with knobs for time, action, protocol, port, CIDR and text, and the records of a chosen pair.

    conversations  investigate.grouped, of the query conversations alone or with_rejects
    records        a function (client, server) -> frame that fetches a pair's records, as `lambda a, b: logs.query("pair_flows", source=a, destination=b)`
    action, protocol, port, cidr  what the knobs start with; headless the figure and the table show just that

    Without a kernel, as in a report, the cell shows the figure and the table of the starting values; with one, both follow the knobs.
    """
    chosen = select_pairs(conversations, action=action, protocol=protocol, port=port, cidr=cidr)
    if conversations.empty:
        display(nothing(_TITLE, "there are no conversations in this window"))
        return
    _Explorer(conversations, book, records, action, protocol, port, cidr).show(chosen)


def panel(box: w.Widget, still: dict[str, Any] | None = None) -> None:
    """Show some knobs; a page without a kernel, which cannot turn them, shows what is `still` in their place."""
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    bundle = {WIDGET: view, **(still or {}), "text/html": "", "text/plain": "explorer"}
    display(bundle, raw=True)


def fill(view: w.Output, figure: Figure) -> dict[str, Any]:
    """Put a figure into an Output in place of what is there, and return it as a notebook stores it.

    The content is set and not captured (`with view:`): while something is captured, a headless run answers each output with a
    message of its own on the channel on which it waits for the cell to end, and now and then never sees that end.
    """
    bundle = {PLOTLY: json.loads(figure.to_json()) | {"config": UNTYPESET}, "text/plain": "figure"}
    _set(view, bundle)
    return bundle


def tell(view: w.Output, page: str = "", text: str = "") -> None:
    """Put HTML into an Output in place of what is there; without any, clear it."""
    _set(view, {"text/html": page, "text/plain": text} if page else None)


def _set(view: w.Output, bundle: dict[str, Any] | None) -> None:
    view.outputs = ({"output_type": "display_data", "data": bundle, "metadata": {}},) if bundle else ()


class _Explorer:
    """The knobs and what they drive."""

    def __init__(
        self, frame: pd.DataFrame, book: AddressBook, records: Any, action: str, protocol: str, port: int, cidr: str
    ) -> None:
        self.frame, self.book, self.records = frame, book, records
        first, last = int(frame["first_seen"].min()), int(frame["last_seen"].max())
        step = max(60, (last - first) // 200)
        options = [(f"{datetime.fromtimestamp(one, UTC):%d %H:%M}", one) for one in range(first, last + step, step)]
        wide = {"description_width": "70px"}
        self.time = w.SelectionRangeSlider(
            options=options,
            index=(0, len(options) - 1),
            description="time (UTC)",
            layout={"width": "95%"},
            style=wide,
            continuous_update=False,
        )
        self.action = w.Dropdown(
            options=[("any", ""), ("ACCEPT", "ACCEPT"), ("REJECT", "REJECT")],
            value=action,
            description="action",
            layout={"width": "190px"},
            style=wide,
        )
        # What was asked for stays to be chosen though the log has none of it: the knobs say what the figure shows.
        names = sorted(
            {protocol_name(int(number)) for number in frame["protocol"]} | ({protocol} if protocol else set())
        )
        self.protocol = w.Dropdown(
            options=[("any", ""), *((name, name) for name in names)],
            value=protocol,
            description="protocol",
            style=wide,
        )
        self.port = w.BoundedIntText(
            value=port, min=0, max=65535, description="port (0 any)", style={"description_width": "90px"}
        )
        self.cidr = w.Text(
            value=cidr, placeholder="10.0.1.0/24", description="CIDR", continuous_update=False, style=wide
        )
        ends = sorted({book.label(one) for one in {*frame["client"], *frame["server"]}})
        self.text = w.Combobox(
            options=ends[:2000],
            value="",
            placeholder="part of a name or address",
            description="find",
            ensure_option=False,
            continuous_update=False,
            style=wide,
        )
        self.pair = w.Dropdown(
            options=[("choose a pair", None)], description="records of", layout={"width": "95%"}, style=wide
        )
        self.help, self.view, self.detail = w.HTML(), w.Output(), w.Output()
        self.table: DisplayHandle | None = None
        for knob in (self.time, self.action, self.protocol, self.port, self.cidr, self.text):
            knob.observe(lambda _: self.update(), "value")
        self.pair.observe(lambda _: self.open_pair(), "value")

    def show(self, chosen: pd.DataFrame) -> None:
        """The starting figure and table as plain outputs, then the knobs."""
        self.offer(chosen)
        rows = w.HBox([self.action, self.protocol, self.port, self.cidr, self.text], layout={"flex_flow": "row wrap"})
        panel(w.VBox([self.time, rows, self.help]))
        panel(self.view, fill(self.view, self.figure(chosen)))
        self.table = display(pair_table(chosen, self.book), display_id=True)
        panel(w.VBox([self.pair, self.detail]))

    def figure(self, chosen: pd.DataFrame) -> Figure:
        """The chosen conversations drawn, or that none is left."""
        if chosen.empty:
            return nothing(_TITLE, f"none of the {len(self.frame):,} conversations is left by these knobs")
        return talkers(chosen, title=_TITLE)

    def update(self) -> None:
        """Follow the knobs; for a CIDR that is none, say so and clear what answered another question."""
        start, end = self.time.value
        tell(self.detail)
        try:
            chosen = select_pairs(
                self.frame,
                action=self.action.value,
                protocol=self.protocol.value,
                port=self.port.value,
                cidr=self.cidr.value.strip(),
                start=start,
                end=end + 1,
                text=self.text.value.strip(),
                book=self.book,
            )
        except InputError as problem:
            self.help.value = help_html(f"{problem.what}. {problem.hint}")
            self.answer(self.frame.head(0), nothing(_TITLE, problem.what))
            return
        self.help.value = f"{len(chosen):,} of {len(self.frame):,} conversations"
        self.answer(chosen, self.figure(chosen))

    def answer(self, chosen: pd.DataFrame, figure: Figure) -> None:
        """Figure, table and pairs of these conversations, and no others."""
        self.offer(chosen)
        # JupyterLab redraws a table that is updated in place, but not a plotly figure: that one stands in an Output.
        fill(self.view, figure)
        if self.table is not None:
            self.table.update(pair_table(chosen, self.book))

    def offer(self, chosen: pd.DataFrame) -> None:
        """The pairs that can be opened."""
        pairs = chosen.head(ROWS)[["client", "server"]].drop_duplicates().itertuples(index=False)
        self.pair.options = [
            ("choose a pair", None),
            *((f"{self.book.label(a)} → {self.book.label(b)}", (a, b)) for a, b in pairs),
        ]

    def open_pair(self) -> None:
        """Fetch and show the records of the chosen pair, and of no other."""
        tell(self.detail)
        if self.pair.value is None or self.records is None:
            return
        tell(self.detail, "<p>reading …</p>", "reading")
        try:
            frame = self.records(*self.pair.value)
        except NetkitError as problem:
            tell(self.detail, help_html(problem), str(problem))
            return
        tell(self.detail, frame_html(frame), str(frame))
