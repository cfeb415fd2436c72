"""Command lines of the guide this kit grew from, read as specs: translated with a notice where the meaning is plain, refused with
a hint where it is not. Pure: nothing is run, and a shell never sees the text.

What AWS takes, and where the guide departs from it, is in botocore's EC2 model and the Amazon VPC and Athena User Guides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from netkit.core.commandline import command_options, command_words
from netkit.core.errors import InputError
from netkit.flowlogs.fields import COLUMNS, Family, Notice, parse_format
from netkit.flowlogs.table import Destination, FileFormat, FlowLogSpec

# Options of `aws ec2 create-flow-logs`, and whether they take several values.
_OPTIONS = {
    "--resource-type": False, "--resource-ids": True, "--traffic-type": False, "--log-destination-type": False,
    "--log-destination": False, "--log-group-name": False, "--log-format": False, "--deliver-logs-permission-arn": False,
    "--max-aggregation-interval": False, "--destination-options": False, "--region": False,
}  # fmt: skip
_IGNORED = {
    "--tag-specifications": "netkit sets its own tags",
    "--client-token": "netkit makes its own",
    "--profile": "the session has it",
}
_TABLE = re.compile(
    r"CREATE\s+EXTERNAL\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>[`\w.]+)\s*\((?P<columns>[^)]*)\)\s*"
    r"(?:PARTITIONED\s+BY\s*\((?P<keys>[^)]*)\))?(?P<rest>[^;]*)",
    re.IGNORECASE,
)
_STATEMENT_NAMES = {"AWSLogDeliveryCheck": "AWSLogDeliveryAclCheck"}


@dataclass(frozen=True)
class _Table:
    """What a CREATE EXTERNAL TABLE in the text says."""

    name: str
    columns: dict[str, str]
    keys: tuple[str, ...]
    parquet: bool
    location: str
    template: str

    def reads(self, destination: str) -> bool:
        """Whether objects delivered to that ARN lie below the table's location."""
        folder = destination.replace("arn:aws:s3:::", "s3://").rstrip("/") + "/"
        return bool(self.location) and folder.startswith(self.location.rstrip("/") + "/")


def spec_from_command(text: str, account: str, region: str) -> tuple[list[FlowLogSpec], list[Notice]]:
    """The specs of all `aws ec2 create-flow-logs` lines in a text, and what was read otherwise than written.

    A bucket, its policy, a role and a table definition in the same text give notices, and a Parquet table gives the flow logs
    below its location the file format that it needs.

    Raises InputError (FieldError for a field) for an option or value that AWS refuses and whose meaning is not plain.
    """
    tables = [_table(match) for match in _TABLE.finditer(text)]
    specs: list[FlowLogSpec] = []
    notices: list[Notice] = []
    for words in _commands(text):
        match words[1:3]:
            case ["ec2", "create-flow-logs"]:
                spec, said = _spec(words[3:], account, region, tables)
                specs.append(spec)
                notices += said
            case ["s3", "mb"]:
                notices.append(
                    Notice(
                        " ".join(words),
                        "a plan for the bucket",
                        "with Block Public Access, encryption, expiry and tags",
                    )
                )
            case ["s3api", "put-bucket-policy"]:
                notices += _policy_notices(words)
            case ["iam", "create-role" | "put-role-policy"]:
                why = "only delivery to CloudWatch Logs takes a role; a plan makes it there, with aws:SourceAccount in its trust"
                notices.append(Notice(" ".join(words[:3]), "nothing for S3", why))
            case _:
                pass  # other wings' commands
    for table in tables:
        notices += _table_notices(table)
    return specs, list(dict.fromkeys(notices))


def _commands(text: str) -> Iterator[list[str]]:
    """Every `aws …` command as words: a line, with continuation lines and with line ends inside quotes."""
    for start in re.finditer(r"^[ \t]*aws\s", text, re.MULTILINE):
        quote = ""
        end = start.start()
        while end < len(text) and (quote or text[end] != "\n" or text[end - 1] == "\\"):
            letter = text[end]
            if letter in "'\"" and quote in ("", letter):
                quote = "" if quote else letter
            end += 1
        yield command_words(text[start.start() : end].replace("\\\n", " "))


