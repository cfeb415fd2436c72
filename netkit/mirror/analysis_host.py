"""The host that a mirror goes to: what installs and runs tshark and Suricata on it, and the commands to watch it. Pure.

Files come out as text, so that they can be read before they are used: cloud-init user data, the same for Systems Manager,
suricata.yaml, systemd units. Sources: tshark(1) and dumpcap(1) (-b, -f); Suricata user guide, "Suricata.yaml", "Eve JSON Output";
cloud-init, "Module reference" (users, packages, write_files, runcmd); Amazon VPC Traffic Mirroring, "Work with open-source tools".
Promiscuous mode is not set, whatever the guide says: copies are sent to the host's own address.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from netkit.core.errors import InputError
from netkit.core.net import parse_cidr
from netkit.mirror.alerts import WATCH
from netkit.mirror.decode import GENEVE_PORT, VXLAN_PORT

# Later fragments of an envelope have no ports: without the last term a fragmented mirror would look like a truncated one.
CAPTURE_FILTER = f"udp port {VXLAN_PORT} or udp port {GENEVE_PORT} or (ip[6:2] & 0x1fff != 0)"
BUFFER_MB = 64  # of the kernel's ring: the default of 2 MB lost a third of 300 copies sent at once
NAMESPACE = "netkit/mirror"
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
USER = "netkit"
LARGEST_USER_DATA = 16_384  # bytes, before base64 (EC2 User Guide, "Instance user data")
PACKAGES = (
    "tshark",
    "suricata",
    "suricata-update",
    "python3-boto3",
)  # of Debian and Ubuntu; awscli is not in all of them
_FOLDER = re.compile(r"/[A-Za-z0-9._/-]+")
_INTERFACE = re.compile(r"[A-Za-z0-9@._-]{1,15}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_./-]*")  # no * or ?: the prefix stands in the role's policy too

# Bytes and packets that the source itself counts; the target's NetworkPacketsIn counts everything that comes to it.
PACKET_COUNTS = (
    "NetworkPacketsMirrorIn",
    "NetworkPacketsMirrorOut",
    "NetworkPacketsSkipMirrorIn",
    "NetworkPacketsSkipMirrorOut",
)


@dataclass(frozen=True)
class AnalysisHost:
    """How a Debian or Ubuntu host captures what is mirrored to it.

    bucket, prefix   where finished files go, s3://bucket/prefix/; "" keeps them on the host
    region           of the bucket and of the metrics
    interface        "" takes the one of the default route (ens5, eth0 or enX0, as the system has it)
    folder           private to the capturing user (mode 0700)
    file_mb, files   size of a ring file and how many are kept; file_seconds begins a new one at the latest then
    snap_length      bytes kept of each frame, 0 for all
    home_net         CIDR blocks that Suricata's rules call home

    Raises InputError for what a shell, S3 or Suricata would read otherwise than meant.
    """

    bucket: str = ""
    prefix: str = "captures"
    region: str = "us-east-1"
    interface: str = ""
    folder: str = "/var/lib/netkit/captures"
    file_mb: int = 100
    files: int = 10
    file_seconds: int = 60
    snap_length: int = 0
    home_net: tuple[str, ...] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")

    def __post_init__(self) -> None:
        for name, value, form, hint in (
            ("folder", self.folder, _FOLDER, "an absolute path, as /var/lib/netkit/captures"),
            ("interface", self.interface or "ens5", _INTERFACE, 'as ens5, or "" for the one of the default route'),
            ("bucket", self.bucket or "bucket", _BUCKET, "the bucket's name alone, in small letters"),
            ("prefix", self.prefix, _PREFIX, "letters, digits and / - _ ."),
            ("region", self.region, re.compile(r"[a-z]{2}(-[a-z]+)+-\d"), "as us-east-1"),
        ):
            if not form.fullmatch(value) or ".." in value:
                raise InputError(f"{name} {value!r} cannot be used on the analysis host", hint=hint)
        for name, number, low, high in (
            ("file_mb", self.file_mb, 1, 2000), ("files", self.files, 2, 100_000), ("file_seconds", self.file_seconds, 1, 86_400), ("snap_length", self.snap_length, 0, 262_144),
        ):  # fmt: skip
            if not low <= number <= high:
                raise InputError(f"{name} {number} is out of range", hint=f"{low} to {high}")
        if not self.home_net:
            raise InputError("home_net is empty", hint="name the blocks that are yours, as 10.0.0.0/8")
        object.__setattr__(self, "home_net", tuple(str(parse_cidr(block)) for block in self.home_net))

    @property
    def disk_mb(self) -> int:
        """How much disk the ring takes at most."""
        return self.file_mb * self.files


# --------------------------------------------------------------------------------------------------------- on the host


def capture_command(host: AnalysisHost, interface: str = "") -> list[str]:
    """tshark as a ring buffer: files of mirror packets, in pcapng, which keeps the host's own drop counters."""
    snap = ["-s", str(host.snap_length)] if host.snap_length else []
    return [
        "tshark", "-n", "-q", "-i", interface or host.interface or "any", "-f", CAPTURE_FILTER, "-B", str(BUFFER_MB), *snap, "-w", f"{host.folder}/mirror.pcapng",
        "-b", f"filesize:{host.file_mb * 1000}", "-b", f"files:{host.files}", "-b", f"duration:{host.file_seconds}",
    ]  # fmt: skip


