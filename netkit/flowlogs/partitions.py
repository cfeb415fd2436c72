"""Which partitions of a table a question reads: the predicates, in each key's own type and spelling, and where their objects are. Pure.

What is bound is what is known: a key or a value that cannot be read is left unbound, which reads more and loses nothing, for
the records themselves are bounded by their times. What the table cannot answer, since it has no such partition, is an error.

Sources: VPC User Guide "Flow log files"; Athena User Guide "Set up partition projection" (a query outside a projected range
gives no rows and no error) and "MSCK REPAIR TABLE".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from netkit.core.errors import SourceError, WindowError
from netkit.core.model import Window
from netkit.flowlogs.keys import (
    PIECES,
    Key,
    Role,
    Span,
    date_bound,
    date_format,
    integer_range,
    integer_role,
    interval_s,
    layout,
    name_role,
    pieces_span,
    places,
    span_of,
    values_role,
)

# A record belongs to the window that it overlaps. Its object is named and foldered by the record's end rounded down to five
# minutes, and a record is at most one aggregation interval (600 s) long, so its folder lies in this wider span.
PARTITIONS_BEFORE = timedelta(minutes=5)
PARTITIONS_AFTER = timedelta(minutes=15)

MOST_VALUES = (
    5000  # bound values of one query; beyond it the exact combination of keys is left to the times of the records
)
MOST_MOMENTS = 20_000
_NULL = "__HIVE_DEFAULT_PARTITION__"
_STEP: dict[Role, str] = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H"}


@dataclass(frozen=True)
class Partition:
    """A partition in the catalogue: the values of the keys, in order, and its S3 location."""

    values: tuple[str, ...]
    location: str


@dataclass(frozen=True)
class Layout:
    """What decides where a table's records are: keys, projection's template ("" without projection), location, partitions."""

    table: str
    keys: tuple[Key, ...]
    template: str
    location: str
    partitions: tuple[Partition, ...] = ()


@dataclass(frozen=True)
class Reads:
    """The partitions that a question reads.

    where, values   predicates with a mark for each value; "" where nothing is bound
    locations       S3 locations, ending in a slash, that hold all objects read
    accounts, regions   which are read, as far as the partitions say
    notes           what of the window the partitions do not cover, what could not be bound
    """

    where: str
    values: tuple[str | int | float, ...]
    locations: tuple[str, ...]
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def reads(table: Layout, window: Window, *, account: str, region: str, now: datetime | None = None) -> Reads:
    """The partitions that records of a window, an account and a region can be in.

    Raises SourceError where the table has none for the account or region, WindowError for the window.
    """
    if not table.keys:
        said = layout(table.location)
        return Reads("", (), (_folder(table.location),), *_said(said))
    if table.template:
        return _projected(table, window, account, region, now or datetime.now(UTC))
    return _registered(table, window, account, region)


def _said(said: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(said[name] for name in ("account",) if name in said), tuple(
        said[name] for name in ("region",) if name in said
    )


def _folder(location: str) -> str:
    return location.rstrip("/") + "/"


# ------------------------------------------------------------------------------------------------- partitions that are listed


@dataclass(frozen=True)
class _Meaning:
    account: str = ""
    region: str = ""
    span: Span | None = None


def _registered(table: Layout, window: Window, account: str, region: str) -> Reads:
    if not table.partitions:
        raise SourceError(
            "the table has partition keys and no partition, so that every answer would be empty",
            subject=table.table,
            hint="MSCK REPAIR TABLE, or ALTER TABLE … ADD PARTITION",
        )
    roles = [values_role(key, [one.values[place] for one in table.partitions]) for place, key in enumerate(table.keys)]
    known = [(_meaning(one, roles), one) for one in table.partitions]
    chosen = _of(known, "account", account, table)
    chosen = _of(chosen, "region", region, table)
    span = window.widened(before=PARTITIONS_BEFORE, after=PARTITIONS_AFTER)
    spans = [what.span for what, _ in chosen if what.span]
    chosen = [(what, one) for what, one in chosen if what.span is None or _meet(what.span, (span.start, span.end))]
    inside = [what.span for what, _ in chosen if what.span is None or _meet(what.span, (window.start, window.end))]
    if not inside:
        first, last = min(start for start, _ in spans), max(end for _, end in spans)
        raise WindowError(
            f"no partition of the table covers {window}; they reach from {first:%Y-%m-%dT%H:%MZ} to {last:%Y-%m-%dT%H:%MZ}",
            subject=table.table,
            hint="MSCK REPAIR TABLE or ALTER TABLE … ADD PARTITION after new data, or another window",
        )
    where, values = _where(table, roles, [one.values for _, one in chosen])
    return Reads(
        where,
        values,
        tuple(sorted({_folder(one.location) for _, one in chosen})),
        tuple(sorted({what.account for what, _ in chosen} - {""})),
        tuple(sorted({what.region for what, _ in chosen} - {""})),
        (*_gaps(inside, window), *_left(table.keys, roles, known)),
    )


def _meaning(one: Partition, roles: Sequence[Role]) -> _Meaning:
    """What a partition holds: by its location where that is AWS's own layout, else by its values."""
    said = layout(one.location)
    valued = dict(zip(roles, one.values, strict=True))
    numbers = [int(said[name]) for name in PIECES if name in said]
    span = pieces_span(numbers) or _values_span(valued)
    account = said.get("account") or valued.get("account", "")
    return _Meaning(
        account.zfill(12) if account.isdigit() else "", said.get("region") or valued.get("region", ""), span
    )


