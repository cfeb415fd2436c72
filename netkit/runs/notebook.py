"""The two calls that every notebook makes: begin() first, publish() last."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from netkit.core.commandline import placed
from netkit.core.errors import FindingError, NetkitError, redact
from netkit.core.look import IGNORE, UNTYPESET, block
from netkit.core.model import Finding, Window
from netkit.core.session import Session, connect
from netkit.core.tables import frame_html
from netkit.core.text import escaped
from netkit.runs.answer import answer_html, findings_html, stopped_html, waiting_html

FINDINGS_MIME = "application/vnd.netkit.findings+json"
FINDINGS_VERSION = 1
# The output that holds the answer box; a report has the box in its summary and leaves this output out.
BOX = {"netkit": {"answer": True}}


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
        return None if not source or is_files(source) else self.session

    @property
    def folder(self) -> Path:
        """Where this project's runs are written."""
        return project_root() / "runs"

    def path(self, source: str) -> str:
        """A source as it is; a relative path to files is taken from the project's folder, wherever the kernel was started."""
        elsewhere = source.startswith(("s3://", "logs:", "/", "~"))
        here = project_root() / source
        return str(here) if not elsewhere and ("/" in source or here.exists()) else source

    def here(self, text: str) -> str:
        """A next step whose commands go where this run went (netkit.core.commandline.placed)."""
        return placed(text, **self._connect)

    def __str__(self) -> str:
        where = f"{self._connect['target']} {self._connect['account_id']}".strip()
        return f"netkit: {where}, {self._connect['region']}" + (f", {self.window}" if self.window else "")

    def _repr_html_(self) -> str:
        return block(f"<p>{escaped(self)}</p>")


def is_files(source: str) -> bool:
    """Whether a source of flow logs is files of this machine: it is a path, or there in the project's folder."""
    here = "/" in source or (source != "" and (project_root() / source).exists())
    return here and not source.startswith(("s3://", "logs:"))


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
    """Start a notebook: a Run for these parameters, the answer box, quiet logs, figures stored so that a report can draw them.

    window_start, window_end: ISO 8601 in UTC, or "last 6h" and ""; both "" for no window. Raises WindowError for a bad one.
    """
    _quiet()
    _figures()
    _short_errors()
    _for_people()
    window = Window.parse(window_start, window_end) if window_start or window_end else None
    run = Run(target, region, profile, account_id, window)
    _BOX.run = run
    _BOX.open(str(run))
    return run


def publish(findings: Sequence[Finding]) -> None:
    """End a notebook: fill the answer box, show the findings as a table, and emit them once for the runner.

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
    if _BOX.run is not None:
        findings = [replace(one, next_step=_BOX.run.here(one.next_step)) for one in findings]
    body = {"version": FINDINGS_VERSION, "findings": [one.as_dict() for one in findings]}
    text = "\n".join(map(str, findings))
    _BOX.fill(answer_html(findings), text)
    display({FINDINGS_MIME: body, "text/html": findings_html(findings), "text/plain": text}, raw=True)


class _Box:
    """The answer box: a display at the top of the notebook that later cells fill, by its id."""

    def __init__(self) -> None:
        self.about = ""
        self.run: Run | None = None
        self.handle: Any = None

    def open(self, about: str) -> None:
        """Show it, empty; outside of a notebook there is none."""
        from IPython import get_ipython
        from IPython.display import DisplayHandle

        self.about, self.handle = about, DisplayHandle() if get_ipython() is not None else None
        if self.handle is not None:
            self.handle.display(self._data(waiting_html(about), about), raw=True, metadata=BOX)

    def fill(self, page: str, text: str) -> None:
        """Replace what it says. JupyterLab shows it at once; papermill and nbclient replace it in the cell that is stored."""
        if self.handle is not None:
            self.handle.update(self._data(page, text), raw=True, metadata=BOX)

    @staticmethod
    def _data(page: str, text: str) -> dict[str, str]:
        return {"text/html": page, "text/plain": text}


_BOX = _Box()


def _quiet() -> None:
    for name in ("botocore", "boto3", "urllib3", "awswrangler", "s3transfer"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"awswrangler\..*")
    pd.set_option("display.max_rows", 30, "display.max_columns", 30, "display.width", 160, "display.max_colwidth", 500)


def _figures() -> None:
    """Figures are stored as data, which JupyterLab draws offline and the report draws from one copy of plotly.js."""
    if "plotly.io" in sys.modules or os.environ.get("JPY_PARENT_PID") or "ipykernel" in sys.modules:
        import plotly.io

        plotly.io.renderers.default = "plotly_mimetype"
        plotly.io.renderers["plotly_mimetype"].config = UNTYPESET


def _for_people() -> None:
    """In a notebook frames are shown by core.tables, and no HTML of any value is typeset as mathematics."""
    from IPython import get_ipython
    from IPython.core.formatters import HTMLFormatter

    shell = get_ipython()
    if shell is None:
        return

    class Untypeset(HTMLFormatter):
        def __call__(self, value: Any) -> Any:
            page = super().__call__(value)
            whole = not isinstance(page, str) or not page or IGNORE in page[:120]
            return page if whole else f"<div class='{IGNORE}'>{page}</div>"

    made: Any = Untypeset(parent=shell.display_formatter)
    made.for_type(pd.DataFrame, frame_html)
    shell.display_formatter.formatters["text/html"] = made


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
    _BOX.fill(stopped_html(_BOX.about, lines[0]), lines[0])
    shell._showtraceback(kind, error, lines)
    return lines
