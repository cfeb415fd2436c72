"""How netkit's HTML looks, in JupyterLab, light and dark, and in a report: colours, badges, commands to copy. No I/O.

Everything shown stands in a block() of its own: JupyterLab typesets what is between two `$` as mathematics and eats the
signs, except below `mathjax_ignore` (MathJax 3 and later, JupyterLab) and `tex2jax_ignore` (MathJax 2, older viewers).
Colours of text and ground are pairs in PAIRS, so that a test can compute their contrast (WCAG 2.2, 1.4.3: 4.5 at least).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from netkit.core.errors import redact
from netkit.core.text import escaped

IGNORE = "mathjax_ignore tex2jax_ignore"
# plotly's own word for it: a figure's titles, labels and hovers hold names of others, and a name may hold two `$`.
UNTYPESET = {"typesetMath": False}
# What a badge says -> its ground; the text on it is white. Each has a mark too, so that nothing is said by colour alone.
BADGES = {
    "critical": "#7b1fa2",
    "high": "#b71c1c",
    "medium": "#9a4a00",
    "low": "#01579b",
    "info": "#455a64",
    "clear": "#1b5e20",
    "inconclusive": "#5d4037",
}
MARKS = {"confirmed": "!", "clear": "✓", "inconclusive": "?"}
# Words and their ground, as pages and JupyterLab's two themes have them.
INK, GROUND, DARK_INK, DARK_GROUND = "#1c2733", "#ffffff", "#e6e9ec", "#111111"
FAINT, DARK_FAINT = "#4d5b68", "#b4bcc4"
_CODE, _DARK_CODE = "#eef2f6", "#2a2f34"
PAIRS = {
    **{f"badge {name}": ("#ffffff", ground) for name, ground in BADGES.items()},
    "text": (INK, GROUND),
    "text, dark": (DARK_INK, DARK_GROUND),
    "faint": (FAINT, GROUND),
    "faint, dark": (DARK_FAINT, DARK_GROUND),
    "command": (INK, _CODE),
    "command, dark": (DARK_INK, _DARK_CODE),
}
_DARK_RULES = (
    ".nk{{--nk-faint:{faint};--nk-code:{code};--nk-ink:{ink};--nk-head:#23282d}}"
    # plotly draws a white card with dark words; in a dark page the card goes and the words turn light.
    ".js-plotly-plot .main-svg{{background:transparent!important}}.js-plotly-plot .bg{{fill:transparent!important}}"
    ".js-plotly-plot .main-svg text:not(.hoverlayer text):not(.heatmap-label text):not(.bartext):not(.updatemenu-button text){{fill:{ink}!important}}"
    ".js-plotly-plot .annotation .bg{{fill:{ground}!important}}"
)


def _dark(before: str) -> str:
    """The rules of a dark page, each selector after `before`."""
    rules = _DARK_RULES.format(faint=DARK_FAINT, code=_DARK_CODE, ink=DARK_INK, ground=DARK_GROUND)
    parts = [rule.partition("{") for rule in rules.split("}") if rule]
    return "".join(f"{','.join(f'{before} {one}' for one in head.split(','))}{{{body}}}" for head, _, body in parts)


# Rules start with .nk.nk: JupyterLab's own for tables (fixed layout, right-aligned) are of one class and one element.
RULES = (
    f".nk{{--nk-faint:{FAINT};--nk-code:{_CODE};--nk-ink:{INK};--nk-head:#eef2f6;font-size:13px;line-height:1.45;text-align:left;max-width:100%}}"
    ".nk.nk .nk-scroll{overflow:auto;max-height:460px}"
    ".nk.nk table{border-collapse:collapse;border:none;table-layout:auto;margin:4px 0;font-size:12.5px;width:auto}"
    ".nk.nk tr{background:none}.nk.nk td,.nk.nk th{text-align:left;vertical-align:top;padding:4px 10px 4px 0;border:none;"
    "border-bottom:1px solid rgba(128,140,150,.35);white-space:normal;line-height:1.4;max-width:46em}"
    ".nk.nk thead th{position:sticky;top:0;z-index:1;background:var(--nk-head);color:var(--nk-ink);padding-left:6px;white-space:nowrap;font-weight:600}"
    ".nk.nk td{padding-left:6px}.nk.nk td.n,.nk.nk th.n{text-align:right;font-variant-numeric:tabular-nums}.nk.nk td.n{white-space:nowrap}.nk.nk thead th.n{white-space:normal}"
    ".nk.nk td.w{min-width:17em}.nk.nk td.c{min-width:15em}.nk.nk .i{white-space:nowrap}.nk.nk .faint{color:var(--nk-faint)}"
    ".nk.nk p{margin:4px 0}.nk.nk ul{margin:2px 0;padding-left:1.4em}"
    ".nk.nk details{margin:2px 0}.nk.nk summary{cursor:pointer;color:inherit}"
    ".nk.nk .badge{color:#fff;border-radius:3px;padding:1px 7px;white-space:nowrap;font-size:12px;font-weight:600}"
    ".nk.nk .cmd{position:relative;margin:4px 0;max-width:58em}"
    ".nk.nk .cmd pre{background:var(--nk-code);color:var(--nk-ink);border:none;border-radius:4px;margin:0;padding:6px 56px 6px 9px;font-size:12px;"
    "line-height:1.45;white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;user-select:all}"
    ".nk.nk .cmd button{position:absolute;top:4px;right:4px;font-size:11px;padding:1px 7px;cursor:pointer;border:1px solid rgba(128,140,150,.6);"
    "border-radius:3px;background:var(--nk-code);color:var(--nk-ink)}"
    ".nk.nk .answer{border-left:5px solid #455a64;padding:4px 0 4px 12px;margin:6px 0}.nk.nk .answer .head{font-size:15px;font-weight:600;margin:2px 0 6px}"
    ".nk.nk .one{margin:8px 0 10px}.nk.nk .one .claim{font-size:14px}"
    + _dark("body[data-jp-theme-light='false']")
)  # fmt: skip
# A report has no theme to ask: it follows the reader's system.
REPORT_DARK = f"@media (prefers-color-scheme:dark){{{_dark(':root')}}}"
_COPY = "navigator.clipboard.writeText(this.parentNode.querySelector('pre').textContent);this.textContent='copied'"
# The same for a page whose policy allows its own script and no handlers in the HTML.
COPY_SCRIPT = (
    "document.querySelectorAll('.nk .cmd').forEach(function(box){var old=box.querySelector('button');if(old)old.remove();"
    "var made=document.createElement('button');made.textContent='copy';made.addEventListener('click',function(){"
    "navigator.clipboard.writeText(box.querySelector('pre').textContent);made.textContent='copied'});box.prepend(made)});"
)


def block(inside: str) -> str:
    """HTML in the kit's look, none of it typeset as mathematics. `inside` is HTML already, others' words escaped."""
    return f"<div class='nk {IGNORE}'><style>{RULES}</style>{inside}</div>"


def badge(kind: str, words: str) -> str:
    """A coloured label: a mark, and `words`. kind: a key of BADGES."""
    return f"<span class='badge' style='background:{BADGES[kind]};color:#fff'>{escaped(words)}</span>"


def command(text: str) -> str:
    """A command in a block that copies whole: a click marks all of it, and a button copies it."""
    return f"<div class='cmd'><button type='button' onclick=\"{_COPY}\">copy</button><pre>{escaped(text)}</pre></div>"


@dataclass(frozen=True)
class Folded:
    """A long text under its title, folded away until it is clicked; what is not text stands as JSON. Printed, the text itself."""

    title: str
    held: Any

    @property
    def text(self) -> str:
        """The text."""
        return self.held if isinstance(self.held, str) else json.dumps(self.held, indent=2, default=str)

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        lines = f"{len(self.text.splitlines()):,} lines"
        head = f"<summary>{escaped(self.title)} <span class='faint'>({lines})</span></summary>"
        return block(f"<details>{head}{command(redact(self.text))}</details>")


def is_command(text: str) -> bool:
    """Whether a text is a command line rather than a sentence."""
    return text.startswith(("aws ", "python ", "netkit ", "make ", "#!/", "# "))


def step(text: str) -> str:
    """A next step: lines that are commands as blocks to copy, consecutive ones in one, the rest as sentences."""
    parts: list[tuple[bool, list[str]]] = []
    for line in text.split("\n"):
        kind = is_command(line)
        joined = bool(parts) and (parts[-1][0] == kind or (parts[-1][0] and line[:1] in (" ", "\t", "#")))
        if joined:
            parts[-1][1].append(line)
        else:
            parts.append((kind, [line]))
    return "".join(
        command("\n".join(lines)) if kind else f"<p>{escaped(chr(10).join(lines))}</p>" for kind, lines in parts
    )


def contrast(one: str, other: str) -> float:
    """The contrast of two colours #rrggbb, 1 to 21, as WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
