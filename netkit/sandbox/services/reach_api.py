"""Calls of EC2's configuration where moto leaves gaps, so that what describe says is what AWS would: routes whose target is
gone, transit gateway associations and propagated routes, prefix lists, VPC Block Public Access, refusals and dry runs.

Sources: botocore's EC2 model; Amazon VPC User Guide (route tables, network ACLs, gateway endpoints, Block Public Access);
Transit Gateway guide (how-transit-gateways-work). DryRun: EC2 API Reference, "DryRun".
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import elastic_ip_addresses
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.managed_prefixes import ManagedPrefixListBackend
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.models.network_acls import NetworkAcl, NetworkAclBackend
from moto.ec2.models.route_tables import Route
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.tags import TagBackend
from moto.ec2.models.transit_gateway_attachments import TransitGatewayAttachment, TransitGatewayAttachmentBackend
from moto.ec2.models.vpc_peering_connections import VPCPeeringConnection
from moto.ec2.models.vpcs import VPC, VPCBackend
from moto.ec2.responses import EC2Response
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix, random_public_ip
from moto.utilities.utils import str2bool

from netkit.sandbox.services.flowlogs_api import Refused

# The ids that the lists of us-east-1 have in every account, and blocks of S3's that moto leaves out.
PREFIX_LISTS = {"com.amazonaws.us-east-1.s3": "pl-63a5400a", "com.amazonaws.us-east-1.dynamodb": "pl-02cd2c6b"}
MORE_OF_S3 = ("16.182.0.0/16", "18.34.0.0/19")

# Calls that moto carries out although DryRun is set.
_NO_DRY_RUN = (
    "create_network_acl", "delete_network_acl", "create_network_acl_entry", "delete_network_acl_entry", "replace_network_acl_entry",
    "replace_network_acl_association", "create_route_table", "delete_route_table", "create_route", "delete_route", "replace_route",
    "associate_route_table", "disassociate_route_table", "replace_route_table_association", "create_internet_gateway",
    "delete_internet_gateway", "attach_internet_gateway", "detach_internet_gateway", "create_nat_gateway", "delete_nat_gateway",
    "allocate_address", "associate_address", "disassociate_address", "release_address", "create_vpc_endpoint",
    "modify_vpc_endpoint", "delete_vpc_endpoints", "create_vpc_peering_connection", "accept_vpc_peering_connection",
    "delete_vpc_peering_connection", "create_transit_gateway_vpc_attachment", "delete_transit_gateway_vpc_attachment",
    "modify_transit_gateway_vpc_attachment", "associate_transit_gateway_route_table", "disassociate_transit_gateway_route_table",
    "enable_transit_gateway_route_table_propagation", "disable_transit_gateway_route_table_propagation",
    "create_transit_gateway_route", "delete_transit_gateway_route", "create_transit_gateway_route_table",
    "assign_private_ip_addresses", "unassign_private_ip_addresses", "modify_transit_gateway",
)  # fmt: skip


# ------------------------------------------------------------------------------------------- describe, as AWS says it


def describe_prefix_lists(self: Any) -> ActionResult:
    """DescribePrefixLists: the AWS services that gateway endpoints lead to, with their blocks."""
    names = {f"com.amazonaws.{self.ec2_backend.region_name}.{service}" for service in ("s3", "dynamodb")}
    lists = self.ec2_backend.describe_managed_prefix_lists(
        prefix_list_ids=self._get_param("PrefixListIds", []), filters=self._filters_from_querystring()
    )
    found = [one for one in lists if one.prefix_list_name in names]
    return ActionResult(
        {
            "PrefixLists": [
                {"PrefixListId": one.id, "PrefixListName": one.prefix_list_name, "Cidrs": _blocks(one)} for one in found
            ]
        }
    )


def get_managed_prefix_list_entries(self: Any) -> ActionResult:
    """GetManagedPrefixListEntries: blocks of one list, refused for a list that is not there."""
    name = self._get_param("PrefixListId")
    if name not in self.ec2_backend.managed_prefix_lists:
        raise Refused("InvalidPrefixListID.NotFound", f"The prefix list ID '{name}' does not exist")
    held = self.ec2_backend.managed_prefix_lists[name].entries
    version = int(self._get_param("TargetVersion") or 0)
    entries = held.get(version, []) if version else (list(held.values())[-1] if held else [])
    return ActionResult({"Entries": entries})


def _blocks(prefix_list: Any) -> list[str]:
    return [entry["Cidr"] for entry in (list(prefix_list.entries.values()) or [[]])[-1]]


def describe_vpc_block_public_access_options(self: Any) -> ActionResult:
    """DescribeVpcBlockPublicAccessOptions: the account's mode in the region, off unless it was modified."""
    self.error_on_dryrun()
    return ActionResult({"VpcBlockPublicAccessOptions": _public_access(self.ec2_backend)})


