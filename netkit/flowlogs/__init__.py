"""VPC Flow Logs: provision, read, query.

`open(source, session, window)` gives a FlowLogs: `.query(name, **parameters)`, `.names()`, `.coverage()`.
"""

from netkit.flowlogs.engines import FlowLogs
from netkit.flowlogs.engines import open_logs as open
from netkit.flowlogs.table import FlowLogSpec

__all__ = ["FlowLogSpec", "FlowLogs", "open"]
