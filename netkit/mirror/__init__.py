"""Traffic mirroring: set up safely, and proved from the packets to show what it should."""

from __future__ import annotations

from netkit.mirror.capture import Capture, read_capture
from netkit.mirror.filters import MirrorFilter, MirrorSession, MirrorTarget, Rule, parse_filter, stolen

__all__ = ["Capture", "MirrorFilter", "MirrorSession", "MirrorTarget", "Rule", "parse_filter", "read_capture", "stolen"]
