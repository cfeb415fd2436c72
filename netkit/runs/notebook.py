"""The two calls that every notebook makes: begin() first, publish() last."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from netkit.core.errors import FindingError, NetkitError, redact
from netkit.core.model import Finding, Window
from netkit.core.session import Session, connect
from netkit.core.text import escaped

FINDINGS_MIME = "application/vnd.netkit.findings+json"
FINDINGS_VERSION = 1
_COLOURS = {"critical": "#7b1fa2", "high": "#c62828", "medium": "#ef6c00", "low": "#0277bd", "info": "#546e7a"}


class Run:
    """What a notebook works with: who and where (`session`, made when first used), the time asked about, where files go.

    window  the Window of the parameters, or None
    folder  runs/, below the project (git-ignored): ledgers and what the notebook writes
    """

    def __init__(self, target: str, region: str, profile: str, account_id: str, window: Window | None) -> None:
        self.window = window
        self._connect = {"target": target, "region": region, "profile": profile, "account_id": account_id}

    @cached_property
    def session(self) -> Session:
        """The session, by connect(); a notebook over local files never makes one."""
        return connect(**self._connect)

    def session_for(self, source: str) -> Session | None:
        """The session that a source of flow logs needs: None for files, which need no account."""
        remote = source.startswith(("s3://", "logs:")) or ("/" not in source and not (project_root() / source).exists())
        return self.session if remote else None

    @property
    def folder(self) -> Path:
        """Where this project's runs are written."""
        return project_root() / "runs"

    def path(self, source: str) -> str:
        """A source as it is; a relative path to files is taken from the project's folder, wherever the kernel was started."""
        elsewhere = source.startswith(("s3://", "logs:", "/", "~"))
        here = project_root() / source
        return str(here) if not elsewhere and ("/" in source or here.exists()) else source

    def __str__(self) -> str:
        where = f"{self._connect['target']} {self._connect['account_id']}".strip()
        return f"netkit: {where}, {self._connect['region']}" + (f", {self.window}" if self.window else "")

    def _repr_html_(self) -> str:
        return f"<p style='border-left:4px solid #0277bd;padding-left:8px'>{escaped(str(self))}</p>"


def project_root() -> Path:
    """The folder that relative paths start from: $NETKIT_ROOT, or the nearest one above that holds notebooks/, or this one.

    papermill runs a notebook in the caller's folder, JupyterLab and nbval in the notebook's; both find the same root.
    """
    if given := os.environ.get("NETKIT_ROOT"):
        return Path(given)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "notebooks").is_dir()), here)


def begin(
    *,
    target: str = "sandbox",
    region: str = "us-east-1",
    profile: str = "",
    account_id: str = "",
    window_start: str = "",
    window_end: str = "",
) -> Run:
    """Start a notebook: a Run for these parameters, quiet logs, figures stored so that a report can draw them.

    window_start, window_end: ISO 8601 in UTC, or "last 6h" and ""; both "" for no window. Raises WindowError for a bad one.
    """
    _quiet()
    _figures()
    _short_errors()
    window = Window.parse(window_start, window_end) if window_start or window_end else None
    return Run(target, region, profile, account_id, window)


def publish(findings: Sequence[Finding]) -> None:
    """End a notebook: show the findings as a table and emit them once for the runner.

    Raises FindingError for an empty list ("nothing found" is a finding too, with its coverage) and for anything that is
    not a Finding.
    """
    from IPython.display import display

    if not findings:
        raise FindingError(
            "there are no findings to publish",
            hint='publish a finding that says so, with status "refuted" and its coverage',
        )
    for one in findings:
        if not isinstance(one, Finding):
            raise FindingError(f"{type(one).__name__} is not a Finding", hint="build netkit.Finding values")
    body = {"version": FINDINGS_VERSION, "findings": [one.as_dict() for one in findings]}
    text = "\n".join(map(str, findings))
    display({FINDINGS_MIME: body, "text/html": findings_html(findings), "text/plain": text}, raw=True)


def findings_html(findings: Sequence[Finding]) -> str:
    """The findings as an HTML table, worst first."""
    order = {name: number for number, name in enumerate(_COLOURS)}
    rows = "".join(
        _row(one) for one in sorted(findings, key=lambda one: (one.status != "confirmed", order[one.severity]))
    )
    left = "style='text-align:left'"
    head = f"<tr><th {left}>finding</th><th {left}>what</th><th {left}>next</th></tr>"
    style = "text-align:left;vertical-align:top;font-size:13px"
    return f"<table class='nk-findings' style='{style};width:100%'><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _row(one: Finding) -> str:
    colour = _COLOURS[one.severity] if one.status == "confirmed" else "#90a4ae"
    badge = f"<span style='background:{colour};color:white;border-radius:3px;padding:1px 6px;white-space:nowrap'>{escaped(one.severity)}, {escaped(one.status)}</span>"
    subject = escaped(", ".join(one.subject[:4])) + (" …" if len(one.subject) > 4 else "")
    limits = f"<br><small style='opacity:.7'>{escaped('; '.join(one.limits))}</small>" if one.limits else ""
    step = (
        f"<code style='white-space:pre-wrap'>{escaped(one.next_step)}</code>"
        if one.next_step.startswith("python")
        else escaped(one.next_step)
    )
    cell = "style='text-align:left;vertical-align:top;padding:6px'"
    return (
        f"<tr><td {cell}>{badge}<br><b style='white-space:nowrap'>{escaped(one.code)}</b><br><small>{subject}</small></td>"
        f"<td {cell}>{escaped(one.claim)}{limits}</td><td {cell}>{step}</td></tr>"
    )


def _quiet() -> None:
    for name in ("botocore", "boto3", "urllib3", "awswrangler", "s3transfer"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"awswrangler\..*")
    import pandas as pd

    pd.set_option("display.max_rows", 30, "display.max_columns", 30, "display.width", 160, "display.max_colwidth", 500)


def _figures() -> None:
    """Figures are stored as data, which JupyterLab draws offline and the report draws from one copy of plotly.js."""
    if "plotly.io" in sys.modules or os.environ.get("JPY_PARENT_PID") or "ipykernel" in sys.modules:
        import plotly.io

        plotly.io.renderers.default = "plotly_mimetype"


def _short_errors() -> None:
    """In a notebook a NetkitError shows as its three lines; no traceback, which would carry values of the caller's frames."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NetkitError,), _show_short)


def _show_short(
    shell: Any, kind: type[NetkitError], error: NetkitError, _: Any, tb_offset: int | None = None
) -> list[str]:
    lines = [f"{kind.__name__}: {redact(str(error))}"]
    shell._showtraceback(kind, error, lines)
    return lines
