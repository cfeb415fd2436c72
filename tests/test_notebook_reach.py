"""Notebook 40, headless as the scheduler runs it, with every file of parameters/sandbox/reach: what it finds in each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netkit.core.model import Finding
from netkit.runs import runbook
from netkit.runs.codes import unlisted

ROOT = Path(__file__).parents[1]
NOTEBOOK = "notebooks/40_reachability_debugging.ipynb"
FOLDER = ROOT / "parameters/sandbox/reach"
# What each one is for: the codes of its blockers with their leg, in order.
ENDINGS = {
    "reachable": [],
    "no-route": ["NO_ROUTE_TO_DESTINATION"],
    "sg-outbound": ["ENI_SG_RULES_MISMATCH"],
    "nacl-outbound": ["SUBNET_ACL_RESTRICTION"],
    "nacl-inbound": ["SUBNET_ACL_RESTRICTION"],
    "sg-inbound": ["ENI_SG_RULES_MISMATCH"],
    "stateless-return": ["return SUBNET_ACL_RESTRICTION"],
    "two-blockers": ["SUBNET_ACL_RESTRICTION", "ENI_SG_RULES_MISMATCH"],
    "peering-no-return": ["return NO_ROUTE_TO_DESTINATION"],
    "tgw-no-association": ["TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION"],
    "private-no-nat": ["NO_ROUTE_TO_DESTINATION"],
    "s3-no-route": ["NO_ROUTE_TO_DESTINATION"],
}
ANALYZED = ("database", "internet-access", "endpoint", "cross-vpc")


def found(file: Path, out: Path, *pairs: tuple[str, str]) -> dict[str, Finding]:
    """One run with a file of parameters: its findings by code."""
    done = runbook.run(ROOT / NOTEBOOK, file=file, pairs=list(pairs), out=out, progress=False)
    assert unlisted(done.findings) == []
    return {one.code: one for one in done.findings}


def headless(file: Path, out: Path, *more: str) -> tuple[int, str]:
    """One run of the command line: its exit status and what it said."""
    command = [sys.executable, "-m", "netkit", "run", NOTEBOOK, "-f", str(file), "--out", str(out), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_every_file_is_one_of_these() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} == {*ENDINGS, *ANALYZED}


@pytest.mark.parametrize("name", ENDINGS)
def test_an_ending(name: str, tmp_path: Path) -> None:
    run, wanted = found(FOLDER / f"{name}.yaml", tmp_path), ENDINGS[name]
    blocked = run["REACH-BLOCKED"]
    said = [("return " if one["leg"] == "return" else "") + one["code"] for one in blocked.evidence["blockers"]]
    assert said == wanted
    assert blocked.status == ("confirmed" if wanted else "refuted")
    if wanted and name != "private-no-nat":  # which NAT gateway is to be made there is nobody's to guess
        fix = run["REACH-FIX"]
        assert (fix.status, fix.evidence["verdict_after"]) == ("confirmed", "REACHABLE"), fix.claim
        assert all(
            one["command"].startswith("aws ") and one["reverse"].startswith("aws ") for one in fix.evidence["changes"]
        )
    assert "REACH-ANALYZER-DISAGREES" not in run  # nothing that costs money unless asked


@pytest.mark.parametrize("name", ANALYZED)
def test_the_guides_scenarios_with_the_analyzer(name: str, tmp_path: Path) -> None:
    run = found(FOLDER / f"{name}.yaml", tmp_path)
    assert run["REACH-BLOCKED"].status == "refuted"
    assert run["REACH-ANALYZER-DISAGREES"].status == "refuted", run["REACH-ANALYZER-DISAGREES"].claim


def test_armed_it_opens_the_way_and_teardown_closes_it_again(tmp_path: Path) -> None:
    """And in between the nightly check of intents is violated, with the exit status that says so."""
    file, broken = FOLDER / "sg-inbound.yaml", tmp_path / "broken.yaml"
    broken.write_text(
        "- {from: sg-inbound-client, to: sg-inbound-server, port: 443, expect: deny, why: it is closed on purpose}\n",
        "utf-8",
    )
    opened = found(file, tmp_path / "armed", ("armed", "true"))
    assert opened["REACH-BLOCKED"].status == "confirmed"
    assert opened["REACH-FIX-APPLIED"].status == "confirmed", opened["REACH-FIX-APPLIED"].claim
    status, said = headless(file, tmp_path / "after", "-p", "intents", str(broken), "--fail-on", "high")
    assert status == 10, said
    assert "REACH-INTENT-VIOLATED" in said and "REACH-BLOCKED [refuted" in said
    run_id = opened["REACH-FIX-APPLIED"].evidence["run"]
    done = subprocess.run(
        [sys.executable, "-m", "netkit", "teardown", run_id, "--armed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    again = found(file, tmp_path / "again", ("intents", "parameters/intents/lab.yaml"))
    assert (again["REACH-BLOCKED"].status, again["REACH-INTENTS-HOLD"].status) == ("confirmed", "confirmed")


@pytest.mark.parametrize(("values", "words"), [
    (("source", "no-such-host"), "nothing in this snapshot is named no-such-host"),
    (("snapshot", "no/such/folder"), "there is no file or folder"),
])  # fmt: skip
def test_bad_input_is_told_in_three_lines(tmp_path: Path, values: tuple[str, str], words: str) -> None:
    status, said = headless(ROOT / "parameters/sandbox/40_reachability_debugging.yaml", tmp_path / "out", "-p", *values)
    assert status == 2
    assert words in said
    assert "Traceback" not in said
