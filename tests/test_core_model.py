"""Core values: windows, flows, coverage, findings, and the errors they raise."""

from __future__ import annotations

import ipaddress
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.core import errors
from netkit.core.errors import FindingError, InputError, NetkitError, WindowError, redact
from netkit.core.model import Coverage, Finding, Flow, Window
from netkit.core.net import PROTOCOLS, cidr_bounds, is_public, parse_cidr, parse_port, protocol_name, protocol_number

OK = Coverage("123456789012", "us-east-1", "flow logs", "ok", 10)


def finding(**changes: object) -> Finding:
    values: dict[str, object] = {
        "code": "FLOW-PORT-SCAN", "status": "confirmed", "severity": "high", "subject": ("203.0.113.9",),
        "claim": "203.0.113.9 tried 1,000 ports", "coverage": (OK,),
    }  # fmt: skip
    return Finding(**{**values, **changes})  # type: ignore[arg-type]


def test_a_window_is_half_open_utc() -> None:
    window = Window.parse("2026-11-19T08:00:00Z", "2026-11-19T10:30:00+00:00")
    assert window.seconds == 9000
    assert window.epoch() == (1795075200, 1795084200)
    assert [hour.hour for hour in window.hours()] == [8, 9, 10]
    assert str(window) == "2026-11-19T08:00:00Z to 2026-11-19T10:30:00Z"


def test_a_relative_window_ends_now() -> None:
    now = datetime(2026, 11, 19, 12, tzinfo=UTC)
    assert Window.parse("last 6h", now=now) == Window(now - timedelta(hours=6), now)


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("2026-11-19T08:00:00", "2026-11-19T09:00:00", "not in UTC"),
        ("2026-11-19T08:00:00+01:00", "2026-11-19T09:00:00+01:00", "not in UTC"),
        ("2026-11-19T08:00:00Z", "2026-11-19T08:00:00Z", "empty"),
        ("2026-11-19T09:00:00Z", "2026-11-19T08:00:00Z", "reversed"),
        ("yesterday", "2026-11-19T08:00:00Z", "not a time"),
        ("last 6h", "2026-11-19T08:00:00Z", "takes no end"),
        ("last 0h", "", "empty"),
    ],
)
def test_a_bad_window_is_refused_with_the_reason(start: str, end: str, says: str) -> None:
    with pytest.raises(WindowError, match=says) as caught:
        Window.parse(start, end)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_naive_window_is_refused() -> None:
    with pytest.raises(WindowError, match="no time zone"):
        Window(datetime(2026, 1, 1), datetime(2026, 1, 2))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(1, 10**6), st.integers(-12, 14))
def test_a_window_is_the_same_in_every_zone(start: datetime, seconds: int, offset: int) -> None:
    zone = timezone(timedelta(hours=offset))
    utc = start.replace(tzinfo=UTC)
    window = Window(utc, utc + timedelta(seconds=seconds))
    assert Window(window.start.astimezone(zone), window.end.astimezone(zone)) == window
    hours = list(window.hours())
    assert hours[0] <= window.start < hours[0] + timedelta(hours=1)
    assert hours[-1] < window.end <= hours[-1] + timedelta(hours=1)


def test_a_flow_and_its_reply() -> None:
    flow = Flow(6, "10.0.1.72", "2001:DB8::1", 40000, 443)
    assert str(flow) == "tcp 10.0.1.72:40000 -> [2001:db8::1]:443"
    assert flow.reply().reply() == flow


def test_confirmed_needs_coverage_that_is_ok() -> None:
    for state in ("empty", "denied", "skipped"):
        weak = Coverage("123456789012", "us-east-1", "flow logs", state, note="hour 16 missing")
        with pytest.raises(FindingError, match="coverage that is not ok"):
            finding(coverage=(OK, weak))
        assert finding(status="inconclusive", coverage=(OK, weak)).status == "inconclusive"


@pytest.mark.parametrize(
    "change",
    [
        {"code": "portscan"},
        {"status": "maybe"},
        {"severity": "severe"},
        {"claim": " "},
        {"evidence": {"when": datetime(2026, 1, 1)}},
    ],
)
def test_a_finding_out_of_contract_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(FindingError):
        finding(**change)


def test_severities_are_ordered() -> None:
    assert finding(severity="high").at_least("medium")
    assert not finding(severity="low").at_least("medium")


def test_a_finding_escapes_what_it_shows() -> None:
    assert "<script>" not in finding(claim="<script>alert(1)</script>")._repr_html_()


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, NetkitError)]
)
def test_every_error_survives_a_pickle_and_has_three_lines(kind: type[NetkitError]) -> None:
    error = kind("it\nfailed", subject="eni-1", hint="do this")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.what, again.subject, again.hint) == (kind, "it\nfailed", "eni-1", "do this")
    assert str(again) == "it failed\non: eni-1\nnext: do this"
    assert kind.__name__ in (errors.__doc__ or "")


def test_no_key_material_in_a_message() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    message = str(NetkitError(f"AKIAIOSFODNN7EXAMPLE and {secret}"))
    assert "AKIA" not in message
    assert secret not in message
    assert redact("vpc-0123456789abcdef0 sha256 " + "ab" * 32) == "vpc-0123456789abcdef0 sha256 " + "ab" * 32


@given(st.integers(0, 255))
def test_protocols_go_both_ways(number: int) -> None:
    assert protocol_number(protocol_name(number)) == protocol_number(number) == number


@pytest.mark.parametrize("wrong", ["tcpp", "256", "-1", "", "6.0"])
def test_no_such_protocol(wrong: str) -> None:
    with pytest.raises(InputError):
        protocol_number(wrong)


def test_protocol_names_are_unique() -> None:
    assert len(set(PROTOCOLS.values())) == len(PROTOCOLS)


@given(st.ip_addresses(), st.integers(0, 128))
def test_cidr_bounds_hold_exactly_the_network(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int
) -> None:
    network = ipaddress.ip_network((address, length % (address.max_prefixlen + 1)), strict=False)
    low, high = cidr_bounds(str(network))
    assert high - low + 1 == network.num_addresses
    assert low <= int(address) <= high
    if network.network_address != address:
        with pytest.raises(InputError, match="host bits"):
            parse_cidr(f"{address}/{network.prefixlen}")


def test_host_bits_are_answered_with_the_network_meant() -> None:
    with pytest.raises(InputError, match=r"did you mean 10\.0\.0\.0/16"):
        parse_cidr("10.0.3.1/16")


@pytest.mark.parametrize("wrong", ["65536", -1, "http", "", "1e3", "\u0663"])
def test_ports(wrong: str | int) -> None:
    assert parse_port(" 80 ") == 80
    with pytest.raises(InputError):
        parse_port(wrong)


def test_public_addresses() -> None:
    assert is_public("8.8.8.8")
    assert not any(map(is_public, ("10.0.0.1", "100.64.0.1", "169.254.169.254", "224.0.0.1", "fd00:ec2::253")))