def _spec(words: list[str], account: str, region: str, tables: list[_Table]) -> tuple[FlowLogSpec, list[Notice]]:
    given, notices = _options(words)
    kind = _one(given, "--resource-type", "VPC")
    family: Family = "tgw" if kind.startswith("TransitGateway") else "vpc"
    names, said = parse_format(_one(given, "--log-format", ""), family)
    notices += said
    arn = _one(given, "--log-destination", "")
    group = _one(given, "--log-group-name", "")
    destination = _one(given, "--log-destination-type", "cloud-watch-logs")
    options, said_of_options = _destination_options(given, destination, arn, tables)
    notices += said_of_options
    if "--log-format" in given and "log-status" not in names:
        notices.append(
            Notice(
                "a format without ${log-status}",
                "it is",
                "NODATA and SKIPDATA records cannot be told from traffic; add ${log-status}",
            )
        )
    s3 = destination == "s3"
    if s3 and not arn.startswith("arn:aws:s3:::"):
        raise InputError(f"the S3 destination {arn[:80]!r} is not a bucket ARN", hint="as arn:aws:s3:::bucket/folder/")
    bucket, _, prefix = arn.removeprefix("arn:aws:s3:::").partition("/") if s3 else ("", "", "")
    spec = FlowLogSpec(
        account=account, region=_one(given, "--region", region), resource_type=kind, resource_ids=tuple(given.get("--resource-ids", ())),
        fields=names, traffic=_one(given, "--traffic-type", "ALL"), destination=cast(Destination, destination), bucket=bucket, prefix=prefix,
        log_group=group or (arn.partition(":log-group:")[2].removesuffix(":*") if destination == "cloud-watch-logs" else ""),
        role_arn=_one(given, "--deliver-logs-permission-arn", ""), stream_arn=arn if destination == "kinesis-data-firehose" else "",
        file_format=cast(FileFormat, options.get("FileFormat", "plain-text")), hive=_true(options.get("HiveCompatiblePartitions")),
        per_hour=_true(options.get("PerHourPartition")), aggregation_s=_seconds(_one(given, "--max-aggregation-interval", "600")),
    )  # fmt: skip
    return spec, notices


def _options(words: list[str]) -> tuple[dict[str, list[str]], list[Notice]]:
    given: dict[str, list[str]] = {}
    notices: list[Notice] = []
    for option, values in command_options(words, hint="aws ec2 create-flow-logs --resource-type …"):
        if option in _IGNORED:
            notices.append(Notice(option, "left out", _IGNORED[option]))
        elif option not in _OPTIONS:
            raise InputError(f"aws ec2 create-flow-logs has no option {option!r}", hint=f"it has {', '.join(_OPTIONS)}")
        given[option] = values
    for name, values in given.items():
        if name in _OPTIONS and (not values or (len(values) > 1 and not _OPTIONS[name])):
            raise InputError(
                f"{name} takes {'values' if _OPTIONS[name] else 'one value'}, and has {len(values)}", hint="quote it"
            )
    return given, notices


def _one(given: dict[str, list[str]], option: str, default: str) -> str:
    return given.get(option, [default])[0]


def _seconds(text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"--max-aggregation-interval {text!r} is not a number of seconds", hint="60 or 600")
    return int(text)


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _destination_options(
    given: dict[str, list[str]], destination: str, arn: str, tables: list[_Table]
) -> tuple[dict[str, Any], list[Notice]]:
    """DestinationOptions as given; where none are, those that a Parquet table over the same folder needs."""
    text = _one(given, "--destination-options", "")
    if text:
        known = ("FileFormat", "HiveCompatiblePartitions", "PerHourPartition")
        options = _options_given(text)
        if unknown := set(options) - set(known):
            raise InputError(f"--destination-options has no {sorted(unknown)[0]!r}", hint=f"it has {', '.join(known)}")
        return options, []
    table = next((one for one in tables if one.parquet and one.reads(arn)), None)
    if destination != "s3" or table is None:
        return {}, []
    hive, hour = {"year", "month", "day"} <= set(table.keys), "hour" in table.keys
    options = {"FileFormat": "parquet", "HiveCompatiblePartitions": hive, "PerHourPartition": hour}
    written = ",".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in options.items()
    )
    why = f"without it AWS writes gzip text in daily folders, and the table {table.name} reads Parquet by {', '.join(table.keys)}"
    return options, [Notice("no --destination-options", written, why)]


