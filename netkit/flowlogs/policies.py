"""The policy documents that flow-log delivery needs, from the spec. Pure.

Source: Amazon VPC User Guide, "Amazon S3 bucket permissions for flow logs" and "IAM role for publishing flow logs to
CloudWatch Logs". Both carry the conditions that keep another account from using log delivery as its deputy.
"""

from __future__ import annotations

from typing import Any

from netkit.flowlogs.table import FlowLogSpec

_LOGS_ACTIONS = (
    "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogGroups", "logs:DescribeLogStreams",
)  # fmt: skip


def bucket_statements(spec: FlowLogSpec) -> list[dict[str, Any]]:
    """The two statements that let log delivery write for this account and region, and for no other."""
    folder = f"aws-account-id={spec.account}" if spec.hive else spec.account
    source = {"aws:SourceArn": f"arn:aws:logs:{spec.region}:{spec.account}:*"}
    service = {"Service": "delivery.logs.amazonaws.com"}
    account = {"aws:SourceAccount": spec.account}
    return [
        {
            "Sid": "AWSLogDeliveryWrite",
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{spec.bucket}/{spec.base_key}{folder}/*",
            "Condition": {
                "StringEquals": account | {"s3:x-amz-acl": "bucket-owner-full-control"},
                "ArnLike": source,
            },
        },
        {
            "Sid": "AWSLogDeliveryAclCheck",
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:GetBucketAcl",
            "Resource": f"arn:aws:s3:::{spec.bucket}",
            "Condition": {"StringEquals": account, "ArnLike": source},
        },
    ]


def trust_policy(spec: FlowLogSpec) -> dict[str, Any]:
    """Who may take the role: VPC Flow Logs, on behalf of this account's flow logs in this region."""
    condition = {
        "StringEquals": {"aws:SourceAccount": spec.account},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{spec.region}:{spec.account}:vpc-flow-log/*"},
    }
    statement = {"Effect": "Allow", "Principal": {"Service": "vpc-flow-logs.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement | {"Condition": condition}]}


def permissions_policy() -> dict[str, Any]:
    """What the role may do: the five CloudWatch Logs actions that AWS names, on every log group."""
    statement = {"Effect": "Allow", "Action": list(_LOGS_ACTIONS), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
