"""The incident: what is wrong, since when, who changed it, and how sure is that. `investigate()` joins the four wings into one ranked answer."""

from __future__ import annotations

from netkit.incident.answer import Answer, investigate

__all__ = ["Answer", "investigate"]
