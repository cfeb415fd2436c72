"""The dimensions that AWS's own metrics carry, for names that are nearly one: CloudWatch takes any, and shows nothing. Pure.

Source: the page of each service, "… metrics and dimensions". A list is not the whole of what there may be, so that a name which is not
in it is only doubted where it is one of them in other letters, or where it stands in another's place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_BALANCER = ("LoadBalancer", "TargetGroup", "AvailabilityZone")
KNOWN: dict[str, tuple[str, ...]] = {
    "AWS/EC2": ("InstanceId", "AutoScalingGroupName", "ImageId", "InstanceType"),
    "AWS/EBS": ("VolumeId",),
    "AWS/AutoScaling": ("AutoScalingGroupName",),
    "AWS/ApplicationELB": _BALANCER,
    "AWS/NetworkELB": _BALANCER,
    "AWS/GatewayELB": _BALANCER,
    "AWS/ELB": ("LoadBalancerName", "AvailabilityZone"),
    "AWS/NATGateway": ("NatGatewayId",),
    "AWS/TransitGateway": ("TransitGateway", "TransitGatewayAttachment"),
    "AWS/VPN": ("VpnId", "TunnelIpAddress"),
    "AWS/DX": ("ConnectionId", "VirtualInterfaceId", "OpticalLaneNumber"),
    "AWS/PrivateLinkEndpoints": ("Endpoint Type", "Service Name", "Subnet Id", "VPC Endpoint Id", "VPC Id"),
    "AWS/PrivateLinkServices": ("Az", "Load Balancer Arn", "Service Id", "VPC Endpoint Id"),
    "AWS/NetworkFirewall": ("AvailabilityZone", "CustomAction", "Engine", "FirewallName"),
    "AWS/RDS": ("DBInstanceIdentifier", "DBClusterIdentifier", "DatabaseClass", "EngineName", "SourceRegion"),
    "AWS/Lambda": ("FunctionName", "Resource", "ExecutedVersion"),
    "AWS/SQS": ("QueueName",),
    "AWS/SNS": ("TopicName",),
    "AWS/Logs": ("LogGroupName", "DestinationType", "FilterName"),
    "AWS/Route53": ("HealthCheckId", "HostedZoneId"),
    "AWS/CloudFront": ("DistributionId", "Region"),
    "AWS/S3": ("BucketName", "StorageType", "FilterId"),
    "AWS/DynamoDB": ("TableName", "Operation", "GlobalSecondaryIndexName"),
    "CWAgent": ("InstanceId", "AutoScalingGroupName", "ImageId", "InstanceType", "host", "path", "device", "fstype", "interface"),
}  # fmt: skip


def doubt(namespace: str, metric: str, names: Iterable[str]) -> str:
    """What is likely wrong with a metric and the names of its dimensions, in a sentence; "" where nothing is known against them."""
    known = KNOWN.get(namespace, ())
    by_letters = {_letters(one): one for one in known}
    given = list(names)
    if metric in known:
        return f"{metric} is a dimension of {namespace}: the metric's name stands right behind the namespace, then dimension and value"
    for one in given:
        meant = by_letters.get(_letters(one), "")
        if meant and meant != one:
            return f"no metric of {namespace} has a dimension {one}, and CloudWatch minds the letters: is it {meant}?"
    return ""


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
