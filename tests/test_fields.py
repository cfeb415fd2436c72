"""The field registry against the table of fields in the facts, and the reading of formats."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.core.errors import FieldError
from netkit.flowlogs.fields import (
    COLUMNS,
    DEFAULT_V2,
    FIELDS,
    INVESTIGATION,
    TGW_DEFAULT,
    check_fields,
    log_format,
    parse_format,
    version_of,
)

FACTS = Path(__file__).parents[1] / ".." / "shared" / "aws-facts.md"
needs_facts = pytest.mark.skipif(not FACTS.exists(), reason="../shared/aws-facts.md is not here")
VPC = sorted(name for name, field in FIELDS.items() if "vpc" in field.families)


def documented() -> dict[str, tuple[int, str, str]]:
    """Field name to (version, Parquet type, Athena type), of the table in section 1.1."""
    section = FACTS.read_text("utf-8").partition("### 1.1")[2].partition("### 1.2")[0]
    found = {}
    for row in re.findall(r"^\| (\d+) \| ([a-z0-9, -]+) \| (\w+) \| ([^|]+)\|", section, re.MULTILINE):
        for name in row[1].split(","):
            found[name.strip()] = (int(row[0]), row[2], row[3].split()[0])
    return found


@needs_facts
def test_every_documented_field_and_no_other() -> None:
    rows = documented()
    assert len(rows) > 50
    assert sorted(rows) == VPC
    for name, (version, parquet, athena) in rows.items():
        field = FIELDS[name]
        assert (field.version, field.parquet, field.athena) == (version, parquet, athena), name


@needs_facts
def test_the_default_format_is_aws_own() -> None:
    line = re.search(r"Default format \(v2, fixed order\): `([^`]+)`", FACTS.read_text("utf-8"))
    assert line
    assert log_format(DEFAULT_V2) == line[1]
    assert parse_format(line[1]) == (DEFAULT_V2, ())
    assert parse_format("") == (DEFAULT_V2, ())


def test_names_that_others_rely_on() -> None:
    assert set(INVESTIGATION) <= set(VPC)
    assert set(DEFAULT_V2) <= set(INVESTIGATION)
    assert all("tgw" in FIELDS[name].families for name in TGW_DEFAULT)
    assert COLUMNS["pkt_src_aws_service"].name == "pkt-src-aws-service"
    assert len(COLUMNS) == len(FIELDS)
    assert version_of(DEFAULT_V2) == 2
    assert version_of(("srcaddr", "tcp-flags", "flow-direction")) == 5


@given(st.lists(st.sampled_from(VPC), min_size=1, unique=True))
def test_a_format_and_a_header_line_give_back_their_fields(names: list[str]) -> None:
    assert parse_format(log_format(names)) == (tuple(names), ())
    assert parse_format("  ".join(names)) == (tuple(names), ())
    assert check_fields([name.replace("-", "_") for name in names]) == (tuple(names), ())


def test_the_seeds_names_are_translated_with_a_notice() -> None:
    names, notices = parse_format("${srcaddr} ${windowstart} ${windowend}")
    assert names == ("srcaddr", "start", "end")
    assert [(one.written, one.read_as) for one in notices] == [
        ("${windowstart}", "${start}"),
        ("${windowend}", "${end}"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${srcadr}", "srcaddr"),
        ("${src_port}", "srcport"),
        ("${pkt-src}", "pkt-src"),
        ("${start} ${windowstart}", "twice"),
        ("${srcaddr},${dstaddr}", "outside of its fields"),
        ("${}", "not a flow-log field"),
        ("${tgw-id}", "not for VPC"),
        ("${srcaddr} ${srcaddr}", "twice"),
        ("'; DROP TABLE flows", "not a flow-log field"),
    ],
)
def test_what_is_refused_and_what_it_says(text: str, says: str) -> None:
    with pytest.raises(FieldError) as refused:
        parse_format(text)
    assert says in str(refused.value)


def test_a_vpc_field_in_a_transit_gateway_format() -> None:
    with pytest.raises(FieldError, match="not for Transit Gateway"):
        parse_format("${interface-id}", "tgw")
