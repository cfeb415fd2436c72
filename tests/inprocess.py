"""An account inside the test's own process: moto, with the sandbox's calls in place of moto's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import boto3
import botocore.client
import pytest
from moto import mock_aws

from netkit.core.session import Session
from netkit.sandbox.services import cloudwatch_api, flowlogs_api, mirror_api, network_insights, reach_api

ACCOUNT, REGION = "123456789012", "us-east-1"


class Kill(BaseException):
    """What a killed kernel looks like from inside: nothing catches it."""


@contextmanager
def account(monkeypatch: pytest.MonkeyPatch, region: str = REGION) -> Iterator[Session]:
    """A session in an empty account with fake keys and no AWS file of the user's in sight."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    flowlogs_api.install()
    reach_api.install()
    network_insights.install()
    mirror_api.install()
    cloudwatch_api.install()
    with mock_aws():
        yield Session("aws", ACCOUNT, region, "me", _boto3(region))


@lru_cache
def _boto3(region: str) -> boto3.Session:
    """One for all tests: making clients takes far longer than moto's answers, and moto forgets everything in between."""
    return boto3.Session("testing", "testing", region_name=region)


@contextmanager
def calls(
    monkeypatch: pytest.MonkeyPatch, on_call: Callable[[int, str, str], None]
) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Every AWS call inside, as (operation, request); on_call(number, operation, "before" or "after") may raise."""
    made: list[tuple[str, dict[str, Any]]] = []
    real = botocore.client.BaseClient._make_api_call

    def spied(self: Any, operation: str, request: dict[str, Any]) -> Any:
        made.append((operation, request))
        number = len(made)
        on_call(number, operation, "before")
        try:
            return real(self, operation, request)
        finally:  # a refusal is an answer too
            on_call(number, operation, "after")

    with monkeypatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", spied)
        yield made


def only_watch(number: int, operation: str, when: str) -> None:
    """An on_call that lets everything pass."""


READS = ("Describe", "Get", "List", "Head")


def writes(made: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Of some calls those that change something."""
    return [operation for operation, _ in made if not operation.startswith(READS)]
