"""What many questions over files have in common, worked out once: who asked whom (queries/parts/legs.sql).

Most queries that include legs.sql group the records of a window by the same columns, and differ in what they count. Here all that
they count is counted in one go, legs.sql judges each 5-tuple once, and a query begins with the result in place of its own
`tuples`. The answer is the same: legs.sql looks at its rows only through the largest `asks` and `answers` and the least
`first_seen` of a 5-tuple (tests/test_files_once.py holds the two beside each other, query by query). Pure but for its connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import duckdb

from netkit.flowlogs import duck
from netkit.flowlogs.catalog import Query, Value, catalogue, part
from netkit.flowlogs.duck import identifier

_KEYS = ("interface_id", "protocol", "srcaddr", "dstaddr", "srcport", "dstport", "action")
_FIVE = ("protocol", "srcaddr", "dstaddr", "srcport", "dstport")
_JUDGED = ("to_server", "known_by", "leg", "first_up", "first_down")
_TEXTS = (
    "interface_id",
    "srcaddr",
    "dstaddr",
    "action",
    "flow_direction",
    "instance_id",
    "reject_reason",
    "pkt_dstaddr",
)
_ENDS = """    CASE WHEN to_server = 1 THEN srcaddr ELSE dstaddr END AS client,
    CASE WHEN to_server = 1 THEN dstaddr ELSE srcaddr END AS server,
    CASE WHEN to_server = 1 THEN dstport ELSE srcport END AS server_port,
    CASE WHEN to_server = 1 THEN srcport ELSE dstport END AS client_port"""
_MOST_WORDS = 1_000_000  # a dictionary is held in memory; where there are more, texts stay texts
_HEAD = re.compile(
    r"WITH tuples AS \(\s*SELECT\s+" + r",\s+".join(_KEYS) + r",\s+(?P<measures>.+?)\s+FROM flows"
    r"\s+WHERE log_status = 'OK'(?P<further> AND protocol = 6)?\s+GROUP BY " + r",\s+".join(_KEYS) + r"\s*\),\s*",
    re.DOTALL,
)


class Begun(NamedTuple):
    """How a query's text begins: what it counts (name and expression), its further condition, and what follows legs."""

    measures: tuple[tuple[str, str], ...]
    further: str
    rest: str


def begun(sql: str) -> Begun | None:
    """The beginning of a text that shares; None for one that does not, or has a value of its own in it."""
    head, legs, rest = sql.partition(part("legs"))
    match = _HEAD.fullmatch(head)
    if not legs or match is None or "?" in head or ":" in head:
        return None
    measures = re.findall(r"(.+?) AS (\w+)(?:,\s+|$)", match["measures"], re.DOTALL)
    return Begun(tuple((name, text) for text, name in measures), match["further"] or "", rest)


@cache
def _measures() -> dict[str, str]:
    """A name for each expression that any query of the catalogue counts. One name may mean two things in two queries."""
    found = [text for query in catalogue().values() if (one := begun(query.sql)) for _, text in one.measures]
    return {text: f"nk_m{place}" for place, text in enumerate(dict.fromkeys(found))}


@cache
def reader() -> Query:
    """A query in name only: the fields that all that share read, those that some need not have being optional."""
    sharing = [query for query in catalogue().values() if begun(query.sql)]
    needed = (
        "interface_id",
        "srcaddr",
        "dstaddr",
        "srcport",
        "dstport",
        "protocol",
        "start",
        "end",
        "action",
        "log_status",
    )
    more = dict.fromkeys(name for query in sharing for name in query.reads_all if name not in needed)
    return Query("legs", "", (), needed, tuple(more), {}, "", (), "")


