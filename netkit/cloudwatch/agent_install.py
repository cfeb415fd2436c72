"""How a CloudWatch agent comes to a host and gets its configuration: commands, requests and rights as values. Pure.

Sources: CloudWatch User Guide, "Download the CloudWatch agent package", "Installing the CloudWatch agent using AWS Systems
Manager" and "Create IAM roles and users for use with the CloudWatch agent"; Systems Manager API Reference, PutParameter and
SendCommand.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from netkit.cloudwatch.agent_rules import refuse_errors
from netkit.core.errors import InputError

PARAMETER_PREFIX = "AmazonCloudWatch-"
STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
MOST_INSTANCES = 50  # of one SendCommand; more are named by Targets
INSTALL_DOCUMENT = "AWS-ConfigureAWSPackage"
MANAGE_DOCUMENT = "AmazonCloudWatch-ManageAgent"
PACKAGE = "AmazonCloudWatchAgent"

SYSTEMS = {
    "amazon_linux": "rpm",
    "redhat": "rpm",
    "suse": "rpm",
    "centos": "rpm",
    "oracle_linux": "rpm",
    "debian": "deb",
    "ubuntu": "deb",
    "windows": "msi",
}
"""Operating systems as the addresses of AWS's packages have them, and the kind of package."""
_SYSTEM_ALIASES = {
    "amazon": "amazon_linux",
    "al2": "amazon_linux",
    "al2023": "amazon_linux",
    "rhel": "redhat",
    "sles": "suse",
}
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64"}
_LINUX_CTL = "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"
_WINDOWS_CTL = r"C:\Program Files\Amazon\AmazonCloudWatchAgent\amazon-cloudwatch-agent-ctl.ps1"

Mode = Literal["ec2", "onPremise", "auto"]
_MODES = ("ec2", "onPremise", "auto")


# the package


