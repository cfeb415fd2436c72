"""The last runs in a project's runs/, with what each found: what the front desk, notebook 00, shows."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from netkit.core.errors import InputError
from netkit.core.tables import Link
from netkit.runs.answer import headline, worst_first
from netkit.runs.runbook import finding_from

COLUMNS = ("when", "run", "answer", "worst", "report")


def last_runs(folder: Path, *, most: int = 10) -> pd.DataFrame:
    """The newest runs first: COLUMNS; when in UTC, run is a path below `folder`, worst the worst finding's claim, report a link.

    A link goes from the kernel's folder, which in JupyterLab is the notebook's; a run without a report has none.
    A run whose findings cannot be read is listed with that for an answer; a run that failed left none, and is told by its report.
    """
    kept = [path.parent for path in folder.glob("**/params.json")] if folder.is_dir() else []
    newest = sorted(kept, key=lambda one: (-(one / "params.json").stat().st_mtime, str(one)))[:most]
    return pd.DataFrame([_row(folder, one) for one in newest], columns=list(COLUMNS))


def _row(folder: Path, run: Path) -> tuple[Any, ...]:
    answer, worst = _found(run / "findings.json")
    report = run / "report.html"
    when = datetime.fromtimestamp(int((run / "params.json").stat().st_mtime), UTC)
    link = Link("open", os.path.relpath(report)) if report.exists() else None
    return when, str(run.relative_to(folder)), answer, worst, link


def _found(file: Path) -> tuple[str, str]:
    """The answer in a line, and the claim of the worst finding."""
    if not file.exists():
        return "did not come to its findings", ""
    try:
        held = json.loads(file.read_text("utf-8"))
        findings = [finding_from(one) for one in (held["findings"] if isinstance(held, dict) else held)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return "its findings cannot be read", ""
    return (headline(findings), worst_first(findings)[0].claim) if findings else ("no findings", "")
