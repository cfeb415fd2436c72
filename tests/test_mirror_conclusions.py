"""What is concluded of a mirror is true: of the seen direction whoever sent the SYN, of each conversation for itself, of the session's VNI alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from little_capture import ACK, FIN, RST, SYN, ethernet, ip, mirrored, pcap, sctp, talk, tcp, udp, vxlan
from test_mirror_verify import ADDRESSES, LOG, SESSION, WEB, faults, look, named, records

from netkit.core.errors import InputError
from netkit.core.model import Finding, Window
from netkit.mirror import MirrorFilter, Rule, parse_filter, read_capture, verify
from netkit.mirror.alerts import join_conversations, join_flow_logs, read_alerts

CLIENT, SERVER = ("10.0.7.7", 40000), ("10.0.0.5", 80)
START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)  # of what little_capture writes


def by(packets: list[bytes], sender: str) -> list[bytes]:
    return [one for one in packets if one[12:16] == bytes(map(int, sender.split(".")))]


def codes(found: list[Finding]) -> list[str]:
    return [one.code for one in found]


# ----------------------------------------------------------------------------------------------- one direction of a talk

EGRESS_80 = Rule("egress", 100, "accept", "0.0.0.0/0", "0.0.0.0/0", 6, source_ports=(80, 80))
ANSWERS = by(talk(), SERVER[0])
HALVES = {
    "the ingress rule is forgotten": (ANSWERS, [EGRESS_80], "ingress accept tcp destination port 80"),
    "without the SYN-ACK": (ANSWERS[1:], [EGRESS_80], "ingress accept tcp destination port 80"),
    "a rule without ports": (ANSWERS, [Rule("egress", 1, "accept", "0.0.0.0/0", "0.0.0.0/0", 6)], "ingress accept tcp destination port 80"),
    "without ports and without the SYN-ACK": (ANSWERS[1:], [Rule("egress", 1, "accept", "0.0.0.0/0", "0.0.0.0/0")], "ingress accept tcp destination port 80"),
    "all ports of clients": (ANSWERS[1:], [Rule("egress", 1, "accept", "0.0.0.0/0", "0.0.0.0/0", 6, destination_ports=(1024, 65535))], "ingress accept tcp destination port 80"),
    "to one network": (ANSWERS, [Rule("egress", 1, "accept", "0.0.0.0/0", "10.0.7.0/24", 6, source_ports=(80, 80))], "ingress accept tcp from 10.0.7.0/24 destination port 80"),
    "the source is the client": (by(talk(client="10.0.0.5", server="10.0.7.7", port=443), "10.0.7.7"), [Rule("ingress", 1, "accept", "0.0.0.0/0", "0.0.0.0/0", 6, source_ports=(443, 443))], "egress accept tcp destination port 443"),
    "the replies' rule is forgotten": (by(talk(), CLIENT[0]), [Rule("ingress", 1, "accept", "0.0.0.0/0", "0.0.0.0/0", 6, destination_ports=(80, 80))], "egress accept tcp source port 80"),
}  # fmt: skip


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("interface", [ADDRESSES, None])
def test_the_missing_rule_is_named_whichever_direction_came(name: str, interface: Any, tmp_path: Path) -> None:
    packets, rules, missing = HALVES[name]
    found = look(tmp_path, mirrored(*packets), MirrorFilter(tuple(rules)), interface=interface)
    one = named(found, "MIRROR-ONE-WAY")
    assert (one.status, one.severity, one.evidence["missing_rules"]) == ("confirmed", "high", [missing])
    assert f"{missing} is missing" in one.claim
    assert "MIRROR-AS-CONFIGURED" not in codes(found)


def test_a_rule_that_rejects_the_other_direction_is_not_missing(tmp_path: Path) -> None:
    reject = Rule("ingress", 50, "reject", "10.0.7.0/24", "0.0.0.0/0", 6)
    found = look(tmp_path, mirrored(*ANSWERS), MirrorFilter((EGRESS_80, reject, *WEB.of_direction("ingress"))))
    one = named(found, "MIRROR-ONE-WAY")
    assert "ingress 50 reject tcp 10.0.7.0/24 -> 0.0.0.0/0 rejects it" in one.claim
    assert "lower number than 50" in one.next_step


LONE = {
    "a reset with ACK": [tcp(*CLIENT, *SERVER, seq=5, ack=9, flags=RST | ACK)], "a last acknowledgement": [tcp(*CLIENT, *SERVER, seq=5, ack=9)],
    "of the server": [tcp(*SERVER, *CLIENT, seq=5, ack=9)], "a FIN and the same acknowledgement": [tcp(*CLIENT, *SERVER, seq=5, ack=9, flags=FIN | ACK), tcp(*CLIENT, *SERVER, seq=6, ack=9)],
}  # fmt: skip


@pytest.mark.parametrize("name", LONE)
def test_a_packet_that_needs_no_answer_proves_nothing(name: str, tmp_path: Path) -> None:
    found = look(tmp_path, mirrored(*LONE[name], *talk(client_port=50000)))
    assert named(found, "MIRROR-ONE-WAY").status == "inconclusive"
    assert faults(found) == []
    assert named(found, "MIRROR-AS-CONFIGURED").status == "inconclusive"
    half = look(tmp_path, mirrored(*LONE[name]), MirrorFilter((WEB.rules[0],)))  # and no rule for the replies
    assert all(one.status == "inconclusive" for one in half if one.code == "MIRROR-ONE-WAY")


def test_an_acknowledgement_that_moves_on_is_proof(tmp_path: Path) -> None:
    moving = [tcp(*CLIENT, *SERVER, seq=5, ack=900 + 100 * number) for number in range(3)]
    assert named(look(tmp_path, mirrored(*moving)), "MIRROR-ONE-WAY").status == "confirmed"


# ------------------------------------------------------------------------------------------------- beside the flow log


def datagrams(*counts: int) -> tuple[list[bytes], list[tuple[Any, ...]]]:
    """UDP flows to port 53 with so many packets each, and ten packets each in a flow log."""
    frames, log = [], []
    for flow, count in enumerate(counts):
        frames += [numbered(udp("10.0.7.7", 1000 + flow, "10.0.0.5", 53, bytes([flow, one])), 1 + one) for one in range(count)]  # fmt: skip
        log.append(("10.0.7.7", "10.0.0.5", 1000 + flow, 53, 17, 10, 300))
    return frames, log


def numbered(packet: bytes, ident: int) -> bytes:
    return packet[:4] + ident.to_bytes(2) + packet[6:]


DNS = parse_filter("udp 53")


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(any))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_each_flow_is_compared_for_itself(tmp_path: Path, counts: list[int]) -> None:
    frames, log = datagrams(*counts)
    one = named(look(tmp_path, mirrored(*frames), DNS, flow_logs=records(log)), "MIRROR-FLOW-LOG")
    lacking, surplus = sum(max(10 - some, 0) for some in counts), sum(max(some - 10, 0) for some in counts)
    assert (one.evidence["packets_lacking"], one.evidence["packets_too_many"]) == (lacking, surplus)
    assert one.status == ("confirmed" if lacking or not surplus else "inconclusive")
    assert one.at_least("low") == bool(lacking or surplus)


def test_sums_that_cancel(tmp_path: Path) -> None:
    frames, log = datagrams(19, 1)
    found = look(tmp_path, mirrored(*frames), DNS, flow_logs=records(log))
    assert "MIRROR-FLOW-LOG" in faults(found)
    assert "lacks: 0 of 2 flows entirely, 1 in part; 1 flows have 9 packets more" in named(found, "MIRROR-FLOW-LOG").claim  # fmt: skip
    assert "MIRROR-AS-CONFIGURED" not in codes(found)
    # Packets that are right in number and of another size: nothing is called as it should be.
    bytes_only = [(*one[:6], one[6] + 7) for one in datagrams(10, 10)[1]]
    other = look(tmp_path, mirrored(*datagrams(10, 10)[0]), DNS, flow_logs=records(bytes_only))
    assert named(other, "MIRROR-FLOW-LOG").status == "inconclusive"


@pytest.mark.parametrize("times", [2, 3])
def test_duplicates_are_named_and_count_once_beside_the_flow_log(times: int, tmp_path: Path) -> None:
    frames = [one for one in mirrored(*talk()) for _ in range(times)]
    found = look(tmp_path, frames, flow_logs=records(LOG))
    assert faults(found) == ["MIRROR-DUPLICATES"]
    twice = named(found, "MIRROR-DUPLICATES")
    assert (twice.evidence["duplicates"], twice.evidence["packets_once"]) == ((times - 1) * 16, 16)
    assert named(found, "MIRROR-FLOW-LOG").evidence["packets_mirrored"] == 16
    # A copy of one does not make good the loss of another.
    packets = talk()
    lost = [one for one in mirrored(*packets[:7], *packets[8:]) for _ in range(times)]
    assert {"MIRROR-LOSS", "MIRROR-DUPLICATES", "MIRROR-FLOW-LOG"} == set(faults(look(tmp_path, lost, flow_logs=records(LOG))))  # fmt: skip


def test_without_a_session_the_flow_log_is_compared_by_addresses(tmp_path: Path) -> None:
    log = records([*LOG, ("10.0.7.8", "10.0.0.5", 1, 80, 6, 30, 3000)])
    peer = log.assign(interface_id="eni-00000000000000009").iloc[[0]]
    path = tmp_path / "mirror.pcap"
    path.write_bytes(pcap(mirrored(*talk())))
    for alone in ({}, {"interface": ["10.0.0.5"]}):
        found = verify(read_capture(path), {}, None, pd.concat([log, peer]), **alone)
        assert faults(found) == ["MIRROR-FLOW-LOG"]
        assert named(found, "MIRROR-FLOW-LOG").evidence["packets_lacking"] == 30
    right = verify(read_capture(path), {}, None, pd.concat([records(LOG), peer]))
    assert (faults(right), named(right, "MIRROR-FLOW-LOG").evidence["packets_logged"]) == ([], 16)


def test_a_flow_log_that_cannot_be_compared_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mirror.pcap"
    path.write_bytes(pcap(mirrored(*talk(), *talk("10.1.1.1", "10.2.2.2"), source="10.0.0.99")))
    one = named(verify(read_capture(path), {}, None, records(LOG)), "MIRROR-FLOW-LOG")
    assert (one.status, "not compared" in one.claim) == ("inconclusive", True)


def test_addresses_of_a_flow_log_are_values(tmp_path: Path) -> None:
    log = [("2001:0DB8:0000:0000:0000:0000:0000:0007", "2001:db8:0::5", 40000, 80, 6, 8, 780), ("2001:db8::5", "2001:db8::0007", 80, 40000, 6, 8, 5480)]  # fmt: skip
    frames = mirrored(*talk("2001:db8::7", "2001:db8::5"))
    found = look(
        tmp_path, frames, parse_filter("tcp 80 from ::/0"), interface=["2001:0db8::0005"], flow_logs=records(log)
    )
    assert named(found, "MIRROR-FLOW-LOG").evidence["flows_that_differ"] == 0
    assert faults(found) == []


@pytest.mark.parametrize("ports", [(0, 0), (3868, 50000)])
def test_sctp_is_compared_as_the_flow_log_has_it(ports: tuple[int, int], tmp_path: Path) -> None:
    frames = mirrored(sctp("10.0.7.7", 3868, "10.0.0.5", 50000), sctp("10.0.0.5", 50000, "10.0.7.7", 3868))
    log = [("10.0.7.7", "10.0.0.5", *ports, 132, 1, 52), ("10.0.0.5", "10.0.7.7", *ports[::-1], 132, 1, 52)]
    assert faults(look(tmp_path, frames, parse_filter("132"), flow_logs=records(log))) == []


def test_a_rule_is_not_unseen_for_what_was_logged_after_the_capture(tmp_path: Path) -> None:
    log = records([*LOG, ("10.0.7.8", "10.0.0.5", 1, 443, 6, 30, 3000)])
    log.loc[2, ["start", "end"]] = [1_700_000_000, 1_700_000_900]
    found = look(tmp_path, mirrored(*talk()), parse_filter("tcp 80,443"), flow_logs=log)
    assert named(found, "MIRROR-RULE-UNSEEN").status == "inconclusive"


# ---------------------------------------------------------------------------------------------- nothing that can be read


def fragments(frame: bytes) -> list[bytes]:
    packet = frame[14:]
    return [ethernet(ip("10.0.0.5", "10.0.9.9", 17, packet[20 + at : 820 + at], fragment=at, more=at < 800)) for at in (0, 800)]  # fmt: skip


UNREAD = {
    "the capture cut the inner header": (pcap(mirrored(*talk()), snap=64), "confirmed", "the capture cut"),
    "the capture cut the VXLAN header": (pcap(mirrored(*talk()), snap=46), "confirmed", "the capture cut"),
    "the mirror cut it": (pcap(mirrored(*talk(), cut=20)), "confirmed", "end before the inner IP header does"),
    "no valid VNI": (pcap([ethernet(vxlan(ethernet(one), flags=0)) for one in talk()]), "confirmed", "without a valid VNI"),
    "ARP only": (pcap([ethernet(vxlan(ethernet(bytes(28), kind=0x0806)))] * 14), "confirmed", "hold ARP, which AWS never mirrors"),
    "later fragments only": (pcap([fragments(mirrored(tcp(*SERVER, *CLIENT, size=1400))[0])[1]] * 3), "inconclusive", "later fragments came"),
    "cut before the port": (pcap(mirrored(*talk()), snap=36), "inconclusive", "end before their UDP port could be seen"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREAD)
@pytest.mark.parametrize("causes", [(), ("security group of eni-1: UDP 4789 is closed",)])
def test_what_arrives_is_no_question_of_security_groups(name: str, causes: tuple[str, ...], tmp_path: Path) -> None:
    content, status, says = UNREAD[name]
    path = tmp_path / "mirror.pcap"
    path.write_bytes(content)
    (one,) = (one for one in verify(read_capture(path), SESSION, WEB, interface=ADDRESSES, causes=causes) if one.code == "MIRROR-EMPTY")  # fmt: skip
    assert (one.status, says in one.claim) == (status, True), one.claim
    assert "security group" not in one.claim
    assert "security group" not in one.evidence["causes"][0]


def test_what_is_unread_of_one_vni_is_not_a_wrong_vni(tmp_path: Path) -> None:
    path = tmp_path / "mirror.pcap"
    whole, cut = pcap(mirrored(*talk(), vni=77)), pcap(mirrored(*talk()), snap=64, start=1_700_000_001)
    path.write_bytes(whole + cut[24:])
    found = verify(read_capture(path), SESSION, WEB, interface=ADDRESSES)
    assert "MIRROR-EMPTY" in faults(found)
    assert not {"MIRROR-WRONG-VNI", "MIRROR-UNEXPECTED", "MIRROR-AS-CONFIGURED"} & set(codes(found))


def test_nothing_to_mirror_is_not_grave(tmp_path: Path) -> None:
    window = Window.parse("2023-11-14T22:00:00Z", "2023-11-14T23:00:00Z")
    one = named(look(tmp_path, [], flow_logs=records([]), window=window), "MIRROR-EMPTY")
    assert (one.severity, one.evidence["causes"][0][:29]) == ("low", "there was nothing to mirror: ")


def test_an_empty_mirror_with_the_hosts_own_traffic_has_the_causes_of_the_preflight(tmp_path: Path) -> None:
    own = [tcp("10.0.3.3", 50022, "10.0.9.9", 22, size=1400)] * 9
    checks = [
        tcp("10.0.3.3", 6000, "10.0.9.9", 4789, flags=SYN),
        tcp("10.0.9.9", 4789, "10.0.3.3", 6000, ack=1, flags=RST | ACK),
    ]
    found = look(tmp_path, [ethernet(one) for one in (*own, *checks)], causes=["route of eni-1: no route to 10.0.9.9"])
    one = named(found, "MIRROR-EMPTY")
    assert (one.status, one.evidence["causes"]) == ("confirmed", ["route of eni-1: no route to 10.0.9.9"])


# ---------------------------------------------------------------------------------------------------- the session's VNI


def two_hours(ours: list[bytes], others: list[bytes]) -> list[bytes]:
    """A capture file: ours at the start, those of VNI 77 for two hours."""
    return [pcap(mirrored(*ours)), pcap(mirrored(*others, vni=77), start=1_700_000_060, step=7200 / len(others))]


def test_only_the_sessions_vni_is_judged(tmp_path: Path) -> None:
    holed = [one for place, one in enumerate(talk(answers=14_000)) if place not in (7, 11, 15)]
    first, second = two_hours([one for place, one in enumerate(talk()) if place != 7], holed)
    path = tmp_path / "mirror.pcap"
    path.write_bytes(first + second[24:])
    capture = read_capture(path)
    now = START + timedelta(hours=2, minutes=1)
    found = verify(capture, SESSION, WEB, interface=ADDRESSES, now=now)
    assert named(found, "MIRROR-LOSS").evidence["gaps"] == 1
    assert "have 1 gaps" in named(found, "MIRROR-LOSS").claim
    assert "2 hours 0 minutes ago" in named(found, "MIRROR-SILENT").claim
    sound, rest = two_hours(talk(), holed)
    path.write_bytes(sound + rest[24:])
    one = named(verify(read_capture(path), SESSION, WEB, interface=ADDRESSES, now=now), "MIRROR-AS-CONFIGURED")
    assert (one.evidence["packets"], one.evidence["conversations"], one.evidence["seconds"]) == (16, 1, 0)
    assert "16 packets in 1 conversations" in one.claim


def test_fragments_of_another_session_are_its_own(tmp_path: Path) -> None:
    big = mirrored(tcp(*SERVER, *CLIENT, size=1400), vni=77)[0]
    assert "MIRROR-FRAGMENTED" not in codes(look(tmp_path, [*mirrored(*talk()), *fragments(big)]))
    mine = look(tmp_path, [*mirrored(*talk()), *fragments(mirrored(tcp(*SERVER, *CLIENT, size=1400))[0])])
    assert named(mine, "MIRROR-FRAGMENTED").evidence["later_fragments"] == 1


def test_a_flow_log_of_the_silent_time_shows_what_is_lacking(tmp_path: Path) -> None:
    """The window of the comparison is when the capture ran, not when this session's packets came."""
    first, second = two_hours(talk(), talk())
    path = tmp_path / "mirror.pcap"
    path.write_bytes(first + second[24:])
    late = records([*LOG, ("10.0.7.8", "10.0.0.5", 1, 80, 6, 30, 3000)])
    late.loc[2, ["start", "end"]] = [1_700_003_600, 1_700_003_660]
    assert "MIRROR-FLOW-LOG" in faults(verify(read_capture(path), SESSION, WEB, late, interface=ADDRESSES))


