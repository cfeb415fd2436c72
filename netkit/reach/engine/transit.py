"""Over transit gateways: attachments, their route tables, and off again into a VPC (facts 6.9). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netkit.core.model import Rule, Unknown
from netkit.reach.engine.leg import HOPS_AT_MOST, Leg, Place, named
from netkit.reach.engine.walk import acl_for, into_vpc, leads_to, route_from, table_for, through_acl, to_edge
from netkit.reach.network.records import Attachment, Route, Subnet, TransitRoute

# --- transit gateways


@leads_to("tgw")
def _transit(leg: Leg, place: Place, route: Route) -> None:
    """Onto a transit gateway: an attachment with a subnet in this zone, its subnet's ACL, its route table (facts 6.9)."""
    network = leg.network
    transit = network.transits.get(route.target)
    if leg.goal.id == route.target:
        leg.hop(route.target, "transit-gateway")
        leg.arrive("edge", route.target, place.vpc)
        return
    if transit is None:
        leg.lacks("TransitGateways", route.target)
        return
    if not network.known("TransitGatewayAttachments"):
        leg.lacks("TransitGatewayAttachments", f"the attachment of {place.vpc} to {transit.id}")
        return
    held = network.vpc_attachments.get((transit.id, place.vpc), ())
    attachment = next((one for one in held if one.state == "available"), held[0] if held else None)
    if attachment is None:
        if leg.unseen("TransitGatewayAttachments", place.vpc, f"the attachment of {place.vpc} to {transit.id}"):
            return
        leg.block(
            transit.id, "UNASSOCIATED_COMPONENT", f"{place.vpc} is not attached to {named(transit.id, transit.name)}"
        )
        return
    _onto_transit(leg, place, attachment)
    if leg.goal.id == attachment.id:
        leg.arrive("edge", attachment.id, place.vpc)
        return
    leg.hop(transit.id, "transit-gateway", name=transit.name)
    leg.crossed.append(f"tgw:{transit.id}")
    if transit.state != "available":
        leg.block(transit.id, "BAD_STATE", f"{named(transit.id, transit.name)} is {transit.state}, not available")
    transit_table(leg, attachment, place.subnet.az if place.subnet else "")


def _onto_transit(leg: Leg, place: Place, attachment: Attachment) -> None:
    network = leg.network
    if attachment.subnets is None:
        leg.lacks("TransitGatewayVpcAttachments", f"the subnets of {attachment.id}")
    else:
        subnets = [network.subnets[one] for one in attachment.subnets if one in network.subnets]
        if len(subnets) < len(attachment.subnets):
            leg.lacks("Subnets", f"a subnet of {attachment.id}")
        near = [one for one in subnets if place.subnet and one.az == place.subnet.az]
        for subnet in near[:1]:
            through_acl(leg, subnet, False)
        leg.hop(attachment.id, "transit-gateway-attachment", name=attachment.name, vpc=place.vpc, direction="ingress")
        if not near and len(subnets) == len(attachment.subnets):
            zone = place.subnet.az if place.subnet else "this zone"
            leg.block(
                attachment.id,
                "TGW_ROUTE_AZ_RESTRICTION",
                f"{named(attachment.id, attachment.name)} has no subnet in {zone}, where the packets come from",
                where=place.subnet.id if place.subnet else place.vpc,
            )
    leg.crossed.append(f"tgw-attach:{attachment.id}")
    if attachment.state != "available":
        leg.block(
            attachment.id,
            "BAD_STATE_ATTACHMENT",
            f"{named(attachment.id, attachment.name)} is {attachment.state}, not available",
        )


