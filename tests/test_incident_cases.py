"""The incident engine over bundles that another hand made (../shared/data/incidents), held against their answers."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from netkit.incident import investigate
from netkit.runs.answer import events
from netkit.runs.codes import unlisted

CASES = Path(__file__).parents[2] / "shared/data/incidents"
ANSWERS: dict[str, dict[str, Any]] = json.loads((CASES / "answers.json").read_text("utf-8")) if CASES.is_dir() else {}
pytestmark = pytest.mark.skipif(not ANSWERS, reason="needs ../shared/data/incidents")
WORDS = {"INCIDENT-NOT-NETWORK": "not-the-network", "INCIDENT-UNKNOWN": "insufficient-evidence"}


def first(findings: list[dict[str, Any]]) -> tuple[str, str, dict[str, Any]]:
    """The fault, resource and evidence in first place, as the bundles' README says."""
    causes = [one for one in findings if one["code"] == "INCIDENT-CAUSE" and one["evidence"]["standing"] != "unknown"]
    if causes:
        best = min(causes, key=lambda one: one["evidence"]["rank"])["evidence"]
        return best["fault"], best["resource"], best
    said = next(one for code in WORDS for one in findings if one["code"] == code)
    return WORDS[said["code"]], "", said["evidence"]


@pytest.mark.parametrize("case", ANSWERS)
def test_the_first_place_is_right(case: str) -> None:
    wanted = ANSWERS[case]
    findings = investigate(CASES / case).findings
    assert unlisted(findings) == []
    proved = sum(one.code == "INCIDENT-CAUSE" and one.status == "confirmed" for one in findings)
    assert len(events(findings)) <= max(1, proved + (findings[0].status != "confirmed"))
    found = [one.as_dict() for one in findings]
    fault, resource, evidence = first(found)
    if wanted["unknown_ok"] and fault == "insufficient-evidence":
        assert wanted["missing"] in evidence["missing"]
        return
    assert fault == wanted["cause"]
    if wanted["resource"]:
        assert resource in (wanted["resource"], *wanted["also_right"])
    blamed = {
        one["evidence"]["resource"]
        for one in found
        if one["code"] == "INCIDENT-CAUSE" and one["evidence"]["standing"] in ("proved", "likely")
    }
    assert not blamed & set(wanted["cleared"])
    if wanted["since"]:
        apart = datetime.fromisoformat(evidence["since"]) - datetime.fromisoformat(wanted["since"])
        assert abs(apart.total_seconds()) <= 300
    if wanted["actor"]:
        assert evidence["actor"] == wanted["actor"]
