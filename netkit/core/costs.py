"""What AWS charges: a dated price table, estimates before, a ledger after, and a hard stop in between. Pure.

Every price is a setting. The amounts here are those of us-east-1 as third parties quote them; netkit has not confirmed
them against AWS's price list (`PRICES_AS_OF`, `UNCONFIRMED`). Pass your own with `PRICES | {"athena_usd_per_tb": 5.5}`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from netkit.core.errors import BudgetError

PRICES_AS_OF = "2026-11-01"
UNCONFIRMED = "prices are third-party quotes for us-east-1, not confirmed against AWS's price list"
PRICES: dict[str, float] = {
    "athena_usd_per_tb": 5.00,
    "cross_zone_usd_per_gb": 0.02,
    "insights_usd_per_gb": 0.005,
    "metric_data_usd_per_1000": 0.01,
    "mirror_session_usd_per_hour": 0.015,
    "nat_usd_per_gb": 0.045,
    "reachability_analysis_usd": 0.10,
    "s3_usd_per_gb_month": 0.023,
    "vended_logs_s3_usd_per_gb": 0.25,
    "vended_logs_cloudwatch_usd_per_gb": 0.50,
}
_MB, _GB, _TB = 10**6, 10**9, 10**12
LEDGER_COLUMNS = ("time", "what", "estimated_usd", "cost_usd", "scanned_bytes")


def athena_cost(scanned_bytes: int, prices: Mapping[str, float] = PRICES) -> float:
    """USD for one Athena query: rounded up to the MB, at least 10 MB; a query that scans nothing (DDL) is free."""
    if scanned_bytes <= 0:
        return 0.0
    return max(math.ceil(scanned_bytes / _MB), 10) * _MB / _TB * prices["athena_usd_per_tb"]


def insights_cost(scanned_bytes: int, prices: Mapping[str, float] = PRICES) -> float:
    """USD for Logs Insights queries that scan so many bytes."""
    return scanned_bytes / _GB * prices["insights_usd_per_gb"]


def nat_cost(processed_bytes: int, prices: Mapping[str, float] = PRICES) -> float:
    """USD for bytes processed by a NAT gateway, in both directions, without its hourly price and data transfer."""
    return processed_bytes / _GB * prices["nat_usd_per_gb"]


def cross_zone_cost(sent_bytes: int, prices: Mapping[str, float] = PRICES) -> float:
    """USD for bytes that cross an availability zone: charged once where they leave and once where they come in, so both are in the price."""
    return sent_bytes / _GB * prices["cross_zone_usd_per_gb"]


def analysis_cost(analyses: int, prices: Mapping[str, float] = PRICES) -> float:
    """USD for analyses of Reachability Analyzer, each charged whether a path is found or not."""
    return analyses * prices["reachability_analysis_usd"]


def check_budget(estimate_usd: float, budget_usd: float, what: str) -> None:
    """Raise BudgetError when the estimate is above the budget, or unknown (NaN): unknown is not zero."""
    if not estimate_usd <= budget_usd:
        about = "an unknown amount" if math.isnan(estimate_usd) else f"about ${estimate_usd:.4f}"
        raise BudgetError(
            f"{what} would cost {about}, above the budget of ${budget_usd:.4f}",
            hint="narrow the window, or raise budget_usd",
        )


class CostLedger:
    """A JSON Lines file of what was spent, one line after each billed call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, what: str, *, estimated_usd: float, cost_usd: float, scanned_bytes: int) -> None:
        """Add a line and flush it to disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        time = datetime.now(UTC).isoformat(timespec="seconds")
        line = {
            "time": time,
            "what": what,
            "estimated_usd": estimated_usd,
            "cost_usd": cost_usd,
            "scanned_bytes": scanned_bytes,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def frame(self) -> pd.DataFrame:
        """All lines: time (ISO, UTC), what, estimated_usd, cost_usd, scanned_bytes."""
        lines = self.path.read_text("utf-8").splitlines() if self.path.exists() else []
        return pd.DataFrame([json.loads(line) for line in lines], columns=list(LEDGER_COLUMNS))