def modify_vpc_block_public_access_options(self: Any) -> ActionResult:
    """ModifyVpcBlockPublicAccessOptions: off, block-bidirectional or block-ingress."""
    mode = self._get_param("InternetGatewayBlockMode")
    if mode not in ("off", "block-bidirectional", "block-ingress"):
        raise Refused("InvalidParameterValue", f"Value ({mode}) for parameter InternetGatewayBlockMode is invalid.")
    self.error_on_dryrun()
    self.ec2_backend.nk_public_access = mode
    return ActionResult({"VpcBlockPublicAccessOptions": _public_access(self.ec2_backend)})


def describe_vpc_block_public_access_exclusions(self: Any) -> ActionResult:
    """DescribeVpcBlockPublicAccessExclusions: none, for none can be made here."""
    self.error_on_dryrun()
    return ActionResult({"VpcBlockPublicAccessExclusions": []})


def _public_access(backend: Any) -> dict[str, Any]:
    mode = getattr(backend, "nk_public_access", "off")
    return {
        "AwsAccountId": backend.account_id, "AwsRegion": backend.region_name, "InternetGatewayBlockMode": mode,
        "State": "default-state" if mode == "off" else "update-complete", "ManagedBy": "account", "ExclusionsAllowed": "allowed",
    }  # fmt: skip


def _public_access_state(self: Any) -> dict[str, str]:
    return {"InternetGatewayBlockMode": getattr(self.ec2_backend, "nk_public_access", "off")}


def describe_network_interfaces(self: Any) -> ActionResult:
    """DescribeNetworkInterfaces, with the public address beside the private one that it belongs to."""
    self.error_on_dryrun()
    found = self.ec2_backend.get_all_network_interfaces(
        self._get_param("NetworkInterfaceIds", []), self._filters_from_querystring()
    )
    for one in found:
        for address in one.private_ip_addresses:
            own = one.public_ip and address.get("PrivateIpAddress") == one.private_ip_address
            address.pop("Association", None)
            if own:
                address["Association"] = one.association
    return ActionResult({"NetworkInterfaces": found})


def _groups_of(self: NetworkInterface) -> Any:
    """An interface has its own groups; moto adds those that its instance was started with, even after they were replaced."""
    return self._group_set or (set(self.instance.security_groups) if self.instance else [])


def _entries(self: NetworkAcl) -> list[Any]:
    """Entries as AWS lists them: outbound first, each direction by number."""
    return sorted(self.network_acl_entries, key=lambda one: (not one.egress, int(one.rule_number)))


def _peering_info(side: str) -> property:
    before = getattr(VPCPeeringConnection, f"{side}_vpc_info").fget
    attribute = {"requester": "vpc", "accepter": "peer_vpc"}[side]

    def info(self: VPCPeeringConnection) -> dict[str, Any]:
        held = getattr(self, attribute).get_cidr_block_association_set(ipv6=False)
        blocks = [{"CidrBlock": one["cidr_block"]} for one in held]
        return {**before(self), "CidrBlockSet": blocks}

    return property(info)


def _route_state(self: Route) -> str:
    """active, or blackhole when the target of the route is gone or not usable."""
    backend = self.route_table.ec2_backend
    vpc = self.route_table.vpc_id
    targets: tuple[tuple[Any, Callable[[Any], bool]], ...] = (
        (self.gateway, lambda one: _gateway_works(backend, one, vpc)),
        (self.nat_gateway, lambda one: one.state in ("available", "pending")),
        (self.vpc_pcx, lambda one: one.status["Code"] == "active"),
        (self.transit_gateway, lambda one: _attached(backend, one.id, vpc)),
        (self.interface, lambda one: one.id in backend.enis and one.status == "in-use"),
        (self.instance, lambda one: one.state == "running"),
        (self.egress_only_igw, lambda one: one.id in backend.egress_only_internet_gateways),
    )
    return "active" if all(works(target) for target, works in targets if target) else "blackhole"


