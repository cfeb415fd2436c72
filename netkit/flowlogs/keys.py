"""What the partition keys of a table mean, and how their values are spelled, by whatever name and type somebody gave them. Pure.

What a key means is told by what can be known of it, in this order: its projection's date format, its place in AWS's own layout
(the location, or the storage template), its values, its name. A key that none of these tells is "other" and is never bound.

Sources: Athena User Guide "Set up partition projection" and "Supported types for partition projection" (date formats of Java's
DateTimeFormatter; integer with digits and interval; enum; injected); VPC User Guide "Flow log files" (the layout).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

Role = Literal["account", "region", "date", "year", "month", "day", "hour", "other"]
Span = tuple[datetime, datetime]

PIECES: tuple[Role, ...] = ("year", "month", "day", "hour")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}")
_NAMES: tuple[tuple[Role, str], ...] = (
    ("account", r"(aws)?_?(acct?|account|accountid|acc_?id|acct_?id|account_?(id|no|nr|num|number)|owner_?id)"),
    ("region", r"(aws)?_?(region|rgn|reg)_?(name|code|id)?"),
    ("year", r"(.*_)?(year|yr|yyyy|yy|y)"),
    ("month", r"(.*_)?(month|mon|mm|m)"),
    ("day", r"(.*_)?(day|dd|d)"),
    ("hour", r"(.*_)?(hour|hr|hh|h)"),
    ("date", r"(.*_)?(dt|date|ds|datestamp|datehour|day_?hour)"),
)
_LAYOUT = re.compile(
    r"AWSLogs/(?:aws-account-id=)?(?P<account>[0-9]{12})/(?:aws-service=)?vpcflowlogs/(?:aws-region=)?(?P<region>[a-z0-9-]+)"
    r"(?:/(?:year=)?(?P<year>[0-9]{4})(?:/(?:month=)?(?P<month>[0-9]{2})(?:/(?:day=)?(?P<day>[0-9]{2})(?:/(?:hour=)?(?P<hour>[0-9]{2}))?)?)?)?(?:/|$)"
)
_APART = re.compile(
    r"([0-9]{4})[-/._]([0-9]{1,2})(?:[-/._]([0-9]{1,2})(?:[-/._T ]([0-9]{1,2})(?::?([0-9]{2})(?::?00(?:\.0+)?)?)?Z?)?)?"
)
_CLOSE = re.compile(r"(20[0-9]{2})([0-9]{2})(?:([0-9]{2})(?:([0-9]{2}))?)?")
_JAVA = re.compile(r"'([^']*)'|(y+|u+|M+|d+|H+|m+|s+)|([^A-Za-z']+)|(.)")
_STEPS = {"s": 1, "m": 60, "H": 3600, "d": 86400, "M": 31 * 86400, "y": 366 * 86400}
_UNITS = {
    "SECOND": 1,
    "MINUTE": 60,
    "HOUR": 3600,
    "DAY": 86400,
    "WEEK": 7 * 86400,
    "MONTH": 31 * 86400,
    "YEAR": 366 * 86400,
}
_RANGES: dict[tuple[int, int], Role] = {(0, 23): "hour", (1, 12): "month", (1, 31): "day"}


@dataclass(frozen=True)
class Key:
    """A partition key: its name, its type in the catalogue, and what projection says of it (type, format, range, values …)."""

    name: str
    type: str = "string"
    projection: Mapping[str, str] | None = None

    @property
    def kind(self) -> str:
        """The projection's type: date, integer, enum, injected; "" without one."""
        return (self.projection or {}).get("type", "").lower()

    def setting(self, name: str, default: str = "") -> str:
        """One of the projection's settings."""
        return (self.projection or {}).get(name, default)

    @property
    def mark(self) -> str:
        """What stands for a value of this key in SQL. A key of type date compares with a date, never with a text."""
        base = self.type.split("(")[0].strip()
        return f"CAST(? AS {base})" if base in ("date", "timestamp", "boolean") else "?"

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return self.type.split("(")[0].strip() in ("tinyint", "smallint", "int", "integer", "bigint", "decimal")

    def literal(self, text: str) -> str | int | float:
        """A value as it is bound. Raises ValueError for one that the type has not."""
        if self.whole:
            return int(text)
        return float(text) if self.type in ("double", "float", "real") else text


