"""The tables of a snapshot: which describe call answers each, and what identifies a record. Pure. Source: botocore's models."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CARRIED", "TABLES", "Table"]


@dataclass(frozen=True)
class Table:
    """One describe call: the key of its answer, the service and operation, and the member that identifies a record.

    per: the operation is asked once for each record of that table, and its answer is kept beside that record's id.
    """

    key: str
    service: str
    operation: str
    id: str
    per: str = ""


TABLES: dict[str, Table] = {
    table.key: table
    for table in (
        Table("Vpcs", "ec2", "describe_vpcs", "VpcId"),
        Table("Subnets", "ec2", "describe_subnets", "SubnetId"),
        Table("NetworkInterfaces", "ec2", "describe_network_interfaces", "NetworkInterfaceId"),
        Table("Reservations", "ec2", "describe_instances", "ReservationId"),
        Table("RouteTables", "ec2", "describe_route_tables", "RouteTableId"),
        Table("NetworkAcls", "ec2", "describe_network_acls", "NetworkAclId"),
        Table("SecurityGroups", "ec2", "describe_security_groups", "GroupId"),
        Table("SecurityGroupRules", "ec2", "describe_security_group_rules", "SecurityGroupRuleId"),
        Table("InternetGateways", "ec2", "describe_internet_gateways", "InternetGatewayId"),
        Table("EgressOnlyInternetGateways", "ec2", "describe_egress_only_internet_gateways", "EgressOnlyInternetGatewayId"),
        Table("NatGateways", "ec2", "describe_nat_gateways", "NatGatewayId"),
        Table("VpcPeeringConnections", "ec2", "describe_vpc_peering_connections", "VpcPeeringConnectionId"),
        Table("TransitGateways", "ec2", "describe_transit_gateways", "TransitGatewayId"),
        Table("TransitGatewayAttachments", "ec2", "describe_transit_gateway_attachments", "TransitGatewayAttachmentId"),
        Table("TransitGatewayVpcAttachments", "ec2", "describe_transit_gateway_vpc_attachments", "TransitGatewayAttachmentId"),
        Table("TransitGatewayRouteTables", "ec2", "describe_transit_gateway_route_tables", "TransitGatewayRouteTableId"),
        Table("TransitGatewayPropagations", "ec2", "get_transit_gateway_route_table_propagations", "TransitGatewayRouteTableId", per="TransitGatewayRouteTables"),
        Table("TransitGatewayRoutes", "ec2", "search_transit_gateway_routes", "TransitGatewayRouteTableId", per="TransitGatewayRouteTables"),
        Table("TransitGatewayStaticRoutes", "ec2", "", "TransitGatewayRouteTableId"),  # Batfish's; ours are in TransitGatewayRoutes
        Table("VpcEndpoints", "ec2", "describe_vpc_endpoints", "VpcEndpointId"),
        Table("PrefixLists", "ec2", "describe_prefix_lists", "PrefixListId"),
        Table("ManagedPrefixLists", "ec2", "describe_managed_prefix_lists", "PrefixListId"),
        Table("ManagedPrefixListEntries", "ec2", "get_managed_prefix_list_entries", "PrefixListId", per="ManagedPrefixLists"),
        Table("VpnGateways", "ec2", "describe_vpn_gateways", "VpnGatewayId"),
        Table("VpnConnections", "ec2", "describe_vpn_connections", "VpnConnectionId"),
        Table("VpcBlockPublicAccessOptions", "ec2", "describe_vpc_block_public_access_options", "AwsAccountId"),
        Table("VpcBlockPublicAccessExclusions", "ec2", "describe_vpc_block_public_access_exclusions", "ExclusionId"),
        Table("LoadBalancers", "elbv2", "describe_load_balancers", "LoadBalancerArn"),
        Table("LoadBalancerListeners", "elbv2", "describe_listeners", "LoadBalancerArn", per="LoadBalancers"),
        Table("ListenerRules", "elbv2", "describe_rules", "ListenerArn", per="LoadBalancerListeners"),
        Table("LoadBalancerAttributes", "elbv2", "describe_load_balancer_attributes", "LoadBalancerArn", per="LoadBalancers"),
        Table("TargetGroups", "elbv2", "describe_target_groups", "TargetGroupArn"),
        Table("TargetGroupAttributes", "elbv2", "describe_target_group_attributes", "TargetGroupArn", per="TargetGroups"),
        # Listed, then described one by one; policies and rule groups are those that the firewalls refer to.
        Table("Firewalls", "network-firewall", "list_firewalls", "FirewallArn"),
        Table("FirewallPolicies", "network-firewall", "describe_firewall_policy", "FirewallPolicyArn", per="Firewalls"),
        Table("FirewallRuleGroups", "network-firewall", "describe_rule_group", "RuleGroupArn", per="FirewallPolicies"),
        Table("LoadBalancerTargetHealth", "elbv2", "describe_target_health", "TargetGroupArn", per="TargetGroups"),
    )
}  # fmt: skip

# Tables that a folder may hold beside these: no rule of a path reads them, and an incident's evidence does. Key: member that is the id.
CARRIED: dict[str, str] = {
    "Addresses": "AllocationId",
    "CustomerGateways": "CustomerGatewayId",
    "FlowLogs": "FlowLogId",
    "HostedZonesByVpc": "VPCId",
    "ListenerAttributes": "ListenerArn",
    "VpcEncryptionControls": "VpcEncryptionControlId",
}