def _gateway_works(backend: Any, gateway: Any, vpc: str) -> bool:
    if gateway.id.startswith("igw-"):
        return gateway.id in backend.internet_gateways and bool(gateway.vpc) and gateway.vpc.id == vpc
    if gateway.id.startswith("vpce-"):
        return bool(gateway.state == "available")
    return gateway.id in backend.vpn_gateways and vpc in gateway.attachments


def _attached(backend: Any, transit: str, vpc: str) -> bool:
    return any(
        one.transit_gateway_id == transit and one.resource_id == vpc and one.state == "available"
        for one in backend.transit_gateway_attachments.values()
    )


# -------------------------------------------------------------------------------------------------- transit gateways


def _association(self: TransitGatewayAttachment) -> dict[str, str] | None:
    held = self._association_data
    if self.state != "available" or not held:
        return None
    return {"State": "associated", "TransitGatewayRouteTableId": held["transitGatewayRouteTableId"]}


def _tables_of_gateway(create: Callable[..., Any]) -> Callable[..., Any]:
    """A VPC attachment goes to the default tables only where the gateway's options say so."""

    @functools.wraps(create)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = create(self, *args, **kwargs)
        gateway = self.transit_gateways[made.transit_gateway_id]
        self.unset_route_table_association(gateway.default_route_table.id, made.id)
        if gateway.options["DefaultRouteTableAssociation"] == "enable":
            self.associate_transit_gateway_route_table(made.id, gateway.options["AssociationDefaultRouteTableId"])
        if gateway.options["DefaultRouteTablePropagation"] == "enable":
            table = gateway.options["PropagationDefaultRouteTableId"]
            self.enable_transit_gateway_route_table_propagation(made.id, table)
        return made

    return wrapped


def associate_transit_gateway_route_table(self: Any) -> ActionResult:
    """AssociateTransitGatewayRouteTable: refused for what is not there, and for an attachment that has a table."""
    backend, attachment, table = self.ec2_backend, self._get_param("TransitGatewayAttachmentId"), self._transit_table()
    if attachment not in backend.transit_gateway_attachments:
        raise Refused(
            "InvalidTransitGatewayAttachmentID.NotFound", f"Transit Gateway Attachment {attachment} was deleted or does not exist."
        )  # fmt: skip
    if _association(backend.transit_gateway_attachments[attachment]):
        raise Refused(
            "Resource.AlreadyAssociated", f"Transit Gateway Attachment {attachment} is already associated to a route table."
        )  # fmt: skip
    self.error_on_dryrun()
    return ActionResult({"Association": backend.associate_transit_gateway_route_table(attachment, table)})


def _transit_table(self: Any) -> str:
    table = str(self._get_param("TransitGatewayRouteTableId"))
    if table not in self.ec2_backend.transit_gateways_route_tables:
        raise Refused(
            "InvalidRouteTableID.NotFound", f"Transit Gateway Route Table {table} was deleted or does not exist."
        )
    return table


def describe_transit_gateway_vpc_attachments(self: Any) -> ActionResult:
    """DescribeTransitGatewayVpcAttachments: those of VPCs only."""
    found = self.ec2_backend.describe_transit_gateway_vpc_attachments(
        transit_gateways_attachment_ids=self._get_param("TransitGatewayAttachmentIds", []),
        filters=self._filters_from_querystring(),
    )
    return ActionResult({"TransitGatewayVpcAttachments": [one for one in found if one.resource_type == "vpc"]})


def search_transit_gateway_routes(self: Any) -> ActionResult:
    """SearchTransitGatewayRoutes: static and propagated routes; a static route hides the same propagated block."""
    backend, table = self.ec2_backend, self._transit_table()
    filters = self._filters_from_querystring()
    if not filters:
        raise Refused("MissingParameter", "The request must contain the parameter Filters")
    routes = [one for one in _transit_routes(backend, table) if _wanted(one, filters)]
    most = int(self._get_param("MaxResults") or 1000)
    return ActionResult({"Routes": routes[:most], "AdditionalRoutesAvailable": len(routes) > most})


