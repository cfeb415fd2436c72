"""`python docs/build.py [--runs FOLDER]`: the documentation as static pages in site/, from the code, the notebooks and a run of each.

Written by hand are docs/pages/; everything else is made here, into build/docs/, and never committed. Without --runs every notebook is
run in the sandbox (some two minutes); with it the runs that are there are taken: FOLDER/NAME/ as `netkit run NAME --out FOLDER/NAME` leaves it.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import nbformat
import yaml
from docstrings import plain

from netkit.core.errors import redact
from netkit.flowlogs.catalog import catalogue as queries
from netkit.incident.faults import Fault
from netkit.incident.faults import catalogue as faults
from netkit.runs import runbook
from netkit.runs.codes import CODES, WINGS

DOCS = Path(__file__).parent
ROOT = DOCS.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
# The rooms that callers use, downwards; the sandbox is no library.
ROOMS = ("investigate", "incident", "history", "show", "cloudwatch", "flowlogs", "mirror", "reach", "runs", "core")
SHOWS = {"c": "configuration", "f": "flow logs", "p": "packets", "m": "metrics", "t": "CloudTrail", "d": "DNS queries", "o": "other logs"}  # fmt: skip
Nav = list[dict[str, object]]


def main(argv: Sequence[str] | None = None) -> int:
    """Make the sources, then the pages. The exit status is mkdocs'; a broken link or name is an error."""
    parser = argparse.ArgumentParser(prog="python docs/build.py", description=__doc__)
    parser.add_argument("--runs", type=Path, help="folder of runs to take instead of running every notebook")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="folder for what is made on the way (build)")
    parser.add_argument("--site", type=Path, default=ROOT / "site", help="folder of the pages (site)")
    parser.add_argument("--rooms", nargs="*", choices=ROOMS, default=ROOMS, help="rooms whose API is shown (all)")
    chosen = parser.parse_args(argv)
    runs = chosen.runs or run_all(ROOT / "runs" / "docs")
    sources = chosen.build / "docs"
    shutil.rmtree(sources, ignore_errors=True)
    nav = write_sources(sources, runs, chosen.rooms)
    config = chosen.build / "mkdocs.yml"
    config.write_text(
        yaml.safe_dump(
            {"INHERIT": str(DOCS / "mkdocs.yml"), "docs_dir": str(sources.resolve()), "site_dir": str(chosen.site.resolve()), "nav": nav}
        ),
        "utf-8",
    )  # fmt: skip
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--clean", "-f", str(config)]
    # The source is read from here, and docstrings.py is found.
    places = os.pathsep.join((str(ROOT), str(DOCS)))
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": places, "NO_MKDOCS_2_WARNING": "1"}, check=False
    ).returncode
    print(f"{chosen.site / 'index.html'}" if done == 0 else "the pages were not made")
    return done


def run_all(folder: Path) -> Path:
    """Run every notebook in the sandbox with its file of parameters."""
    for path in NOTEBOOKS:
        print(path.stem)
        runbook.run(path, file=ROOT / f"parameters/sandbox/{path.stem}.yaml", out=folder / path.stem)
    return folder