def test_another_sessions_packets_are_not_judged_by_this_filter(tmp_path: Path) -> None:
    """None has our VNI, and what came is from other interfaces: only that is said."""
    found = look(tmp_path, mirrored(*talk("10.4.4.4", "10.5.5.5", port=22), vni=77, source="10.5.5.5"))
    assert codes(found) == ["MIRROR-WRONG-VNI"]


# ------------------------------------------------------------------------------------------- what would be called right


def test_nothing_is_said_of_rules_that_nobody_wrote(tmp_path: Path) -> None:
    path = tmp_path / "mirror.pcap"
    path.write_bytes(pcap(mirrored(*talk())))
    found = verify(read_capture(path), {"VirtualNetworkId": 11})
    assert codes(found) == ["MIRROR-AS-CONFIGURED"]
    assert "rules" not in found[0].claim
    assert not {"rules_seen", "accepting_rules"} & set(found[0].evidence)


def test_what_cannot_show_loss_is_not_called_without_loss(tmp_path: Path) -> None:
    frames, log = datagrams(10, 10)
    alone = named(look(tmp_path, mirrored(*frames), DNS), "MIRROR-AS-CONFIGURED")
    assert (alone.status, "cannot be told" in alone.claim) == ("inconclusive", True)
    replies = [udp("10.0.0.5", 53, "10.0.7.7", 1000 + flow, bytes([flow, one])) for flow in (0, 1) for one in range(10)]
    back = [("10.0.0.5", "10.0.7.7", 53, 1000 + flow, 17, 10, 300) for flow in (0, 1)]
    both = look(tmp_path, mirrored(*frames, *replies), DNS, flow_logs=records([*log, *back]))
    assert (named(both, "MIRROR-AS-CONFIGURED").status, faults(both)) == ("confirmed", [])
    cut = pcap(mirrored(*talk()), snap=14 + 20 + 8 + 8 + 14 + 20 + 8)
    (tmp_path / "cut.pcap").write_bytes(cut)
    found = verify(read_capture(tmp_path / "cut.pcap"), SESSION, WEB, interface=ADDRESSES)
    assert "no gap" not in " ".join(one.claim for one in found)