def _transit_routes(backend: Any, table: str) -> list[dict[str, Any]]:
    held = backend.transit_gateways_route_tables[table]
    routes: dict[str, dict[str, Any]] = {}
    for block, row in held.routes.items():
        target = (row.get("transitGatewayAttachments") or {}).get("transitGatewayAttachmentId")
        works = target in backend.transit_gateway_attachments and row["state"] == "active"
        routes[block] = _transit_route(backend, block, "static", target, works)
    for one in held.route_table_propagation:
        vpc = backend.vpcs.get(one.resourceId)
        if vpc is None or one.transitGatewayAttachmentId not in backend.transit_gateway_attachments:
            continue
        for cidr in vpc.get_cidr_block_association_set(ipv6=False):
            block = cidr["cidr_block"]
            routes.setdefault(block, _transit_route(backend, block, "propagated", one.transitGatewayAttachmentId, True))
    return [routes[block] for block in sorted(routes, key=ipaddress.ip_network)]


def _transit_route(backend: Any, block: str, kind: str, target: str | None, works: bool) -> dict[str, Any]:
    route: dict[str, Any] = {"DestinationCidrBlock": block, "Type": kind, "State": "active" if works else "blackhole"}
    one = backend.transit_gateway_attachments.get(target)
    if one is not None:
        route["TransitGatewayAttachments"] = [
            {"ResourceId": one.resource_id, "ResourceType": one.resource_type, "TransitGatewayAttachmentId": one.id}
        ]
    return route


def _wanted(route: dict[str, Any], filters: dict[str, Any]) -> bool:
    """Whether a route passes the filters that SearchTransitGatewayRoutes has. Raises Refused for one that it has not."""
    block = ipaddress.ip_network(route["DestinationCidrBlock"])
    attachment = (route.get("TransitGatewayAttachments") or [{}])[0]
    plain = {
        "type": route["Type"], "state": route["State"], "route-search.exact-match": str(block),
        "attachment.transit-gateway-attachment-id": attachment.get("TransitGatewayAttachmentId"),
        "attachment.resource-id": attachment.get("ResourceId"), "attachment.resource-type": attachment.get("ResourceType"),
    }  # fmt: skip
    for name, values in filters.items():
        nets = [ipaddress.ip_network(one, strict=False) for one in values] if name.startswith("route-search.") else []
        shaped = {
            "route-search.subnet-of-match": any(block.subnet_of(one) for one in nets),  # type: ignore[arg-type]
            "route-search.supernet-of-match": any(block.supernet_of(one) for one in nets),  # type: ignore[arg-type]
        }
        if name in shaped:
            fits = shaped[name]
        elif name in plain:
            fits = plain[name] in values
        else:
            raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")
        if not fits:
            return False
    return True


# ------------------------------------------------------------------------------------------------ changes and refusals


def create_route(self: Any) -> ActionResult:
    """CreateRoute: refused for a target that is not there, and for a gateway endpoint, which ModifyVpcEndpoint routes."""
    backend = self.ec2_backend
    if str(self._get_param("GatewayId") or "").startswith("vpce-"):
        raise Refused("InvalidParameterValue", "a route to a gateway endpoint is added with ModifyVpcEndpoint")
    for name, code, held in (
        ("NatGatewayId", "NatGatewayNotFound", backend.nat_gateways),
        ("TransitGatewayId", "InvalidTransitGatewayID.NotFound", backend.transit_gateways),
    ):
        wanted = self._get_param(name)
        if wanted and wanted not in held:
            raise Refused(code, f"The {name} {wanted} does not exist")
    backend.get_route_table(self._get_param("RouteTableId"))
    self.error_on_dryrun()
    return _MOTO["create_route"](self)  # type: ignore[no-any-return]


def create_network_acl_entry(self: Any) -> ActionResult:
    """CreateNetworkAclEntry: rule numbers 1 to 32766; the code for a doubled number is moto's, which is AWS's."""
    self.ec2_backend.get_network_acl(self._get_param("NetworkAclId"))
    number = int(self._get_param("RuleNumber"))
    if not 1 <= number <= 32766:
        raise Refused("InvalidParameterValue", f"Value ({number}) for parameter ruleNumber is invalid. It must be between 1 and 32766.")  # fmt: skip
    self.error_on_dryrun()
    return _MOTO["create_network_acl_entry"](self)  # type: ignore[no-any-return]