def _options_given(text: str) -> dict[str, Any]:
    """The shorthand Name=value,Name=value or JSON."""
    if not text.startswith("{"):
        return {name: value for name, _, value in (part.partition("=") for part in text.split(","))}
    try:
        return dict(json.loads(text))
    except ValueError:
        raise InputError(
            f"--destination-options is not JSON: {text[:60]!r}", hint="as FileFormat=parquet,PerHourPartition=true"
        ) from None


def _policy_notices(words: list[str]) -> list[Notice]:
    why = "put-bucket-policy replaces the whole policy; a plan adds the statements that are missing"
    notices = [Notice(" ".join(words[:3]), "a merge into what is there", why)]
    document = words[words.index("--policy") + 1] if "--policy" in words[:-1] else "{}"
    try:
        statements = json.loads(document).get("Statement", [])
    except ValueError:
        return notices  # file://…, which is not here to be read
    for statement in [statements] if isinstance(statements, dict) else statements:
        sid = statement.get("Sid", "")
        if sid in _STATEMENT_NAMES:
            notices.append(
                Notice(
                    sid, _STATEMENT_NAMES[sid], "AWS's name for the same statement; where either is there it is kept"
                )
            )
        if "delivery.logs.amazonaws.com" in json.dumps(statement) and "aws:SourceAccount" not in json.dumps(statement):
            why = "without aws:SourceAccount and aws:SourceArn any account's log delivery could write there"
            notices.append(
                Notice(f"{sid} without conditions", f"{_STATEMENT_NAMES.get(sid, sid)} with conditions", why)
            )
    return notices


def _table(match: re.Match[str]) -> _Table:
    rest = match["rest"]
    location = re.search(r"LOCATION\s+'([^']*)'", rest, re.IGNORECASE)
    template = re.search(r"'storage\.location\.template'\s*=\s*'([^']*)'", rest)
    return _Table(
        name=match["name"].replace("`", ""),
        columns=_named(match["columns"]),
        keys=tuple(_named(match["keys"] or "")),
        parquet=re.search(r"STORED\s+AS\s+PARQUET", rest, re.IGNORECASE) is not None,
        location=location[1] if location else "",
        template=template[1] if template else "",
    )


def _named(text: str) -> dict[str, str]:
    pairs = (part.replace("`", "").split() for part in text.split(",") if part.strip())
    return {pair[0]: pair[1].lower() for pair in pairs if len(pair) >= 2}


def _table_notices(table: _Table) -> list[Notice]:
    notices = []
    for column, kind in table.columns.items():
        if column in ("windowstart", "windowend"):
            meant = column.removeprefix("window")
            why = "a Parquet column is matched by name, and AWS has no such field: it would be NULL in every row"
            notices.append(Notice(f"column {column}", f"column {meant}", why))
        elif column in COLUMNS and COLUMNS[column].parquet == "INT_64" and kind in ("int", "integer"):
            notices.append(Notice(f"{column} {kind}", f"{column} bigint", "AWS writes 64-bit numbers"))
    if table.template and "AWSLogs/" not in table.template:
        why = (
            "AWS writes below AWSLogs/, by account, service and region: this template finds no object, and says nothing"
        )
        meant = (
            "…/AWSLogs/aws-account-id=…/aws-service=vpcflowlogs/aws-region=…/year=…"
            if "year=" in table.template
            else "…/AWSLogs/…"
        )
        notices.append(Notice(f"storage.location.template {table.template}", meant, why))
    if table.location and "AWSLogs" not in table.location:
        notices.append(
            Notice(
                f"LOCATION {table.location}",
                f"{table.location.rstrip('/')}/AWSLogs/",
                "other data in the bucket is no flow log",
            )
        )
    return notices
