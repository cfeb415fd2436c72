"""Captures and metrics of the sandbox's mirrors: judged by tshark, beside the flow logs, and under changed configurations."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from inprocess import account

from netkit.core.session import Session
from netkit.investigate.mirror_preflight import preflight_of
from netkit.mirror.capture import Capture, read_capture
from netkit.mirror.pcap import FileNotes
from netkit.mirror.pcap import frames as read_frames
from netkit.mirror.read import mirrors
from netkit.mirror.verify import verify
from netkit.sandbox import server
from netkit.sandbox.labs import seeds
from netkit.sandbox.labs.mirror import BUCKET, BY_NAME, MIRRORS, SCENARIO, Mirror, target_id
from netkit.sandbox.services.network_insights import snapshot_now
from netkit.sandbox.world import delivery, traffic, world
from netkit.sandbox.world import mirror as mirror_world
from netkit.sandbox.world.mirror_packets import Packet, Way, expand
from netkit.sandbox.world.pcap import pcap_bytes, write_pcap

TSHARK = shutil.which("tshark")
WINDOW = mirror_world.window()
START = int(WINDOW[0].timestamp())
Ends = tuple[str, int, str, int]


@pytest.fixture(scope="module")
def lab() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in _HOOKED:  # what install() wraps is put back afterwards
            patch.setattr(owner, name, getattr(owner, name))
        with account(patch) as session:
            server.install()
            seeds.seed_all()
            yield session


@pytest.fixture(scope="module")
def folder(lab: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetch(lab, tmp_path_factory.mktemp("captures"))


def fetch(lab: Session, folder: Path, prefix: str = "") -> Path:
    """Every object of the bucket below a prefix, as files."""
    for one in lab.call("s3", "list_objects_v2", Bucket=BUCKET, Prefix=prefix).get("Contents", []):
        path = folder / one["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lab.call("s3", "get_object", Bucket=BUCKET, Key=one["Key"])["Body"].read())
    return folder


def hooked() -> list[tuple[Any, str]]:
    names = {
        server.S3Backend: ("list_objects", "get_object", "head_object"),
        server.LogsBackend: ("start_query", "filter_log_events", "get_log_events", "describe_log_streams", "describe_log_groups"),
        server.CloudWatchBackend: ("get_metric_data", "get_metric_statistics", "list_metrics"),
        server.AthenaBackend: ("start_query_execution",),
        server.AthenaResponse: ("get_query_execution", "start_query_execution"),
    }  # fmt: skip
    return [(owner, name) for owner, these in names.items() for name in these]


_HOOKED = hooked()


def record(lab: Session, kind: str, name: str) -> Any:
    key = {"session": "traffic_mirror_sessions", "filter": "traffic_mirror_filters"}[kind]
    shape = {"session": "TrafficMirrorSession", "filter": "TrafficMirrorFilter"}[kind]
    return lab.call("ec2", f"describe_{key}", **{f"{shape}Ids": [name]})[f"{shape}s"][0]


@lru_cache
def logged(host: str) -> pd.DataFrame:
    """The flow log's records of an interface in the window, as AWS names the fields."""
    one = world.scenario(SCENARIO)
    columns, addresses = traffic.records(one, one.spec)
    names = [host.name for host in world.HOSTS]
    mine = (columns["host"] == names.index(host)) & (columns["start"] >= START) & (columns["end"] < START + 600)
    chosen = {name: column[mine] for name, column in columns.items()}
    text = delivery.lines(traffic.table(one, one.spec, chosen, addresses))
    names = [name.replace("-", "_") for name in one.spec.fields]
    return pd.read_csv(io.BytesIO(text), sep=" ", names=names, na_values="-")


def per_flow(records: pd.DataFrame) -> dict[Ends, tuple[int, int]]:
    totals: dict[Ends, list[int]] = defaultdict(lambda: [0, 0])
    accepted = records[(records["action"] == "ACCEPT") & (records["log_status"] == "OK")]
    for row in accepted.to_dict("records"):
        total = totals[row["pkt_srcaddr"], int(row["srcport"]), row["pkt_dstaddr"], int(row["dstport"])]
        total[0] += int(row["packets"])
        total[1] += int(row["bytes"])
    return {ends: (packets, size) for ends, (packets, size) in totals.items()}


