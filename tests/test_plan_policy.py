"""Policy documents: what is there stays, what already does the work is recognised, and only what is missing is added."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.core.policy import allows_as_much, merge_statements, statements_of
from netkit.flowlogs.policies import bucket_statements
from netkit.flowlogs.table import FlowLogSpec

SPEC = FlowLogSpec("123456789012", "us-east-1", bucket="logs", prefix="p")
WRITE, CHECK = bucket_statements(SPEC)
AUDIT = {"Sid": "Audit", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::logs/*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip


def without_conditions(statement: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != "Condition"} | more


def test_an_empty_policy_gets_both() -> None:
    policy, added = merge_statements(None, [WRITE, CHECK])
    assert policy == {"Version": "2012-10-17", "Statement": [WRITE, CHECK]}
    assert added == ("AWSLogDeliveryWrite", "AWSLogDeliveryAclCheck")


def test_foreign_statements_and_other_members_stay_as_they_are() -> None:
    existing = {"Version": "2008-10-17", "Id": "theirs", "Statement": [AUDIT]}
    before = copy.deepcopy(existing)
    policy, added = merge_statements(existing, [WRITE, CHECK])
    assert existing == before
    assert policy == {"Version": "2008-10-17", "Id": "theirs", "Statement": [AUDIT, WRITE, CHECK]}
    assert len(added) == 2


def test_a_single_statement_without_a_list() -> None:
    policy, added = merge_statements({"Version": "2012-10-17", "Statement": WRITE}, [WRITE, CHECK])
    assert (policy["Statement"], added) == ([WRITE, CHECK], ("AWSLogDeliveryAclCheck",))


def test_the_seeds_statements_do_the_work_under_their_own_sids() -> None:
    seed = [
        without_conditions(WRITE, Resource="arn:aws:s3:::logs/*"),
        without_conditions(CHECK, Sid="AWSLogDeliveryCheck"),
    ]
    policy, added = merge_statements({"Version": "2012-10-17", "Statement": seed}, [WRITE, CHECK])
    assert (policy["Statement"], added) == (seed, ())


def test_a_sid_taken_by_another_statement() -> None:
    """Delivery of another prefix is there under AWS's own Sid: it stays, and ours comes beside it."""
    other = bucket_statements(FlowLogSpec("123456789012", "us-east-1", bucket="logs", prefix="other"))[0]
    policy, added = merge_statements({"Version": "2012-10-17", "Statement": [other]}, [WRITE, CHECK])
    assert policy["Statement"][0] == other
    assert added == ("AWSLogDeliveryWrite1", "AWSLogDeliveryAclCheck")
    assert merge_statements(policy, [WRITE, CHECK]) == (policy, ())


@given(st.lists(st.sampled_from(["p", "q", "r", ""]), max_size=5), st.booleans())
def test_merging_twice_is_merging_once(prefixes: list[str], hive: bool) -> None:
    policy: dict[str, Any] = {"Version": "2012-10-17", "Statement": [AUDIT]}
    for prefix in prefixes:
        statements = bucket_statements(
            FlowLogSpec("123456789012", "us-east-1", bucket="logs", prefix=prefix, hive=hive)
        )
        merged, _ = merge_statements(policy, statements)
        assert merged["Statement"][: len(policy["Statement"])] == policy["Statement"]
        assert merge_statements(merged, statements) == (merged, ())
        assert all(any(allows_as_much(one, need) for one in statements_of(merged)) for need in statements)
        policy = merged
    sids = [one["Sid"] for one in statements_of(policy)]
    assert len(sids) == len(set(sids))


@pytest.mark.parametrize(
    ("change", "enough"),
    [
        ({}, True),
        ({"Action": ["s3:PutObject", "s3:PutObjectAcl"]}, True),
        ({"Action": "S3:putobject"}, True),
        ({"Action": "s3:*"}, True),
        ({"Resource": "arn:aws:s3:::logs/p/*"}, True),
        ({"Resource": ["arn:aws:s3:::else/*", "*"]}, True),
        ({"Principal": {"Service": ["delivery.logs.amazonaws.com", "cloudtrail.amazonaws.com"]}}, True),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": ["111122223333", "123456789012"]}}}, True),
        ({"Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:logs:*:123456789012:*"}}}, True),
        ({"Effect": "Deny"}, False),
        ({"Action": "s3:GetObject"}, False),
        ({"Resource": "arn:aws:s3:::logs/other/*"}, False),
        ({"Resource": "arn:aws:s3:::logs"}, False),
        ({"Principal": {"Service": "cloudtrail.amazonaws.com"}}, False),
        ({"Principal": {"AWS": "*"}}, False),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}, False),
        ({"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:123456789012:*"}}}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
        ({"NotAction": "s3:GetObject"}, False),
    ],
)  # fmt: skip
def test_whether_a_statement_allows_as_much(change: dict[str, Any], enough: bool) -> None:
    assert allows_as_much(WRITE | change, WRITE) is enough