def test_a_secondary_address_is_no_other_interface(tmp_path: Path) -> None:
    assert faults(look(tmp_path, mirrored(*talk()), interface=["10.0.0.6", "10.0.0.5"])) == []
    assert faults(look(tmp_path, mirrored(*talk()), interface=["2001:db8::5"], mirror=parse_filter("all"))) == []


def test_the_packet_length_is_the_cause_only_where_it_is(tmp_path: Path) -> None:
    cut = look(tmp_path, mirrored(*talk(), cut=1000), session={"PacketLength": 8500})
    assert "an MTU on the way" in named(cut, "MIRROR-TRUNCATED").claim
    assert named(cut, "MIRROR-TRUNCATED").severity == "medium"


# ------------------------------------------------------------------------------------------------------------- alerts

SIX = (
    "2001:0db8:0000:0000:0000:0000:0000:0007",
    "2001:0DB8:0000:0000:0000:0000:0000:0005",
    "2001:db8::0:7",
    "2001:db8:0:0::5",
)


@pytest.mark.parametrize("form", ["eve", "fast"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("pair", [SIX[:2], SIX[2:]])
def test_an_alert_of_ipv6_joins_whatever_its_addresses_look_like(form: str, turned: bool, pair: tuple[str, str], tmp_path: Path) -> None:  # fmt: skip
    path = tmp_path / "mirror.pcap"
    path.write_bytes(pcap(mirrored(*talk("2001:db8::7", "2001:db8::5"))))
    ends = [(pair[0], 40000), (pair[1], 80)]
    (source, sport), (other, dport) = ends[::-1] if turned else ends
    eve = {
        "timestamp": "2023-11-14T22:13:20.005Z", "event_type": "alert", "src_ip": source, "src_port": sport, "dest_ip": other, "dest_port": dport,
        "proto": "TCP", "alert": {"signature": "x", "signature_id": 1, "category": "", "severity": 1}, "tunnel": {"src_ip": "2001:0db8::0001", "dest_ip": "10.0.9.9"},
    }  # fmt: skip
    fast = f"11/14/2023-22:13:20.005000  [**] [1:1:1] x [**] [Priority: 1] {{TCP}} {source}:{sport} -> {other}:{dport}"
    (tmp_path / "alerts").write_text(json.dumps(eve) + "\n" if form == "eve" else fast + "\n")
    alerts = read_alerts(tmp_path / "alerts").frame
    assert join_conversations(alerts, read_capture(path).conversations)["conversation"].tolist() == [0]
    log = records([(SIX[0], SIX[3], 40000, 80, 6, 8, 780)])
    assert len(join_flow_logs(alerts, log)) == 1


# ---------------------------------------------------------------------------------------- what the notebook asks of them


@pytest.mark.parametrize("given", [{"rules": ["tcp 80"]}, {"vni": 7}, {"addresses": ["10.0.0.5"]}])
def test_a_session_takes_no_rules_of_its_own_beside_it(given: dict[str, Any]) -> None:
    from netkit.investigate import mirror as check

    with pytest.raises(InputError, match="has its own rules"):
        check.subject(None, "right", **given)  # type: ignore[arg-type]


def test_silence_is_measured_by_when_packets_could_have_come(tmp_path: Path) -> None:
    from netkit.investigate import mirror as check

    first, second = two_hours(talk(), talk())
    path = tmp_path / "mirror.pcap"
    path.write_bytes(first + second[24:])
    capture = read_capture(path)
    alone = check.subject(None, "", vni=11)  # type: ignore[arg-type]
    over = Window(START, START + timedelta(hours=5))
    assert check.until(alone, capture, over) == over.end
    assert check.until(alone, capture, None) == capture.running.end  # type: ignore[union-attr]
    found = check.findings(alone, capture, None, None, [], None, None)
    assert "1 hours 5" in named(found, "MIRROR-SILENT").claim
    assert check.findings(check.subject(None, "", vni=77), capture, None, None, [], None, None)[-1].code != "MIRROR-SILENT"  # type: ignore[arg-type]  # fmt: skip
    coming = Window(START, datetime.now(UTC) + timedelta(days=1))
    assert check.until(alone, capture, coming) < coming.end  # type: ignore[operator]
