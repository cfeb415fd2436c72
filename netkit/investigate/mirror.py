"""What the mirror notebooks ask: a mirror's own records, its capture, the flow log and the metrics beside it, its preflight.

It stands above the wings, for a question of it needs the mirror, flow logs and reachability together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from netkit import flowlogs
from netkit.core.errors import AccessError, InputError, SourceError
from netkit.core.model import Coverage, Finding, Window
from netkit.core.plan import Plan
from netkit.core.session import Session
from netkit.core.text import escaped
from netkit.flowlogs.engines import FlowLogs
from netkit.investigate import mirror_preflight as mirroring
from netkit.investigate import path as reach_ask
from netkit.mirror import provision, read
from netkit.mirror.alerts import WATCH, Alerts, alert_findings, read_alerts, watch
from netkit.mirror.beside import beside_flow_logs, interface_records
from netkit.mirror.capture import Capture, capture_files, read_capture
from netkit.mirror.expected import (
    addresses_of,
    as_filter,
    as_session,
    flows,
    guess_addresses,
    judged,
    rule_coverage,
)
from netkit.mirror.filters import DIRECTIONS, MirrorFilter, MirrorSession, any_packet, parse_filter
from netkit.mirror.verify import verify
from netkit.runs.notebook import Run

RULE_COLUMNS = (
    "direction",
    "number",
    "action",
    "protocol",
    "source",
    "source_ports",
    "destination",
    "destination_ports",
    "description",
)
_SEVERE = {"fails": "high", "warning": "low", "unknown": "low"}


@dataclass(frozen=True)
class Subject:
    """What is verified: a session and its filter, with the source's addresses, and what AWS says around it."""

    session: MirrorSession
    filter: MirrorFilter
    interface: Mapping[str, Any] | tuple[str, ...] | None = None
    others: tuple[tuple[MirrorSession, MirrorFilter], ...] = ()
    instance: str = ""
    coverage: tuple[Coverage, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The private addresses of the source, primary first."""
        return addresses_of(self.interface)

    def __str__(self) -> str:
        one = self.session
        length = "whole packets" if one.packet_length is None else f"{one.packet_length:,} bytes of each packet"
        name = one.name or one.id or "captures without a session"
        where = f" on {one.interface} ({', '.join(self.addresses)})" if one.interface else ""
        vni = one.vni if one.vni is not None else "any"
        rules = f"{len(self.filter.rules)} rules" if self.filter.written else "no rules given: every packet"
        return f"{name}: session {one.number}{where}, VNI {vni}, {length}, {rules}"

    def _repr_html_(self) -> str:
        return f"<b>{escaped(self)}</b>"


# ------------------------------------------------------------------------------------------------------- verification


def subject(
    run: Run, session: str, *, rules: Sequence[str] = (), vni: int = 0, addresses: Sequence[str] = ()
) -> Subject:
    """The session of an id or Name tag, as AWS describes it; or, where no session is named, what the parameters say.

    rules   a filter in a few words (netkit.mirror.parse_filter), none for every packet; vni 0 for any; addresses the source's: for
            captures alone
    Raises SourceError for a session that is not there, InputError for rules that are none, and for any of them beside a session.
    """
    if not session:
        mirror = parse_filter(list(rules)) if rules else any_packet()
        return Subject(MirrorSession("", "", "", 1, vni=vni or None), mirror, addresses_of(addresses) or None)
    if rules or vni or addresses:
        raise InputError(
            f"the session {session[:80]!r} has its own rules, VNI and addresses",
            hint='leave rules, vni and addresses out, or name no session: ""',
        )
    found = read.mirror_of(run.session, session)
    others = tuple((as_session(one), as_filter(theirs)) for one, theirs in found.others if theirs is not None)
    return Subject(
        as_session(found.session), as_filter(found.filter), found.interface, others, found.instance, found.coverage
    )


def capture(run: Run, what: Subject, captures: str, *, incomplete: bool = False) -> Capture:
    """The capture in a folder, file, pattern or s3://bucket/prefix/. Of a session an empty one is an answer, whatever else it holds.

    Raises what fetch_captures() and read_capture() raise.
    """
    if not captures:
        raise InputError(
            "no capture was named", hint="a file, a folder, a pattern, or s3://bucket/prefix/ of the analysis host"
        )
    if captures.startswith("s3://"):
        folder = run.folder / "captures" / (what.session.id or "files")
        files = read.fetch_captures(run.session, captures, folder)
    else:
        files = capture_files(run.path(captures))
    return read_capture(files, progress=True, incomplete=incomplete, empty=bool(what.session.id))


def flow_log(
    run: Run, what: Subject, source: str, window: Window | None, seen: Capture | None = None
) -> pd.DataFrame | None:
    """The flow-log records of the source interface in a window, or None where no log is named.

    Without a session the interface is the one of the log that has the source's addresses: those given, or those that the capture
    shows; and without a window it is when the capture ran. Raises what netkit.flowlogs.open() raises, and InputError where there
    is no window, no address, or no interface with one.
    """
    if not source:
        return None
    window = window or (seen.running if seen is not None else None)
    if window is None:
        raise InputError("a flow log is read for a window", hint="give window_start and window_end")
    interface = what.session.interface
    addresses = what.addresses or (guess_addresses(own(what, seen).conversations) if seen is not None else ())
    if not interface and not addresses:
        raise InputError(
            "a flow log cannot be compared without knowing whose it is", subject=source, hint="name the session, or the source's addresses"
        )  # fmt: skip
    logs: FlowLogs = flowlogs.open(run.path(source), session=run.session_for(source), window=window)
    records = interface_records(logs, interface, addresses)
    if records.empty and not interface:
        raise InputError(
            f"no interface of this flow log has the address {addresses[0]}", subject=source, hint="name the session, or other addresses or times"
        )  # fmt: skip
    return records


def metrics(run: Run, what: Subject, window: Window | None) -> pd.DataFrame | None:
    """What CloudWatch counted on the source instance in a window, or None where it has none or may not be asked."""
    if not what.instance or window is None:
        return None
    try:
        return read.mirror_metrics(run.session, what.instance, window)
    except AccessError:
        return None


def counted(found: pd.DataFrame | None) -> pd.DataFrame:
    """The metrics summed: metric, value, unit."""
    if found is None:
        return pd.DataFrame(columns=["metric", "value", "unit"])
    summed = pd.DataFrame(found.groupby(["metric", "unit"], as_index=False).agg(value=("value", "sum")))
    return summed[["metric", "value", "unit"]]


def alerts(run: Run, path: str) -> Alerts | None:
    """The alerts of eve.json or fast.log files, or None where none is named."""
    return read_alerts(run.path(path)) if path else None


def watched(found: Alerts | None, pattern: str = WATCH) -> pd.DataFrame:
    """The alerts that match, as they are shown; a frame without rows where there are none. Raises InputError for a bad pattern."""
    frame = (
        pd.DataFrame(columns=["time", "severity", "signature", "source", "destination"])
        if found is None
        else found.frame
    )
    return frame if found is None else watch(frame, pattern).drop(columns=["file"])


def own(what: Subject, seen: Capture) -> Capture:
    """The part of the capture that is the session's (netkit.mirror.expected.judged): of its VNI, where it has one."""
    return judged(seen, what.session, what.addresses, [one for one, _ in what.others])


def directions(what: Subject, seen: Capture) -> pd.DataFrame:
    """Each direction of each conversation with the rule that decides (netkit.mirror.flows)."""
    some = own(what, seen).conversations
    return flows(some, what.filter, what.addresses or guess_addresses(some))


def rules(what: Subject, seen: Capture) -> pd.DataFrame:
    """Each rule that somebody wrote, and what of the capture it decided (netkit.mirror.rule_coverage)."""
    return rule_coverage(directions(what, seen), what.filter)


def beside(what: Subject, seen: Capture, records: pd.DataFrame | None, window: Window | None) -> pd.DataFrame | None:
    """The flow log's numbers beside the mirror's (netkit.mirror.beside_flow_logs), or None without a flow log."""
    ends = what.addresses or guess_addresses(own(what, seen).conversations)
    if records is None or not ends:
        return None
    before = [pair for pair in what.others if pair[0].number < what.session.number]
    return beside_flow_logs(directions(what, seen), records, what.filter, ends, window or seen.running, before)


def causes(run: Run, what: Subject, seen: Capture) -> list[str]:
    """Why the session has nothing in the capture, likeliest first: from a preflight of it now. [] where it has, or there is no session."""
    if not what.session.id or len(own(what, seen).conversations):
        return []
    checked = mirroring.preflight_of(reach_ask.snapshot(run), read.mirrors(run.session), what.session.id)
    return mirroring.causes(checked)


def until(what: Subject, seen: Capture, window: Window | None) -> datetime | None:
    """Until when packets of the session could have come into the capture: what silence is measured by.

    That is the end of the window, if it is over; of a session whose window is not said, now; of captures alone, which may be old,
    their last frame of any kind.
    """
    now = datetime.now(UTC)
    if window is not None:
        return min(window.end, now)
    return now if what.session.id else seen.running.end if seen.running else None


def findings(
    what: Subject, seen: Capture, records: pd.DataFrame | None, counts: pd.DataFrame | None, why: Sequence[str], window: Window | None,
    found: Alerts | None, pattern: str = WATCH,
) -> list[Finding]:  # fmt: skip
    """All that the verification says, and the alerts."""
    said = verify(
        seen, what.session, what.filter, records, interface=what.interface, others=what.others, metrics=counts, causes=why,
        window=window, now=until(what, seen, window),
    )  # fmt: skip
    if found is None:
        return said
    return [
        *said,
        *alert_findings(found, conversations=own(what, seen).conversations, records=records, pattern=pattern),
    ]


# ------------------------------------------------------------------------------------------------------- provisioning


def chosen(
    session: Session,
    ids: Sequence[str] = (),
    names: Sequence[str] = (),
    subnets: Sequence[str] = (),
    tags: Sequence[str] = (),
    vpc: str = "",
) -> pd.DataFrame:
    """The interfaces that are to be mirrored (netkit.mirror.read.sources), of one VPC by id where one is named.

    names are Name tags, any of them; tags are KEY:VALUE (or KEY=VALUE), all of them; each of interface or instance.
    Raises InputError where nothing is chosen at all, and SourceError where nothing is found.
    """
    wanted = dict(_tag(one) for one in tags)
    if not (ids or names or subnets or wanted):
        raise InputError("no source was named", hint="give ids (eni- or i-), Name tags, subnets, or tags as Team:web")
    asked = [wanted | {"Name": name} for name in names] or [wanted]
    parts = [read.sources(session, ids, subnets, one) for one in asked]
    found = pd.concat(parts, ignore_index=True).drop_duplicates("interface_id")
    found = found[found["vpc_id"] == vpc].reset_index(drop=True) if vpc else found
    if found.empty:
        words = ", ".join([*ids, *names, *subnets, *tags])
        raise SourceError("no network interface is chosen by that", subject=words, hint="look at its tags and its VPC")
    return found


def _tag(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=" if "=" in text else ":")
    if not sign or not key:
        raise InputError(f"{text!r} is no tag", hint="write KEY:VALUE, as Team:web")
    return key, value


def rule_table(mirror: MirrorFilter) -> pd.DataFrame:
    """The rules of a filter in the order in which they are tried: RULE_COLUMNS; ports "" for all. None of a filter that nobody wrote."""

    def ports(span: tuple[int, int] | None) -> str:
        return "" if span is None else str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"

    rows = [
        (rule.direction, rule.number, rule.action, rule.protocol_text, rule.source, ports(rule.source_ports), rule.destination, ports(rule.destination_ports), rule.description)
        for direction in (DIRECTIONS if mirror.written else ())
        for rule in mirror.of_direction(direction)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(RULE_COLUMNS))


def preflight(
    run: Run,
    some: pd.DataFrame,
    target: str,
    mirror: MirrorFilter,
    *,
    name: str,
    number: int = 0,
    packet_length: int = 0,
    source_mtu: int = 0,
    target_mtu: int = 0,
) -> pd.DataFrame:
    """Whether copies will arrive (netkit.investigate.mirror_preflight.preflight), on a snapshot taken now; a number of 0 is none given."""
    snapshot = reach_ask.snapshot(run)
    return mirroring.preflight(
        snapshot, read.mirrors(run.session), sources=some["interface_id"].tolist(), target=target, filter=mirror, name=name,
        number=number or None, packet_length=packet_length or None, source_mtu=source_mtu or None, target_mtu=target_mtu or None,
    )  # fmt: skip


def plan(
    run: Run,
    some: pd.DataFrame,
    target: str,
    mirror: MirrorFilter,
    *,
    name: str,
    number: int = 0,
    packet_length: int = 0,
    vni: int = 0,
    expire_days: int = 7,
) -> Plan:
    """The plan of the mirror (netkit.mirror.provision.plan_mirror). number, packet_length and vni 0 for none given."""
    return provision.plan_mirror(
        run.session, name=name, filter=mirror, target=target, sources=some["interface_id"].tolist(), number=number or None,
        packet_length=packet_length or None, vni=vni or None, expire_days=expire_days,
    )  # fmt: skip


def apply(found: Plan, checked: pd.DataFrame, *, armed: bool) -> pd.DataFrame:
    """The plan applied, where it is armed and nothing of the preflight fails; else what it would do.

    Raises PlanError and what the plan raises.
    """
    if not armed:
        return found.preview()[["order", "action", "resource", "name"]].assign(made="no: armed is false")
    wrong = checked[checked["state"] == "fails"]
    if len(wrong):
        raise InputError(
            f"the preflight fails, so nothing was made: {wrong['says'].iloc[0]}",
            subject=str(wrong["subject"].iloc[0]), hint=str(wrong["next_step"].iloc[0]) or "see the preflight table",
        )  # fmt: skip
    return found.apply(armed=True)


def preflight_findings(checked: pd.DataFrame, subject: Sequence[str]) -> list[Finding]:
    """MIRROR-PREFLIGHT: confirmed where something fails, refuted where all is well, inconclusive where something is not known."""
    count = checked["state"].value_counts().to_dict()
    evidence = {
        "checks": checked.to_dict("records"),
        "states": {str(state): int(number) for state, number in count.items()},
    }
    seen = Coverage("", "", "preflight", "ok", len(checked))
    for state in ("fails", "unknown", "warning"):
        rows = checked[checked["state"] == state]
        if len(rows):
            return [
                Finding(
                    "MIRROR-PREFLIGHT", "confirmed" if state != "unknown" else "inconclusive", _SEVERE[state], tuple(subject),  # type: ignore[arg-type]
                    f"{len(rows)} of {len(checked)} checks {_WORDS[state]}: {rows['check'].iloc[0]} of {rows['subject'].iloc[0]}: {rows['says'].iloc[0]}",
                    evidence, ("It holds for the moment of the snapshot.",), (seen,), str(rows["next_step"].iloc[0]),
                )
            ]  # fmt: skip
    claim = f"Nothing stands in the way of the copies: {len(checked)} checks"
    return [
        Finding(
            "MIRROR-PREFLIGHT",
            "refuted",
            "info",
            tuple(subject),
            claim,
            evidence,
            ("It holds for the moment of the snapshot.",),
            (seen,),
        )
    ]


_WORDS = {"fails": "fail", "unknown": "have no answer", "warning": "warn"}


def in_force(run: Run, name: str, captures: str, *, armed: bool) -> list[Finding]:
    """After an armed plan: the session as it is now, and what its capture shows so far. [] where nothing was armed.

    captures: s3://bucket/prefix/ of the analysis host, or "" where nothing is uploaded yet
    """
    if not armed:
        return []
    table = read.sessions(run.session)
    mine = table[table["name"] == name]
    claim = f"{len(mine)} mirror sessions called {name} are in force: " + ", ".join(f"{one} (VNI {vni})" for one, vni in zip(mine["session_id"], mine["vni"], strict=True))  # fmt: skip
    made = Finding(
        "MIRROR-IN-FORCE", "confirmed" if len(mine) else "refuted", "info", tuple(mine["session_id"]) or (name,), claim,
        {"sessions": mine.astype(str).to_dict("records")}, (), (Coverage("", run.session.region, "TrafficMirrorSessions", "ok", len(table)),),
        "31_mirror_verification says whether it shows what it should",
    )  # fmt: skip
    if not captures or len(mine) != 1:
        return [made]
    what = subject(run, str(mine["session_id"].iloc[0]))
    try:
        seen = capture(run, what, captures)
    except SourceError as problem:
        return [made, Finding("MIRROR-EMPTY", "inconclusive", "medium", made.subject, f"No capture yet: {problem.what}", {"captures": captures}, (), (), problem.hint)]  # fmt: skip
    return [made, *findings(what, seen, None, None, causes(run, what, seen), seen.running, None)]