def shown(path: Path, *fields: str, display: str = "vxlan") -> list[list[str]]:
    """What tshark says of the packets of a folder that a display filter names, the innermost value of each field."""
    if TSHARK is None:
        pytest.skip("tshark is not installed")
    found = []
    for file in sorted(path.glob("*.pcap.gz")):
        command = [TSHARK, "-r", str(file), "-Y", display, "-T", "fields", "-E", "occurrence=l", "-E", "separator=;"]
        command += ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
        command += [word for name in fields for word in ("-e", name)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found += [line.split(";") for line in told.splitlines()]
    return found


# ------------------------------------------------------------------------------------------------------------ tshark


def test_what_tshark_counts_is_what_the_flow_log_counts(folder: Path) -> None:
    rows = shown(folder / "right", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "ip.len", "vxlan.vni")
    totals: dict[Ends, list[int]] = defaultdict(lambda: [0, 0])
    for source, source_port, target, target_port, size, _ in rows:
        total = totals[source, int(source_port), target, int(target_port)]
        total[0] += 1
        total[1] += int(size)
    assert {ends: (packets, size) for ends, (packets, size) in totals.items()} == per_flow(logged("web-1"))
    assert {row[5] for row in rows} == {"1001"}
    assert len(rows) == 4332


def test_outer_packets_are_as_aws_describes_them(folder: Path) -> None:
    if TSHARK is None:
        pytest.skip("tshark is not installed")
    file = sorted((folder / "right").glob("*"))[1]
    names = ("ip.src", "ip.dst", "udp.dstport", "udp.srcport", "vxlan.flags", "frame.len", "ip.len", "udp.length")
    command = [TSHARK, "-r", str(file), "-T", "fields", "-E", "occurrence=f", *(x for name in names for x in ("-e", name))]  # fmt: skip
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in told.splitlines()]
    assert {tuple(row[:3]) for row in rows} == {("10.0.2.11", "10.0.30.10", "4789")}
    assert {int(row[4], 16) for row in rows} == {0x0800}
    assert all(int(frame) == int(ip) + 14 == int(udp) + 34 for *_, frame, ip, udp in rows)
    assert len({row[3] for row in rows}) > 20


@pytest.mark.parametrize("name", ["right", "wrong-vni", "replies-missing", "second-session", "database-audit"])
def test_packets_are_well_made(folder: Path, name: str) -> None:
    wrong = (
        "_ws.malformed or ip.checksum.status == 0 or tcp.checksum.status == 0 or tcp.analysis.retransmission "
        "or tcp.analysis.out_of_order or tcp.analysis.duplicate_ack or tcp.analysis.zero_window"
    )
    if name != "replies-missing":
        wrong += " or tcp.analysis.lost_segment or tcp.analysis.ack_lost_segment"
    # A ring's second file begins in the middle of connections, where tshark misses what the first one has: one file for it.
    with gzip.open(folder / f"{name}.pcap.gz", "wb") as whole:
        for number, file in enumerate(sorted((folder / name).glob("*"))):
            whole.write(gzip.decompress(file.read_bytes())[24 if number else 0 :])
    joined = folder / f"joined-{name}"
    joined.mkdir()
    (folder / f"{name}.pcap.gz").rename(joined / "all.pcap.gz")
    assert shown(joined, "frame.number", "_ws.col.Info", display=wrong) == []


def test_tshark_finds_the_holes_that_lost_copies_leave(folder: Path) -> None:
    assert len(shown(folder / "loss", "frame.number", display="tcp.analysis.lost_segment")) > 20


