"""Makes cases: the fault's script on the usual network, then the variant."""

from __future__ import annotations

import json
from pathlib import Path

from . import faults_limits, faults_names, faults_others, faults_routes, faults_rules, faults_transit  # noqa: F401
from .case import Case
from .registry import FAULTS
from .variants import VARIANTS, adorn
from .world import Row
from .write import write

__all__ = ["FAULTS", "VARIANTS", "make", "make_all"]


def make(out: Path, code: str, seed: int, variant: str = "plain") -> Row:
    """One case in the folder `out`; returns its answer with `kind` and `variant`."""
    if variant == "healthy" and code != "not-the-network":
        raise ValueError(f"{code} is a fault; only not-the-network is healthy")
    case = Case(seed, code, variant)
    FAULTS[code](case)
    adorn(case)
    return {"kind": code} | write(case, out)


def make_all(out: Path, seed: int, codes: list[str], variant: str = "plain") -> dict[str, Row]:
    """A folder for each code and one answers.json (added to what is there)."""
    out.mkdir(parents=True, exist_ok=True)
    book = out / "answers.json"
    answers: dict[str, Row] = json.loads(book.read_text()) if book.exists() else {}
    for code in ["not-the-network"] if variant == "healthy" else codes:
        name = f"{code}-{variant}-{seed}"
        answers[name] = make(out / name, code, seed, variant)
    book.write_text(json.dumps(answers, indent=1))
    return answers
