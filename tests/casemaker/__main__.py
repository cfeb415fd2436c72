"""python -m tests.casemaker OUT --seed N [--fault CODE] [--variant plain|decoy|blind|healthy]"""

from __future__ import annotations

import argparse
from pathlib import Path

from .make import FAULTS, VARIANTS, make_all


def main() -> None:
    p = argparse.ArgumentParser(description="Incident folders with known answers, and answers.json.")
    p.add_argument("out", type=Path)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--fault", choices=sorted(FAULTS), help="only this one")
    p.add_argument("--variant", choices=VARIANTS, default="plain")
    a = p.parse_args()
    answers = make_all(a.out, a.seed, [a.fault] if a.fault else sorted(FAULTS), a.variant)
    print(f"{len(answers)} cases in {a.out}")  # noqa: T201


main()
