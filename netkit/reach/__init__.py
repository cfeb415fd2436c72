"""Reachability: why can A not reach B, from a snapshot of the configuration, from AWS, and with the fix proved before."""

from __future__ import annotations

from netkit.reach.snapshot import Snapshot, load_snapshot, save_snapshot
from netkit.reach.trace import trace

__all__ = ["Snapshot", "load_snapshot", "save_snapshot", "trace"]
