"""Verification: right when it is right, and each fault named when there is one. Captures are written byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from little_capture import ACK, SYN, ethernet, ip, mirrored, pcap, talk, tcp, udp, vxlan

from netkit.core.errors import InputError
from netkit.core.model import Finding, Window
from netkit.mirror import MirrorFilter, MirrorSession, Rule, parse_filter, read_capture, stolen, verify
from netkit.mirror.expected import flows, rule_coverage
from netkit.mirror.filters import ANYWHERE
from netkit.runs.answer import events

SESSION: dict[str, Any] = {
    "TrafficMirrorSessionId": "tms-0123456789abcdef0", "TrafficMirrorTargetId": "tmt-0123456789abcdef0",
    "TrafficMirrorFilterId": "tmf-0123456789abcdef0", "NetworkInterfaceId": "eni-0123456789abcdef0", "OwnerId": "123456789012",
    "SessionNumber": 2, "VirtualNetworkId": 11,
}  # fmt: skip
WEB = parse_filter("web: tcp 80")
ADDRESSES = ["10.0.0.5", "10.0.0.6"]


def look(
    folder: Path, frames: list[bytes], mirror: MirrorFilter = WEB, session: dict[str, Any] | None = None, **more: Any
) -> list[Finding]:
    path = folder / "mirror.pcap"
    path.write_bytes(pcap(frames))
    return verify(
        read_capture(path), SESSION | (session or {}), mirror, interface=more.pop("interface", ADDRESSES), **more
    )


def faults(found: list[Finding]) -> list[str]:
    return [one.code for one in found if one.status == "confirmed" and one.at_least("low")]


def named(found: list[Finding], code: str) -> Finding:
    (one,) = (one for one in found if one.code == code)
    return one


def records(packets: list[tuple[Any, ...]]) -> pd.DataFrame:
    rows = [("eni-0123456789abcdef0", *one, 1_700_000_000, 1_700_000_000, "ACCEPT", "OK") for one in packets]
    return pd.DataFrame(rows, columns=["interface_id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "action", "log_status"])  # fmt: skip


LOG = [("10.0.7.7", "10.0.0.5", 40000, 80, 6, 8, 620), ("10.0.0.5", "10.0.7.7", 80, 40000, 6, 8, 5320)]


def test_right_when_it_is_right(tmp_path: Path) -> None:
    found = look(tmp_path, mirrored(*talk()), flow_logs=records(LOG))
    assert [(one.code, one.status, one.severity) for one in found] == [
        ("MIRROR-FLOW-LOG", "confirmed", "info"),
        ("MIRROR-AS-CONFIGURED", "confirmed", "info"),
    ]
    assert found[0].evidence["packets_mirrored"] == found[0].evidence["packets_logged"] == 16
    assert found[1].evidence["rules_seen"] == 2


@pytest.mark.parametrize(
    "interface", [None, {"PrivateIpAddress": "10.0.0.5", "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.5"}]}]
)
def test_the_interface_may_be_a_record_or_unsaid(tmp_path: Path, interface: Any) -> None:
    assert faults(look(tmp_path, mirrored(*talk()), interface=interface)) == []


def test_wrong_vni(tmp_path: Path) -> None:
    found = look(tmp_path, mirrored(*talk(), vni=12), others=[(SESSION | {"SessionNumber": 9, "VirtualNetworkId": 12, "TrafficMirrorSessionId": "tms-00000000000000009"}, WEB)])  # fmt: skip
    assert faults(found) == ["MIRROR-WRONG-VNI"]
    assert "12 is session tms-00000000000000009" in found[0].claim
    assert found[0].evidence["packets_by_vni"] == {"12": 16}


def test_packets_of_other_sessions_at_the_same_target_are_left_alone(tmp_path: Path) -> None:
    assert faults(look(tmp_path, [*mirrored(*talk()), *mirrored(*talk(port=9999), vni=77)])) == []


def test_outer_source(tmp_path: Path) -> None:
    found = look(tmp_path, mirrored(*talk(), source="10.0.0.66"))
    assert faults(found) == ["MIRROR-OUTER-SOURCE"]
    assert found[0].evidence["packets_by_outer_source"] == {"10.0.0.66": 16}


def test_the_rule_for_replies_is_missing(tmp_path: Path) -> None:
    mirror = MirrorFilter(tuple(rule for rule in WEB.rules if rule.direction == "ingress"))
    requests = [one for one in talk() if one[12:16] == bytes([10, 0, 7, 7])]
    found = look(tmp_path, mirrored(*requests), mirror)
    assert faults(found) == ["MIRROR-ONE-WAY"]
    assert found[0].severity == "high"
    assert "egress accept tcp source port 80 is missing" in found[0].claim
    assert found[0].evidence["acknowledge_the_other_direction"] == 1


def test_replies_that_a_rule_takes_and_that_did_not_come(tmp_path: Path) -> None:
    requests = [one for one in talk() if one[12:16] == bytes([10, 0, 7, 7])]
    found = look(tmp_path, mirrored(*requests))
    assert "MIRROR-ONE-WAY" in faults(found)
    assert "although their packets acknowledge the other" in named(found, "MIRROR-ONE-WAY").claim
    unanswered = look(tmp_path, mirrored(tcp("10.0.7.7", 1, "10.0.0.5", 80, flags=SYN)))
    assert named(unanswered, "MIRROR-ONE-WAY").status == "inconclusive"


def test_nobody_answers_from_a_multicast_address(tmp_path: Path) -> None:
    frames = mirrored(*talk(), udp("10.0.0.5", 5353, "224.0.0.251", 5353), udp("10.0.0.5", 68, "255.255.255.255", 67))
    assert [
        one.code for one in look(tmp_path, frames, parse_filter("tcp 80; udp")) if one.code == "MIRROR-ONE-WAY"
    ] == []


def test_packets_that_no_rule_allows(tmp_path: Path) -> None:
    frames = mirrored(*talk(), *talk(port=22, client_port=5))
    other = (SESSION | {"SessionNumber": 7, "TrafficMirrorSessionId": "tms-00000000000000007"}, parse_filter("tcp 22"))
    found = look(tmp_path, frames, others=[other])
    assert faults(found) == ["MIRROR-UNEXPECTED"]
    assert found[0].evidence["packets"] == 16
    assert "session tms-00000000000000007 takes 2 of them" in found[0].claim
    assert "no other session given explains them" in look(tmp_path, frames)[0].claim


def test_a_second_session_takes_the_replies(tmp_path: Path) -> None:
    thief = (SESSION | {"SessionNumber": 1, "TrafficMirrorSessionId": "tms-00000000000000001", "VirtualNetworkId": 5}, MirrorFilter(WEB.of_direction("egress")))  # fmt: skip
    requests = [one for one in talk() if one[12:16] == bytes([10, 0, 7, 7])]
    found = look(tmp_path, mirrored(*requests), others=[thief])
    assert faults(found) == ["MIRROR-STOLEN"]
    assert "tms-00000000000000001" in found[0].claim
    assert "egress tcp 0.0.0.0/0 port 80 -> 0.0.0.0/0 port 0-65535" in found[0].claim
    behind = (thief[0] | {"SessionNumber": 3}, thief[1])
    assert faults(look(tmp_path, mirrored(*talk()), others=[behind])) == []


def test_truncated_by_packet_length_by_mtu_and_by_the_capture(tmp_path: Path) -> None:
    by_length = look(tmp_path, mirrored(*talk(), cut=128), session={"PacketLength": 128})
    assert [(one.code, one.severity) for one in by_length if one.status == "confirmed"] == [("MIRROR-TRUNCATED", "low")]
    assert "the session's packet length 128" in by_length[0].claim
    by_mtu = look(tmp_path, mirrored(*talk(), cut=1000))
    assert named(by_mtu, "MIRROR-TRUNCATED").severity == "medium"
    assert "MTU" in by_mtu[0].claim
    path = tmp_path / "mirror.pcap"
    path.write_bytes(pcap(mirrored(*talk()), snap=128))
    by_capture = verify(read_capture(path), SESSION, WEB, interface=ADDRESSES)
    assert "cut by the capture itself" in named(by_capture, "MIRROR-TRUNCATED").claim


def test_loss_in_bytes_and_beside_the_flow_log(tmp_path: Path) -> None:
    packets = talk()
    found = look(tmp_path, mirrored(*packets[:7], *packets[8:]), flow_logs=records(LOG))
    assert faults(found) == ["MIRROR-LOSS", "MIRROR-FLOW-LOG"]
    assert named(found, "MIRROR-LOSS").evidence["bytes"] == 1400
    assert named(found, "MIRROR-FLOW-LOG").evidence["packets_mirrored"] == 15
    missing = look(
        tmp_path, mirrored(*packets), flow_logs=records([*LOG, ("10.0.7.8", "10.0.0.5", 1, 80, 6, 30, 3000)])
    )
    assert faults(missing) == ["MIRROR-FLOW-LOG"]
    assert missing[0].evidence["missing"] == ["tcp 10.0.7.8:1 -> 10.0.0.5:80"]
    assert "30 packets" in missing[0].claim


@pytest.mark.parametrize(
    ("octets", "packets", "explains"),
    [
        (9000, 6, ["MIRROR-LOSS", "MIRROR-FLOW-LOG"]),
        (1400, 1, ["MIRROR-LOSS", "MIRROR-FLOW-LOG"]),
        (1399, 1, ["MIRROR-FLOW-LOG"]),
        (1400, 0, ["MIRROR-LOSS"]),
        (60, 0, []),
    ],
)
def test_what_was_skipped_explains_no_more_than_it_was(
    tmp_path: Path, octets: int, packets: int, explains: list[str]
) -> None:
    sent = talk()
    counted = metrics(NetworkMirrorIn=600, NetworkSkipMirrorOut=octets, NetworkPacketsSkipMirrorOut=packets)
    found = look(tmp_path, mirrored(*sent[:7], *sent[8:]), flow_logs=records(LOG), metrics=counted)
    assert list(named(found, "MIRROR-SKIPPED").evidence.get("explains", [])) == explains
    assert len(events(found)) == len(faults(found)) - len(explains)


def test_secondary_addresses_are_those_of_the_packets(tmp_path: Path) -> None:
    log = records([("10.0.7.7", "10.0.0.5", 40000, 80, 6, 8, 620), ("10.0.0.5", "10.0.7.7", 80, 40000, 6, 8, 5320)])
    log["pkt-srcaddr"], log["pkt-dstaddr"] = ["-", "10.0.0.6"], ["10.0.0.6", "-"]
    found = look(tmp_path, mirrored(*talk(server="10.0.0.6")), flow_logs=log)
    assert faults(found) == []
    assert named(found, "MIRROR-FLOW-LOG").evidence["packets_logged"] == 16


def test_what_the_filter_does_not_take_is_not_expected(tmp_path: Path) -> None:
    log = records([*LOG, ("10.0.7.8", "10.0.0.5", 1, 22, 6, 30, 3000)])
    assert faults(look(tmp_path, mirrored(*talk()), flow_logs=log)) == []
    rejected = records([*LOG, ("10.0.7.8", "10.0.0.5", 1, 80, 6, 30, 3000)])
    rejected.loc[2, "action"] = "REJECT"  # inbound packets that a security group drops are not mirrored
    assert faults(look(tmp_path, mirrored(*talk()), flow_logs=rejected)) == []


def test_amazons_dns_is_taken_by_the_service_and_by_no_rule(tmp_path: Path) -> None:
    frames = mirrored(*talk(), udp("10.0.0.5", 5353, "10.0.0.2", 53), udp("10.0.0.2", 53, "10.0.0.5", 5353))
    assert "MIRROR-UNEXPECTED" in faults(look(tmp_path, frames))
    served = MirrorFilter(WEB.rules, network_services=("amazon-dns",))
    found = look(tmp_path, frames, served, flow_logs=records(LOG))
    assert faults(found) == []
    assert named(found, "MIRROR-FLOW-LOG").evidence["flows_in_the_capture_only"] == 0
    elsewhere = mirrored(*talk(), udp("10.0.0.5", 5353, "8.8.8.8", 53), udp("8.8.8.8", 53, "10.0.0.5", 5353))
    assert "MIRROR-UNEXPECTED" in faults(look(tmp_path, elsewhere, served))


def test_fragments_on_the_way(tmp_path: Path) -> None:
    copies = mirrored(*talk())
    long = next(one for one in copies if len(one) > 1400)
    pieces = [ethernet(ip("10.0.0.5", "10.0.9.9", 17, long[34:1034], more=True)), ethernet(ip("10.0.0.5", "10.0.9.9", 17, long[1034:], fragment=1000))]  # fmt: skip
    at = copies.index(long)
    assert faults(look(tmp_path, [*copies[:at], *pieces, *copies[at + 1 :]])) == ["MIRROR-FRAGMENTED"]


def test_rules_seen_not_seen_and_never_asked(tmp_path: Path) -> None:
    mirror = parse_filter("tcp 80; tcp 443; tcp 80 from 10.0.0.0/8; reject udp 53; udp")
    found = look(tmp_path, mirrored(*talk(), udp("10.0.7.7", 9, "10.0.0.5", 9)), mirror)
    never, unseen = (one for one in found if one.code == "MIRROR-RULE-UNSEEN")
    assert (never.status, len(never.evidence["rules"])) == ("confirmed", 2)
    assert (unseen.status, len(unseen.evidence["rules"])) == ("inconclusive", 3)
    log = records([*LOG, ("10.0.7.8", "10.0.0.5", 1, 443, 6, 30, 3000)])
    again = look(tmp_path, mirrored(*talk()), mirror, flow_logs=log)
    sure = next(one for one in again if one.code == "MIRROR-RULE-UNSEEN")
    assert sure.evidence["with_packets_in_the_flow_log"] == ["ingress 200 accept tcp 0.0.0.0/0 -> 0.0.0.0/0 port 443"]


def test_an_empty_capture_is_answered_with_causes_in_order(tmp_path: Path) -> None:
    causes = ["UDP 4789 is closed at sg-1", "there was nothing to mirror"]
    found = look(tmp_path, [], causes=causes)
    assert [(one.code, one.status) for one in found] == [("MIRROR-EMPTY", "confirmed")]
    assert found[0].evidence["causes"] == causes
    unknown = look(tmp_path, [])[0]
    assert unknown.status == "inconclusive"
    assert len(unknown.evidence["causes"]) >= 6
    nothing = look(tmp_path, [], MirrorFilter(()))[0]
    assert nothing.evidence["causes"][0] == "the filter has no rule that accepts anything"
    window = Window.parse("2023-11-14T22:00:00Z", "2023-11-14T23:00:00Z")
    logged = look(tmp_path, [], flow_logs=records(LOG), window=window)[0]
    assert (logged.status, "16 packets that it should show" in logged.claim) == ("confirmed", True)
    quiet = look(tmp_path, [], flow_logs=records([]), window=window)[0]
    assert quiet.evidence["causes"][0].startswith("there was nothing to mirror")


def metrics(**values: float) -> pd.DataFrame:
    rows = [(pd.Timestamp("2023-11-14T22:15:00Z"), name, value) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["time", "metric", "value"])


def test_what_the_source_skipped(tmp_path: Path) -> None:
    found = look(
        tmp_path,
        mirrored(*talk()),
        metrics=metrics(NetworkMirrorIn=600, NetworkSkipMirrorOut=9000, NetworkPacketsSkipMirrorOut=6),
    )
    assert faults(found) == ["MIRROR-SKIPPED"]
    assert "6 packets (9,000 bytes)" in found[0].claim
    none = named(
        look(tmp_path, mirrored(*talk()), metrics=metrics(NetworkMirrorIn=600, NetworkSkipMirrorOut=0)),
        "MIRROR-SKIPPED",
    )
    assert none.status == "refuted"
    lost = look(tmp_path, [], metrics=metrics(NetworkMirrorIn=600, NetworkMirrorOut=5000))
    assert named(lost, "MIRROR-SKIPPED").claim.startswith("The source sent 5,600 mirrored bytes")


def test_how_long_ago(tmp_path: Path) -> None:
    now = Window.parse("2023-11-14T22:00:00Z", "2023-11-15T01:00:00Z").end
    assert "2 hours 46 minutes ago" in named(look(tmp_path, mirrored(*talk()), now=now), "MIRROR-SILENT").claim


def test_a_damaged_capture_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mirror.pcap"
    path.write_bytes(pcap(mirrored(*talk()))[:-3])
    found = verify(read_capture(path), SESSION, WEB, interface=ADDRESSES)
    assert "cut off" in named(found, "MIRROR-DAMAGED").claim


# ------------------------------------------------------------------------------------------------------- rule algebra

PORTS = st.one_of(
    st.none(), st.tuples(st.integers(0, 6), st.integers(0, 4)).map(lambda pair: (pair[0], pair[0] + pair[1]))
)
BLOCKS = st.sampled_from(["0.0.0.0/0", "10.0.0.0/31", "10.0.0.2/32", "10.0.0.0/30"])


@st.composite
def filters(draw: st.DrawFn) -> MirrorFilter:
    rules = []
    for number in range(draw(st.integers(0, 4))):
        protocol = draw(st.sampled_from([None, 1, 6, 17]))
        ported = protocol in (6, 17)
        rules.append(
            Rule(
                draw(st.sampled_from(["ingress", "egress"])), number * 10 + 1, draw(st.sampled_from(["accept", "accept", "reject"])),
                draw(BLOCKS), draw(BLOCKS), protocol, draw(PORTS) if ported else None, draw(PORTS) if ported else None,
            )
        )  # fmt: skip
    return MirrorFilter(tuple(draw(st.permutations(rules))))


PACKET = st.tuples(
    st.sampled_from([1, 6, 17, 47]), st.sampled_from(["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.9.9.9"]),
    st.sampled_from(["10.0.0.0", "10.0.0.2", "10.0.0.3", "8.8.8.8"]), st.integers(0, 10), st.integers(0, 10),
)  # fmt: skip


def plainly(mirror: MirrorFilter, direction: str, packet: tuple[int, str, str, int, int]) -> str:
    """AWS's rule in a few plain lines: lowest number first, the first match decides, none means not mirrored."""
    for rule in sorted(mirror.rules, key=lambda one: one.number):
        if rule.direction == direction and rule.takes(*packet):
            return rule.action
    return ""


