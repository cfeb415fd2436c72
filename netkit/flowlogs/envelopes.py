"""What others wrap records in, taken off: JSON of any AWS call, base64, exports as CSV. Streams, in bounded memory. Pure.

A record comes out as the line that AWS wrote, or as a mapping from column to text where somebody took it apart.

Sources: CloudWatch Logs User Guide, "Log group-level subscription filters" (logEvents) and "Log data in Amazon S3"; API Reference
of FilterLogEvents, GetLogEvents, GetQueryResults, Kinesis GetRecords, Athena GetQueryResults; Amazon Security Lake User Guide
and OCSF 1.1, class 4001 Network Activity.
"""

from __future__ import annotations

import base64
import binascii
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from netkit.flowlogs.fields import column_of

MAX_LINE = 1 << 20  # characters of one line or element; what is longer is counted as lost
MAX_DOCUMENT = 16 << 20  # of one JSON document that has to be read whole
_DEPTH = 9  # of envelopes within envelopes

Record = str | dict[str, str]

_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_LISTS = ("logEvents", "events", "results", "Records", "records")
_LIST = re.compile(r'"(?:logEvents|events|results|Records|records)"\s*:\s*\[')
_LINES = ("@message", "message", "Message", "log", "_raw", "line")
_BLOBS = ("Data", "data")


@dataclass
class Lost:
    """What could not be read: how much, and some of it."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """One more."""
        self.count += 1
        if len(self.examples) < 3:
            self.examples.append(text[:120])


def lines(stream: TextIO, lost: Lost, *, most: int = MAX_LINE) -> Iterator[str]:
    """The lines of a stream without their ends; one of more than `most` characters is lost, and never held whole."""
    while line := stream.readline(most):
        if len(line) < most or line.endswith("\n"):
            yield line.rstrip("\r\n")
            continue
        lost.add(line)
        while (rest := stream.readline(most)) and not rest.endswith("\n"):
            pass


# --------------------------------------------------------------------------------------------------------------- JSON


def json_records(stream: TextIO, lost: Lost) -> Iterator[Record]:
    """The records in JSON: one document, an array, JSON lines, or documents without anything between them."""
    for value in json_values(stream, lost):
        yield from unwrap(value, lost)


def json_values(stream: TextIO, lost: Lost) -> Iterator[Any]:
    """The values of a JSON text one after the other; the elements of an array, and of a document's list where it is large."""
    reader = _Reader(stream)
    array = False
    while (sign := reader.sign()) is not None:
        if sign == "," or (sign == "[" and not array) or (sign == "]" and array):
            array = sign == "[" or (array and sign != "]")
            reader.place += 1
            continue
        done, value = reader.value()
        if done:
            yield value
        elif not array and reader.enter_list():
            array = True
        else:
            if not re.fullmatch(r"[\]}\s]*", skipped := reader.skip_line()):
                lost.add(skipped)
            array = array and not skipped.startswith("]")


class _Reader:
    """A JSON text in a buffer that is filled as it is read."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._buffer, self.place, self._ended = stream, "", 0, False
        self._decoder = json.JSONDecoder()

    def _fill(self) -> bool:
        if self._ended:
            return False
        more = self._stream.read(max(1 << 18, len(self._buffer) - self.place))
        self._ended = not more
        self._buffer, self.place = self._buffer[self.place :] + more, 0
        return bool(more)

    def sign(self) -> str | None:
        """The next sign that is no blank, or None at the end."""
        while True:
            match = re.compile(r"\S").search(self._buffer, self.place)
            if match and match[0] != "\ufeff":
                self.place = match.start()
                return match[0]
            self.place = match.end() if match else len(self._buffer)
            if not match and not self._fill():
                return None

    def value(self) -> tuple[bool, Any]:
        """The value that begins here, and whether there is one: not where it is broken, or larger than a document may be."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self.place)
            except RecursionError:
                return False, None
            except json.JSONDecodeError as problem:
                cut = problem.msg.startswith("Unterminated") or problem.pos >= len(self._buffer) - 16
                if cut and len(self._buffer) - self.place < MAX_DOCUMENT and self._fill():
                    continue
                return False, None
            if end == len(self._buffer) and not isinstance(value, dict | list | str) and self._fill():
                continue
            self.place = end
            return True, value

    def enter_list(self) -> bool:
        """Go into the list of a document that is too large to be read whole."""
        if len(self._buffer) - self.place < MAX_DOCUMENT or not self._buffer.startswith("{", self.place):
            return False
        match = _LIST.search(self._buffer, self.place, self.place + MAX_LINE)
        self.place = match.end() if match else self.place
        return match is not None

    def skip_line(self) -> str:
        """Go to the next line; what was left out, some of it."""
        start = self._buffer[self.place : self.place + 200]
        while (end := self._buffer.find("\n", self.place)) < 0:
            self.place = len(self._buffer)
            if not self._fill():
                return start
        self.place = end + 1
        return start.split("\n", maxsplit=1)[0]


