"""What is installed: the wheel holds its product; the library works without the extras; the pins fit every interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import netkit as nk
from netkit.core.extras import EXTRAS, need
from netkit.runs import desk

ROOT = Path(__file__).parents[1]
INTERPRETERS = ("3.11", "3.12", "3.13", "3.14")
# A registry that does not answer is no fault of the pins.
_NO_NETWORK = ("dns error", "Failed to fetch", "Could not connect", "connection", "timed out", "error sending request")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is made from the source archive, in which a notebook was run and an earlier build left something."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    source = folder / "source"
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    (source / "notebooks/.ipynb_checkpoints").mkdir()
    (source / "notebooks/.ipynb_checkpoints/21-checkpoint.ipynb").write_text("{}")
    build = "import sys, setuptools.build_meta as build; print(getattr(build, 'build_' + sys.argv[1])(sys.argv[2]))"

    def made(what: str, where: Path) -> Path:
        done = subprocess.run(
            [sys.executable, "-c", build, what, str(folder)], cwd=where, capture_output=True, text=True, check=True
        )
        return folder / done.stdout.splitlines()[-1]

    archive = made("sdist", source)
    subprocess.run(["tar", "xzf", str(archive), "-C", str(folder)], check=True)
    unpacked = folder / archive.name.removesuffix(".tar.gz")
    stale = unpacked / "build/lib/netkit/_desk/notebooks/99_gone.ipynb"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    lead = unpacked / "notebooks/00_start_here.ipynb"
    lead.write_text(lead.read_text("utf-8").replace('"execution_count": null', '"execution_count": 7'))
    return made("wheel", unpacked)


def test_the_wheel_holds_its_product_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        names = set(held.namelist())
        for part, pattern in (("notebooks", "[0-9]*.ipynb"), ("parameters", "**/*.*")):
            for path in (ROOT / part).glob(pattern):
                inside = f"netkit/_desk/{path.relative_to(ROOT).as_posix()}"
                assert held.read(inside) == path.read_bytes(), inside
        ours = {f"netkit/{path.relative_to(ROOT / 'netkit').as_posix()}" for path in (ROOT / "netkit").rglob("*")
                if path.suffix in (".py", ".sql", ".yaml", ".md", ".txt", ".typed")}  # fmt: skip
        assert ours <= names
        desk_files = {name for name in names if name.startswith("netkit/_desk/")}
        assert names - ours - desk_files == {name for name in names if ".dist-info/" in name}
        assert not [name for name in desk_files if "checkpoint" in name or "99_gone" in name]
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        assert "netkit = netkit.__main__:main" in held.read(entry).decode()


def test_from_the_wheel_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """The wheel, unpacked, in place of the checkout: a desk, a notebook's help, the way to a notebook from anywhere."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as held:
        held.extractall(site)
    environment = {name: value for name, value in os.environ.items() if name != "NETKIT_ROOT"} | {
        "PYTHONPATH": str(site)
    }

    def netkit(*words: str, folder: Path) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "netkit", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    empty = tmp_path / "an empty folder"
    empty.mkdir()
    assert netkit("new", "my-desk", folder=empty)[0] == 0
    made = {path.relative_to(empty / "my-desk").as_posix() for path in (empty / "my-desk").rglob("*") if path.is_file()}
    wanted = {path.relative_to(ROOT).as_posix() for part in ("notebooks", "parameters") for path in (ROOT / part).rglob("*.*")
              if path.suffix in (".ipynb", ".yaml") and ".ipynb_checkpoints" not in path.parts}  # fmt: skip
    assert made == wanted | {"README.md", ".gitignore"}
    for folder, word in ((empty, "notebooks/21_flow_logs_analysis.ipynb"), (empty / "my-desk/notebooks", "21")):
        status, said, _ = netkit("run", word, "--help", folder=folder)
        assert status == 0
        assert "source " in said
        assert "netkit_sandbox.flow_logs_bad_day" in said


