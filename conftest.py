"""Tests never reach a real account, and share one sandbox of their own."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

_HOME = pytest.StashKey[str]()
# Kernels reached by TCP (nbval's, JupyterLab's, plain papermill's): their ports are chosen before they are taken, so that two
# which start together may clash.
_BY_TCP = re.compile(r"\.ipynb|test_lab\.py|test_show\.py|test_runbook\.py")
_NOTEBOOKS = re.compile(r"\.ipynb|test_lab\.py|test_show\.py|notebook|runbook")

# What a quick run leaves out: tests that start a sandbox, a kernel, a browser or another program, and those on many random networks.
_SLOW = re.compile(
    r"connect\(|import sandbox|inprocess|runbook\.run|begin\(|playwright|chromium|open_offline|kernel_mirror|tshark|cli\.main|\"-m\", \"(netkit|bench)\""
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """--quick: what a change of a line wants (make test-quick)."""
    parser.addoption(
        "--quick", action="store_true", help="only tests that start no sandbox, kernel, browser or program"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Times are never asserted, so property tests have no deadline; a quick run tries fewer examples."""
    late = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("netkit", **late)
    settings.register_profile("quick", max_examples=30, **late)
    settings.load_profile("quick" if config.getoption("--quick") else "netkit")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """In a quick run, a file that starts any of those is not even read; a new file finds its side by itself."""
    if not config.getoption("--quick") or collection_path.is_dir():
        return None
    name = collection_path.name
    slow = (
        collection_path.suffix == ".ipynb"
        or name.endswith("_properties.py")
        or (name.startswith("test_") and _SLOW.search(collection_path.read_text("utf-8")))
    )
    return True if slow else None


class _ByFile(LoadScopeScheduling):
    """A file's tests stay in one worker, in their order, and so do those of all TCP kernels."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tcp" if _BY_TCP.search(file) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """How tests are spread over workers. (`--dist loadgroup` has no effect with this version of pytest.)"""
    return _ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs notebooks takes longest, so it goes first."""
    items.sort(key=lambda item: not _NOTEBOOKS.search(item.nodeid.partition("::")[0]))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Fake keys, empty AWS files and a sandbox home of this run's own, set before anything is collected.

    Notebook kernels are started by nbval and papermill and inherit this environment; fixtures would not reach them. The
    sandbox itself is started by the first connect().
    """
    home = tempfile.mkdtemp(prefix="netkit-tests-")
    session.config.stash[_HOME] = home
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "NETKIT_HOME": home,
        "NETKIT_ROOT": str(session.config.rootpath),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the sandbox that this run started."""
    home = session.config.stash.get(_HOME, "")
    if home:
        from netkit import sandbox

        sandbox.down()
        shutil.rmtree(home, ignore_errors=True)