def test_datagrams_are_well_made(tmp_path: Path) -> None:
    ways = [
        Way(True, 17, "10.0.2.11", "10.0.3.11", 5140, 5514, 3, 190, START, START + 2),
        Way(False, 1, "10.0.3.11", "10.0.2.11", 0, 0, 4, 336, START, START + 2),
        Way(False, 6, "198.51.100.7", "10.0.2.11", 40000, 80, 3, 180, START, START + 7, 2),
        Way(True, 132, "10.0.2.11", "10.0.3.11", 0, 0, 2, 101, START, START),
    ]
    made = [expand(way) for way in ways]
    for way, packets in zip(ways, made, strict=True):
        assert (len(packets), sum(len(packet.body) for packet in packets)) == (way.packets, way.bytes)
        assert all(START <= packet.time // 10**9 <= way.end for packet in packets)
    head = b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0"
    write_pcap(tmp_path / "all.pcap.gz", [(one.time, head + one.body) for packets in made[:3] for one in packets])
    wrong = (
        "ip.checksum.status == 0 or udp.checksum.status == 0 or tcp.checksum.status == 0 or icmp.checksum.status == 0"
    )
    assert shown(tmp_path, "frame.number", display=wrong) == []
    assert Counter(row[0] for row in shown(tmp_path, "ip.proto", display="ip")) == {"17": 3, "1": 4, "6": 3}


def test_records_that_no_packets_can_have_are_refused() -> None:
    there = Way(False, 6, "10.0.1.10", "10.0.2.11", 50000, 80, 5, 203, START, START, 3)
    back = Way(True, 6, "10.0.2.11", "10.0.1.10", 80, 50000, 5, 5 * 1500, START, START, 19)
    with pytest.raises(ValueError, match="5 packets of TCP cannot have 203 bytes"):
        expand(there, Way(*(*vars(back).values(),)))
    with pytest.raises(ValueError, match="cannot have 7500 bytes"):
        expand(Way(*{**vars(there), "bytes": 204}.values()), back)


# ----------------------------------------------------------------------------------------------- packets and records


def copied(host: str) -> list[Packet]:
    """The packets of a host in the window that are in its flow log: all but those to and from Amazon's DNS."""
    whole = mirror_world.packets(SCENARIO, host)
    return [one for one in whole if not {one.way.source, one.way.destination} & set(mirror_world.RESOLVERS)]


@pytest.mark.parametrize("host", ["bastion", "web-2", "app-1", "db-primary", "alb-a"])
def test_every_record_has_its_packets(host: str) -> None:
    counted: Counter[Way] = Counter()
    sizes: Counter[Way] = Counter()
    for packet in copied(host):
        counted[packet.way] += 1
        sizes[packet.way] += len(packet.body)
        assert packet.way.start <= packet.time / 10**9 < packet.way.end + 1
    assert all((counted[way], sizes[way]) == (way.packets, way.bytes) for way in counted)
    totals: dict[Ends, list[int]] = defaultdict(lambda: [0, 0])
    for way in counted:
        total = totals[way.source, way.source_port, way.destination, way.destination_port]
        total[0] += way.packets
        total[1] += way.bytes
    assert {ends: (packets, size) for ends, (packets, size) in totals.items()} == per_flow(logged(host))


def test_what_the_security_group_rejects_is_not_mirrored() -> None:
    records = logged("bastion")
    rejected = records[records["action"] == "REJECT"]
    assert len(rejected) > 0
    there = {(packet.way.source, packet.way.destination_port) for packet in mirror_world.packets(SCENARIO, "bastion")}
    assert not there & set(zip(rejected["pkt_srcaddr"], rejected["dstport"], strict=True))


@pytest.mark.parametrize(
    ("way", "services", "eligible"),
    [
        (Way(True, 6, "10.0.2.11", "10.0.3.11", 5000, 80, 4, 400, 0, 0), (), True),
        (Way(True, 6, "10.0.2.11", "169.254.169.254", 5000, 80, 4, 400, 0, 0), (), False),
        (Way(False, 17, "169.254.169.123", "10.0.2.11", 123, 123, 1, 76, 0, 0), ("amazon-dns",), False),
        (Way(True, 17, "10.0.2.11", "10.0.2.1", 68, 67, 1, 328, 0, 0), (), False),
        (Way(True, 17, "10.0.2.11", "10.0.0.2", 5000, 53, 1, 70, 0, 0), (), False),
        (Way(False, 17, "10.0.0.2", "10.0.2.11", 53, 5000, 1, 90, 0, 0), ("amazon-dns",), True),
    ],
)
def test_what_is_never_mirrored(way: Way, services: tuple[str, ...], eligible: bool) -> None:
    assert mirror_world.eligible(way, services) == eligible


# -------------------------------------------------------------------------------------------------- faults, one by one


def findings(lab: Session, folder: Path, mirror: Mirror) -> dict[str, str]:
    """What the verification says: codes that are confirmed and not just for information, with their severity."""
    session = record(lab, "session", mirror.session_id)
    interface = lab.call("ec2", "describe_network_interfaces", NetworkInterfaceIds=[mirror.interface_id])
    others = [
        (record(lab, "session", one.session_id), record(lab, "filter", one.filter_id))
        for one in MIRRORS
        if one.source == mirror.source and one is not mirror
    ]
    found = verify(
        read_capture(folder / mirror.name),
        session,
        record(lab, "filter", mirror.filter_id),
        logged(mirror.source),
        interface=interface["NetworkInterfaces"][0],
        others=others,
        metrics=metrics(lab, mirror.source),
    )
    return {one.code: one.severity for one in found if one.status == "confirmed"}


def metrics(lab: Session, host: str) -> pd.DataFrame:
    rows = []
    for name in [f"Network{packets}{word}{way}" for packets in ("", "Packets") for word in ("Mirror", "SkipMirror") for way in ("In", "Out")]:  # fmt: skip
        told = lab.call(
            "cloudwatch", "get_metric_statistics", Namespace="AWS/EC2", MetricName=name, StartTime=WINDOW[0], EndTime=WINDOW[1], Period=300,
            Dimensions=[{"Name": "InstanceId", "Value": world.ident(SCENARIO, host, "i")}], Statistics=["Sum"],
        )  # fmt: skip
        rows += [(point["Timestamp"], name, point["Sum"]) for point in told["Datapoints"]]
    return pd.DataFrame(rows, columns=["time", "metric", "value"])


FAULTS = {
    "right": {"MIRROR-AS-CONFIGURED"},
    "replies-missing": {"MIRROR-ONE-WAY"},
    "port-closed": {"MIRROR-EMPTY"},
    "wrong-vni": {"MIRROR-WRONG-VNI"},
    "truncated": {"MIRROR-TRUNCATED"},
    "second-session": {"MIRROR-STOLEN"},
    "loss": {"MIRROR-LOSS", "MIRROR-SKIPPED"},
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_verification_names_the_fault_and_no_other(lab: Session, folder: Path, name: str) -> None:
    found = findings(lab, folder, BY_NAME[name])
    assert found.keys() >= FAULTS[name]
    every = set().union(*FAULTS.values())
    assert found.keys() & every == FAULTS[name]


def test_port_closed_is_empty_although_the_source_mirrors(lab: Session, folder: Path) -> None:
    files = sorted((folder / "port-closed").iterdir())
    assert [file.name for file in files] == ["mirror_00001_20261119130000.pcap.gz"]
    assert len(gzip.decompress(files[0].read_bytes())) == 24
    told = metrics(lab, "bastion").groupby("metric")["value"].sum()
    assert told["NetworkPacketsMirrorIn"] == told["NetworkPacketsMirrorOut"] == 3100


def test_a_ring_is_named_and_split_as_tshark_does(folder: Path) -> None:
    files = sorted((folder / "right").iterdir())
    stamps = [file.name.split("_")[2].partition(".")[0] for file in files]
    assert stamps == ["20261119130000", "20261119130400", "20261119130800"]
    edges = [datetime.strptime(stamp + "+0000", "%Y%m%d%H%M%S%z").timestamp() for stamp in stamps] + [START + 600]
    for file, first, last in zip(files, edges, edges[1:], strict=False):
        window = read_capture(file).window
        assert window is not None
        assert first <= window.start.timestamp() <= window.end.timestamp() <= last + 0.001


def test_sessions_of_one_interface_share_the_packets_and_each_goes_to_one(folder: Path) -> None:
    first, second = read_capture(folder / "database-audit"), read_capture(folder / "second-session")
    assert set(first.conversations["destination_port"]) == {5432}
    assert 5432 not in set(second.conversations["destination_port"])
    assert total(first) + total(second) == len(copied("app-3"))


def total(capture: Capture) -> int:
    return int(capture.conversations[["packets", "packets_back"]].to_numpy().sum())


def test_truncated_frames_are_as_long_as_the_session_says(folder: Path) -> None:
    whole = copied("app-2")
    found = read_capture(folder / "truncated").conversations
    assert found["truncated"].sum() == sum(len(packet.body) + 14 > 128 for packet in whole)
    assert set(found["truncated_to"]) - {0} == {128}


def test_metrics_and_captures_say_the_same_of_a_source_that_loses(lab: Session, folder: Path) -> None:
    told = metrics(lab, "app-1").groupby("metric")["value"].sum()
    capture = read_capture(folder / "loss")
    sent = told["NetworkPacketsMirrorIn"] + told["NetworkPacketsMirrorOut"]
    skipped = told["NetworkPacketsSkipMirrorIn"] + told["NetworkPacketsSkipMirrorOut"]
    assert total(capture) == sent
    assert sent + skipped == len(copied("app-1"))
    assert 0.03 < skipped / sent < 0.15
    size = capture.conversations[["bytes", "bytes_back"]].to_numpy().sum()
    assert told["NetworkMirrorIn"] + told["NetworkMirrorOut"] == size


def test_preflight_and_capture_agree(lab: Session, folder: Path) -> None:
    snapshot, held = snapshot_now(world.ACCOUNT, world.REGION), mirrors(lab)
    for mirror in MIRRORS:
        told = preflight_of(snapshot, held, mirror.session_id)
        stopped = bool((told["state"] == "fails").any())
        assert stopped == read_capture(folder / mirror.name).conversations.empty, mirror.name


# -------------------------------------------------------------------------------------- the configuration in force


def test_what_a_user_changes_shows_in_the_next_look(lab: Session, tmp_path: Path) -> None:
    mirror = BY_NAME["replies-missing"]

    def look() -> Capture:
        shutil.rmtree(tmp_path / mirror.name, ignore_errors=True)
        return read_capture(fetch(lab, tmp_path, f"{mirror.name}/") / mirror.name)

    before = look()
    assert before.conversations["packets_back"].sum() == 0
    rule = {
        "TrafficMirrorFilterId": mirror.filter_id, "TrafficDirection": "egress", "RuleNumber": 100, "RuleAction": "accept", "Protocol": 6,
        "SourceCidrBlock": "0.0.0.0/0", "DestinationCidrBlock": "0.0.0.0/0", "SourcePortRange": {"FromPort": 80, "ToPort": 80},
    }  # fmt: skip
    made = lab.call("ec2", "create_traffic_mirror_filter_rule", **rule)["TrafficMirrorFilterRule"]
    after = look()
    assert (after.conversations["packets"].sum(), after.conversations["packets_back"].sum() > 0) == (total(before), True)  # fmt: skip
    name = {"TrafficMirrorSessionId": mirror.session_id}
    lab.call("ec2", "modify_traffic_mirror_session", **name, VirtualNetworkId=77, PacketLength=64)
    cut = look().conversations
    assert (set(cut["vni"]), set(cut["truncated_to"]) - {0}) == ({77}, {64})
    lab.call("ec2", "modify_traffic_mirror_session", **name, VirtualNetworkId=mirror.vni, RemoveFields=["packet-length"])  # fmt: skip
    lab.call("ec2", "delete_traffic_mirror_filter_rule", TrafficMirrorFilterRuleId=made["TrafficMirrorFilterRuleId"])
    pd.testing.assert_frame_equal(look().conversations, before.conversations)


def test_amazons_dns_is_mirrored_where_the_filter_says_so(lab: Session, tmp_path: Path) -> None:
    mirror = BY_NAME["second-session"]
    name = {"TrafficMirrorFilterId": mirror.filter_id}
    lab.call("ec2", "modify_traffic_mirror_filter_network_services", **name, AddNetworkServices=["amazon-dns"])
    fetch(lab, tmp_path, f"{mirror.name}/")
    lab.call("ec2", "modify_traffic_mirror_filter_network_services", **name, RemoveNetworkServices=["amazon-dns"])
    assert total(read_capture(tmp_path / mirror.name)) > len(copied("app-3")) - 119
    rows = shown(tmp_path / mirror.name, "dns.qry.name", "dns.a", "ip.src", display="dns")
    called = Counter(there.destination for there, _ in mirror_world.conversations(SCENARIO, "app-3") if there.destination in mirror_world.SITES)  # fmt: skip
    assert Counter(address for _, address, _ in rows if address) == called
    assert {row[0] for row in rows} == set(mirror_world.SITES.values())
    assert {row[2] for row in rows} == {"10.0.0.2", "10.0.11.21"}
    assert shown(tmp_path / mirror.name, "frame.number", display="dns and (_ws.malformed or udp.checksum.status == 0)") == []  # fmt: skip


def test_opening_the_port_lets_the_copies_in_and_an_acl_keeps_them_out(lab: Session, tmp_path: Path) -> None:
    group = world.ident("mirror", "analyser-closed", "sg")
    permission = {"IpProtocol": "udp", "FromPort": 4789, "ToPort": 4789, "IpRanges": [{"CidrIp": "10.0.0.30/32"}]}
    lab.call("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=[permission])
    opened = read_capture(fetch(lab, tmp_path / "a", "port-closed/") / "port-closed")
    assert (total(opened), set(opened.conversations["outer_target"])) == (6200, {"10.0.30.11"})
    subnet = world.ident("mirror", "subnet-quiet", "subnet")
    acl = lab.call("ec2", "describe_network_acls", Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["NetworkAcls"][0]["NetworkAclId"]  # fmt: skip
    entry = {"NetworkAclId": acl, "RuleNumber": 50, "Egress": False}
    lab.call("ec2", "create_network_acl_entry", **entry, Protocol="17", RuleAction="deny", CidrBlock="10.0.0.0/24", PortRange={"From": 4000, "To": 5000})  # fmt: skip
    assert read_capture(fetch(lab, tmp_path / "b", "port-closed/") / "port-closed").conversations.empty
    lab.call("ec2", "delete_network_acl_entry", NetworkAclId=acl, RuleNumber=50, Egress=False)
    own = {"NetworkAclId": world.ident(SCENARIO, "acl-app-a", "acl"), "RuleNumber": 130, "Egress": True}
    way_out = {
        "Protocol": "17",
        "RuleAction": "allow",
        "CidrBlock": "10.0.30.0/24",
        "PortRange": {"From": 4789, "To": 4789},
    }
    lab.call("ec2", "delete_network_acl_entry", **own)
    assert read_capture(fetch(lab, tmp_path / "c", "truncated/") / "truncated").conversations.empty
    lab.call("ec2", "create_network_acl_entry", **own, **way_out)
    lab.call("ec2", "revoke_security_group_ingress", GroupId=group, IpPermissions=[permission])


def test_a_session_that_a_user_makes_delivers_under_its_name_and_goes_with_it(lab: Session, tmp_path: Path) -> None:
    source = world.ident("bad-day", "web-1", "eni")
    tags = [{"ResourceType": "traffic-mirror-session", "Tags": [{"Key": "Name", "Value": "mine"}]}]
    request = {
        "NetworkInterfaceId": source, "TrafficMirrorTargetId": target_id("analyser-bad-day"), "SessionNumber": 1,
        "TrafficMirrorFilterId": BY_NAME["right"].filter_id,
    }  # fmt: skip
    made = lab.call("ec2", "create_traffic_mirror_session", **request, TagSpecifications=tags)["TrafficMirrorSession"]
    found = read_capture(fetch(lab, tmp_path, "mine/") / "mine")
    assert total(found) == len(mirror_world.packets("bad-day", "web-1")) > 1000
    assert set(found.conversations["vni"]) == {made["VirtualNetworkId"]}
    name = made["TrafficMirrorSessionId"]
    lab.call("ec2", "delete_tags", Resources=[name], Tags=[{"Key": "Name"}])
    keys = [one["Key"] for one in lab.call("s3", "list_objects_v2", Bucket=BUCKET)["Contents"]]
    assert {key.partition("/")[0] for key in keys} == {*BY_NAME, name}
    lab.call("ec2", "delete_traffic_mirror_session", TrafficMirrorSessionId=name)
    keys = [one["Key"] for one in lab.call("s3", "list_objects_v2", Bucket=BUCKET)["Contents"]]
    assert {key.partition("/")[0] for key in keys} == {*BY_NAME}


def test_sessions_of_one_name_are_captured_together(lab: Session, tmp_path: Path) -> None:
    tags = [{"ResourceType": "traffic-mirror-session", "Tags": [{"Key": "Name", "Value": "shop"}]}]
    request = {
        "TrafficMirrorTargetId": target_id("analyser-bad-day"),
        "TrafficMirrorFilterId": BY_NAME["right"].filter_id,
    }
    names = [
        lab.call(
            "ec2", "create_traffic_mirror_session", **request, NetworkInterfaceId=world.ident("bad-day", host, "eni"), SessionNumber=1,
            TagSpecifications=tags, VirtualNetworkId=5,
        )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
        for host in ("web-1", "web-2")
    ]  # fmt: skip
    found = read_capture(fetch(lab, tmp_path, "shop/") / "shop")
    assert total(found) == len(mirror_world.packets("bad-day", "web-1")) + len(mirror_world.packets("bad-day", "web-2"))
    assert set(found.conversations["outer_source"]) == {"10.0.2.11", "10.0.3.11"}
    assert found.warnings == ()
    for name in names:
        lab.call("ec2", "delete_traffic_mirror_session", TrafficMirrorSessionId=name)


def test_a_change_ends_the_capture_under_the_earlier_vni(lab: Session, tmp_path: Path) -> None:
    mirror = BY_NAME["wrong-vni"]
    rule = record(lab, "filter", mirror.filter_id)["EgressFilterRules"][1]["TrafficMirrorFilterRuleId"]
    for number, action, vni in ((0, "reject", mirror.vni), (1, "accept", mirror.earlier_vni)):
        lab.call("ec2", "modify_traffic_mirror_filter_rule", TrafficMirrorFilterRuleId=rule, RuleAction=action)
        found = read_capture(fetch(lab, tmp_path / str(number), f"{mirror.name}/") / mirror.name)
        assert set(found.conversations["vni"]) == {vni}


def mirrored_to(lab: Session, folder: Path, **target: str) -> Capture:
    """What arrives by a new session of web-2 to a new target; both are gone afterwards."""
    made = lab.call("ec2", "create_traffic_mirror_target", **target)["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
    session = lab.call(
        "ec2", "create_traffic_mirror_session", NetworkInterfaceId=BY_NAME["replies-missing"].interface_id, TrafficMirrorTargetId=made,
        TrafficMirrorFilterId=BY_NAME["loss"].filter_id, SessionNumber=9,
    )["TrafficMirrorSession"]["TrafficMirrorSessionId"]  # fmt: skip
    found = read_capture(fetch(lab, folder, f"{session}/") / session)
    lab.call("ec2", "delete_traffic_mirror_session", TrafficMirrorSessionId=session)
    lab.call("ec2", "delete_traffic_mirror_target", TrafficMirrorTargetId=made)
    return found


def test_a_load_balancer_needs_its_listener_and_a_target(lab: Session, tmp_path: Path) -> None:
    subnet, vpc = world.ident("mirror", "subnet-quiet", "subnet"), world.scenario(SCENARIO).vpc_id
    balancer = lab.call("elbv2", "create_load_balancer", Name="mirrors", Subnets=[subnet], Type="network", Scheme="internal")["LoadBalancers"][0]["LoadBalancerArn"]  # fmt: skip
    group = lab.call("elbv2", "create_target_group", Name="mirrors", Protocol="UDP", Port=4789, VpcId=vpc, TargetType="instance", HealthCheckProtocol="TCP")["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
    lab.call("elbv2", "register_targets", TargetGroupArn=group, Targets=[{"Id": world.ident("mirror", "analyser", "i"), "Port": 4789}])  # fmt: skip
    assert mirrored_to(lab, tmp_path / "a", NetworkLoadBalancerArn=balancer).conversations.empty
    lab.call("elbv2", "create_listener", LoadBalancerArn=balancer, Protocol="UDP", Port=4789, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])  # fmt: skip
    found = mirrored_to(lab, tmp_path / "b", NetworkLoadBalancerArn=balancer)
    assert total(found) == len(copied("web-2")) - 202  # those of the session with the lower number
    assert set(found.conversations["outer_source"]) == {"10.0.3.11"}


def test_a_target_in_another_vpc_needs_a_route(lab: Session, tmp_path: Path) -> None:
    far, near = world.ident("reach", "vpc-reach-peer", "vpc"), world.scenario(SCENARIO).vpc_id
    subnet = lab.call("ec2", "create_subnet", VpcId=far, CidrBlock="10.65.200.0/24")["Subnet"]["SubnetId"]
    group = lab.call("ec2", "create_security_group", GroupName="far", Description="far", VpcId=far)["GroupId"]
    permission = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.3.0/24"}]}
    lab.call("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=[permission])
    target = lab.call("ec2", "create_network_interface", SubnetId=subnet, Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]  # fmt: skip
    assert mirrored_to(lab, tmp_path / "a", NetworkInterfaceId=target).conversations.empty
    peering = lab.call("ec2", "create_vpc_peering_connection", VpcId=near, PeerVpcId=far)["VpcPeeringConnection"]["VpcPeeringConnectionId"]  # fmt: skip
    lab.call("ec2", "accept_vpc_peering_connection", VpcPeeringConnectionId=peering)
    route = {"RouteTableId": world.ident(SCENARIO, "rtb-private", "rtb"), "DestinationCidrBlock": "10.65.200.0/24"}
    lab.call("ec2", "create_route", **route, VpcPeeringConnectionId=peering)
    assert total(mirrored_to(lab, tmp_path / "b", NetworkInterfaceId=target)) > 1000
    lab.call("ec2", "delete_vpc_peering_connection", VpcPeeringConnectionId=peering)
    assert mirrored_to(lab, tmp_path / "c", NetworkInterfaceId=target).conversations.empty
    lab.call("ec2", "delete_route", **route)


def test_the_writer_keeps_times_and_lengths(tmp_path: Path) -> None:
    frames = [(1_795_093_200_123_456_789, bytes(60), 1500), (1_795_093_201_000_000_000, bytes(61))]
    for nanoseconds, first in ((False, 1_795_093_200_123_456_000), (True, 1_795_093_200_123_456_789)):
        size = write_pcap(tmp_path / "one.pcap", frames, nanoseconds=nanoseconds)
        assert size == (tmp_path / "one.pcap").stat().st_size == 24 + 2 * 16 + 121
        found = next(iter(read_frames(tmp_path / "one.pcap", FileNotes(tmp_path / "one.pcap"))))
        assert (found.time.tolist(), found.length.tolist(), found.captured.tolist()) == ([first, frames[1][0]], [1500, 61], [60, 61])  # fmt: skip
    with (tmp_path / "two.pcap").open("wb") as file:
        write_pcap(file, frames)
    assert (tmp_path / "two.pcap").read_bytes() == pcap_bytes(frames)
