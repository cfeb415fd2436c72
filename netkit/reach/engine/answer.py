"""What two walked legs come to: the verdict with its blockers, what is missing and what it rests on. Pure."""

from __future__ import annotations

from netkit.core.model import Blocker, Unknown, Verdict
from netkit.core.packets import port_text
from netkit.reach.engine.leg import Leg
from netkit.reach.engine.service import Service


def verdict_of(leg: Leg, back: Leg | None, service: Service) -> Verdict:
    """The verdict of a way there and of the replies' way back, None where none are expected."""
    blockers = _once(leg.blockers + (back.blockers if back else []))
    if service.one_way:
        blockers = [one for one in blockers if one.leg == "forward"]
    unknowns = list(dict.fromkeys(leg.unknowns + (back.unknowns if back else [])))
    if not leg.arrived and not blockers and not unknowns:
        unknowns = [Unknown(leg.goal.given, "the walk ended without an answer", "NO_PATH")]
    status = "NOT_REACHABLE" if blockers else "UNKNOWN" if unknowns else "REACHABLE"
    notes = list(dict.fromkeys(leg.notes + (back.notes + _rests_on(back) if back else [])))
    if status == "REACHABLE" and leg.home.wide and (narrowed := _narrowed(leg)):
        notes.append(narrowed)
    passes = leg.live.header() if leg.live and leg.arrived else None
    return Verdict(
        status, leg.home.given, leg.goal.given, *service.words(), forward=leg.hops, back=leg.inner_back + back.hops if back else [], blockers=blockers, unknowns=unknowns,
        notes=notes, passes=passes,
    )  # fmt: skip


def _rests_on(back: Leg) -> list[str]:
    """The port ranges that were assumed and that count: a network ACL does not let replies to every port through."""
    found: dict[tuple[str, str], list[str]] = {}
    for acl, ports, why in back.rests:
        found.setdefault((port_text(ports), why), []).append(acl)
    return [
        f"assumed: replies go to ports {ports} ({why}); {', '.join(dict.fromkeys(acls))} does not let replies to every port through"
        for (ports, why), acls in found.items()
    ]


def _narrowed(leg: Leg) -> str:
    if leg.live.size("source") == leg.asked.size("source"):
        return ""
    texts = leg.live.header().source
    return f"only from {', '.join(texts[:6])}" + (f" and {len(texts) - 6} more" if len(texts) > 6 else "")


def _once(blockers: list[Blocker]) -> list[Blocker]:
    """Each blocker once: the same rule asked twice is one thing to change."""
    seen: dict[tuple[str, str, str, str, str], Blocker] = {}
    for one in blockers:
        seen.setdefault((one.component, one.direction, one.code, one.leg, one.where), one)
    return list(seen.values())
