"""What Traffic Mirroring can take: instance families, quotas, lengths. Data with a date; pure.

Sources: Amazon VPC Traffic Mirroring, "Traffic mirror session concepts" (instance types), "Traffic Mirroring quotas",
"Traffic Mirroring limitations" (MTU, packet length) and "Packet format" (overhead). AWS changes the list of families without
notice, so a family that is not in it is a warning and never a refusal.
"""

from __future__ import annotations

import re
from typing import Literal

AS_OF = "2026-11-01"
FAMILIES_PAGE = "https://docs.aws.amazon.com/vpc/latest/mirroring/traffic-mirroring-sessions.html"
QUOTAS_PAGE = "https://docs.aws.amazon.com/vpc/latest/mirroring/traffic-mirroring-quotas.html"

SESSIONS_PER_ACCOUNT = TARGETS_PER_ACCOUNT = FILTERS_PER_ACCOUNT = 10_000
SESSIONS_PER_INTERFACE = 3
SOURCES_PER_INTERFACE_TARGET = 10  # of an instance of any other size than the largest
SOURCES_PER_LARGEST_TARGET = 100

VXLAN_PORT = 4789
OVERHEAD = {4: 54, 6: 74}  # bytes that the outer headers add, as AWS counts them
LARGEST_MTU = 9001
ENDPOINT_MTU = 8500  # Gateway Load Balancer endpoints, and transit gateways
LARGEST_UNCUT = {4: 8446, 6: 8426}  # bytes that get through a Gateway Load Balancer endpoint whole
SHORTEST_LENGTH = {4: 35, 6: 55}  # bytes of a packet
BALANCER_LENGTH = 8500  # what AWS sets for a session to a Network Load Balancer that names no packet length

# Generations of the general, compute and memory families, and single families, as AWS lists them for sources.
LISTED_GENERATIONS = {"m": range(4, 8), "c": range(4, 8), "r": range(4, 8)}
LISTED_FAMILIES = {"t3", "t3a", "t4g", "d2", "g3", "g3s", "h1", "i3", "p2", "p3", "x1", "x1e"}
# Named as not available by the page's earlier versions (2023 to 2025): where the two differ a person should look.
ONCE_NOT_AVAILABLE = {
    "m6a", "m6i", "m6id", "m6idn", "m6in", "m7a", "m7g", "m7gd", "m7i", "m7i-flex", "c6a", "c6gd", "c6gn", "c6i",
    "c6id", "c6in", "c7a", "c7g", "c7gd", "c7gn", "c7i", "r6a", "r6i", "r6id", "r6idn", "r6in", "r7a", "r7g",
    "r7gd", "r7i", "r7iz", "m8g", "c8g", "r8g", "x8g", "x2idn", "x2iedn", "x2iezn", "i4g", "i4i", "im4gn", "is4gen",
    "inf2", "p5", "trn1", "trn1n", "hpc6a", "hpc6id", "hpc7a", "hpc7g",
}  # fmt: skip


def source_type(instance_type: str) -> tuple[Literal["ok", "warning", "unknown"], str]:
    """Whether AWS lists an instance type as a mirror source, and a sentence. Never a refusal: the list is of AS_OF."""
    if not instance_type:
        return "unknown", "the instance type is not known"
    family, _, size = instance_type.partition(".")
    if size.startswith("metal"):
        return "warning", f"{instance_type} is bare metal, which AWS does not list as a source"
    generation = re.match(r"([a-z]+)(\d+)", family)
    ranged = bool(generation and int(generation[2]) in LISTED_GENERATIONS.get(generation[1], ()))
    if ranged and family in ONCE_NOT_AVAILABLE:
        return (
            "warning",
            f"{family} is of a generation that AWS lists as a source, and was named as not available before",
        )
    if ranged or family in LISTED_FAMILIES:
        return "ok", f"{family} is listed as a source ({AS_OF})"
    return "warning", f"{family} is not in AWS's list of sources ({AS_OF})"
