"""netkit: the network investigation kit.

    import netkit as nk
    run = nk.begin(target="sandbox")
    logs = nk.flowlogs.open("netkit_sandbox.flow_logs_bad_day", run.session, nk.Window.parse("2026-11-19T08:00:00Z", "2026-11-19T12:00:00Z"))
    logs.query("top_talkers")

Names are resolved when they are first used; importing the package does no work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netkit import cloudwatch, flowlogs, incident, mirror, reach, show
    from netkit.core import errors
    from netkit.core.errors import NetkitError
    from netkit.core.look import Folded
    from netkit.core.model import Coverage, Finding, Flow, Hop, Verdict, Window
    from netkit.core.plan import Plan
    from netkit.core.session import Session, connect, may_call
    from netkit.runs.notebook import Run, begin, publish

_HOMES = {
    "NetkitError": "netkit.core.errors",
    "Folded": "netkit.core.look",
    **dict.fromkeys(("Coverage", "Finding", "Flow", "Hop", "Verdict", "Window"), "netkit.core.model"),
    **dict.fromkeys(("Run", "begin", "publish"), "netkit.runs.notebook"),
    "Plan": "netkit.core.plan",
    **dict.fromkeys(("Session", "connect", "may_call"), "netkit.core.session"),
}
_MODULES = {name: f"netkit.{name}" for name in ("cloudwatch", "flowlogs", "incident", "mirror", "reach", "show")} | {
    "errors": "netkit.core.errors"
}

__all__ = [
    "Coverage", "Finding", "Flow", "Folded", "Hop", "NetkitError", "Plan", "Run", "Session", "Verdict", "Window", "begin", "cloudwatch", "connect", "errors", "flowlogs", "incident",
    "may_call", "mirror", "publish", "reach", "show",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'netkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