def name_role(name: str) -> Role:
    """What a name says, in any case, with hyphens or underscores."""
    plain = name.lower().replace("-", "_")
    return next((role for role, pattern in _NAMES if re.fullmatch(pattern, plain)), "other")


def span_of(text: str) -> Span | None:
    """The time that a whole date spells (2024-12-14, 2024/12/14/09, 20241214, 2024-12 …), or None for what is none."""
    match = _APART.fullmatch(text.strip()) or _CLOSE.fullmatch(text.strip())
    return pieces_span([int(part) for part in match.groups() if part is not None]) if match else None


def pieces_span(numbers: Sequence[int]) -> Span | None:
    """The span of year, month, day, hour, minute, as many as there are. None where the calendar has no such time."""
    if not numbers:
        return None
    try:
        start = datetime(*[*numbers, 1, 1][: max(3, len(numbers))], tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None
    if len(numbers) == 1:
        return start, start.replace(year=start.year + 1)
    if len(numbers) == 2:
        return start, (start + timedelta(days=32)).replace(day=1)
    return start, start + (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1))[len(numbers) - 3]


def layout(location: str) -> dict[str, str]:
    """account, region, year, month, day, hour: what a location in AWS's own layout says, as far as it goes."""
    match = _LAYOUT.search(location.rstrip("/") + "/")
    return {name: value for name, value in match.groupdict().items() if value} if match else {}


def places(template: str, keys: Sequence[Key]) -> dict[str, Role]:
    """What the place of each ${key} in AWS's layout, or its label in a Hive path, says of the key."""
    known = {key.name.lower() for key in keys}
    segments = template.rstrip("/").split("/")
    labels = [re.fullmatch(r"([\w-]+)=\$\{([^}]+)\}", segment) for segment in segments]
    found: dict[str, Role] = {match[2].lower(): name_role(match[1]) for match in labels if match}
    if "AWSLogs" in segments:
        tail = [match[1].lower() if (match := re.fullmatch(r"\$\{([^}]+)\}", one)) else "" for one in segments]
        tail = tail[segments.index("AWSLogs") + 1 :]
        dates: tuple[Role, ...] = PIECES if len(tail) > 5 else ("date", "hour")  # /2024/12/14 as three keys, or as one
        roles: tuple[Role, ...] = ("account", "other", "region", *dates)
        found |= {name: role for name, role in zip(tail, roles, strict=False) if name in known and name not in found}
    return found


def values_role(key: Key, values: Sequence[str]) -> Role:
    """What the values of a key say, all of them alike; its name decides between year, month, day and hour."""
    texts = [value.strip() for value in values if value != "__HIVE_DEFAULT_PARTITION__"]
    named = name_role(key.name)
    if not texts:
        return "other"
    if all(re.fullmatch(r"[0-9]{12}", text) for text in texts) and named not in ("date", *PIECES):
        return "account"
    if key.whole and named == "account" and all(re.fullmatch(r"[0-9]{1,12}", text) for text in texts):
        return "account"
    if all(_REGION.fullmatch(text) for text in texts):
        return "region"
    if all(span_of(text) for text in texts):
        return "date"
    fits = {"year": (2000, 2099), "month": (1, 12), "day": (1, 31), "hour": (0, 23)}
    if named in fits and all(re.fullmatch(r"[0-9]{1,4}", text) for text in texts):
        low, high = fits[named]
        return named if all(low <= int(text) <= high for text in texts) else "other"
    return "other"


