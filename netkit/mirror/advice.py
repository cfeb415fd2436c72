"""What a mirror filter misses, in sentences: the other half of what it takes. Pure.

Both directions of a conversation have their own rules (Amazon VPC Traffic Mirroring, "Traffic mirror filters"): rules for requests
alone copy half of it.
"""

from __future__ import annotations

from netkit.core.packets import ANY_PORT, Packets, service_text
from netkit.mirror.filters import Direction, MirrorFilter

OTHER: dict[Direction, Direction] = {"ingress": "egress", "egress": "ingress"}


def unanswered(mirror: MirrorFilter) -> list[tuple[Direction, Packets]]:
    """The packets that would answer what the filter takes, and that it does not take: (their direction, the packets)."""
    found = []
    for direction, other in OTHER.items():
        for family in (4, 6):
            missing = mirror.accepted(direction, family).reply() - mirror.accepted(other, family)
            if missing:
                found.append((other, missing))
    return found


def unanswered_text(direction: Direction, packets: Packets) -> str:
    """One such half as a sentence: which service, in which direction, and a packet set to look at."""
    services = sorted(
        {
            service_text(box.protocol, box.port if box.source_port == ANY_PORT else box.source_port)
            for box in packets.boxes
        }
    )
    return f"{direction} packets of {', '.join(services[:6])} are not mirrored, though the other half of these conversations is"
