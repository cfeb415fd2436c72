"""What is there: a snapshot of the configuration, collected with describe calls. Reads only.

Sources: botocore's EC2, Elastic Load Balancing v2 and Network Firewall models.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from netkit.core import costs
from netkit.core.errors import AccessError, AwsError, PlanError
from netkit.core.model import Coverage
from netkit.core.session import Session, error_code
from netkit.reach.network.recognize import with_id
from netkit.reach.network.snapshot import TABLES, Snapshot, Table

THREADS = 8
# The member of an answer that holds what was asked, where it is not the table's own name.
_ANSWER = {
    "LoadBalancerListeners": "Listeners",
    "ListenerRules": "Rules",
    "LoadBalancerAttributes": "Attributes",
    "TargetGroupAttributes": "Attributes",
    "LoadBalancerTargetHealth": "TargetHealthDescriptions",
    "TransitGatewayPropagations": "TransitGatewayRouteTablePropagations",
    "TransitGatewayRoutes": "Routes",
    "ManagedPrefixListEntries": "Entries",
    "ManagedPrefixLists": "PrefixLists",
}
_REQUEST: dict[str, dict[str, Any]] = {
    "TransitGatewayRoutes": {"Filters": [{"Name": "state", "Values": ["active", "blackhole"]}]},
}

Answer = tuple[str, list[dict[str, Any]], Coverage]


def collect(sessions: Session | Sequence[Session], *, regions: Sequence[str] = (), progress: bool = True) -> Snapshot:
    """The configuration that reachability depends on, of one or more accounts, in each session's region or in `regions`.

    Each table is one describe call, paged; calls run side by side. A call that is denied, or that the service does not
    know, is a coverage row, and what needs its table is UNKNOWN later. Raises CredentialsError, and AwsError for anything else.
    """
    held = [sessions] if isinstance(sessions, Session) else list(sessions)
    places = [place for one in held for place in ([one.in_region(region) for region in regions] or [one])]
    for place in places:  # boto3 makes clients one at a time; calling them side by side is safe
        for service in ("ec2", "elbv2", "network-firewall"):
            place.client(service)
    begun = datetime.now(UTC)
    first = [(place, table) for place in places for table in TABLES.values() if table.operation and not table.per]
    tables: dict[tuple[str, str], dict[str, tuple[dict[str, Any], ...]]] = {
        (one.account_id, one.region): {} for one in places
    }
    coverage: list[Coverage] = []
    with (
        tqdm(total=len(first), desc="describe calls", disable=not progress, leave=False) as bar,
        ThreadPoolExecutor(THREADS) as pool,
    ):

        def keep(answers: Iterable[Answer]) -> None:
            for key, records, row in answers:
                coverage.append(row)
                if row.state in ("ok", "empty") or records:
                    tables[row.account, row.region][key] = tuple(records)
                bar.update()

        keep(pool.map(lambda job: _whole(*job), first))
        after = [table for table in TABLES.values() if table.per]
        bar.total = len(first) + len(after) * len(places)
        # What is asked of each record of a table that is itself asked record by record comes last.
        for wave in ([one for one in after if not TABLES[one.per].per], [one for one in after if TABLES[one.per].per]):
            jobs = [(place, table, tables[place.account_id, place.region]) for place in places for table in wave]
            keep(pool.map(lambda job: _each(*job), jobs))
    rows = tuple(sorted(coverage, key=lambda row: (row.account, row.region, row.table)))
    return Snapshot(tables, rows, f"{begun:%Y-%m-%dT%H:%M:%SZ}")


def _whole(session: Session, table: Table) -> Answer:
    """One table by one call."""
    if table.key == "VpcBlockPublicAccessOptions":
        return _kept(
            session, table, lambda: [session.call(table.service, table.operation)["VpcBlockPublicAccessOptions"]]
        )
    if table.key == "Firewalls":
        return _kept(session, table, lambda: _firewalls(session, table))
    key = _ANSWER.get(table.key, table.key)
    return _kept(session, table, lambda: session.pages(table.service, table.operation, key))


def _firewalls(session: Session, table: Table) -> list[dict[str, Any]]:
    """Each firewall of the list as it is described: with its policy, and the endpoints and whether they are in step."""
    listed = session.pages(table.service, table.operation, "Firewalls")
    names = [str(one["FirewallArn"]) for one in listed]
    return [with_id(table.key, session.call(table.service, "describe_firewall", FirewallArn=one)) for one in names]


def _each(session: Session, table: Table, held: Mapping[str, tuple[dict[str, Any], ...]]) -> Answer:
    """One table by a call for each record of another; where that one was not collected, neither is this."""
    if table.per not in held:
        return table.key, [], _row(session, table, "skipped", 0, f"{table.per} was not collected")
    ids = _ids(table, held[table.per])
    return _kept(session, table, lambda: [_one(session, table, name) for name in ids])


def _ids(table: Table, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the operation is asked for, one by one: the records, or of load balancers the listeners, of which HTTP's have rules."""
    if table.per == "LoadBalancerListeners":
        held = [one for record in records for one in record["Listeners"]]
        return [str(one[table.id]) for one in held if one.get("Protocol") in ("HTTP", "HTTPS")]
    if table.key == "FirewallPolicies":
        return sorted({str(record["Firewall"]["FirewallPolicyArn"]) for record in records})
    if table.key == "FirewallRuleGroups":
        policies = [record.get("FirewallPolicy") or {} for record in records]
        kinds = ("StatelessRuleGroupReferences", "StatefulRuleGroupReferences")
        return sorted({str(one["ResourceArn"]) for held in policies for kind in kinds for one in held.get(kind) or ()})
    return [str(record[TABLES[table.per].id]) for record in records]


