"""Traffic mirroring: set up safely, and proved from the packets to show what it should."""

from __future__ import annotations

from netkit.mirror.beside import beside_flow_logs
from netkit.mirror.capture import Capture, read_capture
from netkit.mirror.expected import flows, rule_coverage
from netkit.mirror.filters import MirrorFilter, MirrorSession, MirrorTarget, Rule, parse_filter, stolen
from netkit.mirror.verify import verify

__all__ = [
    "Capture", "MirrorFilter", "MirrorSession", "MirrorTarget", "Rule", "beside_flow_logs", "flows", "parse_filter", "read_capture",
    "rule_coverage", "stolen", "verify",
]  # fmt: skip