def suricata_yaml(host: AnalysisHost) -> str:
    """A complete suricata.yaml: VXLAN and Geneve decoded, EVE with alert, http, dns, tls, flow and stats, fast.log, hourly files.

    Checksums are not looked at: truncated copies have none that is right ("Packet formats").
    """
    home = f"[{','.join(host.home_net)}]"
    groups = ("HTTP_SERVERS", "SMTP_SERVERS", "SQL_SERVERS", "DNS_SERVERS", "TELNET_SERVERS", "DC_SERVERS", "DNP3_SERVER", "DNP3_CLIENT", "MODBUS_CLIENT", "MODBUS_SERVER", "ENIP_CLIENT", "ENIP_SERVER")  # fmt: skip
    eve = {
        "enabled": True, "filetype": "regular", "filename": "eve-%Y%m%d%H.json", "rotate-interval": "hour",
        "types": [{"alert": {"tagged-packets": True}}, {"http": {"extended": True}}, "dns", {"tls": {"extended": True}}, "flow", {"stats": {"totals": True, "threads": False}}],
    }  # fmt: skip
    document = {
        "vars": {
            "address-groups": {"HOME_NET": home, "EXTERNAL_NET": "!$HOME_NET", "AIM_SERVERS": "$EXTERNAL_NET", **dict.fromkeys(groups, "$HOME_NET")},
            "port-groups": {
                "HTTP_PORTS": "80", "SHELLCODE_PORTS": "!80", "ORACLE_PORTS": "1521", "SSH_PORTS": "22", "DNP3_PORTS": "20000", "MODBUS_PORTS": "502",
                "FILE_DATA_PORTS": "[$HTTP_PORTS,110,143]", "FTP_PORTS": "21", "TEREDO_PORTS": "3544", "SIP_PORTS": "[5060,5061]",
                "VXLAN_PORTS": str(VXLAN_PORT), "GENEVE_PORTS": str(GENEVE_PORT),
            },
        },
        "default-log-dir": "/var/log/suricata/",
        "stats": {"enabled": True, "interval": 60},
        "outputs": [{"fast": {"enabled": True, "filename": "fast.log", "append": True}}, {"eve-log": eve}],
        "logging": {"default-log-level": "notice", "outputs": [{"console": {"enabled": True}}]},
        "af-packet": [
            {"interface": host.interface or "default", "threads": "auto", "cluster-id": 99, "cluster-type": "cluster_flow", "defrag": True, "bpf-filter": CAPTURE_FILTER, "checksum-checks": False},
        ],
        "decoder": {"vxlan": {"enabled": True, "ports": "$VXLAN_PORTS"}, "geneve": {"enabled": True, "ports": "$GENEVE_PORTS"}},
        "stream": {"checksum-validation": False, "midstream": True, "async-oneside": True},
        "app-layer": {"protocols": {"http": {"enabled": True}, "tls": {"enabled": True, "detection-ports": {"dp": "443"}}, "dns": {"udp": {"enabled": True, "detection-ports": {"dp": "53"}}, "tcp": {"enabled": True, "detection-ports": {"dp": "53"}}}}},
        "default-rule-path": "/var/lib/suricata/rules",
        "rule-files": ["suricata.rules"],
        "classification-file": "/etc/suricata/classification.config",
        "reference-config-file": "/etc/suricata/reference.config",
    }  # fmt: skip
    return "%YAML 1.1\n---\n" + yaml.dump(_Quoted.of(document), Dumper=_Dumper, sort_keys=False, width=120)


