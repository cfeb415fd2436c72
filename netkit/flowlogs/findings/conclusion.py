"""The findings of an investigation in order, and what was looked for and is not there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from netkit.core.model import SEVERITIES, Finding, Status
from netkit.flowlogs.findings.trust import Trust
from netkit.flowlogs.findings.words import NEVER_LOGGED, listed

LOOKED_FOR = {
    "FLOW-REJECT-CLUSTER": "rejected inside traffic",
    "FLOW-RETURN-PATH-DEAD": "rejected replies",
    "FLOW-PORT-SCAN": "port scans",
    "FLOW-HOST-SWEEP": "host sweeps",
    "FLOW-LOGIN-GUESSING": "login guessing",
    "FLOW-NEW-TALKER": "new talkers",
    "FLOW-EGRESS-SPIKE": "egress spikes",
    "FLOW-TGW-LOST": "packets lost at the transit gateway",
}
_WITH_BASELINE = ("FLOW-NEW-TALKER", "FLOW-EGRESS-SPIKE")


def looked_for(
    asked: Mapping[str, pd.DataFrame], thresholds: Mapping[str, str] | None = None, *, baseline: bool = True
) -> dict[str, str]:
    """What was looked for, by code, in words: of the queries that were asked, those that this log could answer.

    asked       the frames of the queries by the code that they lead to; ask.answer says in its attrs what a log lacks
    thresholds  what makes one, by code: "20 ports or more". A query with a threshold says nothing of what is under it.
    """
    limits = thresholds or {}
    return {
        code: LOOKED_FOR[code] + (f" ({limits[code]})" if code in limits else "")
        for code, frame in asked.items()
        if not frame.attrs.get("lacks") and (baseline or code not in _WITH_BASELINE)
    }


def conclude(
    findings: Sequence[Finding],
    trust: Trust,
    *,
    baseline: bool = True,
    looked: Mapping[str, str] | None = None,
    below: Mapping[str, str] | None = None,
) -> list[Finding]:
    """The findings of an investigation, worst first, then what was looked for and is not among them.

    baseline  whether there was one; without it nobody looked for new talkers and egress spikes
    looked    looked_for(…); without it all that netkit looks for in VPC flow logs
    below     what was seen and is under the threshold of a finding, in words, by code: it is listed, and never called absent
    """
    usual = {
        code: words
        for code, words in LOOKED_FOR.items()
        if code != "FLOW-TGW-LOST" and (baseline or code not in _WITH_BASELINE)
    }
    words = usual if looked is None else looked
    few = {code: text for code, text in (below or {}).items() if text and code in words}
    codes = {one.code for one in findings}
    absent = [text for code, text in words.items() if code not in codes and code not in few]
    ranked = sorted(findings, key=lambda one: -SEVERITIES.index(one.severity))
    if trust.elsewhere or not (absent or few):
        return ranked
    return [*ranked, nothing_found(trust, absent, few)]


def nothing_found(trust: Trust, looked: Sequence[str], few: Mapping[str, str] | None = None) -> Finding:
    """FLOW-NOTHING-FOUND: what was looked for and not found; refuted only as far as the whole window was seen.

    few: what was seen and is under the threshold of a finding, in words by code: it is listed, and not among what is refuted
    """
    whole = trust.all()
    status: Status = "refuted" if whole.state == "ok" and looked else "inconclusive"
    claim = (
        f"Looked for {listed(looked, 9)} and found none in {trust.window}"
        if looked
        else f"No finding in {trust.window}"
    )
    if whole.state != "ok":
        claim += f", as far as the log can be seen ({whole.note or whole.state})"
    if few:
        claim += f". There was, though less than a finding needs: {'; '.join(few.values())}"
    step = trust.again() if trust.files else trust.again(window_start="last 24h", window_end="")
    evidence = {"looked_for": list(looked), "below_threshold": dict(few or {})}
    return Finding("FLOW-NOTHING-FOUND", status, "info", (), claim, evidence, (NEVER_LOGGED,), (whole,), step)
