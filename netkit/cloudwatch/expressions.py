"""Metric math as an alarm may have it: which ids an expression names, and what PutMetricAlarm refuses. Pure.

Sources: CloudWatch User Guide, "Using math expressions with CloudWatch metrics", "Creating a CloudWatch alarm based on a metric
math expression"; CloudWatch API Reference, PutMetricAlarm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from netkit.core.errors import InputError

MOST_METRICS = 10  # that one alarm's expression may use
_TEXT = re.compile(r"'(?:''|[^'])*'|\"(?:\\.|[^\"\\])*\"")
_NAME = re.compile(r"(?<![\w.])([A-Za-z_]\w*)(\s*\()?")
_QUERY = re.compile(r"\s*SELECT\s", re.IGNORECASE)


def functions_of(expression: str) -> set[str]:
    """The functions that an expression calls, in capitals."""
    return {name.upper() for name, call in _NAME.findall(_bare(expression)) if call}


def ids_of(expression: str) -> set[str]:
    """The ids of other queries that an expression names: words that begin with a small letter and are no function."""
    return {name for name, call in _NAME.findall(_bare(expression)) if not call and name[:1].islower()}


def _bare(expression: str) -> str:
    """The expression without its texts; a query of Metrics Insights names no ids."""
    return "" if _QUERY.match(expression) else _TEXT.sub(" ", expression)


def check_alarm_metrics(metrics: Sequence[Mapping[str, Any]], alarm: str) -> None:
    """Raise InputError for what PutMetricAlarm refuses in Metrics: SEARCH, over ten metrics, ids that are not there, a circle,
    brackets or quotes that do not close."""
    stats = [one for one in metrics if one.get("MetricStat")]
    if len(stats) > MOST_METRICS:
        raise InputError(
            f"an alarm over {len(stats)} metrics",
            subject=alarm,
            hint=f"CloudWatch takes {MOST_METRICS} in one expression",
        )
    uses: dict[str, set[str]] = {}
    for one in metrics:
        if text := str(one.get("Expression") or ""):
            _check(text, {str(two.get("Id")) for two in metrics}, alarm)
            uses[str(one.get("Id"))] = ids_of(text)
    for start in uses:
        if start in _reached(start, uses):
            raise InputError(f"the expression {start} is made of itself", subject=alarm, hint="each of other ids")


def _check(text: str, ids: set[str], alarm: str) -> None:
    bare = _bare(text)
    if any(bare.count(opening) != bare.count(closing) for opening, closing in ("()", "[]")) or set("'\"") & set(bare):
        raise InputError(f"{text[:60]!r} does not close its brackets or quotes", subject=alarm)
    if "SEARCH" in functions_of(text):
        raise InputError(
            "an alarm takes no SEARCH",
            subject=alarm,
            hint="name the metrics, or a query of Metrics Insights (SELECT …)",
        )
    if lacking := sorted(ids_of(text) - ids):
        raise InputError(
            f"{text[:60]!r} names {', '.join(lacking)}, which is not there",
            subject=alarm,
            hint=f"ids: {', '.join(sorted(ids))}",
        )


def _reached(start: str, uses: Mapping[str, set[str]]) -> set[str]:
    """Everything that an expression is made of, itself where it is made of itself."""
    found: set[str] = set()
    waiting = [*uses[start]]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += uses.get(one, ())
    return found
