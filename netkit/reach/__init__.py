"""Reachability: why can A not reach B, from a snapshot of the configuration, from AWS, and with the fix proved before."""

from __future__ import annotations

from netkit.reach.change.fixes import Fix, changes_frame, fix_findings, opens_frame, propose
from netkit.reach.engine.exposure import exposure
from netkit.reach.engine.intents import check_intents, load_intents
from netkit.reach.engine.matrix import matrix
from netkit.reach.engine.trace import Ports, ports, trace
from netkit.reach.network.snapshot import Snapshot, load_snapshot, save_snapshot

__all__ = [
    "Fix", "Ports", "Snapshot", "changes_frame", "check_intents", "exposure", "fix_findings", "load_intents", "load_snapshot", "matrix", "opens_frame", "ports", "propose", "save_snapshot",
    "trace",
]  # fmt: skip
