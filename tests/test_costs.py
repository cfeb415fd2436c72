"""Costs: AWS's rounding, prices as settings, the budget and the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.core.costs import LEDGER_COLUMNS, PRICES, CostLedger, athena_cost, check_budget, insights_cost, nat_cost
from netkit.core.errors import BudgetError

MB, GB, TB = 10**6, 10**9, 10**12


@pytest.mark.parametrize(
    ("scanned", "usd"),
    [
        (0, 0.0),  # DDL scans nothing and is free
        (1, 10 * MB / TB * 5),  # the minimum of 10 MB
        (10 * MB, 10 * MB / TB * 5),
        (10 * MB + 1, 11 * MB / TB * 5),  # up to the next MB
        (TB, 5.0),
        (TB + 1, (TB + MB) / TB * 5),
    ],
)
def test_athena_rounds_up_to_the_mb_from_ten(scanned: int, usd: float) -> None:
    assert athena_cost(scanned, PRICES | {"athena_usd_per_tb": 5.0}) == pytest.approx(usd)


@given(st.integers(1, 10**15), st.integers(0, 10**12), st.floats(0.1, 20))
def test_athena_never_costs_less_for_more(scanned: int, more: int, price: float) -> None:
    prices = PRICES | {"athena_usd_per_tb": price}
    assert athena_cost(scanned, prices) <= athena_cost(scanned + more, prices)
    assert athena_cost(scanned, prices) >= scanned / TB * price * (1 - 1e-12)
    assert athena_cost(scanned, prices) <= (scanned + 10 * MB) / TB * price * (1 + 1e-12)


def test_prices_are_settings() -> None:
    assert insights_cost(3 * GB, PRICES | {"insights_usd_per_gb": 0.01}) == pytest.approx(0.03)
    assert nat_cost(GB // 2, PRICES | {"nat_usd_per_gb": 0.045}) == pytest.approx(0.0225)
    assert all(price > 0 for price in PRICES.values())
    with pytest.raises(KeyError):
        athena_cost(1, {})  # a price that is not there is an error, not zero


def test_the_budget_is_a_hard_stop() -> None:
    check_budget(1.0, 1.0, "a query")
    with pytest.raises(BudgetError) as refused:
        check_budget(1.0001, 1.0, "top_talkers")
    assert str(refused.value).splitlines() == [
        "top_talkers would cost about $1.0001, above the budget of $1.0000",
        "next: narrow the window, or raise budget_usd",
    ]


def test_an_estimate_that_is_no_number_is_not_within_the_budget() -> None:
    with pytest.raises(BudgetError):
        check_budget(float("nan"), 1.0, "a query")


def test_the_ledger_keeps_every_line(tmp_path: Path) -> None:
    ledger = CostLedger(tmp_path / "costs" / "run.jsonl")
    assert ledger.frame().empty
    assert tuple(ledger.frame().columns) == LEDGER_COLUMNS
    ledger.record("top_talkers", estimated_usd=0.1, cost_usd=0.05, scanned_bytes=10)
    CostLedger(ledger.path).record("rejects", estimated_usd=0.2, cost_usd=0.15, scanned_bytes=20)
    frame = ledger.frame()
    assert frame["what"].tolist() == ["top_talkers", "rejects"]
    assert frame["cost_usd"].sum() == pytest.approx(0.2)
    assert frame["time"].str.endswith("+00:00").all()