class _Quoted(str):
    """Text that YAML 1.1 writes in quotes, so that no reader takes it for a number, a list or a boolean."""

    __slots__ = ()

    @classmethod
    def of(cls, value: Any) -> Any:
        """A document with all its texts so marked."""
        if isinstance(value, Mapping):
            return {key: cls.of(one) for key, one in value.items()}
        if isinstance(value, list):
            return [cls.of(one) for one in value]
        return cls(value) if isinstance(value, str) else value


class _Dumper(yaml.SafeDumper):
    """Writes booleans as Suricata's own file does, and quotes text where it would read as something else."""


_Dumper.add_representer(
    bool, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:bool", "yes" if value else "no")
)
_Dumper.add_representer(_Quoted, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", str(value), style='"' if re.search(r"[^A-Za-z/._ -]", value) else None))  # fmt: skip


def _find_interface(host: AnalysisHost) -> str:
    if host.interface:
        return f"interface={shlex.quote(host.interface)}"
    return "interface=\"$(ip -o -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)\""


def _capture_script(host: AnalysisHost) -> str:
    words = ['"$interface"' if word == "@" else shlex.quote(word) for word in capture_command(host, "@")]
    return f"#!/bin/bash\nset -euo pipefail\numask 077\n{_find_interface(host)}\nexec {' '.join(words)}\n"


def _suricata_script(host: AnalysisHost) -> str:
    return (
        f"#!/bin/bash\nset -euo pipefail\n{_find_interface(host)}\n"
        "suricata-update --no-test || test -s /var/lib/suricata/rules/suricata.rules\n"
        'exec suricata -c /etc/suricata/suricata.yaml -k none --af-packet="$interface"\n'
    )


_UPLOAD = '''#!/usr/bin/python3
"""Uploads finished ring files, all but the newest, gzipped and once; what the ring removed meanwhile is passed over."""
import gzip, pathlib, shutil, tempfile
import boto3

FOLDER, BUCKET, PREFIX, REGION = {folder!r}, {bucket!r}, {prefix!r}, {region!r}
folder = pathlib.Path(FOLDER)
done = folder / ".uploaded"
files = sorted(folder.glob("mirror_*.pcapng"), key=lambda path: path.stat().st_mtime)
known = {{path.name for path in files}} & set(done.read_text().split() if done.exists() else ())
done.write_text("".join(name + "\\n" for name in sorted(known)))  # what the ring has removed is forgotten
client = boto3.client("s3", region_name=REGION)
for path in files[:-1]:
    if path.name in known:
        continue
    try:
        with tempfile.TemporaryFile() as packed, path.open("rb") as raw:
            with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped:
                shutil.copyfileobj(raw, zipped)
            packed.seek(0)
            client.upload_fileobj(packed, BUCKET, PREFIX + path.name + ".gz", ExtraArgs={{"ServerSideEncryption": "AES256"}})
    except FileNotFoundError:
        continue
    with done.open("a") as log:
        log.write(path.name + "\\n")
'''

_DROPS = '''#!/usr/bin/python3
"""Publishes what the host received and dropped since the last time: by its interface, and by Suricata's own counters."""
import collections, json, pathlib, subprocess, urllib.request
import boto3

NAMESPACE, REGION, STATE = {namespace!r}, {region!r}, pathlib.Path({folder!r}) / ".drops.json"


def instance():
    base = "http://169.254.169.254/latest/"
    ask = urllib.request.Request(base + "api/token", method="PUT", headers={{"X-aws-ec2-metadata-token-ttl-seconds": "60"}})
    token = urllib.request.urlopen(ask, timeout=2).read().decode()
    ask = urllib.request.Request(base + "meta-data/instance-id", headers={{"X-aws-ec2-metadata-token": token}})
    return urllib.request.urlopen(ask, timeout=2).read().decode()


def counters():
    words = subprocess.run(["ip", "-o", "-4", "route", "show", "default"], capture_output=True, text=True, check=True).stdout.split()
    interface = {interface!r} or words[words.index("dev") + 1]
    folder = pathlib.Path("/sys/class/net") / interface / "statistics"
    found = {{"ReceivedPackets": int((folder / "rx_packets").read_text()), "DroppedByInterface": int((folder / "rx_dropped").read_text())}}
    logs = sorted(pathlib.Path("/var/log/suricata").glob("eve-*.json"))
    last = b""
    for path in logs[-2:]:  # the hour may just have turned
        with path.open("rb") as file:
            last = next((line for line in reversed(collections.deque(file, 20000)) if b'"event_type":"stats"' in line), last)
    if last:
        found["DroppedBySuricata"] = int(json.loads(last)["stats"].get("capture", {{}}).get("kernel_drops", 0))
    return found


now = counters()
before = json.loads(STATE.read_text()) if STATE.exists() else now
STATE.write_text(json.dumps(now))
dimensions = [{{"Name": "InstanceId", "Value": instance()}}]
data = [
    {{"MetricName": name, "Dimensions": dimensions, "Unit": "Count", "Value": max(value - before.get(name, value), 0)}}
    for name, value in now.items()
]
boto3.client("cloudwatch", region_name=REGION).put_metric_data(Namespace=NAMESPACE, MetricData=data)
'''

_ROTATE = "/var/log/suricata/fast.log {\n    daily\n    rotate 7\n    compress\n    missingok\n    copytruncate\n}\n"
_CLEAN = """#!/bin/bash
set -euo pipefail
find /var/log/suricata -name 'eve-*.json' -mmin +180 -exec gzip -f {{}} +
find /var/log/suricata -name 'eve-*.json.gz' -mtime +7 -delete
# A capture that is begun again does not know the ring files of the one before: the newest {files} stay.
find {folder} -maxdepth 1 -name 'mirror_*.pcapng' -printf '%T@ %p\\n' | sort -rn | tail -n +{next} | cut -d ' ' -f 2- | xargs -r rm --
"""


def _unit(description: str, command: str, *, user: str = "", capture: bool = False, once: bool = False) -> str:
    service = [f"ExecStart={command}", "NoNewPrivileges=yes", "ProtectHome=yes", "PrivateTmp=yes"]
    service += [f"User={user}", f"Group={user}"] if user else []
    service += (
        ["AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN", "CapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN"]
        if capture
        else []
    )
    service += ["Type=oneshot"] if once else ["Restart=always", "RestartSec=5"]
    install = "" if once else "\n[Install]\nWantedBy=multi-user.target\n"
    return "\n".join([f"[Unit]\nDescription={description}\nAfter=network-online.target\nWants=network-online.target\n\n[Service]", *service]) + f"\n{install}"  # fmt: skip


def _timer(description: str, seconds: int) -> str:
    return f"[Unit]\nDescription={description}\n\n[Timer]\nOnBootSec={seconds}\nOnUnitActiveSec={seconds}\n\n[Install]\nWantedBy=timers.target\n"


def files(host: AnalysisHost) -> dict[str, tuple[str, str]]:
    """Every file on the host: path to (mode, text). Scripts are 0755, configuration 0644; nothing holds a key."""
    prefix = f"{host.prefix.strip('/')}/" if host.prefix.strip("/") else ""
    scripts = {
        "/usr/local/sbin/netkit-capture": _capture_script(host),
        "/usr/local/sbin/netkit-suricata": _suricata_script(host),
        "/usr/local/sbin/netkit-drops": _DROPS.format(namespace=NAMESPACE, region=host.region, folder=host.folder, interface=host.interface),
        "/usr/local/sbin/netkit-clean": _CLEAN.format(folder=shlex.quote(host.folder), files=host.files, next=host.files + 1),
    }  # fmt: skip
    units = {
        "netkit-capture.service": _unit(
            "Ring buffer of mirrored packets", "/usr/local/sbin/netkit-capture", user=USER, capture=True
        ),
        "netkit-suricata.service": _unit("Suricata on mirrored packets", "/usr/local/sbin/netkit-suricata"),
        "netkit-drops.service": _unit("Publish drop counters", "/usr/local/sbin/netkit-drops", user=USER, once=True),
        "netkit-drops.timer": _timer("Publish drop counters every minute", 60),
        "netkit-clean.service": _unit("Pack and remove old alert files", "/usr/local/sbin/netkit-clean", once=True),
        "netkit-clean.timer": _timer("Pack and remove old alert files every hour", 3600),
    }
    if host.bucket:
        scripts["/usr/local/sbin/netkit-upload"] = _UPLOAD.format(folder=host.folder, bucket=host.bucket, prefix=prefix, region=host.region)  # fmt: skip
        units["netkit-upload.service"] = _unit(
            "Upload finished captures", "/usr/local/sbin/netkit-upload", user=USER, once=True
        )
        units["netkit-upload.timer"] = _timer("Upload finished captures every minute", 60)
    texts = {path: ("0755", text) for path, text in scripts.items()}
    texts |= {f"/etc/systemd/system/{name}": ("0644", text) for name, text in units.items()}
    return texts | {
        "/etc/suricata/suricata.yaml": ("0644", suricata_yaml(host)),
        "/etc/logrotate.d/netkit-suricata": ("0644", _ROTATE),
    }


def start_commands(host: AnalysisHost) -> list[str]:
    """What is run once the packages and files are there: folder, permissions, services."""
    timers = ["netkit-drops.timer", "netkit-clean.timer", *(["netkit-upload.timer"] if host.bucket else [])]
    return [
        f"install -d -m 0700 -o {USER} -g {USER} {shlex.quote(host.folder)}",
        f"usermod -a -G adm {USER}",
        "systemctl disable --now suricata.service || true",
        "systemctl daemon-reload",
        f"systemctl enable --now netkit-capture.service netkit-suricata.service {' '.join(timers)}",
    ]


def user_data(host: AnalysisHost) -> str:
    """cloud-init user data that makes a Debian or Ubuntu instance the analysis host.

    Raises InputError when it is larger than EC2 takes.
    """
    document = {
        "package_update": True,
        "packages": list(PACKAGES),
        "users": ["default", {"name": USER, "system": True, "shell": "/usr/sbin/nologin", "no_create_home": True}],
        "write_files": [{"path": path, "permissions": mode, "owner": "root:root", "content": text} for path, (mode, text) in files(host).items()],
        "runcmd": [["bash", "-c", command] for command in start_commands(host)],
    }  # fmt: skip
    text = "#cloud-config\n" + yaml.dump(document, sort_keys=False, width=200)
    if len(text.encode()) > LARGEST_USER_DATA:
        raise InputError(
            f"the user data has {len(text.encode()):,} bytes", hint=f"EC2 takes {LARGEST_USER_DATA:,}: use ssm_script()"
        )
    return text


def ssm_script(host: AnalysisHost) -> str:
    """The same as a script for a host that runs already."""
    parts = [
        "#!/bin/bash", "set -euo pipefail", "export DEBIAN_FRONTEND=noninteractive", "apt-get update -qq",
        f"apt-get install -y -qq {' '.join(PACKAGES)}",
        f"id {USER} >/dev/null 2>&1 || useradd --system --shell /usr/sbin/nologin --no-create-home {USER}",
    ]  # fmt: skip
    for path, (mode, text) in files(host).items():
        parts += [f"cat > {path} <<'NETKIT_END'\n{text.rstrip()}\nNETKIT_END", f"chmod {mode} {path}"]
    return "\n".join([*parts, *start_commands(host)]) + "\n"


def ssm_request(host: AnalysisHost, instances: Sequence[str]) -> dict[str, Any]:
    """The SendCommand request that runs ssm_script() on instances through Systems Manager (document AWS-RunShellScript)."""
    if not instances or not all(re.fullmatch(r"i-[0-9a-f]{8,17}", one) for one in instances):
        raise InputError(f"{list(instances)!r} are no instance ids", hint="as i-0123456789abcdef0")
    return {
        "DocumentName": "AWS-RunShellScript", "InstanceIds": list(instances), "Comment": "netkit: mirror analysis host",
        "Parameters": {"commands": ssm_script(host).splitlines(), "executionTimeout": ["1800"]},
    }  # fmt: skip


def role_policy(host: AnalysisHost) -> dict[str, Any]:
    """What the host's role needs: its own prefix of the bucket, and metrics in its own namespace."""
    statements: list[dict[str, Any]] = [
        {
            "Sid": "PublishDropCounters", "Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
        }
    ]  # fmt: skip
    if host.bucket:
        prefix = host.prefix.strip("/")
        partition = next((name for start, name in _PARTITIONS.items() if host.region.startswith(start)), "aws")
        where = f"arn:{partition}:s3:::{host.bucket}/{prefix + '/' if prefix else ''}mirror_*"
        statements.append({"Sid": "UploadCaptures", "Effect": "Allow", "Action": "s3:PutObject", "Resource": where})
    return {"Version": "2012-10-17", "Statement": statements}


# ------------------------------------------------------------------------------------------------- watching, by command


def live_fields_command(host: AnalysisHost, ports: Sequence[int] = (80, 443)) -> str:
    """Inner addresses and ports as they come: the guide's live view, with the innermost header and a capture filter.

    Without -E occurrence=l tshark prints the outer addresses beside the inner ones.
    """
    shown = " or ".join(f"tcp.port == {int(port)}" for port in ports)
    words = [
        "sudo",
        "tshark",
        "-n",
        "-l",
        "-i",
        host.interface or "any",
        "-f",
        CAPTURE_FILTER,
        "-Y",
        shown,
        "-T",
        "fields",
        "-E",
        "occurrence=l",
    ]
    fields = (
        "frame.time_epoch",
        "vxlan.vni",
        "ip.src",
        "tcp.srcport",
        "ip.dst",
        "tcp.dstport",
        "tcp.flags.str",
        "frame.len",
    )
    return shlex.join([*words, *(word for name in fields for word in ("-e", name))])


def watch_alerts_command(pattern: str = WATCH) -> str:
    """New alerts that match, as they are written (grep -P reads what Python's re does, near enough). Raises InputError for a pattern that is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise InputError(f"{pattern!r} is no regular expression: {error}", hint=f"as {WATCH}") from None
    return f"sudo tail -F /var/log/suricata/fast.log | grep --line-buffered -iP -e {shlex.quote(pattern)}"


def sessions_command(interface: str) -> str:
    """The mirror sessions of a source interface."""
    return shlex.join(
        ["aws", "ec2", "describe-traffic-mirror-sessions", "--filters", f"Name=network-interface-id,Values={interface}"]
    )


def packet_counts_commands(instance: str, start: str, end: str) -> list[str]:
    """Packets mirrored and skipped, of the SOURCE instance: the guide's NetworkPacketsIn of the target counts everything there."""
    return [
        shlex.join(
            [
                "aws", "cloudwatch", "get-metric-statistics", "--namespace", "AWS/EC2", "--metric-name", name, "--dimensions",
                f"Name=InstanceId,Value={instance}", "--statistics", "Sum", "--start-time", start, "--end-time", end, "--period", "300",
            ]
        )
        for name in PACKET_COUNTS
    ]  # fmt: skip