def delete_network_acl_entry(self: Any) -> ActionResult:
    """DeleteNetworkAclEntry: refused for an entry that is not there."""
    acl = self.ec2_backend.get_network_acl(self._get_param("NetworkAclId"))
    number, egress = int(self._get_param("RuleNumber")), str2bool(self._get_param("Egress"))
    if not any((one.rule_number, one.egress) == (number, egress) for one in acl.network_acl_entries):
        raise Refused(
            "InvalidNetworkAclEntry.NotFound",
            f"The network acl entry '{number}' in network acl '{acl.id}' does not exist",
        )
    self.error_on_dryrun()
    self.ec2_backend.delete_network_acl_entry(acl.id, number, egress)
    return EmptyResult()


def _with_last_rules(create: Callable[..., Any]) -> Callable[..., Any]:
    """A network ACL has its last rule, which denies, from the start; moto gives it to the default ones only."""

    @functools.wraps(create)
    def wrapped(self: Any, vpc_id: str, tags: Any = None, default: bool = False) -> Any:
        made = create(self, vpc_id, tags, default)
        for egress in () if default else (True, False):
            self.create_network_acl_entry(
                made.id, 32767, "-1", "deny", egress, "0.0.0.0/0", None, None, None, None, None
            )
        return made

    return wrapped


def _with_own_members(create: Callable[..., Any]) -> Callable[..., Any]:
    """A VPC's default group lets its own members in."""

    @functools.wraps(create)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = create(self, *args, **kwargs)
        if kwargs.get("is_default"):
            self.authorize_security_group_ingress(
                made.id, "-1", None, None, [], source_groups=[{"GroupId": made.id}], vpc_id=made.vpc_id
            )
        return made

    return wrapped


def _with_routes(modify: Callable[..., Any]) -> Callable[..., Any]:
    """ModifyVpcEndpoint writes the route to a gateway endpoint into the tables that it adds, and takes it out of others."""

    @functools.wraps(modify)
    def wrapped(self: Any, vpc_id: str, *args: Any, **kwargs: Any) -> None:
        endpoint = self.get_vpc_end_point(vpc_id)
        for table in kwargs.get("add_route_tables") or []:
            self.get_route_table(table)
        modify(self, vpc_id, *args, **kwargs)
        if not endpoint.destination_prefix_list_id:
            return
        for table in self.route_tables.values():
            has = any(route.gateway is endpoint for route in table._routes.values())
            if table.id in endpoint.route_table_ids and not has:
                self.create_route(
                    table.id,
                    None,
                    gateway_id=endpoint.id,
                    destination_prefix_list_id=endpoint.destination_prefix_list_id,
                )
            elif has and table.id not in endpoint.route_table_ids:
                self.delete_route(table.id, endpoint.destination_prefix_list_id)

    return wrapped


def _with_instance(modify: Callable[..., Any]) -> Callable[..., Any]:
    """The groups of an instance are those of its first interface."""

    @functools.wraps(modify)
    def wrapped(self: Any, eni_id: str, group_ids: list[str], *args: Any, **kwargs: Any) -> None:
        modify(self, eni_id, group_ids, *args, **kwargs)
        eni = self.get_network_interface(eni_id)
        if group_ids and eni.instance and not eni.device_index:
            eni.instance.security_groups = list(eni._group_set)

    return wrapped


def _with_interfaces(create: Callable[..., Any]) -> Callable[..., Any]:
    """An interface endpoint's interfaces have addresses of their subnets, and the endpoint's security groups."""

    @functools.wraps(create)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = create(self, *args, **kwargs)
        for name in made.network_interface_ids:
            eni = self.enis[name]
            eni.private_ip_address = eni.subnet.get_available_subnet_ip(eni)
            eni.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": eni.private_ip_address}]
            eni.status, eni.interface_type, eni.requester_managed = "in-use", "vpc_endpoint", True
            eni.description = f"VPC Endpoint Interface {made.id}"
            groups = [self.get_security_group_from_id(one) for one in made.security_group_ids]
            eni._group_set = groups or eni._group_set
        return made

    return wrapped


def _of_one(describe: Callable[..., Any]) -> Callable[..., Any]:
    """Tags of one resource are asked for with every description; moto looks through those of all resources each time."""

    @functools.wraps(describe)
    def wrapped(self: Any, filters: dict[str, list[str]] | None = None) -> Any:
        ids = (filters or {}).get("resource-id", [])
        if not filters or len(filters) > 1 or len(ids) != 1 or set("*?") & set(ids[0]):
            return describe(self, filters)
        held = self.tags.get(ids[0], {})
        kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(ids[0]), "")
        return [
            {"resource_id": ids[0], "key": key, "value": value, "resource_type": kind} for key, value in held.items()
        ]

    return wrapped


