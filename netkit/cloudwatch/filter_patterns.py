"""Filter patterns of CloudWatch Logs: read as PutMetricFilter reads them, matched, and said in Logs Insights. Pure.

Terms (`ERROR -DEBUG`, `?ERROR ?WARN`, `"two words"`, `%regex%`), fields of a line in brackets (`[ip, user, ..., status=5*]`) and
JSON (`{ $.status >= 500 && $.path != "/health" }`). Sources: CloudWatch Logs User Guide, "Filter pattern syntax" and "Supported
regular expressions syntax"; what the service answered to others ("Invalid character(s) in term", "does not support dimensions").
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from netkit.cloudwatch.agent_rules import refused_by_re2
from netkit.core.errors import InputError

MOST_PATTERN, MOST_REGEX, MOST_WILDCARDS = 1024, 2, 3
_REGEX_SIGNS = set(":_#=@/;,-^$?[]{}|\\*+. ")
_QUOTED = r'"(?:\\.|[^"\\])*"'
_REGEX = r"%(?:\\.|[^%\\])+%"
_TERM = re.compile(rf"\s*(?P<how>[?-]?)(?P<word>{_QUOTED}|{_REGEX}|\w+)(?=\s|$)", re.ASCII)
_SELECTOR = r"\$(?:\.[A-Za-z0-9_-]+|\.\*|\[\s*(?:\d+|\*|'[^']+'|\"[^\"]+\")\s*\])+"
_VALUE = rf"{_QUOTED}|{_REGEX}|[^\s\"'%(){{}}\[\]=<>!&|,$][^\s\"'(){{}}\[\]=<>!&|,]*"
_JSON_TOKEN = re.compile(rf"\s*(?:(?P<selector>{_SELECTOR})|(?P<sign>&&|\|\||<=|>=|!=|[=<>()])|(?P<value>{_VALUE}))")
_FIELD_TOKEN = re.compile(rf"\s*(?:(?P<dots>\.\.\.)|(?P<sign>&&|\|\||<=|>=|!=|[=<>,])|(?P<value>{_VALUE}))")
_SIGNS = ("=", "!=", "<", "<=", ">", ">=")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_HINT = 'as ERROR, "two words", ?ERROR ?WARN, [ip, ..., status=5*] or { $.status >= 500 }'


@dataclass(frozen=True)
class Test:
    """One condition: what it looks at ("" the whole message, a selector, a field's name), a sign or IS NULL and the like, a value.

    kind of the value: word, text (in quotes), number, regex; "" for none.
    """

    of: str
    sign: str
    value: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Joined:
    """Conditions joined by and, or; not of a single one."""

    how: Literal["and", "or", "not"]
    of: tuple[Condition, ...]


Condition = Test | Joined


@dataclass(frozen=True)
class Pattern:
    """A filter pattern as it was read.

    kind       all (the empty pattern), terms, fields or json
    condition  what has to hold, None for every event
    fields     names of the fields in brackets, with "..." for any number of them
    notices    what a reader would not expect of it
    """

    kind: Literal["all", "terms", "fields", "json"]
    condition: Condition | None = None
    fields: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def parse_pattern(text: str, subject: str = "") -> Pattern:
    """A filter pattern. Raises InputError (subject: whose it is) for what CloudWatch Logs refuses."""
    bare = text.strip()
    if len(text) > MOST_PATTERN:
        raise InputError(f"the pattern has {len(text):,} characters, AWS takes {MOST_PATTERN:,}", subject=subject)
    if not bare:
        return Pattern("all")
    for opening, closing, read in (("{", "}", _json), ("[", "]", _fields)):
        if bare.startswith(opening):
            if not bare.endswith(closing):
                raise _refused(f"begins with {opening} and does not end with {closing}", text, subject)
            found = read(bare[1:-1], text, subject)
            if sum(one.kind == "regex" for one in tests_of(found.condition)) > MOST_REGEX:
                raise _refused(f"has more than {MOST_REGEX} regular expressions", text, subject)
            return found
    return _terms(bare, text, subject)


def tests_of(condition: Condition | None) -> Iterator[Test]:
    """Every single condition."""
    if isinstance(condition, Test):
        yield condition
    elif condition is not None:
        for one in condition.of:
            yield from tests_of(one)


def _refused(why: str, text: str, subject: str) -> InputError:
    shown = text if len(text) <= 60 else text[:57] + "..."
    return InputError(f"the filter pattern {shown!r} {why}", subject=subject, hint=_HINT)


def _value(word: str, text: str, subject: str) -> tuple[str, str]:
    """A value and its kind."""
    if word.startswith('"'):
        inner = re.sub(r"\\(.)", r"\1", word[1:-1])
        if not inner:
            raise _refused('has an empty term ""', text, subject)
        return inner, "text"
    if word.startswith("%"):
        return _regex(word[1:-1], text, subject), "regex"
    return word, "number" if _NUMBER.fullmatch(word) else "word"


def _regex(inner: str, text: str, subject: str) -> str:
    odd = sorted({one for one in inner if not (one.isascii() and one.isalnum()) and one not in _REGEX_SIGNS})
    if odd:
        raise _refused(f"has {' '.join(odd)} in a regular expression, which takes none: write \\xHH", text, subject)
    if why := refused_by_re2(inner):
        raise _refused(f"has no regular expression between %: {why}", text, subject)
    return inner


def _terms(bare: str, text: str, subject: str) -> Pattern:
    place, groups = 0, dict[str, list[Condition]]({"": [], "?": [], "-": []})
    while place < len(bare):
        found = _TERM.match(bare, place)
        if found is None:
            odd = bare[place:].strip().split()[0]
            raise _refused(
                f"has a term with other than letters, digits and _, and not in quotes: {odd[:30]!r}", text, subject
            )
        value, kind = _value(found["word"], text, subject)
        groups[found["how"]].append(Test("", "like", value, kind))
        place = found.end()
        place += len(bare[place:]) - len(bare[place:].lstrip())
    needed = [*groups[""], *(Joined("not", (one,)) for one in groups["-"])]
    if not needed:
        return Pattern("terms", Joined("or", tuple(groups["?"])))
    notices = ("terms with ? are ignored beside terms without",) if groups["?"] else ()
    return Pattern("terms", Joined("and", tuple(needed)), notices=notices)


class _Reader:
    """The words of a pattern in braces or brackets, from left to right."""

    def __init__(self, inner: str, token: re.Pattern[str], text: str, subject: str) -> None:
        self.words: list[tuple[str, str]] = []
        self.text, self.subject = text, subject
        place, inner = 0, inner.rstrip()
        while place < len(inner):
            found = token.match(inner, place)
            if found is None:
                self.refuse(f"does not parse at {inner[place : place + 20].strip()!r}")
            else:
                self.words.append((str(found.lastgroup), str(found[str(found.lastgroup)])))
                place = found.end()

    def refuse(self, why: str = "") -> None:
        """Raise InputError."""
        ahead = self.words[0][1] if self.words else ""
        raise _refused(
            why or (f"does not parse at {ahead[:20]!r}" if ahead else "ends too soon"), self.text, self.subject
        )

    def ahead(self) -> str:
        """The word that comes next, "" at the end."""
        return self.words[0][1] if self.words else ""

    def take(self, *kinds: str) -> str:
        """The next word, which has to be of one of these kinds."""
        if not self.words or self.words[0][0] not in kinds:
            self.refuse()
        return self.words.pop(0)[1]

    def skip(self, *words: str) -> None:
        """These words, in this order."""
        for one in words:
            if self.ahead() != one:
                self.refuse()
            self.words.pop(0)

    def joined(self, sign: str, how: Literal["and", "or"], part: Callable[[], Condition]) -> Condition:
        """Parts joined by a sign."""
        parts = [part()]
        while self.ahead() == sign:
            self.words.pop(0)
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(how, tuple(parts))

    def compared(self, of: str) -> Test:
        """The sign and value behind what is compared."""
        sign = self.take("sign")
        if sign not in _SIGNS:
            self.words.insert(0, ("sign", sign))
            self.refuse()
        value, kind = _value(self.take("value"), self.text, self.subject)
        if sign in ("<", "<=", ">", ">=") and kind != "number":
            self.refuse(f"compares {of} by {sign} with {value[:20]!r}, which is no number")
        return Test(of, sign, value, kind)


def _json(inner: str, text: str, subject: str) -> Pattern:
    reader = _Reader(inner, _JSON_TOKEN, text, subject)

    def one() -> Condition:
        if reader.ahead() == "(":
            reader.skip("(")
            found = either()
            reader.skip(")")
            return found
        of = reader.take("selector")
        word = reader.ahead()
        if word == "IS":
            reader.skip("IS")
            what = reader.take("value")
            if what not in ("NULL", "TRUE", "FALSE"):
                reader.refuse(f"asks for IS {what[:20]}, and there is IS NULL, IS TRUE and IS FALSE")
            return Test(of, f"IS {what}")
        if word == "NOT":
            reader.skip("NOT", "EXISTS")
            return Test(of, "NOT EXISTS")
        return reader.compared(of)

    def either() -> Condition:
        return reader.joined("||", "or", lambda: reader.joined("&&", "and", one))

    condition = either()
    if reader.words:
        reader.refuse()
    selectors = [test.of for test in tests_of(condition)]
    wild = [one.count("[*]") + one.count(".*") for one in selectors]
    if max(wild) > 1 or sum(wild) > MOST_WILDCARDS:
        reader.refuse(f"has more than one wildcard in a selector, or more than {MOST_WILDCARDS} in all")
    return Pattern("json", condition)


def _fields(inner: str, text: str, subject: str) -> Pattern:
    reader = _Reader(inner, _FIELD_TOKEN, text, subject)
    names: list[str] = []
    conditions: list[Condition] = []
    while True:
        name = reader.take("dots", "value")
        if name != "..." and not re.fullmatch(r"\w+", name, re.ASCII):
            reader.refuse(f"has {name[:20]!r} for the name of a field")
        if name in names:
            reader.refuse(f"has {name} twice")
        names.append(name)
        if reader.ahead() not in ("", ","):
            conditions.append(_of_field(reader, name))
        if not reader.words:
            break
        reader.skip(",")
    if not conditions:
        return Pattern("fields", None, tuple(names))
    return Pattern("fields", Joined("and", tuple(conditions)), tuple(names))


def _of_field(reader: _Reader, name: str) -> Condition:
    """The conditions of one field, each of which names it: status = 404 || status = 410."""
    first = [True]

    def one() -> Condition:
        if not first[0] and reader.take("value") != name:
            reader.refuse(f"has a condition of another field behind {name}: write it where that field stands")
        first[0] = False
        return reader.compared(name)

    return reader.joined("||", "or", lambda: reader.joined("&&", "and", one))


# --------------------------------------------------------------------------------------------------------------- matching


def matches(pattern: Pattern, message: str) -> bool:
    """Whether an event's message matches a pattern; a term is sought anywhere in it, case and all."""
    if pattern.kind == "all":
        return True
    if pattern.kind == "terms":
        return _holds(pattern.condition, lambda test: [message])
    if pattern.kind == "fields":
        values = _split_line(message, pattern.fields)
        return values is not None and _holds(pattern.condition, lambda test: [values[test.of]])
    try:
        document = json.loads(message)
    except ValueError:
        return False
    return _holds(pattern.condition, lambda test: list(_selected(document, test.of)))


def _holds(condition: Condition | None, values: Callable[[Test], list[Any]]) -> bool:
    if condition is None:
        return True
    if isinstance(condition, Test):
        return _true(condition, values(condition))
    if condition.how == "not":
        return not _holds(condition.of[0], values)
    return (all if condition.how == "and" else any)(_holds(one, values) for one in condition.of)


def _true(test: Test, values: list[Any]) -> bool:
    if test.sign == "NOT EXISTS":
        return not values
    words = {"IS NULL": None, "IS TRUE": True, "IS FALSE": False}
    if test.sign in words:
        return any(one is words[test.sign] for one in values)
    return any(_compared(test, one) for one in values if one is not None and not isinstance(one, dict | list))


def _compared(test: Test, value: Any) -> bool:
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    if test.sign == "like":
        return re.search(test.value, text) is not None if test.kind == "regex" else test.value in text
    if test.sign in ("=", "!="):
        return _same(test, value, text) == (test.sign == "=")
    try:
        number, wanted = float(text), float(test.value)
    except ValueError:
        return False
    return {"<": number < wanted, "<=": number <= wanted, ">": number > wanted, ">=": number >= wanted}[test.sign]


def _same(test: Test, value: Any, text: str) -> bool:
    if test.kind == "regex":
        return re.search(test.value, text) is not None
    if test.kind == "number":
        try:
            return math.isclose(float(text), float(test.value), rel_tol=0, abs_tol=0)
        except ValueError:
            return False
    return re.fullmatch(_glob(test.value), text, re.DOTALL) is not None


def _glob(value: str) -> str:
    return ".*".join(re.escape(part) for part in value.split("*"))


def _selected(document: Any, selector: str) -> Iterator[Any]:
    """The values that a selector finds: none, one, or with a wildcard several."""
    found = [document]
    for step in steps_of(selector):
        found = [value for one in found for value in _stepped(one, step)]
    yield from found


def steps_of(selector: str) -> list[str | int]:
    """The steps of a selector: names, places, and "*"."""
    parts = re.findall(r"\.([A-Za-z0-9_-]+|\*)|\[\s*(?:(\d+)|(\*)|'([^']+)'|\"([^\"]+)\")\s*\]", selector)
    return [int(place) if place else name or star or single or double for name, place, star, single, double in parts]


def _stepped(value: Any, step: str | int) -> list[Any]:
    if step == "*":
        return list(value.values()) if isinstance(value, Mapping) else list(value) if isinstance(value, list) else []
    if isinstance(step, int):
        return [value[step]] if isinstance(value, list) and step < len(value) else []
    return [value[step]] if isinstance(value, Mapping) and step in value else []


def _split_line(message: str, names: Sequence[str]) -> dict[str, str] | None:
    """The fields of a line by name: parted by blanks, what stands in [ ] or " " is one. None where their number is another."""
    words = [one[0] or one[1] or one[2] for one in re.findall(r'\[([^\]]*)\]|"([^"]*)"|(\S+)', message)]
    if "..." not in names:
        return dict(zip(names, words, strict=True)) if len(names) == len(words) else None
    at = names.index("...")
    behind = len(names) - at - 1
    if len(words) < at + behind:
        return None
    return dict(zip(names[:at], words, strict=False)) | dict(
        zip(names[at + 1 :], words[len(words) - behind :], strict=True)
    )


# ---------------------------------------------------------------------------------------------------------- Logs Insights


def to_insights(pattern: Pattern) -> str:
    """The condition of a `filter` command of Logs Insights that finds the same events; "" for every event.

    Raises InputError for what has none there: fields in brackets (Logs Insights does not part a line as a pattern does), a
    wildcard in a selector, IS NULL and the like.
    """
    if pattern.kind == "fields":
        raise InputError(
            "a pattern of fields has no like in Logs Insights", hint="error_query, as a filter of your own"
        )
    return "" if pattern.condition is None else _said(pattern.condition)


def _said(condition: Condition) -> str:
    if isinstance(condition, Joined):
        if condition.how == "not":
            return f"not ({_said(condition.of[0])})"
        return (
            "(" + f" {condition.how} ".join(_said(one) for one in condition.of) + ")"
            if len(condition.of) > 1
            else _said(condition.of[0])
        )
    field = "@message" if not condition.of else _field_name(condition.of)
    if condition.sign == "NOT EXISTS":
        return f"not ispresent({field})"
    if condition.sign.startswith("IS "):
        raise InputError(
            f"{condition.sign} has no like in Logs Insights",
            subject=condition.of,
            hint="error_query, as a filter of your own",
        )
    if condition.kind == "regex":
        like = f"{field} like {slashed(condition.value)}"
        return f"not ({like})" if condition.sign == "!=" else like
    if condition.sign == "like":
        return f"{field} like {quoted(condition.value)}"
    if condition.kind in ("word", "text") and "*" in condition.value:
        like = f"{field} like {slashed('^' + _glob(condition.value) + '$')}"
        return f"not ({like})" if condition.sign == "!=" else like
    value = condition.value if condition.kind == "number" else quoted(condition.value)
    return f"{field} {condition.sign} {value}"


def _field_name(selector: str) -> str:
    steps = steps_of(selector)
    if "*" in steps:
        raise InputError(
            "a wildcard in a selector has no like in Logs Insights",
            subject=selector,
            hint="error_query, as a filter of your own",
        )
    name = ".".join(str(one) for one in steps)
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) else "`" + name.replace("`", "") + "`"