@dataclass(frozen=True)
class Package:
    """AWS's package of the agent for one system: where it is, and where its signature (GPG) is."""

    system: str
    url: str

    @property
    def signature_url(self) -> str:
        """The address of its signature."""
        return self.url + ".sig"

    @property
    def file(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


def package(system: str, architecture: str = "x86_64", region: str = "") -> Package:
    """The package for a system and a processor: from the bucket for all regions, or from a region's own.

    A region's own bucket answers from a subnet that reaches S3 by a gateway endpoint only. Raises InputError for a
    system or processor without a package; Windows has one for x86_64 only.
    """
    name = system.lower().strip().replace(" ", "_")
    name = _SYSTEM_ALIASES.get(name, name)
    if name not in SYSTEMS:
        raise InputError(f"AWS has no agent package for {system!r}", hint=f"it has them for {', '.join(SYSTEMS)}")
    processor = _ARCHITECTURES.get(architecture.lower())
    if processor is None or (name == "windows" and processor != "amd64"):
        raise InputError(
            f"AWS has no agent package for {name} on {architecture!r}",
            hint="x86_64 or arm64; Windows on x86_64 only",
        )
    if region and not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", region):
        raise InputError(f"{region!r} is no region", hint="as eu-central-1")
    host = f"amazoncloudwatch-agent-{region}.s3.{region}" if region else "amazoncloudwatch-agent.s3"
    kind = SYSTEMS[name]
    return Package(name, f"https://{host}.amazonaws.com/{name}/{processor}/latest/amazon-cloudwatch-agent.{kind}")


def install_commands(system: str, architecture: str = "x86_64", region: str = "") -> list[str]:
    """The commands that install the agent, for a shell on the host (PowerShell, as administrator, on Windows).

    Amazon Linux has the agent in its own packages. Elsewhere AWS's package is fetched over HTTPS. Raises as package().
    """
    found = package(system, architecture, region)
    if found.system == "amazon_linux":
        return ["sudo yum install -y amazon-cloudwatch-agent"]
    if found.system == "windows":
        return [f"Invoke-WebRequest {found.url} -OutFile {found.file}", f"msiexec /i {found.file}"]
    # curl, since a bare image of some of these lacks wget
    fetch = f"curl -fsSLO {found.url}"
    how = "sudo dpkg -i -E" if SYSTEMS[found.system] == "deb" else "sudo rpm -U"
    return [fetch, f"{how} ./{found.file}"]


def start_command(parameter: str, system: str = "amazon_linux", mode: Mode = "ec2") -> str:
    """The command that fetches the configuration from Parameter Store and starts the agent. Raises InputError."""
    return _control(system, f"-a fetch-config -m {_mode(mode)} -s -c", f"ssm:{check_parameter_name(parameter)}")


def status_command(system: str = "amazon_linux", mode: Mode = "ec2") -> str:
    """The command that says whether the agent runs, as JSON with status and configstatus. Raises InputError."""
    return _control(system, f"-a status -m {_mode(mode)}")


def _control(system: str, words: str, source: str = "") -> str:
    if package(system).system == "windows":
        return f'& "{_WINDOWS_CTL}" {words}' + (f' "{source}"' if source else "")
    return f"sudo {_LINUX_CTL} {words}" + (f" {shlex.quote(source)}" if source else "")


def _mode(mode: str) -> str:
    if mode not in _MODES:
        raise InputError(f"{mode!r} is no mode of the agent", hint=f"as {', '.join(_MODES)}")
    return mode


# the configuration in Parameter Store


def check_parameter_name(name: str) -> str:
    """The name of a parameter that the agent's managed policies allow. Raises InputError for another."""
    if not name.startswith(PARAMETER_PREFIX):
        raise InputError(
            f"the agent's role may not read a parameter {name!r}",
            hint=f"CloudWatchAgentServerPolicy covers names that begin with {PARAMETER_PREFIX}",
        )
    if not re.fullmatch(r"[A-Za-z0-9_.-]{18,1011}", name):
        raise InputError(f"{name!r} is no name of a parameter", hint="letters, digits, _ . and - behind the prefix")
    return name


def parameter_request(
    config: Mapping[str, Any],
    name: str,
    *,
    overwrite: bool = False,
    tier_now: str = "",
    tags: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The members of ssm:PutParameter for a configuration, without blanks, in the tier that its size asks for.

    Standard up to 4,096 bytes, Advanced (which costs) up to 8,192. tier_now is that of the parameter which is replaced: an
    Advanced one cannot become Standard again. AWS takes tags only with a new parameter, so they are left out with
    overwrite. Raises InputError for a configuration that is too large or that the agent refuses, and for a name its
    policies do not cover.
    """
    refuse_errors(config)
    value = json.dumps(config, separators=(",", ":"), ensure_ascii=False)
    size = len(value.encode())
    if size > ADVANCED_BYTES:
        raise InputError(
            f"the configuration has {size:,} bytes, a parameter holds {ADVANCED_BYTES:,}",
            hint="split it in two parameters; the second is added with append-config",
        )
    request: dict[str, Any] = {
        "Name": check_parameter_name(name),
        "Description": "CloudWatch agent configuration, made by netkit",
        "Value": value,
        "Type": "String",
        "Tier": "Advanced" if size > STANDARD_BYTES or tier_now == "Advanced" else "Standard",
        "Overwrite": overwrite,
    }
    if tags and not overwrite:
        request["Tags"] = [{"Key": key, "Value": one} for key, one in tags.items()]
    return request


# the two documents


def install_request(
    instances: Sequence[str] = (), *, targets: Mapping[str, Sequence[str]] | None = None, version: str = "latest"
) -> dict[str, Any]:
    """The members of ssm:SendCommand that installs the agent (AWS-ConfigureAWSPackage).

    Hosts by id (up to 50), or by targets as {"tag:Role": ["web"]}. Raises InputError.
    """
    if not re.fullmatch(r"latest|\d+(\.\d+)*", version):
        raise InputError(f"{version!r} is no version of the agent", hint="latest, or digits and dots")
    parameters = {"action": ["Install"], "name": [PACKAGE], "version": [version]}
    return _send(INSTALL_DOCUMENT, parameters, instances, targets, "install the CloudWatch agent")


def configure_request(
    parameter: str,
    instances: Sequence[str] = (),
    *,
    targets: Mapping[str, Sequence[str]] | None = None,
    mode: Mode = "ec2",
    append: bool = False,
) -> dict[str, Any]:
    """The members of ssm:SendCommand that gives the agent its configuration and restarts it (AmazonCloudWatch-ManageAgent).

    append adds the parameter to the configuration that is there instead of replacing it. Raises InputError.
    """
    parameters = {
        "action": ["configure (append)" if append else "configure"],
        "mode": [_mode(mode)],
        "optionalConfigurationSource": ["ssm"],
        "optionalConfigurationLocation": [check_parameter_name(parameter)],
        "optionalRestart": ["yes"],
    }
    return _send(MANAGE_DOCUMENT, parameters, instances, targets, "configure the CloudWatch agent")


def _send(
    document: str,
    parameters: Mapping[str, Sequence[str]],
    instances: Sequence[str],
    targets: Mapping[str, Sequence[str]] | None,
    comment: str,
) -> dict[str, Any]:
    if isinstance(instances, str) or bool(instances) == bool(targets):
        raise InputError(
            "name the hosts either by a list of ids or by targets", hint='as ["i-…"] or {"tag:Role": ["web"]}'
        )
    request: dict[str, Any] = {"DocumentName": document, "Parameters": dict(parameters), "Comment": comment}
    if targets:
        return request | {"Targets": _targets(targets)}
    for one in instances:
        if not re.fullmatch(r"i-([0-9a-f]{8}|[0-9a-f]{17})|mi-[0-9a-f]{17}", one):
            raise InputError(
                f"{one!r} is no id of an instance", hint="as i-0123456789abcdef0, or mi-… for a managed one"
            )
    if len(instances) > MOST_INSTANCES:
        raise InputError(
            f"one command goes to {MOST_INSTANCES} instances, these are {len(instances)}",
            hint="name them by a tag: targets",
        )
    return request | {"InstanceIds": list(dict.fromkeys(instances))}


def _targets(targets: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    for key, values in targets.items():
        if not re.fullmatch(r"tag:.{1,128}|tag-key|InstanceIds|resource-groups:(Name|ResourceTypeFilters)", key):
            raise InputError(f"{key!r} is no target of a command", hint="as tag:Role, tag-key or resource-groups:Name")
        if isinstance(values, str) or not 1 <= len(values) <= 50:
            raise InputError(f"target {key} needs a list of 1 to 50 values", hint=f'as {{"{key}": ["web"]}}')
    if len(targets) > 5:
        raise InputError(f"a command has at most 5 targets, these are {len(targets)}")
    return [{"Key": key, "Values": list(values)} for key, values in targets.items()]


# the role


def trust_policy() -> dict[str, Any]:
    """Who may take the agent's role on an instance: EC2."""
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }


def managed_policies(partition: str = "aws", *, systems_manager: bool = True) -> list[str]:
    """The ARNs of the managed policies that the role needs: the agent's own, and Systems Manager's for the two documents."""
    names = ["CloudWatchAgentServerPolicy", *(["AmazonSSMManagedInstanceCore"] if systems_manager else [])]
    return [f"arn:{partition}:iam::aws:policy/{name}" for name in names]


def extra_policy(config: Mapping[str, Any], partition: str = "aws") -> dict[str, Any] | None:
    """The rights a configuration needs beside the managed policies, or None.

    retention_in_days is set with logs:PutRetentionPolicy, on the groups that the configuration names. Raises InputError
    for a configuration that the agent refuses.
    """
    refuse_errors(config)
    collected = config.get("logs", {}).get("logs_collected", {})
    groups = {
        # a placeholder is known on the host only
        re.sub(r"\{\w+\}", "*", one.get("log_group_name", "*"))
        for kind in ("files", "windows_events", "journald")
        for one in collected.get(kind, {}).get("collect_list", ())
        if one.get("retention_in_days", -1) != -1
    }
    if not groups:
        return None
    statement = {
        "Sid": "AgentRetention",
        "Effect": "Allow",
        "Action": "logs:PutRetentionPolicy",
        "Resource": [
            f"arn:{partition}:logs:*:*:log-group:{group}{end}" for group in sorted(groups) for end in ("", ":*")
        ],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