def integer_role(key: Key) -> Role:
    """What a projected integer is: by the size of its range, or by its name."""
    low, high = integer_range(key)
    if (
        20000101 <= low <= high <= 20991231
        or 2000010100 <= low <= high <= 2099123123
        or 200001 <= low <= high <= 209912
    ):
        return "date"
    if key.whole and name_role(key.name) == "account" and high > 20991231:
        return "account"
    named = name_role(key.name)
    if named in PIECES:
        return named
    return "year" if 2000 <= low <= high <= 2099 else _RANGES.get((low, high), "other")


def integer_range(key: Key) -> tuple[int, int]:
    """The range of a projected integer; (0, -1) for one that cannot be read."""
    match = re.fullmatch(r"\s*(-?[0-9]+)\s*,\s*(-?[0-9]+)\s*", key.setting("range"))
    return (int(match[1]), int(match[2])) if match else (0, -1)


# -------------------------------------------------------------------------------------------------- dates as Java spells them


@dataclass(frozen=True)
class DateFormat:
    """A date format of Java's: `spell` writes a time in it; resolution_s is its finest unit, about, in seconds."""

    spell: Callable[[datetime], str]
    read: Callable[[str], datetime | None]
    resolution_s: int


def date_format(pattern: str) -> DateFormat | None:
    """The format, or None for one with letters that flow logs have no use for."""
    parts: list[str] = []
    regex = ""
    for quoted, letters, plain, wrong in _JAVA.findall(pattern):
        if wrong or len(letters) > (3 if letters.startswith("M") else 4):
            return None
        if letters:
            unit, width = letters[0].replace("u", "y"), "1,2" if len(letters) == 1 else f"{len(letters)}"
            regex += f"(?P<{unit}_{len(parts)}>[0-9A-Za-z]{{{width}}})"
            parts.append(letters.replace("u", "y"))
        else:
            regex += re.escape(plain or quoted or "'")
            parts.append("\0" + (plain or quoted or "'"))
    units = [part[0] for part in parts if not part.startswith("\0")]
    if "y" not in units:
        return None
    resolution = min(_STEPS[unit] for unit in units)
    return DateFormat(
        lambda when: "".join(_part(part, when) for part in parts), lambda text: _read(regex, text), resolution
    )


def _part(part: str, when: datetime) -> str:
    if part.startswith("\0"):
        return part[1:]
    if part == "MMM":
        return f"{when:%b}"
    if part == "yy":
        return f"{when.year % 100:02d}"
    fields = {"y": when.year, "M": when.month, "d": when.day, "H": when.hour, "m": when.minute, "s": when.second}
    return str(fields[part[0]]).zfill(len(part))


def _read(regex: str, text: str) -> datetime | None:
    match = re.fullmatch(regex, text.strip())
    if match is None:
        return None
    found = {name[0]: value for name, value in match.groupdict().items()}
    try:
        month = found.get("M", "1")
        number = int(month) if month.isdigit() else datetime.strptime(month, "%b").month
        year = int(found["y"]) + (2000 if len(found["y"]) == 2 else 0)
        day, hour, minute = (int(found.get(one, low)) for one, low in (("d", "1"), ("H", "0"), ("m", "0")))
        return datetime(year, number, day, hour, minute, tzinfo=UTC)
    except (ValueError, KeyError):
        return None


def interval_s(key: Key, form: DateFormat) -> int:
    """Seconds from one projected date to the next, at most."""
    unit = key.setting("interval.unit").upper().rstrip("S")
    count = key.setting("interval", "1")
    return _UNITS.get(unit, form.resolution_s) * (int(count) if count.isdigit() else 1)


def date_bound(text: str, form: DateFormat, now: datetime) -> datetime | None:
    """One end of a projected date's range: NOW, NOW-3YEARS, or a date in the format. None for what cannot be read."""
    match = re.fullmatch(r"NOW(?:\s*([+-])\s*([0-9]+)\s*([A-Z]+?)S?)?", text.strip().upper())
    if match is None:
        return form.read(text)
    if match[1] is None:
        return now
    ahead = timedelta(seconds=_UNITS.get(match[3], 0) * int(match[2]))
    return now + ahead if match[1] == "+" else now - ahead