@given(filters(), filters(), st.lists(PACKET, min_size=1, max_size=12), st.sampled_from(["ingress", "egress"]))
def test_the_algebra_agrees_with_asking_one_packet_at_a_time(
    one: MirrorFilter, other: MirrorFilter, packets: list[Any], direction: Any
) -> None:
    import ipaddress

    taken = [
        part
        for part in stolen(MirrorSession("eni", "t", "f", 2), one, [(MirrorSession("eni", "t", "g", 1), other)])
        if part.direction == direction
    ]
    frame = pd.DataFrame(packets, columns=["protocol", "source", "destination", "source_port", "destination_port"])
    frame[["packets", "bytes", "packets_back", "bytes_back"]] = [1, 1, 0, 0]
    own = frame["source"].unique().tolist() if direction == "egress" else frame["destination"].unique().tolist()
    seen = flows(frame, one, own)
    for place, asked in enumerate(packets):
        packet = asked if asked[0] in (6, 17) else (*asked[:3], 0, 0)
        said = plainly(one, direction, packet)
        number = (
            packet[0],
            int(ipaddress.ip_address(packet[1])),
            int(ipaddress.ip_address(packet[2])),
            packet[3],
            packet[4],
        )

        def holds(boxes: Any, number: Any = number) -> bool:
            return any(
                all(low <= value <= high for (low, high), value in zip(box, number, strict=True)) for box in boxes
            )

        assert holds(one.accepted(direction, 4).boxes) == (said == "accept")
        assert any(holds(part.packets.boxes) for part in taken) == (
            said == "accept" and plainly(other, direction, packet) == "accept"
        )
        assert sum(holds(packets.boxes) for _, packets in one.taken(direction, 4)) <= 1
        if seen.at[place, "direction"] == direction and packet[0] in (6, 17):
            assert seen.at[place, "action"] == said
    assert rule_coverage(seen, one)["packets"].sum() == (seen["action"] != "").sum()


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("web: tcp 80,443", 4), ("tcp 80,81,443", 4), ("all", 2), ("icmp from 10.0.0.0/16", 2), ("tcp 443 to any", 4), ("reject 47\nall from ::/0", 4),
        ("dns: amazon-dns", 0), ("udp 53; # a remark\n\ntcp 8000-8080 from 10.0.0.0/8, 192.168.0.0/16", 6),
    ],
)  # fmt: skip
def test_a_filter_from_a_few_words(text: str, rules: int) -> None:
    mirror = parse_filter(text)
    assert len(mirror.rules) == rules
    again = MirrorFilter.of({"IngressFilterRules": [one.request() for one in mirror.of_direction("ingress")], "EgressFilterRules": [one.request() for one in mirror.of_direction("egress")]})  # fmt: skip
    assert set(again.rules) == set(mirror.rules)
    for family in (4, 6):
        assert (
            mirror.accepted("ingress", family).reply() == mirror.accepted("egress", family)
            or "icmp" in text
            or "all" in text
        )


