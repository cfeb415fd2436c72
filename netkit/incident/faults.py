"""The closed catalogue of faults, with what each predicts of each atom. Data, read from faults.yaml beside this module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import yaml

POINTS: Mapping[str, int] = {"must": 20, "likely": 10, "open": 0, "unlikely": -10, "never": -20}
NOT_THE_NETWORK, INSUFFICIENT = "not-the-network", "insufficient-evidence"


@dataclass(frozen=True)
class Fault:
    """One fault. resource: which kind is blamed, in words; events: CloudTrail events that can bring it about; decides: its own atoms;

    predicts: atom -> must, likely, unlikely or never (what is not named is open); rule and source as in the catalogue.
    """

    code: str
    resource: str
    says: str
    source: str = ""
    kind: str = ""
    rule: str = ""
    shows: Mapping[str, str] = field(default_factory=dict, hash=False)
    events: tuple[str, ...] = ()
    decides: tuple[str, ...] = ()
    predicts: Mapping[str, str] = field(default_factory=dict, hash=False)


@cache
def catalogue() -> Mapping[str, Fault]:
    """Every fault by its code, in the catalogue's order."""
    text = (resources.files("netkit.incident") / "faults.yaml").read_text("utf-8")
    found = {}
    for row in yaml.safe_load(text)["faults"]:
        shows = {str(name): str(words) for name, words in (row.get("shows") or {}).items()}
        found[row["code"]] = Fault(
            row["code"], str(row["resource"]), str(row["says"]), str(row.get("source", "")), str(row.get("kind", "")), str(row.get("rule", "")), shows,
            tuple(row.get("events") or ()), tuple(row.get("decides") or ()), dict(row.get("predicts") or {}),
        )  # fmt: skip
    return found


# Atoms that are of one physical fact: the same packet seen or missed at several places, one state of the configuration. Of these the one that
# says most counts, once.
FACTS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "f-request-leaves",
            "f-request-arrives",
            "f-refused-in",
            "f-refused-out",
            "f-request-refused",
            "f-stops-at-firewall",
        ),
        "the request's fate",
    ),
    **dict.fromkeys(
        (
            "f-reply-leaves",
            "f-reply-arrives",
            "f-reply-refused-in",
            "f-reply-refused-out",
            "f-reply-refused",
            "f-reset",
        ),
        "the reply's fate",
    ),
    **dict.fromkeys(("f-fail", "f-some-fail", "f-complete", "f-some-lost", "f-alternates"), "how many fail"),
}


def fact_of(atom: str) -> str:
    """The physical fact that an atom is of: its own name unless it shares one."""
    return "the configuration" if atom.startswith("c-") else FACTS.get(atom, atom)
