"""The one way by which words that others wrote (names, tags, log lines, file names) get into HTML.

SQL has its own (values are bound), and so has the shell (shlex.join in core.plan and the wings' commands).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from netkit.core.errors import redact

_PACKED = ("bdata", "image/png", "image/jpeg", "application/pdf")  # base64: plotly's arrays, and pictures


def escaped(value: object) -> str:
    """A value as text within HTML, in an element or in a quoted attribute: it shows as it is, and marks up nothing."""
    return html.escape(str(value), quote=True)


def redacted(value: Any) -> Any:
    """JSON values with key material blanked out of every text; packed numbers and pictures are left as they are."""
    if isinstance(value, Mapping):
        return {redact(str(name)): one if name in _PACKED else redacted(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(one) for one in value]
    return redact(value) if isinstance(value, str) else value


def lines_html(lines: Sequence[object]) -> str:
    """Lines one below the other."""
    return "".join(f"<div>{escaped(one)}</div>" for one in lines)


def list_html(title: str, items: Sequence[object]) -> str:
    """A titled list; "" without items."""
    rows = "".join(f"<li>{escaped(one)}</li>" for one in items)
    return f"<p>{escaped(title)}</p><ul>{rows}</ul>" if items else ""


def pairs_html(pairs: Mapping[str, object]) -> str:
    """Names and values as a table of two columns."""
    rows = "".join(f"<tr><th>{escaped(name)}</th><td>{escaped(value)}</td></tr>" for name, value in pairs.items())
    return f"<table>{rows}</table>"


def help_html(text: object) -> str:
    """A line that says what is wrong with what was typed."""
    return f"<span style='border-left:4px solid #c62828;padding-left:6px'>✗ {escaped(text)}</span>"
