"""Why a capture shows nothing of a mirror: first what its own counters say, then the configuration, then what only AWS knows. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netkit.core.model import Finding
from netkit.mirror.look import LIMITS, NEVER_MIRRORED, Look

# Envelopes that arrived and told nothing, the likeliest of the mirror first: (counter, what they are, what to do).
_UNREAD = (
    ("inner_cut_short", "end before the inner IP header does", "capture whole packets (-s 0), and leave the session's packet length out"),
    ("envelope_cut_short", "end within the VXLAN header", "capture whole packets: -s 0"),
    ("vxlan_without_vni", "have a VXLAN header without a valid VNI, which AWS always writes", "see which host sends them: not a mirror"),
    ("inner_damaged", "hold an IP header that contradicts itself", "capture again, and compare with the source's own capture"),
    ("inner_arp", "hold ARP, which AWS never mirrors: another sender of VXLAN", "see whether the source has traffic that the filter takes"),
    ("inner_not_ip", "hold no IP", "see which host sends them: AWS mirrors IP packets"),
)  # fmt: skip
_FOREIGN = (
    "inner_arp",
    "inner_not_ip",
    "vxlan_without_vni",
)  # from somebody else: the mirror itself may be silent all the same


def unread(look: Look) -> dict[str, int]:
    """Envelopes of the session's VNI (of any, where it is not known) whose inner packet could not be read: counter and packets."""
    found = {}
    for counter, _, _ in _UNREAD:
        # Whatever has no VNI to read may be of any session.
        known = counter.startswith("inner_")
        found[counter] = look.count(counter) if known else look.capture.count(counter)
    return {counter: count for counter, count in found.items() if count}


def empty(look: Look) -> Iterator[Finding]:
    """MIRROR-EMPTY: nothing of the mirror can be read, and why."""
    came = unread(look)
    arrived = {counter: count for counter, count in came.items() if counter not in _FOREIGN}
    later = look.capture.count("outer_later_fragments")
    if arrived or later:
        yield _unreadable(look, arrived, later)
    else:
        yield _silent(look, came)


def _unreadable(look: Look, arrived: dict[str, int], later: int) -> Finding:
    """They arrive: route, security groups and load balancers are no question."""
    cut = look.capture.count("cut_by_capture")
    said = [(f"{arrived[name]:,} envelopes {words}", step) for name, words, step in _UNREAD if name in arrived]
    if later:
        said.append(
            (
                f"{later:,} later fragments came, and none of their first ones, which have the VXLAN header",
                "capture without a filter on ports, which later fragments do not have, and raise the MTU between source and target",
            )
        )
    by = " because the capture cut them (snap length)" if cut else ""
    text = "; ".join(words for words, _ in said)
    start = "Copies arrive and none can be read" if arrived else "What arrives may be copies, and cannot be read"
    return look.found(
        "MIRROR-EMPTY", "high", f"{start}{by}: {text}",
        {"frames": look.capture.count("frames"), "arrived": arrived | ({"outer_later_fragments": later} if later else {}), "cut_by_capture": cut,
         "causes": [f"the capture cut {cut:,} frames within their headers (snap length)"] * bool(cut) + [words for words, _ in said]},
        "capture whole packets: -s 0" if cut else said[0][1],
        status="confirmed" if arrived else "inconclusive",
        limits=(*LIMITS, NEVER_MIRRORED) if arrived else (*LIMITS, "What later fragments belong to cannot be seen without the first."),
    )  # fmt: skip


def _silent(look: Look, came: dict[str, int]) -> Finding:
    """Nothing of the mirror arrived."""
    frames = look.capture.count("frames")
    own = [f"{came[name]:,} envelopes {words}" for name, words, _ in _UNREAD if name in came]
    hidden = look.capture.count("outer_cut_short")
    if hidden:
        own.append(f"{hidden:,} frames end before their UDP port could be seen (snap length): they may be copies")
    causes = [*own, *(look.causes or default_causes(look))]
    expected = look.beside[look.beside["seen_by"] == "flow log"] if look.beside is not None else None
    quiet = expected is not None and expected.empty
    if quiet:
        causes.insert(0, "there was nothing to mirror: the flow log has no accepted packet that the filter takes")
    asked = (
        ""
        if expected is None or quiet
        else f"; the flow log has {int(expected['packets_logged'].sum()):,} packets that it should show"
    )
    return Finding(
        "MIRROR-EMPTY",
        "confirmed" if not hidden and (frames or expected is not None or look.causes) else "inconclusive",
        "low" if quiet else "high",
        look.subject,
        f"The capture shows no mirrored packet ({frames:,} frames of other kinds){asked}. Likeliest cause: {causes[0]}",
        {"frames": frames, "causes": causes, "other": dict(look.capture.other), "arrived": came},
        (*LIMITS, NEVER_MIRRORED),
        (look.coverage(),) if frames else (),
        f"look in this order: {'; '.join(causes[:3])}",
    )


def default_causes(look: Look) -> list[str]:
    """Why a capture can be empty, likeliest first, without a preflight: from the configuration alone, then what only AWS knows."""
    copied = any(look.filter.accepted(direction, family) for direction in ("ingress", "egress") for family in (4, 6))
    known = [] if copied or look.filter.network_services else ["the filter has no rule that accepts anything"]
    known += [f"{one}" for one in look.stolen]
    return [
        *known,
        "the target's security group or a network ACL does not let UDP 4789 in",
        "no route leads from the source's subnet to the target",
        "a load balancer target has no UDP listener on 4789, or no healthy target",
        "the source had no packet that the filter takes",
        "the source skips mirrored packets under load (NetworkSkipMirrorIn/Out)",
        "the capture ran on another interface than the target's, or with a filter other than udp port 4789",
    ]