def transit_table(leg: Leg, came: Attachment, zone: str) -> None:
    """Look the destination up in the route table that an attachment is associated with."""
    network = leg.network
    if came.table is None:
        leg.lacks("TransitGatewayAttachments", f"the association of {came.id}")
        return
    if not came.table:
        leg.block(
            came.id,
            "TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION",
            f"{named(came.id, came.name)} is associated with no transit gateway route table, so what it sends is dropped",
        )
        return
    if came.table in network.transit_gaps or came.table not in network.transit_routes:
        why = network.transit_gaps.get(came.table, "its routes were not collected")
        leg.unknowns.append(Unknown("TransitGatewayRoutes", f"{came.table}: {why}", "TGW_RTB_ROUTES_ARE_UNKNOWN"))
        return
    route, unknown = _transit_route(leg, came.table)
    if unknown:
        leg.unknowns.append(
            Unknown(
                "ManagedPrefixListEntries",
                f"the entries of {unknown}, which {came.table} routes by, are not in the snapshot",
                "UNKNOWN_RESOURCE",
            )
        )
        return
    _, destination = leg.who()
    rule = (
        Rule(
            "tgw-route",
            peer=route.text,
            target=route.attachment,
            state=route.state,
            origin="static" if route.static else "propagated",
        )
        if route
        else None
    )
    leg.hop(came.table, "transit-gateway-route-table", rule=rule)
    if route is None:
        leg.block(
            came.table,
            "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT",
            f"transit gateway route table {came.table} has no route to {destination}",
        )
    elif route.state != "active":
        leg.block(
            came.table, "TGW_RTB_BAD_STATE_ROUTE", f"the route {route.text} of {came.table} is a black hole", rule=rule
        )
    else:
        _off_transit(leg, came, route, zone)


def _transit_route(leg: Leg, table: str) -> tuple[TransitRoute | None, str]:
    """The longest match, static before prefix list before propagated (facts 6.9); or the prefix list that is not known."""
    network = leg.network
    spans = leg.asked.spans("destination")
    best: tuple[tuple[int, int], TransitRoute] | None = None
    for route in network.transit_routes[table]:
        if route.prefix_list and route.prefix_list not in network.prefix_lists:
            return None, route.prefix_list
        for family, low, high in (route.block,) if route.block else network.prefix_lists[route.prefix_list]:
            rank = (high - low, 1 if route.prefix_list else 0 if route.static else 2)
            if (
                family == leg.family
                and low <= spans[0][0]
                and spans[-1][1] <= high
                and (best is None or rank < best[0])
            ):
                best = rank, route
    return (best[1] if best else None), ""


def _off_transit(leg: Leg, came: Attachment, route: TransitRoute, zone: str) -> None:
    network = leg.network
    to = network.attachments.get((came.transit, route.attachment))
    if to:
        check_vpn(leg, to)
    if route.attachment == leg.goal.id:
        leg.hop(route.attachment, "transit-gateway-attachment", direction="egress")
        leg.arrive("edge", route.attachment)
        return
    if to is None:
        leg.lacks("TransitGatewayAttachments", route.attachment or f"the attachment of {route.text}")
    elif to.kind == "vpn" and leg.blockers and leg.blockers[-1].component == to.id:
        return
    elif to.kind == "vpc":
        leave_transit(leg, to, zone)
    elif to.kind == "peering" and (
        far := next(
            (one for (transit, name), one in network.attachments.items() if name == to.id and transit != to.transit),
            None,
        )
    ):
        leg.hop(to.id, "transit-gateway-attachment", name=to.name, direction="egress")
        leg.hop(far.transit, "transit-gateway")
        leg.crossed.append(f"tgw-peering:{to.id}")
        if len(leg.hops) > HOPS_AT_MOST:
            leg.block(far.transit, "NO_PATH", f"the packets go round in circles through {far.transit}")
            return
        transit_table(leg, far, "")
    else:
        to_edge(
            leg,
            to.id,
            "transit-gateway-attachment",
            f"what lies beyond this {to.kind} attachment ({to.resource}) is not modelled",
        )


