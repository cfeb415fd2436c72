"""The rule of a composite alarm: read into a tree, the alarms that it asks, and whether it holds for given states. Pure.

Grammar: ALARM(x), OK(x), INSUFFICIENT_DATA(x), TRUE, FALSE, NOT, AND, OR, brackets, and AT_LEAST(2, [NOT] ALARM, (x, y, z)) with a
count or a percentage. NOT binds before AND, AND before OR. Sources: CloudWatch API Reference, PutCompositeAlarm; CloudWatch User
Guide, "Composite alarms"; AWS CDK, AlarmRule (AT_LEAST).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netkit.core.errors import InputError

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
MOST_RULE, MOST_ALARMS = 10_240, 100
_HINT = 'as ALARM("a") AND NOT ALARM("b"), or AT_LEAST(2, ALARM, (a, b, c))'
_TOKEN = re.compile(
    r'\s*(?:(?P<quoted>"(?:\\.|[^"\\])*")|(?P<sign>[(),])|(?P<word>[^\s(),"]+))',
    re.DOTALL,
)


@dataclass(frozen=True)
class Node:
    """A part of a rule.

    kind     state (one alarm in a state), at-least, and, or, not, true, false
    of       the parts of and, or, not
    alarms   the names or ARNs of state and at-least; wanted is their state, negated turns it
    least    of at-least: how many of the alarms have to be in it
    """

    kind: str
    of: tuple[Node, ...] = ()
    alarms: tuple[str, ...] = ()
    wanted: str = ""
    negated: bool = False
    least: int = 0


def parse_rule(rule: str, alarm: str) -> Node:
    """The rule as a tree. Raises InputError (subject: the alarm) for one that CloudWatch does not take."""
    if not 1 <= len(rule) <= MOST_RULE:
        raise InputError(f"a rule of {len(rule):,} characters", subject=alarm, hint=f"1 to {MOST_RULE:,}")
    reader = _Reader(rule, alarm)
    tree = reader.either()
    if reader.ahead:
        reader.refuse()
    asked = rule_alarms(tree)
    if len(asked) > MOST_ALARMS:
        raise InputError(f"the rule asks {len(asked)} alarms", subject=alarm, hint=f"CloudWatch takes {MOST_ALARMS}")
    return tree


def rule_alarms(tree: Node) -> tuple[str, ...]:
    """The alarms that a rule asks, by name or ARN, each once."""
    return tuple(dict.fromkeys(_alarms(tree)))


def _alarms(tree: Node) -> Iterator[str]:
    yield from tree.alarms
    for one in tree.of:
        yield from _alarms(one)


def holds(tree: Node, states: Mapping[str, str]) -> bool:
    """Whether a rule is true of the states of its alarms, by the name or ARN that it has for each; none is no state."""
    if tree.kind in ("state", "at-least"):
        return sum((states.get(one) == tree.wanted) != tree.negated for one in tree.alarms) >= tree.least
    if tree.kind == "not":
        return not holds(tree.of[0], states)
    if tree.kind in ("and", "or"):
        return (all if tree.kind == "and" else any)(holds(one, states) for one in tree.of)
    return tree.kind == "true"


class _Reader:
    """Reads a rule from left to right."""

    def __init__(self, rule: str, alarm: str) -> None:
        self.rule, self.alarm, self.place = rule.rstrip(), alarm, 0
        self.ahead, self.quoted = "", False
        self._next()

    def _next(self) -> str:
        """Take the word ahead, and look at the one behind it: "" at the end."""
        taken = self.ahead
        self.before = self.place
        if self.place >= len(self.rule):
            self.ahead, self.quoted = "", False
            return taken
        found = _TOKEN.match(self.rule, self.place)
        if found is None:
            self.refuse()
        else:
            self.place, self.quoted = found.end(), found["quoted"] is not None
            self.ahead = found[0].strip()
        return taken

    def refuse(self) -> None:
        """Raise InputError at what stands ahead."""
        rest = self.rule[self.before :].strip()
        where = f"at {rest[:30]!r}" if rest else "at its end: a bracket or an operand is missing"
        raise InputError(f"the rule does not parse {where}", subject=self.alarm, hint=_HINT)

    def sign(self, wanted: str) -> None:
        """Take this sign, which has to stand ahead."""
        if self.ahead != wanted:
            self.refuse()
        self._next()

    def either(self) -> Node:
        """Parts joined by OR."""
        return self._joined("OR", "or", self.both)

    def both(self) -> Node:
        """Parts joined by AND."""
        return self._joined("AND", "and", self.one)

    def _joined(self, word: str, kind: str, part: object) -> Node:
        assert callable(part)
        parts = [part()]
        while self.ahead == word:
            self._next()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Node(kind, of=tuple(parts))

    def one(self) -> Node:
        """One alarm's state, a constant, a bracket, NOT, or AT_LEAST."""
        word = self.ahead
        if word == "NOT":
            self._next()
            return Node("not", of=(self.one(),))
        if word == "(":
            self._next()
            inner = self.either()
            self.sign(")")
            return inner
        if word in ("TRUE", "FALSE"):
            self._next()
            return Node(word.lower())
        if word == "AT_LEAST":
            return self.at_least()
        if word not in STATES:
            self.refuse()
        self._next()
        self.sign("(")
        name = self.name()
        self.sign(")")
        return Node("state", alarms=(name,), wanted=word, least=1)

    def at_least(self) -> Node:
        """AT_LEAST(threshold, [NOT] STATE, (names))."""
        self._next()
        self.sign("(")
        threshold = self._next()
        self.sign(",")
        negated = self.ahead == "NOT"
        if negated:
            self._next()
        if self.ahead not in STATES:
            self.refuse()
        wanted = self._next()
        self.sign(",")
        self.sign("(")
        names = [self.name()]
        while self.ahead == ",":
            self._next()
            names.append(self.name())
        self.sign(")")
        self.sign(")")
        return Node(
            "at-least", alarms=tuple(names), wanted=wanted, negated=negated, least=self._least(threshold, len(names))
        )

    def _least(self, threshold: str, count: int) -> int:
        """How many a threshold is: a count of 1 to all of them, or a percentage of 1 to 100, rounded up."""
        number = threshold.removesuffix("%")
        share = threshold.endswith("%")
        if not re.fullmatch(r"[1-9]\d{0,3}", number) or int(number) > (100 if share else count):
            raise InputError(f"AT_LEAST of {threshold!r}", subject=self.alarm, hint=f"1 to {count}, or 1% to 100%")
        return -(-int(number) * count // 100) if share else int(number)

    def name(self) -> str:
        """A name or ARN: bare without blanks, brackets and commas, or in quotes, with \\ before a quote of its own."""
        if not self.ahead or self.ahead in "(),":
            self.refuse()
        quoted = self.quoted
        text = self._next()
        name = re.sub(r"\\(.)", r"\1", text[1:-1]) if quoted else text
        if not name:
            self.refuse()
        return name
