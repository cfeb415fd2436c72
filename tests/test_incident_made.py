"""netkit.incident on cases made by tests/casemaker: folders of its own hand, each with a known answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from casemaker.make import FAULTS, make
from casemaker.score import Verdict, judge

from netkit.incident import investigate

SEED = 1
# What the engine does not get yet, and what it says instead. A name that comes right must leave the list: the test says so.
KNOWN_GAPS = {
    "block-public-access-plain": "names the internet gateway as proved, the catalogue says VPC or subnet",
    "ipv6-egress-missing-plain": "says sg-no-egress: does not see that IPv4 goes out from the same group",
    "nacl-ephemeral-range-too-narrow-plain": "says it cannot say",
    "bgp-prefix-limit-plain": "says tgw-route-missing, proved: the route went because the sessions went",
    "firewall-wrong-zone-plain": "says it cannot say",
    "inspection-no-return-route-plain": "says it cannot say",
    "rule-flapping-plain": "says sg-no-ingress: the last round took the rule away",
    "tgw-appliance-mode-off-plain": "says it cannot say",
    "tgw-overlapping-cidr-plain": "says no-such-address, proved, of an instance that exists",
    "vpn-asymmetric-plain": "says it cannot say",
    "vpn-tunnel-down-plain": "says tgw-route-missing, proved: the route went because the tunnels went",
}


def _run(tmp_path: Path, code: str, variant: str, seed: int = SEED) -> Verdict:
    folder = tmp_path / f"{code}-{variant}"
    answer = make(folder, code, seed, variant)
    return judge(list(investigate(folder).findings), answer)


def _held(name: str, verdict: Verdict) -> None:
    if name in KNOWN_GAPS:
        assert not verdict.right, f"{name} is right now: take it out of KNOWN_GAPS"
        pytest.xfail(KNOWN_GAPS[name])
    assert verdict.right, f"{name}: {verdict.problem}"


@pytest.mark.parametrize("code", sorted(FAULTS))
def test_each_fault_alone(code: str, tmp_path: Path) -> None:
    _held(f"{code}-plain", _run(tmp_path, code, "plain"))


def test_a_case_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    one, two = (make(tmp_path / n, "sg-no-ingress", 5) for n in "ab")
    assert one == two
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert [(tmp_path / "a" / f).read_bytes() for f in files] == [(tmp_path / "b" / f).read_bytes() for f in files]


def test_gaps_are_cases_that_are_made() -> None:
    made = {f"{code}-{variant}" for code in FAULTS for variant in ("plain", "decoy", "blind", "healthy")}
    assert set(KNOWN_GAPS) <= made