def check_vpn(leg: Leg, attachment: Attachment) -> None:
    """A VPN attachment passes nothing while its connection is not available or all its tunnels are down."""
    if attachment.kind != "vpn":
        return
    vpn = leg.network.vpns.get(attachment.resource)
    if vpn is None:
        if attachment.id in (leg.goal.id, leg.home.id):  # on to anything beyond it nobody looks anyway
            leg.lacks("VpnConnections", attachment.resource)
        return
    if vpn.state == "available" and not vpn.down:
        return
    why = "all its tunnels were down when it was collected" if vpn.state == "available" else f"it is {vpn.state}"
    leg.hop(attachment.id, "transit-gateway-attachment", name=attachment.name)
    leg.block(attachment.id, "TGW_BAD_STATE_VPN", f"{named(attachment.id, attachment.name)} is {vpn.id}, and {why}")


def leave_transit(leg: Leg, attachment: Attachment, zone: str) -> None:
    """Off a transit gateway into a VPC: the attachment subnet's ACL outbound and its route table (facts 6.3, 6.9)."""
    network = leg.network
    leg.crossed.append(f"tgw-attach:{attachment.id}")
    leg.hop(
        attachment.id, "transit-gateway-attachment", name=attachment.name, vpc=attachment.resource, direction="egress"
    )
    if attachment.state != "available":
        leg.block(
            attachment.id,
            "BAD_STATE_ATTACHMENT",
            f"{named(attachment.id, attachment.name)} is {attachment.state}, not available",
        )
    if attachment.resource not in network.vpcs:
        leg.lacks("Vpcs", attachment.resource)
        return
    if attachment.subnets is None:
        leg.lacks("TransitGatewayVpcAttachments", f"the subnets of {attachment.id}")
        return
    held = [network.subnets[one] for one in attachment.subnets if one in network.subnets]
    if len(held) < len(attachment.subnets) or not held:
        leg.lacks("Subnets", f"a subnet of {attachment.id}")
        return
    if attachment.appliance:
        _one_zone(leg, attachment, held)
        zone = leg.landed.get(attachment.id, zone)
    subnet = _landing(leg, attachment, held, zone)
    leg.landed.setdefault(attachment.id, subnet.az)
    owner = network.owner(attachment.resource, leg.destination) if leg.destination else None
    if owner and owner.subnet == subnet.id:
        into_vpc(leg, attachment.resource, subnet)  # in the attachment's own subnet no ACL is asked
        return
    through_acl(leg, subnet, True)
    route_from(leg, Place(attachment.resource, subnet))


def _one_zone(leg: Leg, attachment: Attachment, held: Sequence[Subnet]) -> None:
    """In appliance mode both directions of a connection come in by one zone, of which only AWS's hash says which (facts 6.9)."""
    network = leg.network
    ways = set()
    for one in held:
        table = table_for(network, one)
        routes = [
            (
                route.text,
                network.firewalls[route.target].arn if route.target in network.firewalls else route.target,
                route.state,
            )
            for route in (table.routes if table else ())
        ]
        acl = acl_for(network, one)
        ways.add((acl.entries if acl else one.id, tuple(sorted(routes))))
    if len(ways) > 1:
        why = "in appliance mode any of its zones may be taken, and their network ACLs or route tables differ"
        leg.unknowns.append(Unknown(attachment.id, why, "UNKNOWN_RESOURCE"))


def _landing(leg: Leg, attachment: Attachment, held: Sequence[Subnet], zone: str) -> Subnet:
    """The attachment subnet by which packets come in: that of the zone they left from; else any, when all do the same."""
    near = [one for one in held if one.az == zone]
    if near:
        return near[0]
    network = leg.network
    kinds = {(getattr(acl_for(network, one), "id", ""), getattr(table_for(network, one), "id", "")) for one in held}
    if len(kinds) > 1:
        leg.unknowns.append(
            Unknown(
                attachment.id,
                "which of its subnets the packets come in by, whose network ACLs or route tables differ",
                "UNKNOWN_RESOURCE",
            )
        )
    return held[0]