def _values_span(valued: Mapping[Role, str]) -> Span | None:
    if whole := span_of(valued.get("date", "")):
        hour = valued.get("hour", "")
        if not hour.isdigit() or whole[1] - whole[0] != timedelta(days=1):
            return whole
        start = whole[0] + timedelta(hours=int(hour))
        return start, start + timedelta(hours=1)
    texts = [valued.get(piece, "") for piece in PIECES]
    numbers = list(itertools.takewhile(str.isdigit, texts))
    return pieces_span([int(number) for number in numbers])


def _of(
    found: list[tuple[_Meaning, Partition]], what: str, asked: str, table: Layout
) -> list[tuple[_Meaning, Partition]]:
    """Those of an account or region, and those that do not say. Raises SourceError where there are only others."""
    kept = [(meaning, one) for meaning, one in found if getattr(meaning, what) in ("", asked)]
    if not kept:
        _none_of(table, what, asked, {getattr(meaning, what) for meaning, _ in found})
    return kept


def _none_of(table: Layout, what: str, asked: str, have: Iterable[str]) -> None:
    shown = sorted(set(have))
    raise SourceError(
        f"the table has no partition of {what} {asked}; it has {', '.join(shown[:5])}{' …' if len(shown) > 5 else ''}",
        subject=table.table,
        hint="give account=… to open()" if what == "account" else "connect to that region",
    )


