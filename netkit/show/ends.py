"""ipywidgets over a snapshot: pick two ends and a service, and see the path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as w
import pandas as pd
from IPython.display import DisplayHandle, display

from netkit.core.errors import InputError
from netkit.core.model import Verdict
from netkit.core.text import escaped, help_html
from netkit.reach.engine.trace import trace
from netkit.reach.explain import blockers_frame, question
from netkit.reach.network.network import network_of
from netkit.reach.network.snapshot import Snapshot
from netkit.show.paths import path
from netkit.show.widgets import fill, panel

PROTOCOLS = ("tcp", "udp", "icmp", "all")


def end_choices(snapshot: Snapshot) -> list[str]:
    """What can be picked as an end: Name tags that stand for one thing, interfaces, gateways, endpoints, and internet."""
    network = network_of(snapshot)
    names = sorted(name for name, ids in network.names.items() if not all(one in network.vpcs for one in ids))
    ids = (*network.interfaces, *network.igws, *network.vgws, *network.endpoints, *network.peerings, *network.transits)
    return ["internet", *names, *sorted(ids)]


def path_explorer(
    snapshot: Snapshot,
    *,
    source: str,
    destination: str,
    protocol: str = "tcp",
    port: int = -1,
    source_port: int = -1,
    vpc: str = "",
) -> None:
    """Show the path between two ends, with knobs for both ends and the service; the parameters are what they start with.

    Without a kernel, as in a report, the cell shows the path of the parameters; with one it follows the knobs.
    Raises InputError as trace() does, for the parameters; a knob that makes no sense gives a line of help.
    """
    asked = {"source": source, "destination": destination, "vpc": vpc, **question(protocol, port, source_port)}
    _Ends(snapshot, asked, port, source_port).show(trace(snapshot, **asked))


class _Ends:
    """The knobs and the path that they ask for."""

    def __init__(self, snapshot: Snapshot, asked: Mapping[str, Any], port: int, source_port: int) -> None:
        self.snapshot, self.vpc, self.source_port = snapshot, asked["vpc"], source_port
        options = end_choices(snapshot)
        style = {"description_width": "80px"}
        ends = {"options": options, "ensure_option": False, "continuous_update": False, "style": style}
        self.source = w.Combobox(value=asked["source"], description="from", **ends)
        self.destination = w.Combobox(value=asked["destination"], description="to", **ends)
        held = [*PROTOCOLS, *([asked["protocol"]] if asked["protocol"] not in PROTOCOLS else [])]
        self.protocol = w.Dropdown(
            options=held, value=asked["protocol"], description="protocol", style=style, layout={"width": "190px"}
        )
        self.port = w.BoundedIntText(
            value=port,
            min=-1,
            max=65535,
            description="port (-1 none)",
            style={"description_width": "100px"},
            layout={"width": "210px"},
        )
        self.help, self.view = w.HTML(), w.Output()
        self.table: DisplayHandle | None = None
        for knob in (self.source, self.destination, self.protocol, self.port):
            knob.observe(lambda _: self.update(), "value")

    def show(self, verdict: Verdict) -> None:
        """The knobs, the path, and what blocks it."""
        row = w.HBox([self.source, self.destination, self.protocol, self.port], layout={"flex_flow": "row wrap"})
        panel(w.VBox([row, self.help]))
        panel(self.view, fill(self.view, path(verdict, self.snapshot)))
        self.table = display(_table(verdict), display_id=True)

    def update(self) -> None:
        """Follow the knobs."""
        asked = question(self.protocol.value, self.port.value, self.source_port)
        try:
            verdict = trace(
                self.snapshot, source=self.source.value, destination=self.destination.value, vpc=self.vpc, **asked
            )
        except InputError as problem:
            self.help.value = help_html(f"{problem.what}. {problem.hint}")
            return
        self.help.value = f"<b>{escaped(verdict.status.replace('_', ' '))}</b> {escaped(verdict.question)}"
        fill(self.view, path(verdict, self.snapshot))
        if self.table is not None:
            self.table.update(_table(verdict))


def _table(verdict: Verdict) -> pd.DataFrame:
    return blockers_frame(verdict)[["leg", "component", "code", "because"]]
