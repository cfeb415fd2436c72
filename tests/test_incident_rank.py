"""The ranking under hypothesis, and the catalogue: its words, its atoms, that every fault can be told from every other."""

from __future__ import annotations

import ast
import random
import re
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from netkit.incident.atoms import STATES, Observation, once
from netkit.incident.faults import INSUFFICIENT, NOT_THE_NETWORK, POINTS, catalogue
from netkit.incident.rank import Hypothesis, Ranked, rank

PACKAGE = Path(__file__).parents[1] / "netkit/incident"
SHARED = Path(__file__).parents[2] / "shared/faults.yaml"
CODES = tuple(catalogue())
NAMED = tuple(code for code in CODES if code not in (NOT_THE_NETWORK, INSUFFICIENT))
ATOMS = sorted({atom for fault in catalogue().values() for atom in (*fault.predicts, *fault.decides)})
SUBJECTS = ("", "sg-1", "rtb-1", "i-1")

observations = st.builds(Observation, st.sampled_from(ATOMS), st.sampled_from(SUBJECTS), st.sampled_from(STATES))
hypotheses = st.builds(Hypothesis, st.sampled_from(NAMED), st.sampled_from(SUBJECTS[1:]))


def standing_of(rows: list[Ranked], one: Hypothesis) -> Ranked:
    return next(row for row in rows if row.hypothesis == one)


@given(
    st.lists(hypotheses, min_size=1, max_size=6), st.lists(observations, max_size=25), st.randoms(use_true_random=False)
)
def test_order_and_repetition_of_evidence_change_nothing(
    some: list[Hypothesis], seen: list[Observation], dice: random.Random
) -> None:
    shuffled = [*seen, *dice.sample(seen, len(seen) // 2)] if seen else []
    dice.shuffle(shuffled)
    backwards = [*some[::-1], *some]
    assert rank(some, seen, catalogue()) == rank(backwards, shuffled, catalogue())


@given(st.sampled_from(NAMED), st.lists(observations, max_size=20), st.data())
def test_a_true_observation_more_never_lowers_the_true_cause(
    code: str, seen: list[Observation], data: st.DataObject
) -> None:
    """An observation as the true fault predicts it, of an atom not looked at before, does not take points from the true cause."""
    truth = Hypothesis(code, "sg-1")
    held = once(seen)
    fresh = [
        (atom, word)
        for atom, word in catalogue()[code].predicts.items()
        if not {(atom, "sg-1"), (atom, "")} & held.keys()
    ]
    if not fresh:
        return
    atom, word = data.draw(st.sampled_from(fresh))
    state = "seen" if POINTS[word] > 0 else "seen-not"
    more = [*seen, Observation(atom, "sg-1", state)]
    before, after = (standing_of(rank([truth], one, catalogue()), truth) for one in (seen, more))
    assert after.points >= before.points


@given(st.lists(hypotheses, min_size=1, max_size=5), st.lists(observations, max_size=25), st.sampled_from("cfmtdop"))
def test_what_could_not_be_seen_counts_for_nothing(
    some: list[Hypothesis], seen: list[Observation], system: str
) -> None:
    """Blinding a system is the same as having no observation of it: it is never seen-not."""
    blind = [Observation(one.atom, one.subject, "could-not-see") if one.atom[0] == system else one for one in seen]
    without = [one for one in seen if one.atom[0] != system]
    assert [(row.points, row.standing) for row in rank(some, blind, catalogue())] == [
        (row.points, row.standing) for row in rank(some, without, catalogue())
    ]


@given(st.lists(hypotheses, min_size=1, max_size=6), st.lists(observations, max_size=25))
def test_nothing_is_proved_without_its_own_evidence_a_second_system_and_a_lead(
    some: list[Hypothesis], seen: list[Observation]
) -> None:
    rows = rank(some, seen, catalogue())
    for row in rows:
        if row.standing == "proved":
            others = [one.points for one in rows if one.hypothesis != row.hypothesis and one.decided]
            assert row.decided and not row.against
            assert len({point.observation.system for point in row.why}) >= 2
            assert all(row.points - points >= 20 for points in others)


@given(st.lists(hypotheses, min_size=1, max_size=6))
def test_a_world_in_which_nothing_was_seen_proves_nothing(some: list[Hypothesis]) -> None:
    quiet = [Observation(atom, "", "seen-not") for atom in ATOMS]
    assert {row.standing for row in rank(some, quiet, catalogue())} <= {"unknown", "open"}


def test_points_of_one_fact_count_once() -> None:
    seen = [
        Observation("f-refused-in", "", "seen"),
        Observation("f-request-leaves", "", "seen"),
        Observation("c-sg-no-ingress", "sg-1", "seen"),
    ]
    row = rank([Hypothesis("sg-no-ingress", "sg-1")], seen, catalogue())[0]
    assert row.points == 40


# ------------------------------------------------------------------------------------------------------------- the catalogue


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/faults.yaml")
def test_the_catalogue_is_the_shared_one_with_predictions() -> None:
    shared = yaml.safe_load(SHARED.read_text("utf-8"))["faults"]
    assert [row["code"] for row in shared] == list(CODES)
    ours = {row["code"]: row for row in yaml.safe_load((PACKAGE / "faults.yaml").read_text("utf-8"))["faults"]}
    for row in shared:
        for member, value in row.items():
            assert ours[row["code"]][member] == value, (row["code"], member)


@pytest.mark.parametrize("code", CODES)
def test_a_fault_is_whole(code: str) -> None:
    fault = catalogue()[code]
    assert set(fault.predicts.values()) <= POINTS.keys()
    if code not in (INSUFFICIENT,):
        assert fault.decides, "no atom names it"
        assert fault.source or fault.rule
    if code in NAMED:
        assert any(fault.predicts.get(atom) == "must" for atom in fault.decides)


def test_every_two_faults_are_told_apart_by_an_atom() -> None:
    for one, other in combinations(NAMED, 2):
        left, right = catalogue()[one], catalogue()[other]
        apart = {
            atom
            for atom in (*left.predicts, *right.predicts)
            if POINTS[left.predicts.get(atom, "open")] != POINTS[right.predicts.get(atom, "open")]
        }
        assert apart, f"{one} and {other} predict the same"


def literals() -> set[str]:
    """Every text in the package, f-strings' fixed parts too."""
    found: set[str] = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


@pytest.mark.parametrize("atom", ATOMS)
def test_an_atom_that_is_predicted_can_be_observed(atom: str) -> None:
    """Its whole name stands in an observer, or its system's prefix does and the fault's code beside it."""
    texts = literals()
    system, _, code = atom.partition("-")
    made = f"{system}-" in texts and code in texts
    reason = atom.startswith("f-reason-") and {"BPA", "EC"} <= texts
    derived = code == "path-mtu-blackhole" and "-path-mtu-blackhole" in texts
    assert atom in texts or made or reason or derived


def test_an_atom_is_of_a_system() -> None:
    assert all(re.fullmatch(r"[cfpmtdo]-[a-z0-9-]+", atom) for atom in ATOMS)
