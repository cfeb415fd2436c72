"""Findings as HTML: the answer box at the top of a notebook and a report, and the table at its end. Pure; no display.

The box says, worst first and one event at a time: what was found, since when, how sure that is, and the next step to copy.
Findings are of one event when their evidence has the same `event`, the same `question`, or the same client, server and
server_port; one whose evidence `explains` the codes of others stands before those. "refuted" is good news, and reads "clear".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from netkit.core.look import MARKS, badge, block, step
from netkit.core.model import SEVERITIES, Finding
from netkit.core.tables import cell, moment, prose
from netkit.core.text import escaped

_SHOWN = 6
_STATUS = {"confirmed": "confirmed", "refuted": "clear", "inconclusive": "open"}
_SINCE = ("since", "onset", "first_seen")


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Confirmed trouble by severity, then what is open, then what is only to know, then what is clear; else as they came."""
    return sorted(findings, key=_rank)


def _rank(one: Finding) -> tuple[int, int]:
    severity = -SEVERITIES.index(one.severity)
    if one.status == "confirmed":
        return (0, severity) if one.severity != "info" else (2, 0)
    return (1, severity) if one.status == "inconclusive" else (3, severity)


def events(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings, those of one event together, the worst event first; within one the cause, then the worst."""
    explained = {code: _event(one, {}) for one in findings for code in one.evidence.get("explains", ())}
    groups: dict[Any, list[Finding]] = {}
    for one in worst_first(findings):
        groups.setdefault(_event(one, explained), []).append(one)
    return [sorted(held, key=lambda one: "explains" not in one.evidence) for held in groups.values()]


def _event(one: Finding, explained: dict[str, Any]) -> Any:
    if one.code in explained and one.status == "confirmed":
        return explained[one.code]
    evidence = one.evidence
    if named := evidence.get("event") or evidence.get("question"):
        return ("event", str(named))
    if all(evidence.get(name) is not None for name in ("client", "server", "server_port")):
        return ("pair", *(str(evidence[name]) for name in ("client", "server", "server_port")))
    return ("finding", one.code, one.subject, one.claim)


def headline(findings: Sequence[Finding]) -> str:
    """The answer in a line: how many things were found and how bad the worst is, or that all is clear, or what is open."""
    found = [min(held, key=_rank) for held in events(findings)]
    trouble = [one for one in found if _rank(one)[0] == 0]
    doubts = [one for one in found if one.status == "inconclusive"]
    also = f"; {len(doubts)} could not be decided" if doubts else ""
    if trouble:
        return f"{len(trouble)} found, the worst is {trouble[0].severity}{also}"
    if doubts:
        return f"Open: {len(doubts)} could not be decided"
    clear = any(one.status == "refuted" for one in found)
    return "Clear: nothing wrong was found" if clear else "Nothing to act on was found"


def answer_html(findings: Sequence[Finding]) -> str:
    """The answer box, filled."""
    held = events(findings)
    first = [one for one in held if _rank(one[0])[0] < 2] or held[:1]
    rest = [one for one in held if one not in first]
    parts = [_entry(one) for one in first[:_SHOWN]]
    if more := [*first[_SHOWN:], *rest]:
        lines = "".join(f"<li>{status_badge(one)} {_words(one.claim)}</li>" for group in more for one in group)
        parts.append(
            f"<details><summary>{sum(map(len, more))} more, in one line each</summary><ul>{lines}</ul></details>"
        )
    return block(f"<div class='answer'><p class='head'>{escaped(headline(findings))}</p>{''.join(parts)}</div>")


def waiting_html(about: str) -> str:
    """The box before the answer."""
    return block(
        f"<div class='answer'><p class='head'>{escaped(about)}</p><p class='faint'>The answer will stand here when the last cell has run.</p></div>"
    )


def stopped_html(about: str, problem: str) -> str:
    """The box when a cell refused to go on: no old answer stays above it."""
    lines = "".join(f"<p>{escaped(line)}</p>" for line in problem.splitlines())
    return block(f"<div class='answer'><p class='head'>{escaped(about)}</p>{badge('high', '✗ no answer')}{lines}</div>")


def status_badge(one: Finding) -> str:
    """How bad and how sure, with a mark: "! high, confirmed", "✓ clear", "? open"."""
    if one.status == "refuted":
        return badge("clear", f"{MARKS['clear']} clear")
    if one.status == "inconclusive":
        return badge("inconclusive", f"{MARKS['inconclusive']} open, {one.severity}")
    mark = "i" if one.severity == "info" else MARKS["confirmed"]
    return badge(one.severity, f"{mark} {one.severity}, confirmed")


def _entry(group: Sequence[Finding]) -> str:
    """One event: its first finding in full, the others in a line each."""
    one, others = group[0], group[1:]
    parts = [f"<div class='claim'>{status_badge(one)} {_words(one.claim)}</div>"]
    if facts := [text for text in (_since(one), _sure(one)) if text]:
        parts.append(f"<p class='faint'>{'. '.join(facts)}.</p>")
    parts += [f"<p class='faint'>also {escaped(other.code)}: {_words(other.claim)}</p>" for other in others]
    steps = list(dict.fromkeys(other.next_step for other in group if other.next_step))[:1]
    parts += [f"<div>next:{step(text)}</div>" for text in steps]
    return f"<div class='one'>{''.join(parts)}</div>"


def _words(text: str) -> str:
    """A sentence, ids and addresses in it whole."""
    return prose(text)


def _since(one: Finding) -> str:
    found = next((one.evidence[name] for name in _SINCE if one.evidence.get(name)), None)
    if found is None:
        return ""
    last = one.evidence.get("last_seen")
    return f"Since {_time(found)}" + (f", last {_time(last)}" if last else "")


def _time(value: Any) -> str:
    if isinstance(value, int | float):
        return moment(pd.Timestamp(datetime.fromtimestamp(value, UTC)))
    return prose(str(value))


def _sure(one: Finding) -> str:
    """How sure: the standing that an incident's evidence gives, else the status, and what it rests on."""
    standing = str(one.evidence.get("standing") or _STATUS[one.status])
    rests = [f"{row.table} ({row.state}{f', {row.rows:,} rows' if row.rows else ''})" for row in one.coverage]
    more = f" and {len(rests) - 3} more" if len(rests) > 3 else ""
    return escaped(f"How sure: {standing}" + (f", resting on {', '.join(rests[:3])}{more}" if rests else ""))


def findings_html(findings: Sequence[Finding]) -> str:
    """The findings as an HTML table, worst first."""
    said: set[str] = set()
    rows = "".join(_row(one, said) for one in worst_first(findings))
    head = "<tr><th>finding</th><th>what</th><th>next</th></tr>"
    return block(f"<table class='nk-findings'><thead>{head}</thead><tbody>{rows}</tbody></table>")


def _row(one: Finding, said: set[str]) -> str:
    """A finding's row. said: the next steps of the rows above, which are not said twice."""
    subject = ", ".join(cell(name) for name in one.subject[:4]) + (" …" if len(one.subject) > 4 else "")
    limits = "".join(f"<li>{_words(text)}</li>" for text in one.limits)
    known = f"<details><summary class='faint'>limits</summary><ul>{limits}</ul></details>" if limits else ""
    again = one.next_step in said
    said.add(one.next_step)
    following = "<span class='faint'>the same as above</span>" if again else step(one.next_step)
    return (
        f"<tr><td>{status_badge(one)}<br><b class='i'>{escaped(one.code)}</b><br><span class='faint'>{subject}</span></td>"
        f"<td class='w'>{_words(one.claim)}{known}</td><td class='w'>{following if one.next_step else ''}</td></tr>"
    )