def _one(session: Session, table: Table, name: str) -> dict[str, Any]:
    if table.service == "network-firewall":
        return with_id(table.key, session.call(table.service, table.operation, **{table.id: name}))
    key = _ANSWER[table.key]
    request = {table.id: name, **_REQUEST.get(table.key, {})}
    if table.key == "TransitGatewayRoutes":
        return _routes(session, table, request)
    return {table.id: name, key: session.pages(table.service, table.operation, key, **request)}


def _routes(session: Session, table: Table, request: Mapping[str, Any]) -> dict[str, Any]:
    """Routes of a transit gateway route table, with AWS's word whether there are more (facts 6.9)."""
    routes: list[dict[str, Any]] = []
    token, more = "", False
    while True:
        answer = session.call(table.service, table.operation, **request, **({"NextToken": token} if token else {}))
        routes += answer["Routes"]
        token, more = answer.get("NextToken", ""), bool(answer.get("AdditionalRoutesAvailable"))
        if not token:
            return {table.id: request[table.id], "Routes": routes, "AdditionalRoutesAvailable": more}


_NOT_THERE = (
    "UnsupportedOperation",
    "InvalidAction",
    "NotImplemented",
    "OptInRequired",
    "UnknownOperationException",
    "501",
)


def _kept(session: Session, table: Table, read: Callable[[], list[dict[str, Any]]]) -> Answer:
    try:
        records = read()
    except AccessError as denied:
        return table.key, [], _row(session, table, "denied", 0, denied.what)
    except AwsError as error:
        if error_code(error) in _NOT_THERE:
            return table.key, [], _row(session, table, "skipped", 0, error.what)
        raise
    return table.key, records, _row(session, table, "ok" if records else "empty", len(records), "")


def _row(session: Session, table: Table, state: str, rows: int, note: str) -> Coverage:
    return Coverage(session.account_id, session.region, table.key, state, rows, note=note[:300])


# --- AWS's own analyzer


def network_insights_paths(session: Session) -> list[dict[str, Any]]:
    """All paths of Reachability Analyzer in the account and region, as AWS describes them."""
    return session.pages("ec2", "describe_network_insights_paths", "NetworkInsightsPaths")


def analyses(session: Session, path_id: str = "") -> list[dict[str, Any]]:
    """The analyses of a path, or all, oldest first, as AWS describes them. AWS deletes them after 120 days."""
    chosen = {"NetworkInsightsPathId": path_id} if path_id else {}
    held = session.pages("ec2", "describe_network_insights_analyses", "NetworkInsightsAnalyses", **chosen)
    return sorted(held, key=lambda one: str(one.get("StartDate")))


def await_analysis(
    session: Session, analysis_id: str, *, limit_s: float = 600, progress: bool = True, ledger: Path | None = None
) -> dict[str, Any]:
    """The analysis when it is no longer running, as AWS describes it: succeeded (found or not), or failed with a StatusMessage.

    Looks after 1, 2, 4, then every 8 seconds. ledger: file for what it cost (costs.CostLedger), written once an analysis.
    Raises PlanError when it still runs after limit_s seconds: asking again for the same id costs nothing.
    """
    begun = time.monotonic()
    pauses = itertools.chain((1.0, 2.0, 4.0), itertools.repeat(8.0))
    with tqdm(desc=f"{analysis_id} running", unit="s", disable=not progress, leave=False, bar_format="{desc} {elapsed}") as bar:  # fmt: skip
        while True:
            (found,) = session.pages(
                "ec2", "describe_network_insights_analyses", "NetworkInsightsAnalyses", NetworkInsightsAnalysisIds=[analysis_id]
            )  # fmt: skip
            if str(found.get("Status", "")).lower() != "running":
                break
            left = limit_s - (time.monotonic() - begun)
            if left <= 0:
                raise PlanError(
                    f"the analysis still runs after {limit_s:.0f} s",
                    subject=analysis_id,
                    hint="it goes on in AWS: run this again, which waits for the same one and costs nothing",
                )
            time.sleep(min(next(pauses), left))
            bar.update()
    if ledger is not None:
        _spent(ledger, analysis_id)
    return found


def _spent(path: Path, analysis_id: str) -> None:
    """One line for an analysis, whoever waits for it and however often."""
    ledger, what = costs.CostLedger(path), f"analysis {analysis_id}"
    if what not in set(ledger.frame()["what"]):
        price = costs.analysis_cost(1)
        ledger.record(what, estimated_usd=price, cost_usd=price, scanned_bytes=0)