def test_a_desk_is_never_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "desk"
    made = desk.new_desk(mine)
    assert mine / "README.md" in made
    (mine / "notebooks/00_start_here.ipynb").write_text("mine")
    with pytest.raises(nk.errors.InputError, match="nothing was written"):
        desk.new_desk(mine)
    assert (mine / "notebooks/00_start_here.ipynb").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(nk.errors.InputError):
        desk.new_desk(tmp_path / "file")
    with pytest.raises(nk.errors.InputError):
        desk.new_desk(tmp_path / "file/below")
    (tmp_path / "there").mkdir()
    assert desk.new_desk(tmp_path / "there"), "an empty folder that exists will do"


def test_a_notebook_is_found_from_here_the_root_and_netkit_in_that_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "desk"
    desk.new_desk(mine)
    monkeypatch.delenv("NETKIT_ROOT")
    monkeypatch.chdir(mine / "parameters")
    for word in ("notebooks/40_reachability_debugging.ipynb", "40", "40_reachability_debugging"):
        assert desk.find_notebook(word).resolve() == (mine / "notebooks/40_reachability_debugging.ipynb").resolve()
    monkeypatch.chdir(mine / "notebooks")
    assert desk.find_notebook("40_reachability_debugging.ipynb").resolve().parent == (mine / "notebooks").resolve()
    assert (
        desk.find_parameters(Path("parameters/sandbox/reach/reachable.yaml")).resolve().is_relative_to(mine.resolve())
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert desk.find_notebook("notebooks/40_reachability_debugging.ipynb").parents[1] == desk.shipped()
    for wrong in ("notebooks/41.ipynb", "4", "", "../40", "notebooks", "pyproject.toml", "x y"):
        with pytest.raises(nk.errors.ParameterError, match="no such notebook"):
            desk.find_notebook(wrong)


_WITHOUT = """
import importlib, pkgutil, sys
for name in {blocked!r}:
    sys.modules[name] = None
import netkit
for name in netkit.__all__:
    getattr(netkit, name)
skipped = ("netkit.sandbox.", "netkit.runs.contents", "netkit.__main__")
for module in pkgutil.walk_packages(netkit.__path__, "netkit."):
    if not module.name.startswith(skipped):
        importlib.import_module(module.name)
for call, words in ((netkit.connect, {{}}), (importlib.import_module("netkit.sandbox").up, {{}})):
    try:
        call(**words)
    except netkit.NetkitError as error:
        print(error)
"""


def test_the_library_works_without_extras_and_says_what_is_missing(tmp_path: Path) -> None:
    """Every module but the sandbox's and the Jupyter server's is imported with the extras' packages blocked."""
    blocked = tuple(name for names in EXTRAS.values() for name in names)
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(blocked=blocked)], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"NETKIT_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stderr == ""
    said = (
        "the sandbox needs moto, flask, flask_cors, werkzeug, not installed here\nnext: pip install 'netkit[sandbox]'\n"
    )
    assert done.stdout == said * 2


def test_what_is_installed_is_not_asked_for() -> None:
    for extra in EXTRAS:
        need(extra, "this test")


@pytest.mark.parametrize("python", INTERPRETERS)
def test_the_lock_fits_every_interpreter(python: str, tmp_path: Path) -> None:
    """Each pinned file is there for that interpreter as a wheel, with one of the hashes; nothing is installed."""
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        pytest.skip("uv is not installed")
    done = subprocess.run(
        [str(uv), "pip", "install", "--dry-run", "--target", str(tmp_path), "--python", sys.executable, "--python-version", python,
         "--require-hashes", "--only-binary", ":all:", "-r", str(ROOT / "requirements.txt")],
        capture_output=True, text=True, check=False, timeout=300, env=os.environ | {"UV_HTTP_TIMEOUT": "20", "UV_HTTP_RETRIES": "1"},
    )  # fmt: skip
    if done.returncode and any(one.lower() in done.stderr.lower() for one in _NO_NETWORK):
        pytest.skip(f"no registry answers: {done.stderr.strip().splitlines()[0][:150]}")
    assert done.returncode == 0, done.stderr
    assert "Would install" in done.stderr


def test_the_lock_is_for_these_interpreters() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"][0]
    assert conda == f"python>={INTERPRETERS[0]},<3.15"
    assert f'requires-python = ">={INTERPRETERS[0]}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert f"--python-version {INTERPRETERS[0]} " in (ROOT / "Makefile").read_text("utf-8")
