"""What the sandbox starts with: the scenarios of the world, and the labs."""

from __future__ import annotations

from netkit.sandbox.labs import cloudwatch, mirror, reach
from netkit.sandbox.world import world


def seed_all() -> None:
    """Lay the world's scenarios and then every lab into moto's backends."""
    world.seed_scenarios()
    reach.seed()
    mirror.seed()
    cloudwatch.seed()
