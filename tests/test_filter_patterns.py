"""Filter patterns of CloudWatch Logs: what is refused before anything is made, what they match, and how Logs Insights says it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.cloudwatch.filter_patterns import commands_of, matches, parse_pattern, quoted, slashed, to_insights
from netkit.cloudwatch.log_groups import MetricFilter, flow_rejects, read_tags
from netkit.core.errors import InputError
from netkit.sandbox.services.logs_insights import answer


@pytest.mark.parametrize(
    "pattern",
    [
        *("{ $.a = 1", "[ip, user", '"a b', "{ $.latency > }", "%ERR(OR%"),
        *("{ $.a = }", "{ a = 1 }", "{ $.a == 1 }", "{ $.a = 1 && }", "{ ($.a = 1 }", "{ $.a > x }", "{ }", "{ $.a IS MISSING }"),
        *("{ $.a[*].b[*] = 1 }", "{ $.a[*]=1 && $.b[*]=1 && $.c[*]=1 && $.d[*]=1 }", "{ $.a = 'x' }", "{ $.a NOT }"),
        *("{ $.a = %x% || $.b = %y% || $.c = %z% }", "[]", "[a,,b]", "[a, a]", "[a-b]", "[a = ]", "[a > x]"),
        *("[ip, status_code = 4* && bytes > 1000]", "a@b", "error:", "? ERROR", '""', "%%", "%a!%", "%[a%", "%é%", 'a"b"', '"a"b'),
        "x" * 1025,
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_told_before_anything_is_made(pattern: str) -> None:
    with pytest.raises(InputError) as caught:
        MetricFilter("errors", pattern, "Shop", "Errors")
    assert len(str(caught.value).splitlines()) <= 3 and "errors" in str(caught.value)


LINE = '127.0.0.1 - frank [10/Oct/2026:13:25:15 -0700] "GET /x HTTP/1.0" 404 1534'
EVENT = json.dumps(
    {
        "a": 1,
        "b": "kms.amazonaws.com",
        "c": None,
        "d": True,
        "e": [{"f": "x"}, {"f": "y"}],
        "g h": "z",
        "ip": "123.123.9.1",
    }
)
MATCHED: list[tuple[str, str, bool]] = [
    ("", "anything", True),
    ("ERROR", "an ERROR here", True),
    ("ERROR", "an error here", False),
    ("ERROR 404", "404 ERROR", True),
    ("?ERROR ?WARN", "WARN", True),
    ("?ERROR ?WARN", "INFO", False),
    ("ERROR -DEBUG", "ERROR DEBUG", False),
    ("-DEBUG", "ERROR", True),
    ("ERROR ?WARN", "WARN", False),
    ('"two words"', "these two words", True),
    (r'"a \"b\""', 'a "b"', True),
    ("%ERR[0-9]+%", "ERR12", True),
    ("%^ERR%", "an ERR", False),
    ("[ip, id, user, time, request, status=4*, bytes>1000]", LINE, True),
    ("[ip, ..., status=500||status=404, bytes]", LINE, True),
    ("[ip, id, user, ..., bytes<1000]", LINE, False),
    ("[..., request=\"GET *\", status, bytes]", LINE, True),
    ("[ip, user]", LINE, False),
    ("[w1!=ERROR&&w1!=%WARN%, w2]", "INFO x", True),
    ("[w1!=ERROR&&w1!=%WARN%, w2]", "WARNING x", False),
    ("{ $.a = 1 }", EVENT, True),
    ("{ $.a >= 1.0 && $.b = kms.amazonaws.com }", EVENT, True),
    ("{ ($.a = 2) || ($.b = \"kms*\") }", EVENT, True),
    ("{ $.c IS NULL }", EVENT, True),
    ("{ $.d IS TRUE }", EVENT, True),
    ("{ $.x NOT EXISTS }", EVENT, True),
    ("{ $.a NOT EXISTS }", EVENT, False),
    ("{ $.e[1].f = y }", EVENT, True),
    ("{ $.e[*].f = y }", EVENT, True),
    ("{ $['g h'] = z }", EVENT, True),
    ("{ $.ip != 123.123.* }", EVENT, False),
    ("{ $.b = %amazon% }", EVENT, True),
    ("{ $.a = 1 }", "no JSON", False),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "message", "found"), MATCHED, ids=[f"{one[0]}-{one[2]}" for one in MATCHED])
def test_what_a_pattern_matches(pattern: str, message: str, found: bool) -> None:
    assert matches(parse_pattern(pattern), message) is found


SAID = [
    ("ERROR", '@message like "ERROR"'),
    ("?ERROR ?WARN", '(@message like "ERROR" or @message like "WARN")'),
    ("ERROR -DEBUG", '(@message like "ERROR" and not (@message like "DEBUG"))'),
    ("%a/b|c%", r"@message like /a\/b|c/"),
    ("{ $.status >= 500 && $.path != \"/health\" }", '(status >= 500 and path != "/health")'),
    ("{ $.b = kms* }", "b like /^kms.*$/"),
    ("{ $.e[1].f NOT EXISTS }", "not ispresent(e.1.f)"),
    ("{ $['g h'] = z }", '`g h` = "z"'),
    ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "said"), SAID)
def test_a_pattern_in_logs_insights(pattern: str, said: str) -> None:
    assert to_insights(parse_pattern(pattern)) == said


@pytest.mark.parametrize("pattern", ["[a, b=1]", "{ $.a[*] = 1 }", "{ $.a IS NULL }", "{ $.a IS TRUE }"])
def test_what_logs_insights_cannot_say_is_not_said(pattern: str) -> None:
    with pytest.raises(InputError, match="no like in Logs Insights"):
        to_insights(parse_pattern(pattern))


WORD = st.text(st.sampled_from('ab"\\/|% é'), min_size=1, max_size=5)


@given(
    words=st.lists(st.tuples(st.sampled_from(["", "?", "-"]), WORD), min_size=1, max_size=4),
    message=st.text(st.sampled_from('ab"\\/|% é')),
)
def test_a_translation_finds_what_the_pattern_matches(words: list[tuple[str, str]], message: str) -> None:
    """Terms of any characters, quoted: the sandbox's Insights finds an event exactly where the pattern matches it."""
    text = " ".join(f'{how}"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for how, word in words)
    pattern = parse_pattern(text)
    rows, _ = answer(f"fields @message | filter {to_insights(pattern)}", [(0, message, "s")])
    assert bool(rows) == matches(pattern, message)


@given(text=st.text(max_size=20))
def test_nobody_breaks_out_of_quotes_or_slashes(text: str) -> None:
    assert commands_of(f"filter a = {quoted(text)} | limit 1")[1:] == ["limit 1"]
    regex = slashed("x" + text.replace("\n", "").replace("\\", "\\\\"))
    assert commands_of(f"filter a like {regex} | limit 1")[1:] == ["limit 1"]


@pytest.mark.parametrize(
    ("query", "commands"),
    [
        ("fields @message | filter @message like /a|limit 5/", ["fields @message", "filter @message like /a|limit 5/"]),
        ("filter a =~ /x|y/ | stats sum(b)/2, c | limit 1/1", ["filter a =~ /x|y/", "stats sum(b)/2, c", "limit 1/1"]),
        ("stats a/b | sort c/d", ["stats a/b", "sort c/d"]),
        ("parse @message /(?<a>x|y)/ | filter `a|b` = '|'", ["parse @message /(?<a>x|y)/", "filter `a|b` = '|'"]),
        ("fields a # one | two\n| limit 1", ["fields a", "limit 1"]),
        ("filter a not like /x|stats/", ["filter a not like /x|stats/"]),
        ("fields a | filter it's | limit 3", ["fields a", "filter it's", "limit 3"]),
    ],
)  # fmt: skip
def test_the_commands_of_a_query(query: str, commands: list[str]) -> None:
    assert commands_of(query) == commands


def test_terms_beside_which_others_are_ignored_are_said() -> None:
    assert "ignored" in parse_pattern("ERROR ?WARN").notices[0] and parse_pattern("?ERROR ?WARN").notices == ()


@pytest.mark.parametrize(
    ("pattern", "more"),
    [
        ("ERROR", {"dimensions": {"Port": "$destport"}, "default": None}),
        ("?ERROR ?WARN", {"value": "$bytes"}),
        ("[ip, user]", {"value": "$bytes"}),
        ("[ip, user]", {"dimensions": {"A": "$b"}}),
    ],
)
def test_a_value_or_dimension_needs_a_field(pattern: str, more: dict[str, Any]) -> None:
    """terraform-provider-aws 28881: "The specified filter pattern does not support dimensions"."""
    with pytest.raises(InputError, match="field"):
        MetricFilter("f", pattern, "Shop", "Errors", **more)
    MetricFilter("f", "[ip, user]", "Shop", "Errors", dimensions={"A": "$user"}, value="$ip")
    MetricFilter("f", "{ $.a = * }", "Shop", "Errors", dimensions={"A": "$.a"})
    assert flow_rejects(port=443).request("g")


def test_tags_of_lines() -> None:
    assert read_tags(["team=web", "a=b=c", "empty="]) == {"team": "web", "a": "b=c", "empty": ""}
    for wrong in (["team"], ["=x"], ["aws:x=y"], ["a=1", "a=2"], ["a=é!"]):
        with pytest.raises(InputError):
            read_tags(wrong)
