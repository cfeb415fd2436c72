"""The report: an executed notebook as one HTML file that opens with the network off, its figures live.

nbconvert's own page loads scripts from the network and draws no plotly figure from its stored data. Here plotly.js stands
once in the page and draws every figure from that data; nothing is loaded. Widgets show what the same cell shows beside them.

What cells show holds words of others. So the HTML of every cell goes through a sanitizer (nh3), figures are JSON in which no
"<" stands, and the page's Content-Security-Policy runs the two scripts written here, known by their hashes, and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import nh3
from nbconvert.filters import markdown2html

from netkit.core.errors import redact
from netkit.core.look import COPY_SCRIPT, REPORT_DARK, RULES
from netkit.core.model import Finding
from netkit.core.text import escaped, redacted
from netkit.runs.answer import answer_html, findings_html
from netkit.runs.notebook import BOX, FINDINGS_MIME

PLOTLY_MIME = "application/vnd.plotly.v1+json"
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
_SECTION = re.compile(r"^##\s+(.+)$", re.MULTILINE)
_STYLE = """
:root{color-scheme:light}body{margin:0;background:#f4f6f8;color:#1c2733;font:15px/1.5 system-ui,sans-serif}
header{background:#12344d;color:#fff;padding:22px 32px}header h1{margin:0 0 6px;font-size:24px}header p{margin:0;opacity:.85}
nav{position:sticky;top:0;z-index:5;background:#fff;border-bottom:1px solid #d5dde5;padding:8px 32px}nav a{margin-right:18px;color:#0b5c8f;text-decoration:none}
main{max-width:1180px;margin:0 auto;padding:18px 32px 60px}section{background:#fff;border:1px solid #dfe6ec;border-radius:6px;padding:12px 20px;margin:16px 0;overflow-x:auto}
h1{font-size:22px}h2{font-size:19px;border-bottom:2px solid #e3e9ee;padding-bottom:4px}table{border-collapse:collapse;font-size:13px;margin:8px 0;border:none}
th,td{border:none;border-bottom:1px solid #e6ebf0;padding:4px 9px;text-align:left;vertical-align:top}thead th{background:#eef2f6}details{margin:6px 0}summary{cursor:pointer;color:#4d5b68;font-size:13px}
pre{background:#f7f9fb;border:1px solid #e6ebf0;border-radius:4px;padding:8px 10px;overflow-x:auto;font-size:12.5px;margin:4px 0;white-space:pre-wrap}.error{border-left:4px solid #c62828;background:#fdecea}
.stderr{display:none}
@media (prefers-color-scheme:dark){:root{color-scheme:dark}body{background:#16191c;color:#e6e9ec}section,nav{background:#111;border-color:#3a4046}h2{border-color:#3a4046}
thead th{background:#23282d}pre{background:#1c2023;border-color:#3a4046}nav a,main a{color:#8fd0f7}.error{background:#3a1616}summary{color:#b4bcc4}}
"""
_ATTRIBUTES = nh3.ALLOWED_ATTRIBUTES | {"*": {"class", "style", "title"}, "a": {"href", "title"}, "table": {"border"}}
_STYLES = {
    "background", "background-color", "border", "border-bottom", "border-collapse", "border-left", "border-radius", "border-right", "border-top",
    "color", "display", "font", "font-family", "font-size", "font-style", "font-weight", "max-width", "opacity", "padding", "padding-left",
    "text-align", "text-decoration", "vertical-align", "white-space", "width",
}  # fmt: skip
_DRAW = """
document.querySelectorAll('script.nk-figure').forEach(function(data){
  var spec=JSON.parse(data.textContent),place=document.getElementById(data.dataset.place);
  var layout=Object.assign({},spec.layout,{autosize:true});delete layout.width;
  Plotly.newPlot(place,spec.data,layout,Object.assign({responsive:true,displaylogo:false},spec.config||{}));
});
"""


def write_report(
    notebook: Path,
    page: Path,
    *,
    parameters: Mapping[str, Any],
    findings: Sequence[Finding] = (),
    problem: str = "",
) -> None:
    """Write the page of an executed notebook; `problem` says why there are no findings, when it failed half way."""
    book = nbformat.read(notebook, as_version=4)
    figures: list[str] = []
    sections = [f"<section>{part}</section>" for part in _sections(book, figures) if part.strip()]
    title = _title(book)
    anchors = [
        match[1] for cell in book.cells if cell.cell_type == "markdown" for match in _SECTION.finditer(cell.source)
    ]
    links = "".join(f'<a href="#{_slug(name)}">{escaped(name)}</a>' for name in ["Summary", *anchors])
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%MZ}"
    summary = (
        _html(answer_html(findings))
        + f"<details><summary>all findings, with what each cannot know</summary>{_html(findings_html(findings))}</details>"
        if findings
        else f'<p><b>The notebook did not come to its findings.</b></p><pre class="error">{escaped(redact(problem))}</pre>'
        '<p><a href="#papermill-error-cell">The cell at which it stopped</a>, where there is one, and what came before it stand below.</p>'
    )
    rows = "".join(
        f"<tr><th>{escaped(key)}</th><td>{escaped(redact(str(value)))}</td></tr>" for key, value in parameters.items()
    )
    given = f"<details><summary>parameters</summary><table>{rows}</table></details>"
    body = "".join(sections)
    scripts = _scripts(bool(figures), commands='class="cmd"' in summary + body)
    page.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{_policy(scripts)}<title>{escaped(title)}</title><style>{_STYLE}{RULES}{REPORT_DARK}</style>'
        f"{''.join(f'<script>{one}</script>' for one in scripts[:-1])}</head><body><header><h1>{escaped(title)}</h1><p>{escaped(_where(parameters))}report made {made}</p></header>"
        f'<nav>{links}</nav><main><section id="summary"><h2>Summary</h2>{summary}{given}</section>{body}</main>'
        f"{''.join(figures)}{''.join(f'<script>{one}</script>' for one in scripts[-1:])}</body></html>",
        "utf-8",
    )


def _scripts(figures: bool, *, commands: bool) -> tuple[str, ...]:
    """The page's own scripts: plotly.js, in the head, where there are figures; and the last, which draws them and makes commands copy."""
    last = (_DRAW if figures else "") + (COPY_SCRIPT if commands else "")
    return (*([_plotly_js()] if figures else []), last) if last else ()


def _plotly_js() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _policy(scripts: Sequence[str]) -> str:
    """The page's Content-Security-Policy: these scripts by their hashes and no other, inline styles, pictures that stand in it."""
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes) or "'none'"
    rules = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f'<meta http-equiv="Content-Security-Policy" content="{rules}">'


def _where(parameters: Mapping[str, Any]) -> str:
    """Who, where and when was asked, of the parameters that say so."""
    given = {name: redact(str(parameters.get(name) or "")) for name in ("account_id", "region", "source", "profile")}
    start, end = (str(parameters.get(f"window_{name}") or "") for name in ("start", "end"))
    asked = " to ".join(one for one in (start, end) if one)
    target = str(parameters.get("target") or "")
    parts = (target, *(f"{name.removesuffix('_id')} {value}" for name, value in given.items() if value), asked)
    return "".join(f"{part} · " for part in parts if part)


def _title(book: Any) -> str:
    heads = (re.match(r"#\s+(.+)", cell.source) for cell in book.cells if cell.cell_type == "markdown")
    return next((head[1].strip() for head in heads if head), "netkit")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _sections(book: Any, figures: list[str]) -> list[str]:
    """One part of the page for each piece of prose and the code that follows it."""
    parts: list[str] = []
    for cell in book.cells:
        if cell.cell_type == "markdown" or not parts:
            parts.append("")
        parts[-1] += _markdown(cell.source) if cell.cell_type == "markdown" else _code(cell, figures)
    return parts


def _code(cell: Any, figures: list[str]) -> str:
    if cell.cell_type != "code":
        return ""
    shown = "".join(_output(output, figures) for output in cell.outputs)
    return f"{shown}<details><summary>code</summary><pre>{escaped(redact(cell.source))}</pre></details>"


def _markdown(source: str) -> str:
    """Markdown by nbconvert's own filter, with anchors at the headings and no script of its own."""
    # The title stands at the top of the page already; papermill's note of a failure is in the summary.
    source = re.sub(r"\A#\s+.+\n?", "", source) if "An Exception was encountered" not in source else ""
    text = _clean(re.sub(r'<a class="anchor-link"[^>]*>.*?</a>', "", markdown2html(redact(source))))
    return re.sub(
        r"<h2>(.*?)</h2>",
        lambda head: f'<h2 id="{_slug(re.sub("<[^>]+>", "", head[1]))}">{head[1]}</h2>',
        text,
    )


def _output(output: Any, figures: list[str]) -> str:
    if output.output_type == "stream":
        return "" if output.name == "stderr" else f"<pre>{escaped(redact(output.text))}</pre>"
    if output.output_type == "error":
        return f'<pre class="error">{escaped(redact(f"{output.ename}: {output.evalue}"))}</pre>'
    data = output.get("data", {})
    if output.get("metadata", {}).items() >= BOX.items():
        return ""  # the answer box stands in the summary
    if PLOTLY_MIME in data:
        return _figure(data[PLOTLY_MIME], figures)
    if WIDGET_MIME in data:
        return _html("".join(data.get("text/html", "")))
    if FINDINGS_MIME in data:
        return '<p>The findings stand in the <a href="#summary">summary</a>.</p>'
    if "text/html" in data:
        return _html("".join(data["text/html"]))
    if "image/png" in data:
        return f'<img alt="" src="data:image/png;base64,{escaped("".join(data["image/png"]).replace(chr(10), ""))}">'
    return f"<pre>{escaped(redact(''.join(data.get('text/plain', ''))))}</pre>"


def _html(text: str) -> str:
    """Frames and values as they show themselves."""
    return re.sub(r"<tbody>\s*</tbody>", '<tbody><tr><td colspan="99">no rows</td></tr></tbody>', _clean(redact(text)))


def _clean(text: str) -> str:
    """HTML of a cell without anything that runs, loads, covers the page or takes another element's id."""
    return nh3.clean(
        text,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        tag_attribute_values={"span": {"id": {"papermill-error-cell"}}},
        clean_content_tags={
            "script",
            "style",
            "svg",
            "math",
            "template",
            "noscript",
            "iframe",
            "object",
            "title",
            "button",
        },
        url_schemes={"https", "http", "data"},
        filter_style_properties=_STYLES,
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    """An attribute's value, or None to leave it out: data only as a picture, and nothing that is loaded from elsewhere."""
    if name == "src":
        return value if re.match(r"data:image/(png|jpeg|gif);base64,", value) else None
    if name == "href" and not re.match(r"https?://|#", value):
        return None
    return None if name == "style" and re.search(r"url\s*\(|[\\@]", value, re.IGNORECASE) else value


def _figure(spec: Mapping[str, Any], figures: list[str]) -> str:
    place = f"nk-figure-{len(figures)}"
    height = int(spec.get("layout", {}).get("height") or 450)
    # Without "<" nothing in it can end the script, or begin what the parser reads another way (`<!--<script>`).
    text = json.dumps(_drawn(spec)).replace("<", "\\u003c")
    figures.append(f'<script type="application/json" class="nk-figure" data-place="{place}">{text}</script>')
    return f'<div id="{place}" style="width:100%;height:{height}px"></div>'


def _drawn(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A figure without key material, its points drawn as SVG: plotly's WebGL makes functions of text, which the policy forbids."""
    safe: dict[str, Any] = redacted(spec)
    traces = [one | {"type": "scatter"} if one.get("type") == "scattergl" else one for one in safe.get("data", [])]
    return safe | {"data": traces}