def _meet(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _gaps(spans: Sequence[Span | None], window: Window) -> list[str]:
    """What of the window no partition covers, as a note."""
    if any(span is None for span in spans):
        return []
    reach, missing = window.start, []
    for start, end in sorted(span for span in spans if span):
        if start > reach:
            missing.append((reach, start))
        reach = max(reach, end)
    if reach < window.end:
        missing.append((reach, window.end))
    shown = [f"{start:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ}" for start, end in missing[:3]]
    return [f"no partition covers {', '.join(shown)}{' …' if len(missing) > 3 else ''}"] if missing else []


def _left(keys: Sequence[Key], roles: Sequence[Role], known: Sequence[tuple[_Meaning, Partition]]) -> list[str]:
    """The keys that tell nothing, where the locations of the partitions do not tell it either."""
    if all(what.span and what.account and what.region for what, _ in known):
        return []
    return [
        f"the partition key {key.name} is not bound" for key, role in zip(keys, roles, strict=True) if role == "other"
    ]


def _where(
    table: Layout, roles: Sequence[Role], rows: Sequence[tuple[str, ...]]
) -> tuple[str, tuple[str | int | float, ...]]:
    """Predicates that keep these partitions: of every key that means something or whose values differ from the rest."""
    places_ = [
        place
        for place, role in enumerate(roles)
        if _NULL not in (column := {row[place] for row in rows})
        and (role != "other" or column != {one.values[place] for one in table.partitions})
    ]
    keys = [table.keys[place] for place in places_]
    try:
        bound = {tuple(key.literal(row[place]) for key, place in zip(keys, places_, strict=True)) for row in rows}
    except ValueError:
        raise SourceError(
            "a partition's value does not fit the type of its key",
            subject=table.table,
            hint="SHOW PARTITIONS tells which",
        ) from None
    return predicates(keys, bound)


# ---------------------------------------------------------------------------------------------- partitions that are projected


Spell = Callable[
    [datetime], tuple[str, str] | None
]  # a time as the path and as SQL have it; None where there is no such value


def _projected(table: Layout, window: Window, account: str, region: str, now: datetime) -> Reads:
    said, placed = layout(table.template), places(table.template, table.keys)
    roles = {key.name: _role(key, placed) for key in table.keys}
    fixed: dict[str, str] = {}
    for key in table.keys:
        if roles[key.name] in ("account", "region"):
            fixed[key.name] = _chosen(table, key, roles[key.name], account if roles[key.name] == "account" else region)
    spells = {key.name: spell for key in table.keys if (spell := _spell(key, roles[key.name], now)) is not None}
    unbound = [key for key in table.keys if key.name not in fixed and key.name not in spells]
    if needed := [key.name for key in unbound if key.kind == "injected"]:
        raise SourceError(
            f"the partition key {needed[0]} is injected, and netkit cannot tell what its value should be",
            subject=table.table,
            hint="project it as an enum, or ask .sql() of a table without it",
        )
    moments = _moments(window, spells, {key.name: key for key in table.keys})
    times = [moment for moment in moments if all(spell(moment) for spell in spells.values())]
    missed = [when for when in moments if when not in set(times) and window.start <= when < min(window.end, now)]
    if (spells and not any(window.start - timedelta(hours=1) < when < window.end for when in times)) or (
        spells and not times
    ):
        _out_of_range(table, window, spells)
    rows, filled = _rows(table, fixed, spells, times)
    bound = [key for key in table.keys if key.name in fixed or key.name in spells]
    where, values = predicates(bound, rows)
    accounts, regions = (
        tuple(fixed[name] for name in fixed if roles[name] == what) or _said(said)[place]
        for place, what in enumerate(("account", "region"))
    )
    notes = [f"the table's projection does not cover {missed[0]:%Y-%m-%dT%H:%MZ}"] if missed else []
    notes += [f"the partition key {key.name} is not bound" for key in unbound]
    return Reads(where, values, filled, tuple(one.zfill(12) for one in accounts), regions, tuple(notes))


def _role(key: Key, placed: Mapping[str, Role]) -> Role:
    """What a projected key means."""
    place = placed.get(key.name.lower(), "other")
    if key.kind == "date":
        return "date" if date_format(key.setting("format")) else "other"
    if key.kind == "enum":
        return values_role(Key(place if place in PIECES else key.name, key.type), key.setting("values").split(","))
    if key.kind == "integer":
        role = integer_role(key)
        return role if role in ("date", "account") or place not in PIECES else place
    return place if place != "other" else name_role(key.name)


def _chosen(table: Layout, key: Key, what: Role, asked: str) -> str:
    """The value of an account or region key. Raises SourceError where its enum lacks the one asked for."""
    if key.kind != "enum":
        return asked
    have = key.setting("values").split(",")
    same = [value for value in have if (value.strip().zfill(12) if what == "account" else value.strip()) == asked]
    if not same:
        _none_of(table, what, asked, [value.strip() for value in have])
    return same[0]


def _spell(key: Key, role: Role, now: datetime) -> Spell | None:
    """How a projected key of time spells a moment."""
    if role not in ("date", *PIECES):
        return None
    if key.kind == "date":
        return _date_spell(key, now)
    if key.kind == "enum":
        return _enum_spell(key, role)
    if key.kind == "integer":
        return _integer_spell(key, role)
    fmt = "%Y/%m/%d" if role == "date" else _STEP[role]
    return lambda when: (when.strftime(fmt), _iso(key, when) or when.strftime(fmt))


def _iso(key: Key, when: datetime) -> str:
    """A moment as a key of type date or timestamp has it; "" for other types."""
    return {"date": f"{when:%Y-%m-%d}", "timestamp": f"{when:%Y-%m-%d %H:%M:00}"}.get(key.type, "")


def _date_spell(key: Key, now: datetime) -> Spell | None:
    form = date_format(key.setting("format"))
    if form is None:
        return None
    low, _, high = key.setting("range").partition(",")
    first, last = date_bound(low, form, now), date_bound(high, form, now)
    step = timedelta(seconds=max(interval_s(key, form), form.resolution_s))

    def spell(when: datetime) -> tuple[str, str] | None:
        if (first and when <= first - step) or (last and "NOW" not in high.upper() and when >= last + step):
            return None
        text = form.spell(when)
        return text, _iso(key, form.read(text) or when) or text

    return spell


def _integer_spell(key: Key, role: Role) -> Spell:
    low, high = integer_range(key)
    step, digits = int(key.setting("interval", "1")), int(key.setting("digits", "0"))
    fmt = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H"}[len(str(low))] if role == "date" else _STEP[role]

    def spell(when: datetime) -> tuple[str, str] | None:
        number = int(when.strftime(fmt))
        if not low <= number <= high:
            return None
        number = low + (number - low) // step * step if role != "date" else number
        return str(number).zfill(digits), str(number).zfill(digits)

    return spell


def _enum_spell(key: Key, role: Role) -> Spell:
    values = key.setting("values").split(",")
    if role == "date":
        spans = [(span, value) for value in values if (span := span_of(value))]
        return lambda when: next(((v, v) for span, v in spans if span[0] <= when < span[1]), None)
    numbers = {int(value): value for value in values}

    def spell(when: datetime) -> tuple[str, str] | None:
        value = numbers.get(int(when.strftime(_STEP[role])))
        return (value, value) if value is not None else None

    return spell


def _moments(window: Window, spells: Mapping[str, Spell], keys: Mapping[str, Key]) -> list[datetime]:
    """Times close enough together to meet every partition that can hold records of the window."""
    forms = [(keys[name], form) for name in spells if (form := date_format(keys[name].setting("format")))]
    before = max(
        [timedelta(seconds=interval_s(key, form)) for key, form in forms if interval_s(key, form) > form.resolution_s],
        default=timedelta(0),
    )
    span = window.widened(before=PARTITIONS_BEFORE + before, after=PARTITIONS_AFTER)
    fine = min([form.resolution_s for _, form in forms], default=3600)
    step = timedelta(seconds=60 if fine < 3600 else 3600)
    moment, found = span.start.replace(minute=0, second=0, microsecond=0), []
    if (span.end - moment) / step > MOST_MOMENTS:
        raise WindowError(f"{window} is too long for partitions of {step}", hint="a shorter window")
    while moment < span.end:
        found.append(moment)
        moment += step
    return found


def _out_of_range(table: Layout, window: Window, spells: Mapping[str, Spell]) -> None:
    ranges = [
        f"{key.name} {key.setting('range') or key.setting('values')[:60]}" for key in table.keys if key.name in spells
    ]
    raise WindowError(
        f"the table's projection does not cover {window}: {'; '.join(ranges)[:200]}",
        subject=table.table,
        hint="ALTER TABLE … SET TBLPROPERTIES with a wider projection range, or another window",
    )


def _rows(
    table: Layout, fixed: Mapping[str, str], spells: Mapping[str, Spell], times: Sequence[datetime]
) -> tuple[set[tuple[str | int | float, ...]], tuple[str, ...]]:
    """The bound values of the partitions, and their locations."""
    rows: set[tuple[str | int | float, ...]] = set()
    locations: set[str] = set()
    for when in times or [datetime(2000, 1, 1, tzinfo=UTC)]:
        spelled = {name: value for name, spell in spells.items() if (value := spell(when))}
        pairs = {**{name: (value, value) for name, value in fixed.items()}, **spelled}
        rows.add(tuple(key.literal(pairs[key.name][1]) for key in table.keys if key.name in pairs))
        locations.add(_filled(table.template, {name.lower(): path for name, (path, _) in pairs.items()}))
    return rows, tuple(sorted(locations))


def _filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its values, cut where one is not known."""
    parts = template.split("${")
    text = parts[0]
    for part in parts[1:]:
        name, _, rest = part.partition("}")
        if name.lower() not in values:
            return text
        text += values[name.lower()] + rest
    return _folder(text)


# ------------------------------------------------------------------------------------------------------------- predicates


def predicates(
    keys: Sequence[Key], rows: Iterable[tuple[str | int | float, ...]]
) -> tuple[str, tuple[str | int | float, ...]]:
    """Predicates that keep these combinations of values: one plain predicate a key, by which partitions are pruned, and the
    exact combination where the keys are not free of each other (23 h of one day and 00 h of the next)."""
    found = set(rows)
    if not keys or not found:
        return "", ()
    columns = [sorted({row[place] for row in found}, key=str) for place in range(len(keys))]
    clauses, values = [], []
    for key, column in zip(keys, columns, strict=True):
        clauses.append(_in(key, column))
        values += column
    size = 1
    for column in columns:
        size *= len(column)
    if size != len(found):
        # An injected key takes plain equalities only, so it stays out of the combination.
        free = [place for place, key in enumerate(keys) if key.kind != "injected" and len(columns[place]) > 1]
        text, bound = _nested([keys[place] for place in free], {tuple(row[place] for place in free) for row in found})
        if len(bound) <= MOST_VALUES:
            clauses.append(f"({text})")
            values += bound
    return " AND ".join(clauses), tuple(values)


def _in(key: Key, values: Sequence[str | int | float]) -> str:
    name = '"' + key.name.lower().replace('"', '""') + '"'
    return f"{name} = {key.mark}" if len(values) == 1 else f"{name} IN ({', '.join([key.mark] * len(values))})"


def _nested(keys: Sequence[Key], rows: set[tuple[str | int | float, ...]]) -> tuple[str, list[str | int | float]]:
    """The combination as OR of ANDs; values of the first key with the same rest stand together."""
    if len(keys) == 1:
        column = sorted({row[0] for row in rows}, key=str)
        return _in(keys[0], column), column
    rests: dict[str | int | float, set[tuple[str | int | float, ...]]] = {}
    for row in rows:
        rests.setdefault(row[0], set()).add(row[1:])
    alike: dict[frozenset[tuple[str | int | float, ...]], list[str | int | float]] = {}
    for value in sorted(rests, key=str):
        alike.setdefault(frozenset(rests[value]), []).append(value)
    parts, values = [], []
    for rest, heads in alike.items():
        text, bound = _nested(keys[1:], set(rest))
        parts.append(f"{_in(keys[0], heads)} AND {text}" if len(alike) == 1 else f"({_in(keys[0], heads)} AND {text})")
        values += [*heads, *bound]
    return (parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"), values