def quoted(text: str) -> str:
    """A text as Logs Insights takes it between quotes, from which it may not break out."""
    return '"' + re.sub(r'([\\"])', r"\\\1", text) + '"'


def slashed(regex: str) -> str:
    """A regular expression as Logs Insights takes it between slashes, from which a slash of its own may not break out."""
    parts = re.split(r"(\\.)", regex, flags=re.DOTALL)
    inner = "".join(one if place % 2 else one.replace("/", r"\/") for place, one in enumerate(parts))
    return f"/{inner}/"


_PIECE = re.compile(rf"{_QUOTED}|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*|[/|]|[^\"'`#/|]+|.", re.DOTALL)
_SLASHED = re.compile(r"/(?:\\.|[^/\\\n])+/")


def commands_of(query: str) -> list[str]:
    """The commands of a Logs Insights query: parted at | outside of quotes, backticks, regular expressions and comments."""
    parts, place = [""], 0
    while place < len(query):
        found = _PIECE.match(query, place)
        assert found is not None  # any character is a piece
        piece = found[0]
        if piece == "/" and _takes_regex(parts[-1]) and (regex := _SLASHED.match(query, place)):
            piece = regex[0]
        place += len(piece)
        if piece == "|":
            parts.append("")
        elif not piece.startswith("#"):
            parts[-1] += piece
    return [part.strip() for part in parts if part.strip()]


def _takes_regex(before: str) -> bool:
    """Whether a slash behind this begins a regular expression, and is no division."""
    words = before.split()
    return bool(words) and (words[0].lower() == "parse" or words[-1].lower().endswith(("like", "=~", "(", ",")))
