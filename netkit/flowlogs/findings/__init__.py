"""From frames to what a person needs to know: gaps, reject clusters, scans, guessing, new talkers, leaks, as findings.

Pure: every function takes frames that the queries of this wing return (their columns are in the query's header) and an
AddressBook, and gives a frame or findings. Nothing here sees AWS, draws, or asks again.
"""

from netkit.flowlogs.findings.conclusion import conclude, looked_for, nothing_found
from netkit.flowlogs.findings.frames import (
    coverage_states,
    cross_zone,
    egress_table,
    grouped,
    name_servers,
    nat_costs,
    order_hops,
    readable,
    with_rejects,
)
from netkit.flowlogs.findings.rejects import CLUSTER_COLUMNS, cluster_rejects, few_rejects, reject_findings
from netkit.flowlogs.findings.replies import few_replies, return_path_findings
from netkit.flowlogs.findings.strangers import egress_findings, guessing_findings, new_talker_findings, scan_findings
from netkit.flowlogs.findings.transit import lost_findings
from netkit.flowlogs.findings.trust import Trust, coverage_findings, find_gaps
from netkit.flowlogs.findings.words import NEVER_LOGGED, clock, counted, listed, reachability_command, size

__all__ = [
    "CLUSTER_COLUMNS", "NEVER_LOGGED", "Trust", "clock", "cluster_rejects", "conclude", "counted", "coverage_findings", "coverage_states", "cross_zone",
    "egress_findings", "egress_table", "few_rejects", "few_replies", "find_gaps", "grouped", "guessing_findings", "listed", "looked_for", "lost_findings",
    "name_servers", "nat_costs", "new_talker_findings", "nothing_found", "order_hops", "reachability_command", "readable", "reject_findings",
    "return_path_findings", "scan_findings", "size", "with_rejects",
]  # fmt: skip
