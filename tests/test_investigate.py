"""Names, gaps, clusters and findings: handmade cases with known answers, and the real EKS log where it is there."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit import flowlogs, show
from netkit.core.errors import SourceError
from netkit.core.model import Coverage, Window
from netkit.core.net import is_public
from netkit.flowlogs import findings as inv
from netkit.flowlogs.catalog import find_query
from netkit.flowlogs.names import AddressBook, Name, from_dns, from_inventory, from_log, service_name
from netkit.investigate import flow_logs as ask

EKS = Path(__file__).parents[2] / "shared/data/flowlogs/eks_cloudwatch_export.gz"
OK = Coverage("123456789012", "us-east-1", "t", "ok", 100)
WINDOW = Window.parse("2026-11-19T00:00:00Z", "2026-11-19T02:00:00Z")
START = WINDOW.epoch()[0]


def trust(gaps: list[tuple[str, str, int, int]] | None = None, *coverage: Coverage) -> inv.Trust:
    frame = pd.DataFrame(gaps or [], columns=["interface_id", "kind", "first_seen", "last_seen"])
    return inv.Trust(WINDOW, coverage or (OK,), frame)


def rejects(*rows: dict[str, object]) -> pd.DataFrame:
    default = {
        "srcaddr": "10.0.1.72", "dstaddr": "10.0.1.249", "protocol": 6, "leg": "request", "port": 15017, "interface_id": "eni-b", "rejected": 51,
        "rejected_packets": 156, "rejected_bytes": 9360, "attempts": 50, "accepted": 0, "accepted_until": None, "first_seen": START, "last_seen": START + 900,
    }  # fmt: skip
    return find_query("reject_clusters").typed(pd.DataFrame([default | row for row in rows]))


BOOK = AddressBook([Name("10.0.1.249", "node", "instance", "eni-b"), Name("10.0.1.72", "pod", "instance", "eni-a")])


def test_a_cluster_reads_as_a_person_says_it() -> None:
    frame = rejects({}, {"srcaddr": "10.0.2.121", "rejected": 39, "rejected_packets": 152, "last_seen": START + 1800})
    rewrites = pd.DataFrame(
        [
            {
                "interface_id": "eni-b",
                "own_address": "10.0.1.249",
                "real_address": "10.0.1.16",
                "side": "destination",
                "port": 15017,
            }
        ]
    )
    one = inv.cluster_rejects(frame, BOOK, rewrites).iloc[0]
    assert one["story"] == (
        "pod (10.0.1.72) and 10.0.2.121 to node (10.0.1.249), tcp/15017, 90 times (308 packets) since 2026-11-19 00:00Z, seen at eni-b, "
        "nothing accepted: a security group or the inbound network ACL; that is its primary address, and the packets were sent to 10.0.1.16, "
        "which it carries as well"
    )
    assert one["command"].endswith(
        "-p source 10.0.1.72 -p destination 10.0.1.249 -p protocol tcp -p port 15017 -p vpc eni-b"
    )


def test_a_second_address_is_named_only_for_the_port_it_was_seen_on() -> None:
    rewrites = pd.DataFrame(
        [
            {
                "interface_id": "eni-b",
                "own_address": "10.0.1.249",
                "real_address": "10.0.1.16",
                "side": "destination",
                "port": 15017,
            }
        ]
    )
    assert "10.0.1.16" not in inv.cluster_rejects(rejects({"port": 10250}), BOOK, rewrites).iloc[0]["story"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"accepted": 5, "accepted_until": START - 1}, "a rule changed"),
        ({"accepted": 5, "accepted_until": START + 800}, "accepted at other times"),
        ({"interface_id": "eni-a"}, "seen at the sender"),
        ({"leg": "reply"}, "network ACL"),
    ],
)
def test_what_a_reject_can_be_follows_from_where_it_was_seen(row: dict[str, object], says: str) -> None:
    assert says in inv.cluster_rejects(rejects(row), BOOK).iloc[0]["reading"]


def test_the_internets_noise_is_one_line_a_target_and_no_finding() -> None:
    frame = rejects(
        {"srcaddr": "203.0.113.9", "port": 22}, {"srcaddr": "198.51.100.7", "port": 23, "rejected": 900}, {}
    )
    clusters = inv.cluster_rejects(frame, BOOK)
    assert clusters["inside"].tolist() == [True, False]
    assert "2 outside addresses" in clusters.iloc[1]["story"]
    assert [one.evidence["port"] for one in inv.reject_findings(clusters, trust())] == [15017]


def test_rejects_stand_beside_conversations_with_their_ends_the_right_way_round() -> None:
    accepted = find_query("conversations").typed(pd.DataFrame())
    both = inv.with_rejects(accepted, rejects({}, {"leg": "reply", "port": 8080}))
    assert both[["client", "server", "server_port", "bytes_out", "bytes_back", "action"]].values.tolist() == [
        ["10.0.1.72", "10.0.1.249", 15017, 9360, 0, "REJECT"],
        ["10.0.1.249", "10.0.1.72", 8080, 0, 9360, "REJECT"],
    ]
    assert inv.with_rejects(accepted, rejects().head(0)).empty


def test_no_rejects_no_clusters() -> None:
    clusters = inv.cluster_rejects(rejects().head(0), BOOK)
    assert clusters.empty
    assert list(clusters.columns) == list(inv.CLUSTER_COLUMNS)
    assert inv.reject_findings(clusters, trust()) == []


def test_a_gap_before_what_was_seen_makes_it_inconclusive_and_one_after_a_lower_bound() -> None:
    clusters = inv.cluster_rejects(rejects({"first_seen": START + 600, "last_seen": START + 3600}), BOOK)
    assert inv.reject_findings(clusters, trust())[0].status == "confirmed"
    later = inv.reject_findings(clusters, trust([("", "missing", START + 1800, START + 2400)]))[0]
    assert (later.status, "lower bounds" in later.limits[-1]) == ("confirmed", True)
    over = inv.reject_findings(clusters, trust([("eni-b", "skipdata", START, START + 7200)]))[0]
    assert over.status == "inconclusive"
    elsewhere = inv.reject_findings(clusters, trust([("eni-z", "skipdata", START, START + 7200)]))[0]
    assert (elsewhere.status, elsewhere.limits[-1][:9]) == ("confirmed", "flow logs")
    denied = inv.reject_findings(clusters, trust(None, Coverage("1", "r", "t", "denied")))[0]
    assert denied.status == "inconclusive"


def test_one_empty_file_among_others_takes_nothing_away() -> None:
    empty = Coverage("1", "r", "t", "empty")
    assert trust(None, OK, empty).over((), START, START + 60).state == "ok"
    assert trust(None, empty).over((), START, START + 60).state == "empty"


def test_nothing_found_is_refuted_only_when_all_was_seen() -> None:
    assert inv.nothing_found(trust(), ["scans"]).status == "refuted"
    assert inv.nothing_found(trust([("", "missing", START, START + 600)]), ["scans"]).status == "inconclusive"
    assert inv.nothing_found(trust(None, Coverage("1", "r", "t", "skipped", 10, 3)), ["scans"]).status == "inconclusive"


def test_without_a_baseline_nobody_says_that_there_are_no_new_talkers() -> None:
    said = [one.claim for one in inv.conclude([], trust(), baseline=False)]
    assert "new talkers" not in said[0]
    assert "new talkers" in inv.conclude([], trust())[0].claim


def buckets(**seen: list[int]) -> pd.DataFrame:
    rows = [
        {"interface_id": name, "bucket": START + 600 * slot, "records": 1, "ok": 1, "nodata": 0, "skipdata": 0}
        for name, slots in seen.items()
        for slot in slots
    ]
    return pd.DataFrame(rows, columns=["interface_id", "bucket", "records", "ok", "nodata", "skipdata"])


def test_gaps_of_one_and_gaps_of_all() -> None:
    every = list(range(12))
    found = inv.find_gaps(
        buckets(a=[one for one in every if one not in (3, 4, 8)], b=[one for one in every if one != 8], c=[5, 6]),
        WINDOW,
        600,
    )
    assert [tuple(row) for row in found.to_numpy()] == [
        ("a", "missing", START + 1800, START + 3000),
        ("", "missing", START + 4800, START + 5400),
    ]


def test_a_window_without_any_record_is_one_gap_and_nothing_is_refuted() -> None:
    gaps = inv.find_gaps(buckets(), WINDOW, 600)
    assert [tuple(row) for row in gaps.to_numpy()] == [("", "missing", START, START + 7200)]
    unseen = inv.Trust(WINDOW, (OK,), gaps)
    assert [one.status for one in inv.conclude([], unseen)] == ["inconclusive"]
    assert inv.coverage_findings(unseen)[0].severity == "high"


def test_what_may_still_be_on_its_way_is_no_gap() -> None:
    seen = buckets(a=list(range(10)))
    assert len(inv.find_gaps(seen, WINDOW, 600)) == 1
    assert inv.find_gaps(seen, WINDOW, 600, until=START + 6000).empty


def test_a_denied_inventory_is_unknown_and_not_covered() -> None:
    denied = Coverage(
        "123456789012", "us-east-1", "NetworkInterfaces", "denied", note="AWS denied ec2:describe_network_interfaces"
    )
    found = inv.coverage_findings(trust(), [], [denied])
    assert [(one.code, one.status) for one in found] == [("FLOW-COVERAGE-UNKNOWN", "inconclusive")]


@given(st.sets(st.integers(0, 11), min_size=1))
def test_gaps_are_exactly_the_buckets_without_records(slots: set[int]) -> None:
    found = inv.find_gaps(buckets(a=sorted(slots)), WINDOW, 600)
    lost = {START + 600 * slot for slot in range(12)} - {START + 600 * slot for slot in slots}
    covered = {
        bucket
        for row in found.itertuples()
        if row.kind == "missing"
        for bucket in range(row.first_seen, row.last_seen, 600)
    }
    assert covered == lost


def test_names_from_the_inventory_know_gateways_and_second_addresses() -> None:
    base = {
        "name": "",
        "description": "",
        "interface_type": "interface",
        "instance_id": "",
        "instance_name": "",
        "subnet_name": "app-a",
        "secondary_addresses": [],
        "public_addresses": [],
    }
    rows = [
        base
        | {
            "interface_id": "eni-1",
            "primary_address": "10.0.1.5",
            "secondary_addresses": ["10.0.1.6"],
            "instance_id": "i-1",
            "instance_name": "app-1",
        },
        base
        | {
            "interface_id": "eni-2",
            "primary_address": "10.0.0.20",
            "interface_type": "nat_gateway",
            "description": "Interface for NAT Gateway nat-0abc",
            "public_addresses": ["52.7.14.20"],
        },
        base
        | {"interface_id": "eni-3", "primary_address": "10.0.0.10", "description": "ELB app/shop/50dc6c495c0c9188"},
    ]
    book = AddressBook(from_inventory(pd.DataFrame(rows)))
    assert str(book.get("10.0.1.5")) == "app-1 (10.0.1.5)"
    assert book.get("10.0.1.6").primary is False
    assert book.stands_in("52.7.14.20")
    assert book.is_inside("52.7.14.20")
    assert (book.get("10.0.0.10").name, book.group("10.0.0.10")) == ("shop", "load balancer")
    assert book.group("10.0.1.5") == "app-a"
    assert (book.group("8.8.8.8"), book.group("10.9.9.9")) == ("internet", "10.9.9.0/24")


def test_names_from_dns_and_from_the_log() -> None:
    answers = pd.DataFrame(
        [
            {
                "query_name": "api.partner.example.",
                "answers": [{"Rdata": "151.101.64.81", "Type": "A"}, {"Rdata": "x", "Type": "CNAME"}],
            }
        ]
    )
    assert [(one.address, one.name) for one in from_dns(answers)] == [("151.101.64.81", "api.partner.example")]
    own = pd.DataFrame(
        [{"interface_id": "eni-n", "own_address": "10.0.101.180"}, {"interface_id": "eni-h", "own_address": "10.0.1.5"}]
    )
    seen = [
        {
            "interface_id": "eni-n",
            "own_address": "10.0.101.180",
            "real_address": f"52.94.0.{number}",
            "side": "source",
            "port": 443,
        }
        for number in range(3)
    ]
    seen += [
        {
            "interface_id": "eni-h",
            "own_address": "10.0.1.5",
            "real_address": "10.0.1.6",
            "side": "destination",
            "port": 80,
        }
    ]
    kinds = {one.address: one.kind for one in from_log(own, pd.DataFrame(seen))}
    assert kinds == {"10.0.101.180": "nat gateway", "10.0.1.5": "interface", "10.0.1.6": "pod or second address"}


def test_what_was_named_first_stays() -> None:
    book = AddressBook(
        [Name("10.0.0.1", "a", "instance"), Name("10.0.0.1", "b", "instance")], networks=["2001:db8::/56"]
    )
    assert book.get("10.0.0.1").name == "a"
    assert book.is_inside("2001:db8::7")
    assert not book.is_inside("nonsense")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("203.0.113.9", True),
        ("172.15.0.1", True),
        ("172.16.0.1", False),
        ("100.64.0.1", False),
        ("fd00::1", False),
        ("2600::1", True),
        ("224.0.0.1", False),
    ],
)
def test_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_services() -> None:
    assert (service_name(443), service_name(49999), service_name(None), service_name(53, 1)) == (
        "443 https",
        "49999",
        "",
        "",
    )


def test_resolver_logs(tmp_path: Path) -> None:
    path = tmp_path / "queries.log.gz"
    path.write_bytes(
        gzip.compress(json.dumps({"query_name": "db.shop.", "answers": [{"Rdata": "10.0.20.5", "Type": "A"}]}).encode())
    )
    assert ask.resolver_answers(path)["query_name"].tolist() == ["db.shop."]
    path.write_bytes(b"not json")
    with pytest.raises(SourceError, match="no Resolver query logs"):
        ask.resolver_answers(path)


def hop(interface: str, direction: str, *addresses: str) -> dict[str, object]:
    names = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")
    return {
        "interface_id": interface,
        "flow_direction": direction,
        **dict(zip(names, addresses, strict=True)),
        "protocol": 6,
        "server_port": 443,
        "action": "ACCEPT",
        "packets": 1,
        "bytes": 1,
        "first_seen": 0,
        "last_seen": 1,
    }


@given(st.permutations(range(6)))
def test_hops_through_a_nat_gateway_come_in_path_order_whatever_the_order_of_rows(order: list[int]) -> None:
    a, nat, b = "10.0.1.5", "10.0.0.220", "203.0.113.5"
    path = [
        hop("eni-host", "egress", a, b, a, b), hop("eni-nat", "ingress", a, nat, a, b), hop("eni-nat", "egress", nat, b, nat, b),
        hop("eni-nat", "ingress", b, nat, b, nat), hop("eni-nat", "egress", nat, a, b, a), hop("eni-host", "ingress", b, a, b, a),
    ]  # fmt: skip
    shuffled = find_query("flow_hops").typed(pd.DataFrame([path[number] for number in order]))
    ordered = inv.order_hops(shuffled, AddressBook(), a)
    assert ordered[["interface_id", "flow_direction", "srcaddr"]].values.tolist() == [
        [one["interface_id"], one["flow_direction"], one["srcaddr"]] for one in path
    ]


@pytest.mark.skipif(not EKS.exists(), reason="../shared is not here: the real EKS flow logs are read from it")
def test_the_nat_gateway_and_the_pods_of_a_real_cluster_are_recognised() -> None:
    logs = flowlogs.open(EKS)
    book = ask.address_book(logs)
    kinds = book.frame().set_index("address")["kind"].to_dict()
    # By hand: only 10.0.101.180 shows its own address for a hundred public ones; 10.0.1.16 is what pods sent to at 10.0.1.249.
    assert [address for address, kind in kinds.items() if kind == "nat gateway"] == ["10.0.101.180"]
    assert kinds["10.0.1.16"] == kinds["10.0.2.198"] == "pod or second address"
    assert kinds["10.0.1.249"] == "interface"
    grouped = inv.grouped(logs.query("conversations"), book)
    assert "10.0.101.180" not in {*grouped["client"], *grouped["server"]}
    assert grouped["bytes"].sum() < logs.query("records_by_status")["bytes"].sum() / 2
    scans, _ = ask.scans(logs, book)
    assert scans["reached"].tolist() == [0, 0, 0, 0]
    assert scans["accepted"].sum() > 0


def test_the_queries_a_log_cannot_answer_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n2 123456789012 eni-1 10.0.0.1 10.0.0.2 40000 443 6 1 60 1 2 ACCEPT OK\n"
    )
    logs = flowlogs.open(path)
    missing = ask.not_answerable(logs).set_index("query")["lacks"].to_dict()
    assert missing["tcp_outcomes"] == "tcp-flags"
    assert "top_talkers" not in missing
    assert list(ask.answer(logs, "tcp_outcomes").columns) == list(find_query("tcp_outcomes").columns)
    drawn = show.tcp_outcomes(inv.name_servers(ask.answer(logs, "tcp_outcomes"), AddressBook()))
    assert drawn.layout.annotations[0].text == "this log cannot answer that: it has no tcp-flags"
    left = show.egress_bars(inv.egress_table(ask.answer(logs, "egress_by_destination"), AddressBook()))
    assert "cannot answer" in left.layout.annotations[0].text
    assert ask.against_baseline(logs, "new_talkers", "").empty
    assert ask.unlogged(None, AddressBook()) == ([], ())
