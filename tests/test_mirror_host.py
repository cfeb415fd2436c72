"""The analysis host: every generated file is read by the tool that it is for, where that tool is installed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator

from netkit.core.errors import InputError
from netkit.mirror.analysis_host import (
    CAPTURE_FILTER,
    AnalysisHost,
    capture_command,
    files,
    live_fields_command,
    packet_counts_commands,
    role_policy,
    sessions_command,
    ssm_request,
    ssm_script,
    suricata_yaml,
    user_data,
    watch_alerts_command,
)

HOST = AnalysisHost(bucket="a-bucket-of-ours", prefix="mirror/web", snap_length=256)
SUITE = (HOST, AnalysisHost(), AnalysisHost(interface="ens5", bucket="b-3.x", prefix="", files=2, file_seconds=3600))


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


def run(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("host", SUITE)
def test_scripts_are_read_by_bash_and_python(host: AnalysisHost) -> None:
    for path, (mode, text) in files(host).items():
        if text.startswith("#!/bin/bash"):
            assert run("bash", "-n", text=text).stderr == "", path
        elif text.startswith("#!/usr/bin/python3"):
            compile(text, path, "exec")
        assert mode == ("0755" if text.startswith("#!") else "0644")
    assert run("bash", "-n", text=ssm_script(host)).stderr == ""


@needs("cloud-init")
@pytest.mark.parametrize("host", SUITE)
def test_cloud_init_takes_the_user_data(host: AnalysisHost, tmp_path: Path) -> None:
    path = tmp_path / "user-data"
    path.write_text(user_data(host))
    done = run("cloud-init", "schema", "--config-file", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_user_data_holds_every_file_and_no_key() -> None:
    document = yaml.safe_load(user_data(HOST))
    assert {one["path"]: one["content"] for one in document["write_files"]} == {
        path: text for path, (_, text) in files(HOST).items()
    }
    assert user_data(HOST).startswith("#cloud-config\n")
    assert "install -d -m 0700 -o netkit" in user_data(HOST)
    assert "promisc" not in user_data(HOST)


@needs("tshark")
def test_tshark_takes_the_filters(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    words = shlex.split(live_fields_command(HOST))
    shown = words[words.index("-Y") + 1]
    fields = [
        word
        for name in words[words.index("-E") :]
        if name.startswith(("frame", "vxlan", "ip.", "tcp."))
        for word in ("-e", name)
    ]
    done = run("tshark", "-r", str(empty), "-Y", shown, "-T", "fields", "-E", "occurrence=l", *fields)
    assert done.returncode == 0, done.stderr
    wrong = run("tshark", "-r", str(empty), "-Y", "no.such.field == 1")
    assert wrong.returncode != 0
    compiled = run("dumpcap", "-d", "-i", "lo", "-f", CAPTURE_FILTER)
    if compiled.returncode:
        pytest.skip(f"dumpcap may not open an interface here: {compiled.stderr.strip()[:80]}")
    assert "ret" in compiled.stdout + compiled.stderr


@needs("tshark")
def test_tshark_runs_the_ring_as_it_is_written(tmp_path: Path) -> None:
    """The very command, on loopback for a moment: tshark takes its options, and names files as the reader expects."""
    host = AnalysisHost(interface="lo", folder=str(tmp_path / "ring"), file_mb=1, files=2, file_seconds=1)
    (tmp_path / "ring").mkdir()
    done = run("timeout", "-s", "INT", "2.5", *capture_command(host))
    if "permission" in done.stderr or "No such device" in done.stderr:
        pytest.skip("this user may not capture")
    names = sorted(path.name for path in (tmp_path / "ring").iterdir())
    assert names, done.stderr
    assert all(name.startswith("mirror_0000") and name.endswith(".pcapng") for name in names)


@needs("systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for path, (_, text) in files(HOST).items():
        if path.startswith("/etc/systemd/system/"):
            (tmp_path / Path(path).name).write_text(text.replace("/usr/local/sbin/netkit-", "/bin/true #"))
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = run("systemd-analyze", "verify", *units)
    ours = [line for line in done.stderr.splitlines() if "netkit" in line and "Unknown" in line]
    assert ours == []


def test_the_ring_of_an_earlier_run_is_cut_to_its_size(tmp_path: Path) -> None:
    host = AnalysisHost(folder=str(tmp_path), files=3)
    for number in range(6):
        path = tmp_path / f"mirror_0000{number}_20261119.pcapng"
        path.write_bytes(b"x")
        os.utime(path, (1000 + number, 1000 + number))
    (tmp_path / "other.txt").write_text("stays")
    script = files(host)["/usr/local/sbin/netkit-clean"][1]
    ring = "\n".join(line for line in script.splitlines() if "suricata" not in line)
    assert run("bash", "-c", ring).returncode == 0
    assert sorted(path.name[:12] for path in tmp_path.iterdir()) == [
        "mirror_00003",
        "mirror_00004",
        "mirror_00005",
        "other.txt",
    ]


@needs("suricata")
def test_suricata_takes_its_file(tmp_path: Path) -> None:
    path = tmp_path / "suricata.yaml"
    path.write_text(suricata_yaml(HOST).replace("/var/log/suricata/", f"{tmp_path}/").replace("- suricata.rules", "[]"))
    done = run("suricata", "-T", "-c", str(path), "-l", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_suricata_yaml_is_complete() -> None:
    text = suricata_yaml(HOST)
    assert text.startswith("%YAML 1.1\n---\n")
    document = yaml.safe_load(text)
    eve = next(one["eve-log"] for one in document["outputs"] if "eve-log" in one)
    kinds = [one if isinstance(one, str) else next(iter(one)) for one in eve["types"]]
    assert kinds == ["alert", "http", "dns", "tls", "flow", "stats"]
    assert eve["rotate-interval"] == "hour"
    assert document["decoder"]["vxlan"] == {"enabled": True, "ports": "$VXLAN_PORTS"}
    assert document["vars"]["port-groups"]["VXLAN_PORTS"] == "4789"
    assert document["af-packet"][0]["checksum-checks"] is False
    used = set(document["vars"]["address-groups"]) | set(document["vars"]["port-groups"])
    named = {
        word[1:]
        for word in text.replace("!", " ").replace('"', " ").replace("[", " ").replace(",", " ").split()
        if word.startswith("$")
    }
    assert named <= used


def test_the_ring_is_private_bounded_and_named() -> None:
    words = capture_command(HOST, "ens5")
    assert words[words.index("-f") + 1].startswith("udp port 4789 or udp port 6081 or (ip[6:2]")
    assert [words[place + 1] for place, word in enumerate(words) if word == "-b"] == [
        "filesize:100000",
        "files:10",
        "duration:60",
    ]
    assert words[words.index("-s") + 1] == "256"
    assert HOST.disk_mb == 1000
    assert "-s" not in capture_command(AnalysisHost())


def test_the_role_may_do_no_more_than_upload_and_count() -> None:
    policy = role_policy(HOST)
    assert json.loads(json.dumps(policy)) == policy
    assert [one["Action"] for one in policy["Statement"]] == ["cloudwatch:PutMetricData", "s3:PutObject"]
    assert policy["Statement"][1]["Resource"] == "arn:aws:s3:::a-bucket-of-ours/mirror/web/mirror_*"
    assert len(role_policy(AnalysisHost())["Statement"]) == 1
    china = role_policy(AnalysisHost(bucket="b-1", region="cn-north-1"))
    assert china["Statement"][1]["Resource"].startswith("arn:aws-cn:s3:::b-1/")
    assert "netkit-upload" not in user_data(AnalysisHost())


def test_the_ssm_request_is_valid_by_botocores_model() -> None:
    model = botocore.session.get_session().get_service_model("ssm").operation_model("SendCommand")
    report = ParamValidator().validate(ssm_request(HOST, ["i-0123456789abcdef0"]), model.input_shape)
    assert not report.has_errors(), report.generate_report()
    with pytest.raises(InputError, match="instance ids"):
        ssm_request(HOST, ["i-analyzer123456"])


def test_the_guides_watching_commands_have_their_counterpart() -> None:
    assert "network-interface-id,Values=eni-0123456789abcdef0" in sessions_command("eni-0123456789abcdef0")
    counts = packet_counts_commands("i-0123456789abcdef0", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")
    assert all("NetworkPackets" in one and "Mirror" in one for one in counts)
    assert "-E occurrence=l" in live_fields_command(HOST)
    log = "x ET MALWARE y\nx ET INFO z\n"
    command = watch_alerts_command().split("| ", 1)[1]
    assert run("bash", "-c", command, text=log).stdout == "x ET MALWARE y\n"
    assert (
        run("bash", "-c", watch_alerts_command("a'b|; rm").split("| ", 1)[1], text="it is a'b\n").stdout
        == "it is a'b\n"
    )


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"folder": "captures"}, "folder"), ({"folder": "/var/../etc"}, "folder"), ({"folder": "/a b"}, "folder"), ({"interface": "eth0; rm"}, "interface"),
        ({"bucket": "s3://mine"}, "bucket"), ({"prefix": "$(id)"}, "prefix"), ({"prefix": "a*"}, "prefix"), ({"files": 1}, "files 1"), ({"file_mb": 0}, "file_mb"), ({"snap_length": -1}, "snap_length"),
        ({"home_net": ()}, "home_net"), ({"home_net": ("any",)}, "CIDR"), ({"home_net": ("10.0.0.0/99",)}, "CIDR"), ({"region": "here"}, "region"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        AnalysisHost(**values)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no regular expression"):
        watch_alerts_command("(")