def write_sources(out: Path, runs: Path, rooms: Sequence[str]) -> Nav:
    """Every page as Markdown, with what it shows beside it; the navigation."""
    shutil.copytree(DOCS / "pages", out)
    shutil.copytree(ROOT / "notebooks/pictures", out / "notebooks/pictures")
    shutil.copytree(DOCS / "theme", out / "theme")
    for page in sorted(out.glob("*.md")):
        page.write_text(with_readme(page.read_text("utf-8")), "utf-8")
    made = {"findings.md": findings_page(), "faults.md": faults_page(), "questions.md": questions_page()}
    made |= {f"notebooks/{path.stem}.md": notebook_page(path, runs / path.stem, out / "runs") for path in NOTEBOOKS}
    made |= {"notebooks/index.md": notebooks_page(), "api/index.md": names_page()}
    made |= {f"api/{room}.md": room_page(room) for room in rooms}
    for name, text in made.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, "utf-8")
    return [
        {"netkit": "index.md"}, {"Install": "install.md"}, {"How to read an answer": "answers.md"},
        {"Notebooks": ["notebooks/index.md", *({path.stem: f"notebooks/{path.stem}.md"} for path in NOTEBOOKS)]},
        {"Reference": [{"Findings": "findings.md"}, {"Faults": "faults.md"}, {"Questions of a flow log": "questions.md"}]},
        {"API": ["api/index.md", *({f"netkit.{room}": f"api/{room}.md"} for room in rooms)]},
        {"Limits": "limits.md"},
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------- from the README


def with_readme(text: str) -> str:
    """A page with the README's sections where it names them, so that nothing is written twice. Raises KeyError for one that is gone."""
    return re.sub(r"<!-- README: (.+?) -->", lambda found: readme()[found[1]], text)


def readme() -> Mapping[str, str]:
    """The sections of the README by heading, its links to notebooks and pictures as those of the pages."""
    lines = (ROOT / "README.md").read_text("utf-8").partition("\n")[2]
    first, *rest = re.split(r"^## ", lines, flags=re.MULTILINE)
    sections = {"before the first heading": first} | {one.partition("\n")[0]: one.partition("\n")[2] for one in rest}
    return {
        name: re.sub(r"\((notebooks/\w+)\.ipynb\)", r"(\1.md)", text).strip("\n") for name, text in sections.items()
    }


# ------------------------------------------------------------------------------------------------------------- notebooks


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code(text: object) -> str:
    """Words in a fixed font; "" stays empty."""
    return f"<code>{plain(text)}</code>" if str(text) else ""


def prose(notebook: Path) -> tuple[str, str]:
    """A notebook's question, and what stands under it."""
    cells = nbformat.read(notebook, as_version=4).cells
    head = next(cell.source for cell in cells if cell.cell_type == "markdown")
    title, _, rest = head.partition("\n")
    return title.removeprefix("#").strip(), rest.strip()


def notebooks_page() -> str:
    """The questions."""
    rows = [(f"[{path.stem}]({path.stem}.md)", prose(path)[0]) for path in NOTEBOOKS]
    return f"# Notebooks\n\nOne question each. The pages show a run in the sandbox, made with these pages.\n\n{table(('notebook', 'question'), rows)}\n"


def notebook_page(path: Path, run: Path, kept: Path) -> str:
    """Question, parameters, the findings of the run, and its report as it is. Copies the report to `kept`."""
    question, about = prose(path)
    command = f"netkit run {path.stem.partition('_')[0]} -f parameters/sandbox/{path.stem}.yaml"
    rows = [(code(one.name), code(one.kind), code(repr(one.default)), plain(one.help)) for one in runbook.declared(path).values()]  # fmt: skip
    parts = [
        f"# {plain(question)}", about, f"```text\n{command}\n```",
        "## Parameters", table(("name", "type", "default", "what it is"), rows), "## Findings of a run in the sandbox",
    ]  # fmt: skip
    if not (run / "report.html").is_file():
        return "\n\n".join([*parts, "No run of it was at hand when these pages were made.", ""])
    kept.mkdir(exist_ok=True)
    shutil.copyfile(run / "report.html", kept / f"{path.stem}.html")
    found = json.loads((run / "findings.json").read_text("utf-8"))
    told = [(f"[{one['code']}](../findings.md#{one['code'].lower()})", one["status"], one["severity"], plain(redact(one["claim"]))) for one in found]  # fmt: skip
    page = f"../runs/{path.stem}.html"
    return "\n\n".join(
        [
            *parts, table(("code", "status", "severity", "claim"), told), "## The run",
            f"Every cell with what it showed; the figures are live. [Open it as a page of its own]({page}).",
            f'<iframe class="report" src="{page}" title="the report of {path.stem}" loading="lazy"></iframe>', "",
        ]
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- reference


def makers() -> dict[str, list[str]]:
    """Code -> the modules that name it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "netkit").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        words = {node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)}
        for name in words & CODES.keys() if module != "netkit.runs.codes" else ():
            found.setdefault(name, []).append(module)
    return found


def findings_page() -> str:
    """Every code, by wing."""
    made_in = makers()
    parts = ["# Findings", "Every code that a finding can have. [How to read an answer](answers.md) says what status, severity and coverage mean."]  # fmt: skip
    for wing, title in WINGS.items():
        parts.append(f"## {title}")
        for name, one in CODES.items():
            if name.split("-")[0] == wing:
                evidence = ", ".join(code(member) for member in one.evidence) or "none"
                made = ", ".join(code(module) for module in made_in[name])
                parts.append(
                    f"### {name} {{ #{name.lower()} }}\n\n{plain(one.says)}\n\nEvidence: {evidence}. Made in {made}."
                )
    return "\n\n".join([*parts, ""])


def faults_page() -> str:
    """The closed catalogue."""
    held = faults()
    parts = [
        "# Faults", f"The {len(held)} faults that [INCIDENT-CAUSE](findings.md#incident-cause) can name: `evidence.fault` is one of these words. "
        "A cause is a fault and a resource; the resource is what has to be changed, not what suffers.",
    ]  # fmt: skip
    return "\n\n".join([*parts, *(_fault(one) for one in held.values()), ""])


def _fault(one: Fault) -> str:
    rows = {
        "blamed": plain(one.resource), "rule": plain(one.rule), "source": plain(one.source), "shows in": "<br>".join(f"{SHOWS.get(key, plain(key))}: {plain(words)}" for key, words in one.shows.items()),
        "decided by": ", ".join(map(code, one.decides)), "events that can bring it about": ", ".join(map(code, one.events)),
        "predicts": ", ".join(f"{code(atom)} {plain(word)}" for atom, word in one.predicts.items()),
    }  # fmt: skip
    head, *rest = [(name, text) for name, text in rows.items() if text]
    return f"## {one.code} {{ #{one.code} }}\n\n{plain(one.says)}\n\n{table(head, rest)}"


def questions_page() -> str:
    """The catalogue of queries."""
    held = queries()
    parts = ["# Questions of a flow log", f"{len(held)} queries, in the SQL that Athena and DuckDB both read: `logs.query(NAME, …)`. `logs.names()` gives those that a log's fields allow."]  # fmt: skip
    for one in held.values():
        takes = table(("parameter", "kind", "default", "what it is"), [(code(p.name), p.kind, code("" if p.default is None else p.default), plain(p.help)) for p in one.params])  # fmt: skip
        gives = table(("column", "type", "what it is"), [(code(name), kind, plain(says)) for name, (kind, says) in one.columns.items()])  # fmt: skip
        notes = "\n".join(f"- {plain(note)}" for note in one.notes)
        needs = ", ".join(map(code, one.fields))
        parts += [f"## {one.name} {{ #{one.name} }}", plain(one.question), *([takes] if one.params else []), gives, *([notes] if notes else []), f"Fields: {needs}."]  # fmt: skip
    return "\n\n".join([*parts, ""])


# ------------------------------------------------------------------------------------------------------------------- API


def public_names() -> dict[str, str]:
    """The names of `import netkit as nk` that are no modules -> where they live."""
    import netkit

    return {name: f"{netkit._HOMES[name]}.{name}" for name in netkit.__all__ if name in netkit._HOMES}


def names_page() -> str:
    """What `import netkit as nk` gives."""
    parts = ["# API", "What `import netkit as nk` gives beside the rooms `nk.flowlogs`, `nk.cloudwatch`, `nk.mirror`, `nk.reach`, `nk.incident` and `nk.show`. Names that begin with `_` are nobody's business but netkit's."]  # fmt: skip
    for name, home in public_names().items():
        parts.append(f"## nk.{name}\n\n::: {home}\n    options:\n      heading_level: 3")
    return "\n\n".join([*parts, ""])


def room_page(room: str) -> str:
    """A room's modules, those that are public."""
    names = []
    for path in sorted((ROOT / "netkit" / room).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") and part != "__init__" for part in parts):
            names.append(".".join(part for part in parts if part != "__init__"))
    blocks = (f"::: {name}\n    options:\n      show_submodules: false" for name in names)
    return f"# netkit.{room}\n\n" + "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    sys.exit(main())
