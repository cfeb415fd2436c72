"""Which script makes which fault."""

from __future__ import annotations

from collections.abc import Callable

from .case import Case

FAULTS: dict[str, Callable[[Case], None]] = {}


def fault(code: str) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    def keep(script: Callable[[Case], None]) -> Callable[[Case], None]:
        FAULTS[code] = script
        return script

    return keep
