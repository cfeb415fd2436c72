"""connect(): which target is refused when, and how AWS's refusals read. moto stands in for STS, in this process."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, UnauthorizedSSOTokenError
from moto import mock_aws

from netkit.core.errors import AccessError, AwsError, CredentialsError, NetkitError, TargetError
from netkit.core.session import Session, aws_errors, connect, error_code


@pytest.fixture
def moto_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with mock_aws():
        yield


def refused(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeVpcs")


@pytest.mark.usefixtures("moto_account")
def test_aws_on_purpose() -> None:
    session = connect(target="aws", account_id="123456789012", region="eu-west-1")
    assert (session.target, session.account_id, session.region) == ("aws", "123456789012", "eu-west-1")
    assert "123456789012" in str(session)


@pytest.mark.usefixtures("moto_account")
def test_the_wrong_account_is_refused() -> None:
    with pytest.raises(TargetError, match="in account 123456789012, not 111122223333"):
        connect(target="aws", account_id="111122223333")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"])
def test_aws_beside_an_endpoint_override_is_refused_before_any_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(TargetError, match="endpoint override") as caught:
        connect(target="aws", account_id="123456789012")
    assert name in str(caught.value)


@pytest.mark.usefixtures("moto_account")
@pytest.mark.parametrize(
    "profile",
    [
        "[default]\nendpoint_url = http://127.0.0.1:9\n",
        "[default]\nservices = local\n[services local]\nec2 =\n  endpoint_url = http://127.0.0.1:9\n",
    ],
)
def test_an_endpoint_override_in_the_profile_is_refused(profile: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(profile)
    with pytest.raises(TargetError, match="endpoint override"):
        connect(target="aws", account_id="123456789012")


@pytest.mark.parametrize("account", ["", "12345", "00012345670", "1234567890123", "12345678901x"])
def test_an_account_id_that_is_none_is_refused(account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(TargetError, match="twelve digits"):
        connect(target="aws", account_id=account)


def test_an_unknown_target_and_profile() -> None:
    with pytest.raises(TargetError, match="neither sandbox nor aws"):
        connect(target="prod")
    with pytest.raises(TargetError, match="no AWS profile"):
        connect(target="aws", account_id="123456789012", profile="no-such-profile")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refused("UnauthorizedOperation"), AccessError),
        (refused("AccessDeniedException"), AccessError),
        (refused("ExpiredToken", "The security token included in the request is expired"), CredentialsError),
        (refused("RequestExpired"), CredentialsError),
        (refused("InvalidVpcID.NotFound"), AwsError),
        (NoCredentialsError(), CredentialsError),
        (UnauthorizedSSOTokenError(), CredentialsError),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), AwsError),
    ],
)
def test_refusals_read_as_three_lines_and_carry_no_request(error: Exception, kind: type[NetkitError]) -> None:
    with pytest.raises(kind) as caught, aws_errors("ec2:describe_vpcs"):
        raise error
    assert type(caught.value) is kind
    assert len(str(caught.value).splitlines()) <= 3
    assert "ClientError" not in "".join(traceback.format_exception(caught.value))


def test_the_code_of_an_error() -> None:
    with pytest.raises(AwsError) as caught, aws_errors("ec2:describe_vpcs"):
        raise refused("InvalidVpcID.NotFound")
    assert error_code(caught.value) == "InvalidVpcID.NotFound"
    assert error_code(ValueError("x")) == ""


@pytest.mark.usefixtures("moto_account")
def test_reads_are_whole_and_denied_is_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    session = connect(target="aws", account_id="123456789012")
    for number in range(7):
        session.call("ec2", "create_vpc", CidrBlock=f"10.{number}.0.0/16")
    vpcs = session.pages("ec2", "describe_vpcs", "Vpcs", PaginationConfig={"PageSize": 5})
    assert len({vpc["VpcId"] for vpc in vpcs}) == 8  # seven and the default one
    items, coverage = session.read("ec2", "describe_transit_gateways", "TransitGateways")
    assert (items, coverage.state) == ([], "empty")
    denied = Session("aws", "123456789012", "us-east-1", "me", Denying())  # type: ignore[arg-type]
    items, coverage = denied.read("ec2", "describe_vpcs", "Vpcs")
    assert (items, coverage.state) == ([], "denied")
    assert "UnauthorizedOperation" in coverage.note


class Denying:
    """A boto3 session that may do nothing."""

    def client(self, name: str, **_: Any) -> Any:
        client = boto3.client(
            name, region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )

        def deny(**_: Any) -> None:
            raise refused("UnauthorizedOperation", "You are not authorized to perform this operation.")

        client.meta.events.register("before-call", deny)
        return client
