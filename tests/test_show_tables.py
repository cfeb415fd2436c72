"""A frame as people read it; an answer box; contrast: what stands in the HTML is what the frame and the findings say."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.core import look, tables
from netkit.core.model import SEVERITIES, Coverage, Finding
from netkit.runs import answer

SEEN = (Coverage("123456789012", "us-east-1", "flow logs", "ok", 3329),)


def words(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", page)))


@pytest.mark.parametrize("pair", look.PAIRS)
def test_words_stand_out_from_their_ground(pair: str) -> None:
    assert look.contrast(*look.PAIRS[pair]) >= 4.5


def test_contrast_is_that_of_the_standard() -> None:
    assert look.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert look.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the grey that WCAG's own tools fail
    assert look.contrast("#ffffff", "#767676") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("first_seen", 1795060803, "2026-11-19 04:00:03Z"),
        ("start", 1795060803, "2026-11-19 04:00:03Z"),
        ("last", pd.Timestamp("2026-11-19 23:55:55.073", tz="UTC"), "2026-11-19 23:55:55.073Z"),
        ("last", pd.Timestamp("2026-11-19 10:00", tz="Europe/Berlin"), "2026-11-19 09:00:00Z"),
        ("first", pd.NaT, "-"),
        ("protocol", 6, "tcp"),
        ("protocol", "17", "udp"),
        ("addresses", [], "-"),
        ("addresses", ["10.0.2.11", "10.0.2.12"], "10.0.2.11, 10.0.2.12"),
        ("dimensions", (("InstanceId", "i-3ce4bab4b350abf85"),), "InstanceId=i-3ce4bab4b350abf85"),
        ("dimensions", {"InstanceId": "i-1"}, "InstanceId=i-1"),
        ("bytes_out", 1199829537, "1.20 GB"),
        ("bytes", 0, "0 B"),
        ("lost_bytes", 999, "999 B"),
        ("seconds", 45960.0, "12 h 46 min"),
        ("lag_s", 278, "4 min 38 s"),
        ("monthly_usd", float("nan"), "unknown"),
        ("monthly_usd", 0.054, "$0.05"),
        ("alarm_share", 0.25, "25 %"),
        ("dstport", 5432, "5432"),
        ("records", 265418, "265,418"),
        ("packets_per_connection", 11.868571, "11.87"),
        ("usable", True, "yes"),
        ("from_internet", "NOT_REACHABLE", "✗ not reachable"),
        ("note", "", ""),
        ("note", None, "-"),
        ("x", float("inf"), "inf"),
    ],
)
def test_a_value_reads_as_its_column_says(name: str, value: Any, shown: str) -> None:
    assert words(tables.cell(value, name)) == shown
    assert shown in words(tables.frame_html(pd.DataFrame({name: [value]})))


@given(st.integers(0, 10**16))
def test_a_size_is_within_half_a_unit_of_its_last_digit(value: int) -> None:
    number, unit = tables.size(value).split()
    held = float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert abs(held - value) <= max(0.5, 0.006 * value)


@given(st.integers(60, 10**8))
def test_a_span_is_never_longer_than_what_it_tells(seconds: int) -> None:
    length = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    parts = tables.span(seconds).split()
    told = sum(int(count) * length[unit] for count, unit in zip(parts[::2], parts[1::2], strict=True))
    assert told <= seconds < told + length[parts[-1]] * 60


@given(st.text(max_size=400))
def test_others_words_are_escaped_and_none_is_lost(text: str) -> None:
    page = tables.cell(text, "note")
    assert not re.search(r"<(?!/?(span|wbr|details|summary|code|div|pre|button)\b)", page)
    assert "".join(words(page).split()).endswith("".join(text.split())[-40:] if not look.is_command(text) else "")


def test_ids_stay_whole_and_copy_whole() -> None:
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/mirror/50dc6c495c0c9188"
    assert words(tables.cell(arn)) == arn
    page = tables.cell(
        "network ACL acl-8730ff07644570b9e of two-blockers-client, 10.0.20.5:5432 since 2026-11-19 09:40Z"
    )
    for one in ("acl-8730ff07644570b9e", "two-blockers-client,", "10.0.20.5:5432", "2026-11-19 09:40Z"):
        assert f"<span class='i'>{one}</span>" in page


def test_a_command_stands_in_a_block_that_copies_whole_and_no_dollar_is_mathematics() -> None:
    line = "aws ec2 create-flow-logs --log-format '${version} ${srcaddr} ${dstaddr}'"
    page = tables.frame_html(pd.DataFrame({"command": [line]}))
    assert html.escape(line) in re.search(r"<pre>(.*?)</pre>", page)[1]  # type: ignore[index]
    assert re.match(r"<div class='nk mathjax_ignore tex2jax_ignore'>", page)


def test_what_says_nothing_in_a_wide_table_is_told_once() -> None:
    frame = pd.DataFrame({f"c{n}": [n, n + (n < 5)] for n in range(10)} | {"note": ["", ""], "state": ["ok", "ok"]})
    page = tables.frame_html(frame)
    assert "nothing in: note" in page
    assert "state" in page.partition("</table>")[2]
    assert "in every row" in page
    heads = re.findall(r"<th title='(.*?)'", page)
    assert heads == ["c0", "c1", "c2", "c3", "c4"]


def test_a_long_frame_says_how_long_it_is_and_an_empty_one_has_its_columns() -> None:
    page = tables.frame_html(pd.DataFrame({"n": range(5000)}))
    assert page.count("<tr>") == 1 + tables.MOST
    assert "5,000 rows; the first 200 are shown" in page
    empty = tables.frame_html(pd.DataFrame({"first_seen": []}))
    assert "first seen" in empty
    assert "no rows" in empty


def found(code: str, status: Any = "confirmed", severity: Any = "high", **more: Any) -> Finding:
    return Finding(code, status, severity, ("eni-1",), f"{code} claim", coverage=SEEN, **more)


def test_the_box_says_what_since_when_how_sure_and_what_next_worst_first() -> None:
    step = "aws ec2 a --x '${y}'\naws ec2 b"
    page = answer.answer_html([
        found("T-LOW", severity="low"),
        found("T-CLEAR", "refuted", "info"),
        found("T-HIGH", evidence={"first_seen": 1795060803, "last_seen": "2026-11-19 05:00Z", "standing": "proved"}, next_step=step),
        found("T-OPEN", "inconclusive", "critical"),
    ])  # fmt: skip
    text = words(page)
    order = [
        text.index(one)
        for one in ("2 found, the worst is high; 1 could not be decided", "T-HIGH", "T-LOW", "T-OPEN", "T-CLEAR")
    ]
    assert order == sorted(order)
    assert (
        "Since 2026-11-19 04:00:03Z, last 2026-11-19 05:00Z. How sure: proved, resting on flow logs (ok, 3,329 rows)"
        in text
    )
    assert f"<pre>{html.escape(step)}</pre>" in page, "all commands of a step copy as one"
    assert "refuted" not in text
    assert "✓ clear T-CLEAR" in text


def test_findings_of_one_event_are_one_the_cause_first() -> None:
    pair = {"client": "a", "server": "b", "server_port": 443}
    held = answer.events([
        found("M-LOSS", severity="high"), found("M-CAUSE", severity="low", evidence={"explains": ["M-LOSS"]}),
        found("F-SPIKE", severity="medium", evidence=pair), found("F-NEW", severity="low", evidence=pair),
        found("F-NEW", severity="low", evidence=pair | {"server": "c"}),
        found("R-BLOCKED", evidence={"question": "q"}), found("R-FIX", severity="info", evidence={"question": "q"}),
    ])  # fmt: skip
    codes = [[one.code for one in group] for group in held]
    assert codes == [["M-CAUSE", "M-LOSS"], ["R-BLOCKED", "R-FIX"], ["F-SPIKE", "F-NEW"], ["F-NEW"]]


@pytest.mark.parametrize(
    ("states", "line"),
    [
        ([("refuted", "high")], "Clear: nothing wrong was found"),
        ([("refuted", "high"), ("inconclusive", "low")], "Open: 1 could not be decided"),
        ([("confirmed", "info")], "Nothing to act on was found"),
        ([("confirmed", "info"), ("confirmed", "low")], "1 found, the worst is low"),
    ],
)
def test_the_headline_is_not_better_than_the_findings(states: list[tuple[Any, Any]], line: str) -> None:
    assert answer.headline([found(f"T-{n}", *state) for n, state in enumerate(states)]) == line


@given(
    st.permutations(
        [(status, severity) for status in ("confirmed", "inconclusive", "refuted") for severity in SEVERITIES]
    )
)
def test_the_order_does_not_hang_on_the_order_of_the_findings(states: list[tuple[Any, Any]]) -> None:
    ranked = answer.worst_first(
        [found(f"T-{status}-{severity}".upper(), status, severity) for status, severity in states]
    )
    assert [one.severity for one in ranked[:4]] == ["critical", "high", "medium", "low"]
    assert [one.status for one in ranked[4:9]] == ["inconclusive"] * 5
    assert ranked[9].status == "confirmed"


def test_a_moment_without_zone_is_utc() -> None:
    assert (
        tables.moment(pd.Timestamp(datetime(2026, 11, 19, 8, 0, tzinfo=UTC).replace(tzinfo=None)))
        == "2026-11-19 08:00:00Z"
    )