def unwrap(value: Any, lost: Lost, depth: int = 0) -> Iterator[Record]:
    """The records in one JSON value; what holds none is lost."""
    if depth > _DEPTH:
        lost.add("envelopes within envelopes")
    elif isinstance(value, dict):
        yield from _unwrap_mapping(value, lost, depth)
    elif isinstance(value, list):
        if value and all(isinstance(cell, dict) and "field" in cell for cell in value):
            cells = {str(cell["field"]): cell.get("value") for cell in value}
            yield from _unwrap_mapping(cells, lost, depth)
        else:
            for one in value:
                yield from unwrap(one, lost, depth + 1)
    elif isinstance(value, str):
        yield from _unwrap_text(value, lost, depth)
    else:
        lost.add(str(value))


def _unwrap_mapping(value: Mapping[str, Any], lost: Lost, depth: int) -> Iterator[Record]:
    if value.get("messageType") == "CONTROL_MESSAGE":  # CloudWatch Logs tries whether it can deliver
        return
    if "src_endpoint" in value and "dst_endpoint" in value:
        yield ocsf(value)
        return
    if isinstance(found := value.get("ResultSet"), dict):
        yield from _athena_rows(found, lost)
        return
    known = structured(value)
    if len(known) >= 3 and ("srcaddr" in known or "interface_id" in known):
        yield known
        return
    for name in _LISTS:
        if isinstance(inner := value.get(name), list):
            for one in inner:
                yield from unwrap(one, lost, depth + 1)
            return
    for name in (*_LINES, *_BLOBS, "awslogs", "kinesis", "result"):
        if isinstance(inner := value.get(name), str | dict) and inner:
            yield from unwrap(inner, lost, depth + 1)
            return
    lost.add(json.dumps(value, default=str))


def _unwrap_text(value: str, lost: Lost, depth: int) -> Iterator[Record]:
    text = value.strip()
    if text.startswith("{"):
        for inner in json_values(io.StringIO(text), lost):
            yield from unwrap(inner, lost, depth + 1)
    elif _BASE64.fullmatch(text):
        yield from unpacked(text, lost, depth)
    else:
        yield from (one for one in text.splitlines() if one.strip())


def unpacked(text: str, lost: Lost, depth: int = 0) -> Iterator[Record]:
    """The records in base64 of gzip (once or twice) or of text, as Kinesis and Lambda hand them over."""
    try:
        body = base64.b64decode(text, validate=True)
        for _ in range(3):
            if body[:2] != b"\x1f\x8b":
                break
            body = _gunzip(body)
        plain = body.decode("utf-8")
    except (binascii.Error, OSError, EOFError, zlib.error, UnicodeDecodeError):
        lost.add(text)
        return
    yield from _unwrap_text(plain, lost, depth + 1)


def _gunzip(body: bytes) -> bytes:
    """Up to MAX_DOCUMENT of what is packed. Raises OSError for more."""
    with gzip.open(io.BytesIO(body)) as file:
        found = file.read(MAX_DOCUMENT + 1)
    if len(found) > MAX_DOCUMENT:
        raise OSError("larger than an event can be")
    return found


def _athena_rows(found: Mapping[str, Any], lost: Lost) -> Iterator[Record]:
    """Rows of Athena's GetQueryResults: the first one is the header."""
    rows = [[cell.get("VarCharValue") for cell in row.get("Data", [])] for row in found.get("Rows", [])]
    if not rows:
        return
    for row in rows[1:]:
        known = structured({str(name): value for name, value in zip(rows[0], row, strict=False)})
        if known:
            yield known
        else:
            lost.add(str(row))


# ------------------------------------------------------------------------------------------------- records taken apart


def structured(value: Mapping[str, Any]) -> dict[str, str]:
    """The flow-log fields among the keys of a mapping, as AWS would write them; start from @timestamp where there is none.

    The time of a flow-log event is its record's start (VPC User Guide, "Publish flow logs to CloudWatch Logs").
    """
    found = {column: as_text(inner) for name, inner in value.items() if (column := column_of(name))}
    if "@timestamp" in value and "start" not in found and "srcaddr" in found and (at := seconds(value["@timestamp"])):
        found["start"] = at
    return found