class Shared:
    """The judged tuples of a connection, one table for each relation `flows` that was asked over."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self.db = db
        self._tables: dict[tuple[str, tuple[Value, ...]], str] = {}
        self._kinds = 0

    def over(self, sql: str, flows: str, values: Sequence[Value]) -> str | None:
        """The text over a prepared table, which takes the same values but those of `flows`; None where it shares nothing.

        flows: the relation of reader()'s columns, with its values
        """
        if (one := begun(sql)) is None:
            return None
        key = (flows, tuple(values))
        if key not in self._tables:
            self._tables[key] = self._make(f"nk_legs_{len(self._tables)}", flows, values)
        counted = ", ".join(f"{_measures()[text]} AS {identifier(name)}" for name, text in one.measures)
        return (
            f"WITH legs AS (\n  SELECT {', '.join((*_KEYS, *_JUDGED))}, {counted},\n{_ENDS}\n"
            f"  FROM {self._tables[key]}{one.further.replace(' AND', ' WHERE')}\n),{one.rest}"
        )

    def lighter(self, query: Query, sql: str, flows: str, values: Sequence[Value]) -> str | None:
        """A text that includes legs.sql over records of its own, its whole beginning with `flows`: it judges each 5-tuple once, and
        texts are numbers. None for one that does not include it."""
        head, legs, rest = sql.partition(part("legs"))
        if not legs:
            return None
        names = [name for name in _TEXTS if name in query.reads_all]
        kind = self._dictionary(flows, values, names)
        five = ", ".join(_FIVE)
        judged = ", ".join(f"j.{name}" for name in _JUDGED)
        once = legs.replace("FROM tuples\n", "FROM nk_fives\n").replace("\nlegs AS (", "\nnk_judged AS (")
        text = (
            f"{head}nk_fives AS (SELECT {five}, MAX(asks) AS asks, MAX(answers) AS answers, MIN(first_seen) AS first_seen"
            f" FROM tuples GROUP BY {five}),\n{once}\n"
            f"nk_sided AS (SELECT t.*, {judged} FROM tuples AS t JOIN nk_judged AS j ON {_same('t', 'j')}),\n"
            f"legs AS (SELECT *,\n{_ENDS}\n  FROM nk_sided\n),{rest}"
        )
        return query.over(_coded(flows, kind, names), text, (*query.fields, *query.optional))

    def _make(self, table: str, flows: str, values: Sequence[Value]) -> str:
        records = _coded(flows, self._dictionary(flows, values, _TEXTS), _TEXTS)
        counted = ", ".join(f"{text} AS {name}" for text, name in _measures().items())
        keys, five = ", ".join(_KEYS), ", ".join(_FIVE)
        duck.run(
            self.db,
            f"CREATE OR REPLACE TEMP TABLE nk_tuples AS WITH flows AS (\n{records}\n)"
            f" SELECT {keys}, {counted} FROM flows WHERE log_status = 'OK' GROUP BY {keys}",
            values,
        )
        asks, answers, first = (_measures()[text] for text in _seen_by_legs())
        duck.run(
            self.db,
            f"CREATE OR REPLACE TEMP TABLE nk_judged AS WITH tuples AS (SELECT {five}, max({asks}) AS asks, max({answers}) AS answers,"
            f" min({first}) AS first_seen FROM nk_tuples GROUP BY {five}),\n{part('legs').rstrip(',')}\n"
            f"SELECT {five}, {', '.join(_JUDGED)} FROM legs",
        )
        judged = ", ".join(f"j.{name}" for name in _JUDGED)
        duck.run(
            self.db,
            f"CREATE TEMP TABLE {table} AS SELECT t.*, {judged} FROM nk_tuples AS t JOIN nk_judged AS j ON {_same('t', 'j')}",
        )
        duck.run(self.db, "DROP TABLE nk_tuples; DROP TABLE nk_judged")
        return table

    def _dictionary(self, flows: str, values: Sequence[Value], names: Sequence[str]) -> str:
        """A type that holds every text of these records as a number, in the order of the texts; "" where there are too many."""
        each = " UNION ALL ".join(f"SELECT DISTINCT CAST({name} AS VARCHAR) AS word FROM flows" for name in names)
        duck.run(
            self.db,
            f"CREATE OR REPLACE TEMP TABLE nk_words AS WITH flows AS MATERIALIZED (\nSELECT {', '.join(names)} FROM (\n{flows}\n) AS plain)"
            f" SELECT DISTINCT word FROM ({each}) AS words WHERE word IS NOT NULL",
            values,
        )
        count = duck.run(self.db, "SELECT count(*) FROM nk_words").fetchall()[0][0]
        kind = ""
        if 0 < count <= _MOST_WORDS:
            self._kinds += 1
            kind = f"nk_word_{self._kinds}"
            duck.run(self.db, f"CREATE TEMP TYPE {kind} AS ENUM (SELECT word FROM nk_words ORDER BY word)")
        duck.run(self.db, "DROP TABLE nk_words")
        return kind


def _coded(flows: str, kind: str, names: Sequence[str]) -> str:
    """Records with these texts as numbers of a dictionary."""
    coded = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name in names)
    return f"SELECT * REPLACE ({coded}) FROM (\n{flows}\n) AS plain" if kind else flows


def _same(one: str, other: str) -> str:
    return " AND ".join(f"{one}.{name} IS NOT DISTINCT FROM {other}.{name}" for name in _FIVE)


def _seen_by_legs() -> tuple[str, str, str]:
    """The expressions of what legs.sql looks at: asks, answers and first_seen, which all queries count alike."""
    alike: dict[str, set[str]] = {"asks": set(), "answers": set(), "first_seen": set()}
    for query in catalogue().values():
        for name, text in one.measures if (one := begun(query.sql)) else ():
            alike.get(name, set()).add(text)
    (asks,), (answers,), (first,) = alike.values()
    return asks, answers, first
