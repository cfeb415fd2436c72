"""How findings say times, sizes, numbers and commands. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from netkit.core.commandline import incident_command, run_command
from netkit.core.net import protocol_name

NEVER_LOGGED = (
    "never logged: DNS to the Amazon resolver, DHCP, instance metadata, Amazon Time Sync, Windows activation, ARP, "
    "mirrored traffic at its source"
)
NO_RULE_ID = "flow logs name no rule: which security group or network ACL it was, the configuration tells"


def clock(epoch_s: float) -> str:
    """A Unix time in seconds as people say it: "2026-11-19 09:40Z"."""
    return f"{datetime.fromtimestamp(float(epoch_s), UTC):%Y-%m-%d %H:%MZ}"


def size(count: float) -> str:
    """Bytes with an SI prefix: "41.9 MB"."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 port", "30 ports"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(items: Iterable[object], most: int = 4) -> str:
    """ "a, b and c", the rest counted: "a, b, c, d and 7 more"."""
    texts = [str(item) for item in items]
    shown, more = texts[:most], len(texts) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(([", ".join(shown[:-1])] if shown[:-1] else []) + shown[-1:])


def reachability_command(source: str, destination: str, protocol: int, port: int, interface: str = "") -> str:
    """The command line that opens the reachability notebook on this question.

    port: -1 or 0 where the protocol has none
    interface: one in the VPC that is meant, since VPCs may share their addresses; "" where none is known.
    """
    vpc = interface if interface.startswith("eni-") else None
    ends = {"source": source, "destination": destination}
    asked = port if port > 0 else -1
    return run_command("40_reachability_debugging", **ends, protocol=protocol_name(protocol), port=asked, vpc=vpc)


def since_when_command(
    source: str, destination: str, protocol: int, port: int, interface: str, first: float, last: float
) -> str:
    """The command line that opens the incident notebook on this question, from an hour before it began to three hours after.

    Reading live costs by the hour, so a long trouble is not read to its end.
    """
    start = datetime.fromtimestamp(first // 3600 * 3600, UTC) - timedelta(hours=1)
    end = datetime.fromtimestamp(-(-max(min(last, first + 10800), first + 1) // 3600) * 3600, UTC)
    vpc = interface if interface.startswith("eni-") else None
    return incident_command(source, destination, protocol_name(protocol), port, vpc=vpc, start=start, end=end)


def with_files(command: str, source: str, destination: str, protocol: int, port: int) -> str:
    """What is possible with files alone: the flow by hand, and in words what a snapshot of that account would tell."""
    pair = {"source": source, "destination": destination, "protocol": protocol_name(protocol)}
    words = run_command("40_reachability_debugging", **pair, port=port if port > 0 else -1).partition(" -p ")[2]
    told = f"which rule it was these files do not say; 40_reachability_debugging does, with a snapshot of that account: -p {words} -p snapshot FOLDER"
    return f"{command}\n# {told}"


def flow_command(source: str, one: str = "", other: str = "", **more: object) -> str:
    """The command line that opens the flow-log notebook again: on one host, on one pair hop by hop, or on all."""
    pair = {"flow_source": one, "flow_destination": other} if other else {}
    block = {"cidr": f"{one}/32"} if one and not other and ":" not in one else {}  # the explorer takes IPv4 blocks
    return run_command("21_flow_logs_analysis", source=source or None, **pair, **block, **more)