def test_requests_and_replies() -> None:
    serving, calling = parse_filter("tcp 443 from 10.0.0.0/8"), parse_filter("tcp 443 to 10.0.0.0/8")
    assert [str(rule) for rule in serving.rules] == [
        "ingress 100 accept tcp 10.0.0.0/8 -> 0.0.0.0/0 port 443", "egress 100 accept tcp 0.0.0.0/0 port 443 -> 10.0.0.0/8",
    ]  # fmt: skip
    assert [str(rule) for rule in calling.rules] == [
        "egress 100 accept tcp 0.0.0.0/0 -> 10.0.0.0/8 port 443", "ingress 100 accept tcp 10.0.0.0/8 port 443 -> 0.0.0.0/0",
    ]  # fmt: skip
    assert ANYWHERE == {4: "0.0.0.0/0", 6: "::/0"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"), ("tcp 80 from 10.0.0.1/8", "host bits"), ("tcp 99999", "not a port"), ("icmp 80", "only tcp and udp"), ("tcp 90-80", "reversed"),
        ("what is this line", "not a line"), ("xyz 80", "not an IP protocol"), ("tcp 1,3,5,7,9,11", "12 rules, and AWS takes 10"),
    ],
)  # fmt: skip
def test_a_bad_filter_line_is_told(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_filter(text)


def test_values_that_aws_would_refuse() -> None:
    with pytest.raises(InputError, match="each family"):
        Rule("ingress", 1, "accept", "0.0.0.0/0", "::/0")
    with pytest.raises(InputError, match="used twice"):
        MirrorFilter((WEB.rules[0], WEB.rules[0]))
    with pytest.raises(InputError, match="VNI 16777216 is out of range"):
        MirrorSession("e", "t", "f", 1, vni=2**24)
    with pytest.raises(InputError, match="packet length 9001 is out of range"):
        MirrorSession("e", "t", "f", 1, packet_length=9001)
    with pytest.raises(InputError, match="session number 0"):
        MirrorSession("e", "t", "f", 0)
    assert MirrorSession("e", "t", "f", 1, packet_length=65535).packet_length is None
    assert MirrorSession.of(SESSION | {"Tags": [{"Key": "Name", "Value": "web"}]}).name == "web"


def test_traffic_of_both_families(tmp_path: Path) -> None:
    six = [tcp("2001:db8::7", 5, "2001:db8::5", 80, flags=ACK), tcp("2001:db8::5", 80, "2001:db8::7", 5, flags=ACK)]
    frames = [ethernet(vxlan(ethernet(one))) for one in (*talk(), *six)]
    assert "MIRROR-UNEXPECTED" in faults(look(tmp_path, frames, interface=[*ADDRESSES, "2001:db8::5"]))
    both = parse_filter("tcp 80 from any")
    assert faults(look(tmp_path, frames, both, interface=[*ADDRESSES, "2001:db8::5"])) == []
