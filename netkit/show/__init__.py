"""Figures and widgets, made from frames. The only importer of plotly and ipywidgets."""

from netkit.show.alarms import replay_chart
from netkit.show.arrivals import arrival_grid
from netkit.show.dashboards import draw_dashboard
from netkit.show.ends import path_explorer
from netkit.show.incidents import incident_explorer, incident_ranking, incident_timeline
from netkit.show.mirrors import (
    conversation_explorer,
    mirror_map,
    mirror_timeline,
    mirrored_beside_logged,
    packet_ladder,
    rule_grid,
)
from netkit.show.paths import grid, path, rule_table
from netkit.show.plots import (
    coverage_strip,
    egress_bars,
    hop_ladder,
    reject_heatmap,
    scan_scatter,
    talkers,
    tcp_outcomes,
    timeline,
)
from netkit.show.widgets import explorer

__all__ = [
    "arrival_grid",
    "conversation_explorer",
    "coverage_strip",
    "draw_dashboard",
    "egress_bars",
    "explorer",
    "grid",
    "hop_ladder",
    "incident_explorer",
    "incident_ranking",
    "incident_timeline",
    "mirror_map",
    "mirror_timeline",
    "mirrored_beside_logged",
    "packet_ladder",
    "path",
    "path_explorer",
    "reject_heatmap",
    "replay_chart",
    "rule_grid",
    "rule_table",
    "scan_scatter",
    "talkers",
    "tcp_outcomes",
    "timeline",
]  # fmt: skip