def _with_interface(create: Callable[..., Any]) -> Callable[..., Any]:
    """A NAT gateway's interface has an address of its subnet, and no security group."""

    @functools.wraps(create)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = create(self, *args, **kwargs)
        eni = made._eni
        eni.private_ip_address = self.get_subnet(made.subnet_id).get_available_subnet_ip(eni)
        eni.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": eni.private_ip_address}]
        eni.status, eni.interface_type, eni.requester_managed, eni._group_set = "in-use", "nat_gateway", True, []
        eni.description = f"Interface for NAT Gateway {made.id}"
        made.address_set[0]["privateIp"] = eni.private_ip_address
        return made

    return wrapped


def _with_known_ids(create: Callable[..., Any]) -> Callable[..., Any]:
    """AWS's own prefix lists have the same id in every account."""

    @functools.wraps(create)
    def wrapped(self: Any) -> None:
        create(self)
        for one in list(self.managed_prefix_lists.values()):
            if one.prefix_list_name == f"com.amazonaws.{self.region_name}.s3":
                one.entries[1] += [{"Cidr": block, "Description": "default"} for block in MORE_OF_S3]
            known = PREFIX_LISTS.get(one.prefix_list_name)
            if known:
                del self.managed_prefix_lists[one.id]
                one.id, one.prefix_list_arn = known, one.prefix_list_arn.replace(one.id, known)
                self.managed_prefix_lists[known] = one

    return wrapped


def _dry(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(self: Any) -> Any:
        self.error_on_dryrun()
        return method(self)

    return wrapped


_MOTO: dict[str, Any] = {}  # moto's own, by name: install() may run more than once in a process
_CALLS = (
    describe_prefix_lists, get_managed_prefix_list_entries, describe_vpc_block_public_access_options,
    modify_vpc_block_public_access_options, describe_vpc_block_public_access_exclusions, describe_network_interfaces,
    associate_transit_gateway_route_table, describe_transit_gateway_vpc_attachments, search_transit_gateway_routes, create_route,
    create_network_acl_entry, delete_network_acl_entry, _transit_table,
)  # fmt: skip
_WRAPPED: tuple[tuple[type, str, Callable[..., Any]], ...] = (
    (TransitGatewayAttachmentBackend, "create_transit_gateway_vpc_attachment", _tables_of_gateway),
    (NetworkAclBackend, "create_network_acl", _with_last_rules),
    (SecurityGroupBackend, "create_security_group", _with_own_members),
    (VPCBackend, "create_vpc_endpoint", _with_interfaces),
    (VPCBackend, "modify_vpc_endpoint", _with_routes),
    (NetworkInterfaceBackend, "modify_network_interface_attribute", _with_instance),
    (ManagedPrefixListBackend, "create_default_pls", _with_known_ids),
    (TagBackend, "describe_tags", _of_one),
    (NatGatewayBackend, "create_nat_gateway", _with_interface),
)


def install() -> None:
    """Put these in place of moto's, once."""
    if _MOTO:
        return
    for name in _NO_DRY_RUN:
        _MOTO[name] = getattr(EC2Response, name)
        setattr(EC2Response, name, _dry(_MOTO[name]))
    for call in _CALLS:
        setattr(EC2Response, call.__name__, call)
    for owner, name, wrap in _WRAPPED:
        setattr(owner, name, wrap(getattr(owner, name)))
    # moto's Elastic IP addresses are in 127.0.0.0/8
    elastic_ip_addresses.random_ip = random_public_ip  # type: ignore[attr-defined]
    for side in ("requester", "accepter"):
        setattr(VPCPeeringConnection, f"{side}_vpc_info", _peering_info(side))
    for kind in (VPC, Subnet):
        kind.block_public_access_states = property(_public_access_state)  # type: ignore[union-attr]
    Route.state = property(_route_state)  # type: ignore[method-assign,assignment]
    NetworkAcl.entries = property(_entries)  # type: ignore[method-assign,assignment]
    NetworkInterface.group_set = property(_groups_of)  # type: ignore[method-assign,assignment]
    TransitGatewayAttachment.association = property(_association)  # type: ignore[method-assign,assignment]
