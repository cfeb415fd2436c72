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
from netkit.show.plots import nothing
from netkit.show.widgets import fill, panel

PROTOCOLS = ("tcp", "udp", "icmp", "all")


def end_choices(snapshot: Snapshot) -> list[str]:
    """What can be picked as an end: Name tags, instances, interfaces, gateways, endpoints, and internet."""
    network = network_of(snapshot)
    names = sorted(name for name, ids in network.names.items() if not all(one in network.vpcs for one in ids))
    ids = (
        *network.instances,
        *network.interfaces,
        *network.igws,
        *network.vgws,
        *network.endpoints,
        *network.peerings,
        *network.transits,
    )
    return ["internet", *names, *sorted(ids)]


def vpc_choices(snapshot: Snapshot) -> list[str]:
    """What can be picked as the VPC meant: names that stand for one VPC, and ids."""
    network = network_of(snapshot)
    held = [vpc.name for vpc in network.vpcs.values() if vpc.name]
    return [*sorted({name for name in held if held.count(name) == 1}), *sorted(network.vpcs)]


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
        self.snapshot = snapshot
        options = end_choices(snapshot)
        style = {"description_width": "80px"}
        ends = {"options": options, "ensure_option": False, "continuous_update": False, "style": style}
        self.source = w.Combobox(value=asked["source"], description="from", **ends)
        self.destination = w.Combobox(value=asked["destination"], description="to", **ends)
        held = [*PROTOCOLS, *([asked["protocol"]] if asked["protocol"] not in PROTOCOLS else [])]
        self.protocol = w.Dropdown(
            options=held, value=asked["protocol"], description="protocol", style=style, layout={"width": "190px"}
        )
        self.port, self.source_port = _port("port (-1 none)", port), _port("source port (-1 any)", source_port)
        self.vpc = w.Combobox(
            value=asked["vpc"],
            description="in VPC",
            placeholder="any",
            **ends | {"options": vpc_choices(snapshot)},
        )
        self.help, self.view = w.HTML(), w.Output()
        self.table: DisplayHandle | None = None
        self.knobs = (self.source, self.destination, self.protocol, self.port, self.source_port, self.vpc)
        for knob in self.knobs:
            knob.observe(lambda _: self.update(), "value")

    def show(self, verdict: Verdict) -> None:
        """The knobs, the path, and what blocks it."""
        row = w.HBox(list(self.knobs), layout={"flex_flow": "row wrap"})
        panel(w.VBox([row, self.help]))
        panel(self.view, fill(self.view, path(verdict, self.snapshot)))
        self.table = display(_table(verdict), display_id=True)

    def update(self) -> None:
        """Follow the knobs; for a question that makes no sense, say so and clear what answered another."""
        try:
            verdict = trace(
                self.snapshot,
                source=self.source.value.strip(),
                destination=self.destination.value.strip(),
                vpc=self.vpc.value.strip(),
                **question(self.protocol.value, self.port.value, self.source_port.value),
            )
        except InputError as problem:
            self.help.value = help_html(f"{problem.what}. {problem.hint}")
            fill(self.view, nothing("no answer to this question", problem.what))
            self._say(_table(None))
            return
        self.help.value = f"<b>{verdict.status.replace('_', ' ')}</b> {escaped(verdict.question)}"
        fill(self.view, path(verdict, self.snapshot))
        self._say(_table(verdict))

    def _say(self, frame: pd.DataFrame) -> None:
        if self.table is not None:
            self.table.update(frame)


def _port(words: str, value: int) -> w.BoundedIntText:
    return w.BoundedIntText(
        value=value,
        min=-1,
        max=65535,
        description=words,
        style={"description_width": "130px"},
        layout={"width": "230px"},
    )


def _table(verdict: Verdict | None) -> pd.DataFrame:
    columns = ["leg", "component", "code", "because"]
    return blockers_frame(verdict)[columns] if verdict else pd.DataFrame(columns=columns)
