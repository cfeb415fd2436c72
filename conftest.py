"""Tests never reach a real account, and share one sandbox of their own."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

_HOME = pytest.StashKey[str]()


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
