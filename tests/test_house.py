"""The rules of the house: who imports whom, what is committed, what the documents say."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

import netkit
from netkit.flowlogs.catalog import catalogue
from netkit.incident import faults
from netkit.runs.bare import bare
from netkit.runs.codes import CODES
from netkit.runs.codes import WINGS as WINGS_OF_CODES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "netkit"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
WINGS = ("flowlogs", "reach", "mirror", "cloudwatch")
# The floors, lowest first; an import goes down, or sideways within its own room. Wings, runs and show never reach each other's rooms
# on the same floor, but for what is named in BESIDE.
FLOORS = {
    **dict.fromkeys(("core",), 1),
    **dict.fromkeys((*WINGS, "runs"), 2),
    **dict.fromkeys(("history", "sandbox", "show", "incident"), 3),
    "investigate": 4,
    **dict.fromkeys(("__main__", "__init__"), 5),
}
BESIDE = {("incident", "history")}  # evidence is read by history's readers too
PURE = (
    *(f"core.{name}" for name in ("errors", "model", "net", "packets", "costs", "commandline", "policy", "insights")),
    *(
        f"mirror.{name}"
        for name in (
            *("filters", "pcap", "decode", "streams", "conversations", "capture", "expected", "verify", "alerts"),
            *("analysis_host", "advice", "ids", "limits", "commands"),
        )
    ),
    *(
        f"cloudwatch.{name}"
        for name in (
            *(
                "agent",
                "agent_checks",
                "agent_grammar",
                "agent_install",
                "agent_merge",
                "agent_metrics",
                "agent_names",
                "agent_rules",
                "alarm_rules",
                "alarms",
                "expressions",
                "filter_patterns",
                "known_dimensions",
                "alarm_lines",
                "commands",
                "log_groups",
            ),
            *("metrics", "dashboards", "dashboard_grammar", "path_alarms", "proof", "replay"),
        )
    ),
    *(
        f"flowlogs.{name}"
        for name in (
            "fields",
            "table",
            "catalog",
            "duck",
            "files",
            "forms",
            "envelopes",
            "copy",
            "engine",
            "adhoc",
            "names",
            "findings",
            "policies",
        )
    ),
    *(f"reach.network.{name}" for name in ("snapshot", "network", "filters", "ends")),
    *(f"reach.engine.{name}" for name in ("leg", "walk", "gateways", "transit", "trace")),
    "reach.explain",
)
AWS = ("boto3", "botocore", "awswrangler", "moto")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def imports(path: Path) -> set[str]:
    """Every module that a file imports, in functions too, but not for types only."""
    found: set[str] = set()
    tree = ast.parse(path.read_text("utf-8"))
    skip = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name in MODULES}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


@pytest.mark.parametrize("name", MODULES)
def test_an_import_goes_down_or_sideways(name: str) -> None:
    here = room(name)
    for other in ours(MODULES[name]):
        there = room(other)
        if there in ("__init__", here):
            continue
        if there == "sandbox":  # the one door to it from below
            assert here in ("__main__", "__init__") or (name, other) == ("netkit.core.session", "netkit.sandbox"), (
                f"{name} imports {other}"
            )
            continue
        lower = FLOORS[there] < FLOORS[here]
        assert lower or (here, there) in BESIDE, f"{name} imports {other}: not a floor below"


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in MODULES} <= FLOORS.keys()


def test_no_two_modules_import_each_other() -> None:
    """No circle of any length, lazy imports counted too. A package's own __init__ gathers names and is no module of weight."""
    inits = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    edges = {name: ours(path) - inits - {name} for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name not in done:
            for other in sorted(edges[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in sorted(edges.keys() - inits):
        visit(name, ())


@pytest.mark.parametrize("name", MODULES)
def test_only_show_draws(name: str) -> None:
    drawing = {one.split(".")[0] for one in imports(MODULES[name])} & {"plotly", "ipywidgets"}
    allowed = name.startswith("netkit.show") or name in (
        "netkit.runs.report",
        "netkit.runs.notebook",
    )  # plotly.js, and its renderer's name
    assert not drawing or allowed, f"{name} imports {drawing}"


_IMPORT_PURE = """
import importlib, sys, types
sys.modules.update(dict.fromkeys({aws!r}))
import netkit
for name in {names!r}:
    wing = name.split(".")[0]
    if "netkit." + wing not in sys.modules:
        # The wing's own __init__ brings its engines, so the modules are loaded by themselves.
        package = types.ModuleType("netkit." + wing)
        package.__path__ = [netkit.__path__[0] + "/" + wing]
        sys.modules["netkit." + wing] = package
    try:
        importlib.import_module("netkit." + name)
    except ImportError as error:
        print(name, error)
"""


def test_pure_thinking_never_sees_aws() -> None:
    """All of it imported with the AWS packages blocked, in a process of its own."""
    code = _IMPORT_PURE.format(aws=AWS, names=PURE)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_importing_netkit_does_no_work() -> None:
    code = "import sys, netkit; print([name for name in ('boto3', 'pandas', 'plotly', 'duckdb', 'IPython', 'moto') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves() -> None:
    for name in netkit.__all__:
        assert getattr(netkit, name) is not None
    assert sorted(netkit.__all__) == dir(netkit)
    with pytest.raises(AttributeError):
        _ = netkit.no_such_name


@pytest.mark.parametrize("name", MODULES)
def test_no_broad_except_and_no_print(name: str) -> None:
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            kind = ast.unparse(node.type) if node.type else ""
            assert kind not in ("", "Exception", "BaseException"), f"{name}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert name == "netkit.__main__", f"{name}:{node.lineno} prints"


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_says_what_it_answers(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    assert ast.get_docstring(tree), name
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            inner = any(
                isinstance(other, ast.FunctionDef) and node in ast.walk(other) and node is not other
                for other in ast.walk(tree)
            )
            assert inner or ast.get_docstring(node), f"{name}.{node.name} has no docstring"


def test_no_address_of_a_registry_and_no_path_of_a_machine() -> None:
    registries = re.compile(
        r"(pypi|pythonhosted|files\.python|conda\.anaconda|registry\.npmjs|index-url|find-links)[./\w]*\.(org|com|io)|--"
        r"(index-url|find-links)"  # in two parts, since this file is read too
    )
    machine = re.compile("/" + "(home|Users|root|work)/[a-z]")
    for path in tracked():
        if path.suffix in (".png", ".gz", ".parquet") or path.name == "LICENSE":
            continue
        text = path.read_text("utf-8")
        assert not registries.search(text), path
        assert not machine.search(text), (path, machine.search(text))


def test_notebooks_are_committed_bare() -> None:
    """As make lab writes them, so that saving one that nobody changed is no change."""
    for path in NOTEBOOKS:
        text = path.read_text("utf-8")
        book = json.loads(text)
        for cell in book["cells"]:
            assert not cell.get("outputs") and not cell.get("execution_count"), path
        assert text == json.dumps(bare(book), indent=1, ensure_ascii=False, sort_keys=True) + "\n", path


def direct() -> dict[str, str]:
    """The pinned direct dependencies, by bare name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {name: pins for name, pins in project["optional-dependencies"].items() if name != "all"}
    pins = [*project["dependencies"], *(pin for pins in extras.values() for pin in pins)]
    assert all(re.fullmatch(r"[a-z0-9-]+(\[[a-z]+\])?==[\w.]+", pin) for pin in pins)
    return {re.sub(r"\[.*\]", "", pin.split("==")[0]): pin.split("==")[1] for pin in pins}


def test_conda_users_get_the_same_packages() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    plain = [one for one in listed if isinstance(one, str) and one != "pip" and not one.startswith("python>")]
    packages = {one.split("=")[0].replace("_", "-"): one.split("=")[1] for one in plain}
    by_pip = next(one["pip"] for one in listed if isinstance(one, dict))
    assert by_pip.pop() == "-e ."  # netkit itself
    assert not packages.keys() & {"playwright", "duckdb"}, "these names are other packages on conda-forge"
    packages |= {re.sub(r"\[.*\]", "", one.split("==")[0]): one.split("==")[1] for one in by_pip}
    assert packages == direct()


@cache
def installed() -> Mapping[str, list[str]]:
    """Module -> the packages that bring it; slow to find out."""
    return packages_distributions()


def distributions(paths: Iterable[Path]) -> dict[str, str]:
    """The packages from elsewhere that some files import, each with a file that does."""
    known = installed()
    tops = {one.split(".")[0]: path.name for path in paths for one in imports(path)}
    beside = {path.stem for place in ("tests", "docs") for path in (ROOT / place).glob("*.py")}
    beside |= {"netkit", "bench", "conftest"} | {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    elsewhere = {top: name for top, name in tops.items() if top not in sys.stdlib_module_names and top not in beside}
    return {known.get(top, [top])[0].lower().replace("_", "-"): name for top, name in elsewhere.items()}


def test_what_is_imported_is_asked_for_by_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    plain = {re.split(r"[\[=]", pin)[0] for pin in project["dependencies"]}
    by_extra = {
        name: {re.split(r"[\[=]", pin)[0] for pin in pins} for name, pins in project["optional-dependencies"].items()
    }
    for name, path in MODULES.items():
        allowed = set(plain)
        if room(name) == "sandbox":
            allowed |= by_extra["sandbox"]
        if name == "netkit.runs.contents":  # imported by the Jupyter server only
            allowed |= by_extra["lab"]
        assert {one: file for one, file in distributions([path]).items() if one not in allowed} == {}
    others = [
        *(ROOT / "tests").glob("*.py"),
        ROOT / "conftest.py",
        *(ROOT / "bench").rglob("*.py"),
        *(ROOT / "docs").glob("*.py"),
    ]
    assert {name: file for name, file in distributions(others).items() if name not in direct()} == {}


def locked() -> dict[str, list[tuple[str, int]]]:
    """The lock: name -> (version, number of hashes), one for each set of interpreters that it is for."""
    held: dict[str, list[tuple[str, int]]] = {}
    text = (ROOT / "requirements.txt").read_text("utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if not line.startswith("#"):
            pin = re.fullmatch(r"([a-z0-9-]+)==([\w.+!-]+)( ; [^\\]+?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
            assert pin, line[:120]
            held.setdefault(pin[1], []).append((pin[2], pin[4].count("--hash")))
    return held


def test_the_lock_holds_what_is_asked_for_with_hashes() -> None:
    held = locked()
    assert len(held) > 150
    for name, version in direct().items():
        assert [one for one, _ in held[name]] == [version], name


def test_what_is_here_is_what_the_lock_says() -> None:
    for name in direct():
        assert importlib.metadata.version(name) in [one for one, _ in locked()[name]], name


def test_the_extras_are_what_netkit_says_is_missing() -> None:
    from netkit.core.extras import EXTRAS

    known = installed()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras.keys() == {*EXTRAS, "all", "dev", "docs"}
    for extra, modules in EXTRAS.items():
        asked = {re.split(r"[\[=]", pin)[0] for pin in extras[extra]}
        brought = {known[module][0].lower().replace("_", "-") for module in modules}
        assert asked <= brought, extra
    assert extras["all"] == ["netkit[lab,sandbox]"]


def test_nothing_that_is_shipped_imports_what_is_under_the_gpl() -> None:
    assert all("scapy" not in {one.split(".")[0] for one in imports(path)} for path in MODULES.values())


def test_the_readme_names_every_notebook_and_nothing_that_is_not_there() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"notebooks/([0-9]{2}_[a-z_]+)\.ipynb", text))
    assert named == {path.stem for path in NOTEBOOKS}
    for target in re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), target
    assert f"of {len(catalogue())} questions" in text
    assert f"({len(faults.catalogue())} faults)" in text
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link


def test_every_code_of_a_finding_is_listed_and_none_is_dead() -> None:
    """netkit/runs/codes.py, of which the documentation's page is made; what it says of a code is held by test_codes.py."""
    form = re.compile(rf"(?:{'|'.join(WINGS_OF_CODES)})(?:-[A-Z0-9]+)+")
    words = {
        node.value
        for name, path in MODULES.items()
        if name != "netkit.runs.codes"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {word for word in words if form.fullmatch(word)} == set(CODES)
