"""Docstrings as Markdown: they are plain text, in which lines with columns stand as they are written."""

from __future__ import annotations

import html
import re
from typing import Any

from griffe import Extension, Object

_COLUMNS = re.compile(r"^\s*\S.*?\S? {2,}\S")
_CODE = re.compile(r"(`[^`\n]+`)")


class Plain(Extension):
    """Turns every docstring into Markdown before it is shown."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called by griffe for each module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    """Paragraphs as they are, and a block as code where lines are indented or have columns."""
    return "\n\n".join(_block(one) for one in re.split(r"\n\s*\n", text.strip("\n")))


def _block(text: str) -> str:
    lines = text.split("\n")
    if sum(bool(_COLUMNS.match(line)) for line in lines) > 1 or all(line.startswith("    ") for line in lines):
        return "```text\n" + "\n".join(lines).replace("```", "'''") + "\n```"
    parts = _CODE.split(text)
    return "".join(part if _CODE.fullmatch(part) else "\n".join(map(plain, part.split("\n"))) for part in parts)


def plain(text: object) -> str:
    """Words as they are within Markdown, in one line: nothing in them marks anything up, and a table's cell stays one."""
    shown = html.escape(re.sub(r"\s+", " ", str(text)), quote=False)
    return re.sub(r"([\\`*_\[\]|~#$^{}])", lambda found: f"&#{ord(found[0])};", shown)
