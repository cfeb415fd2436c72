"""VPC Flow Logs: provision, read, query.

`open(source, session, window)` gives a FlowLogs: `.query(name, **parameters)`, `.names()`, `.coverage()`.
"""

from netkit.flowlogs.engines import FlowLogs
from netkit.flowlogs.engines import open_logs as open  # noqa: A004  (the contract's name; used as flowlogs.open)
from netkit.flowlogs.table import FlowLogSpec

__all__ = ["FlowLogSpec", "FlowLogs", "open"]
