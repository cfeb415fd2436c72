"""python -m tests.casemaker.score OUT: investigates every case of a folder and says what came out, by fault."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from netkit.incident import investigate

from .world import Row

QUIET = {"INCIDENT-NOT-NETWORK": "not-the-network", "INCIDENT-UNKNOWN": "insufficient-evidence"}
SURE = ("proved", "likely")


@dataclass(frozen=True)
class Verdict:
    """What one run was worth."""

    exact: bool
    unknown: bool  # said insufficient-evidence where that is allowed
    loud: bool  # wrong and proved
    blamed: tuple[str, ...]  # cleared ids that were named as proved or likely
    since: bool | None
    actor: bool | None
    said: str

    @property
    def right(self) -> bool:
        return (self.exact or self.unknown) and not self.loud and not self.blamed

    @property
    def problem(self) -> str:
        words = [] if self.exact or self.unknown else [f"said {self.said or 'nothing'}"]
        words += ["loud"] if self.loud else []
        words += [f"blamed {', '.join(self.blamed)}"] if self.blamed else []
        words += [
            f"{name} wrong" for name, v in (("since", self.since), ("actor", self.actor)) if v is False and self.exact
        ]
        return "; ".join(words)


def first(findings: list[Any]) -> tuple[str, str, Row, str]:
    """Fault, resource, evidence and status of the first place."""
    causes = [f for f in findings if f.code == "INCIDENT-CAUSE" and f.evidence.get("standing") != "unknown"]
    if causes:
        f = min(causes, key=lambda f: int(f.evidence.get("rank") or 99))
        return str(f.evidence.get("fault", "")), str(f.evidence.get("resource", "")), dict(f.evidence), str(f.status)
    for code, fault in QUIET.items():
        for f in findings:
            if f.code == code:
                return fault, "", dict(f.evidence), str(f.status)
    return "", "", {}, ""


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return float("nan")


def judge(findings: list[Any], answer: Row) -> Verdict:
    """Holds the findings against a case's answer."""
    fault, resource, evidence, status = first(findings)
    right = answer["cause"] in QUIET.values() or resource in (answer["resource"], *answer["also_right"])
    exact = fault == answer["cause"] and right
    unknown = not exact and fault == "insufficient-evidence" and bool(answer["unknown_ok"])
    near = right and bool(resource) and fault in answer["also_cause"]
    sure = status == "confirmed" or evidence.get("standing") == "proved"
    named = {
        f.evidence.get("resource")
        for f in findings
        if f.code == "INCIDENT-CAUSE" and f.evidence.get("standing") in SURE
    }
    since = abs(_moment(str(evidence.get("since", ""))) - _moment(answer["since"])) <= 300 if answer["since"] else None
    actor = evidence.get("actor", "") == answer["actor"] if answer["actor"] else None
    return Verdict(exact, unknown, sure and not (exact or near or unknown), tuple(sorted(named & set(answer["cleared"]))), since, actor,
                   f"{fault} {resource}".strip())  # fmt: skip


def score(folder: Path) -> dict[str, Verdict]:
    answers: dict[str, Row] = json.loads((folder / "answers.json").read_text())
    return {name: judge(list(investigate(folder / name).findings), a) for name, a in answers.items()}


def main() -> None:
    p = argparse.ArgumentParser(description="How right is netkit.incident on made cases?")
    p.add_argument("folder", type=Path)
    verdicts = score(p.parse_args().folder)
    counts = [sum(getattr(v, k) for v in verdicts.values()) for k in ("right", "exact", "unknown", "loud")]
    lines = ["of {} cases: right {}, exact {}, allowed unknown {}, loud {}".format(len(verdicts), *counts)]
    lines += [f"{'ok  ' if v.right else 'GAP '} {name:44s} {v.problem}" for name, v in sorted(verdicts.items())]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