def as_text(value: Any) -> str:
    """A value as AWS writes it: "-" for none, whole numbers without a fraction."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return re.sub(r"[\x1f\r\n]", " ", str(value).strip()) or "-"


def seconds(value: Any) -> str:
    """Unix seconds of a time in seconds, milliseconds or ISO 8601 in UTC; "" for anything else."""
    text = str(value).strip()
    if re.fullmatch(r"\d{1,16}(\.0+)?", text):
        number = int(text.split(".")[0])
        return str(number // 1000 if number > 10**11 else number)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return str(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))


_OCSF = {
    "version": ("metadata.product.version",),
    "account_id": ("cloud.account.uid", "cloud.account_uid"),
    "region": ("cloud.region",),
    "az_id": ("cloud.zone",),
    "interface_id": ("src_endpoint.interface_uid", "dst_endpoint.interface_uid"),
    "instance_id": ("src_endpoint.instance_uid", "dst_endpoint.instance_uid"),
    "vpc_id": ("src_endpoint.vpc_uid", "dst_endpoint.vpc_uid"),
    "subnet_id": ("src_endpoint.subnet_uid", "dst_endpoint.subnet_uid"),
    "srcaddr": ("src_endpoint.ip",),
    "dstaddr": ("dst_endpoint.ip",),
    "srcport": ("src_endpoint.port",),
    "dstport": ("dst_endpoint.port",),
    "pkt_srcaddr": ("src_endpoint.intermediate_ips",),
    "pkt_dstaddr": ("dst_endpoint.intermediate_ips",),
    "pkt_src_aws_service": ("src_endpoint.svc_name",),
    "pkt_dst_aws_service": ("dst_endpoint.svc_name",),
    "protocol": ("connection_info.protocol_num",),
    "tcp_flags": ("connection_info.tcp_flags",),
    "type": ("connection_info.protocol_ver",),
    "flow_direction": ("connection_info.direction",),
    "traffic_path": ("connection_info.boundary_id",),
    "packets": ("traffic.packets",),
    "bytes": ("traffic.bytes",),
    "start": ("start_time", "start_time_dt", "time", "time_dt"),
    "end": ("end_time", "end_time_dt"),
    "action": ("disposition", "action", "disposition_id", "action_id"),
    "log_status": ("status_code",),
}
_MEANT = {
    "action": {"allowed": "ACCEPT", "1": "ACCEPT", "accept": "ACCEPT"}
    | dict.fromkeys(("blocked", "denied", "2", "reject"), "REJECT"),
    "flow_direction": {"inbound": "ingress", "ingress": "ingress", "outbound": "egress", "egress": "egress"},
    "traffic_path": {"99": "-", "0": "-"},
}
_MUST_MEAN = ("action", "flow_direction")


def ocsf(value: Mapping[str, Any]) -> dict[str, str]:
    """A Network Activity event as a record. Fields that OCSF has not are not made up."""
    found: dict[str, str] = {}
    for column, paths in _OCSF.items():
        texts = [text for path in paths if (text := as_text(_at(value, path))) != "-"]
        if not texts:
            continue
        found[column] = texts[0]
        if column in ("start", "end"):
            found[column] = seconds(texts[0]) or "-"
        elif column in _MEANT:
            meant = [_MEANT[column].get(text.lower(), "" if column in _MUST_MEAN else text) for text in texts]
            found[column] = next((one for one in meant if one), "-")
    return found


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return (value[0] if value else None) if isinstance(value, list | tuple) else value


# ---------------------------------------------------------------------------------------------------- text and tables


def table_records(stream: TextIO, lost: Lost, separator: str = ",") -> Iterator[Record]:
    """The records of a CSV export: its column message or @message, or the fields that Logs Insights discovered."""
    rows = csv.reader(lines(stream, lost), delimiter=separator)
    head: Sequence[str] = [name.strip().lstrip("\ufeff") for name in next(rows, [])]
    message = message_place(head)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as problem:
            lost.add(str(problem))
            continue
        if row is None:
            return
        if message is not None and len(row) > message:
            yield from unwrap(row[message], lost)
        elif message is None and len(row) == len(head):
            yield structured(dict(zip(head, row, strict=True)))
        elif row:
            lost.add(separator.join(row))


def message_place(head: Sequence[str]) -> int | None:
    """Which column of a table holds whole log lines."""
    plain = [name.strip().strip('"').lstrip("\ufeff").lower() for name in head]
    return next((plain.index(name) for name in ("@message", "message") if name in plain), None)


def event_records(stream: TextIO, lost: Lost) -> Iterator[Record]:
    """The messages in `aws logs … --output text`: lines of EVENTS, cut by tabs, the message among ids and times."""
    for line in lines(stream, lost):
        cells = line.split("\t")
        if cells[0] == "EVENTS":
            yield max(cells, key=lambda cell: cell.count(" "))


def base64_records(stream: TextIO, lost: Lost) -> Iterator[Record]:
    """The records in lines of base64, bare or in quotes."""
    for line in lines(stream, lost, most=MAX_DOCUMENT):
        if text := line.strip().strip('",'):
            yield from unpacked(text, lost)


def parquet_records(rows: Iterable[Mapping[str, Any]]) -> Iterator[Record]:
    """Security Lake's rows."""
    for row in rows:
        yield ocsf(row)
