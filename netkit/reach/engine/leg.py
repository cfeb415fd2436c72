"""One direction of a path while it is walked: the packets, the hops so far, and what a filter does to them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from netkit.core.model import Blocker, Header, Hop, Rule, Unknown
from netkit.core.net import ICMP, TCP, UDP
from netkit.core.packets import ANY_ADDRESS, ANY_PORT, Packets, Span, blocks, port_text, service_text
from netkit.reach.network.ends import End
from netkit.reach.network.filters import Decision
from netkit.reach.network.firewall import Judged
from netkit.reach.network.network import Network
from netkit.reach.network.records import Address, Interface, Nat, Subnet

REMAPPED: Span = (1024, 65535)  # ports that NAT gateways and load balancers use (facts 6.3, REMAP_EPHEMERAL_PORT)
HOPS_AT_MOST = 64


@dataclass(frozen=True)
class Place:
    """Where the packets are when a route table is asked."""

    vpc: str
    subnet: Subnet | None = None
    interface: Interface | None = None
    nat: Nat | None = None


@dataclass(frozen=True)
class Translation:
    """What a NAT gateway did on the way there, so that the replies are turned back."""

    nat: Nat
    outside: int
    before: Packets
    crossed: tuple[str, ...]


@dataclass
class Leg:
    """One direction. asked: the packets as if no filter had stopped any; live: those that really get on.

    goal     the end to get to; home: the end that the packets come from
    way      forward, or return
    crossed  the gateways on the way, by kind; arrived: where it ended, "" while it has not
    one_way  no replies are asked for
    ports_why  why the client's ports are taken to be what they are, "" when they were given
    inspected  firewall -> the endpoint that the connection began through, and what was judged of it; returned: those the replies pass
    landed   transit gateway attachment -> the zone in which the way there came off it
    rests    of the replies: (network ACL, ports, why these) where not every port gets through, so that the range counts
    """

    network: Network
    way: str
    home: End
    goal: End
    asked: Packets
    live: Packets
    hops: list[Hop] = field(default_factory=list)
    blockers: list[Blocker] = field(default_factory=list)
    unknowns: list[Unknown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    translations: list[Translation] = field(default_factory=list)
    arrived: str = ""
    at: str = ""  # the component at which it arrived
    vpc: str = ""
    end: Interface | None = None
    partial: list[str] = field(default_factory=list)
    assumed: bool = False
    inner_back: list[Hop] = field(default_factory=list)  # replies from a load balancer's target to the load balancer
    let_by: dict[str, str] = field(default_factory=dict)  # interface -> the group that let the packets through
    one_way: bool = False
    ports_why: str = ""
    rests: list[tuple[str, Span, str]] = field(default_factory=list)
    inspected: dict[str, tuple[str, Judged]] = field(default_factory=dict)
    returned: list[str] = field(default_factory=list)
    landed: dict[str, str] = field(default_factory=dict)

    @property
    def forward(self) -> bool:
        """Whether this is the way there."""
        return self.way == "forward"

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.asked.family

    @property
    def destination(self) -> Address | None:
        """The one destination address, or None when there are many."""
        spans = self.asked.spans("destination")
        return (self.family, spans[0][0]) if len(spans) == 1 and spans[0][0] == spans[0][1] else None

    @property
    def source(self) -> Address | None:
        """The one source address, or None when there are many."""
        spans = self.asked.spans("source")
        return (self.family, spans[0][0]) if len(spans) == 1 and spans[0][0] == spans[0][1] else None

    def fork(self) -> Leg:
        """A copy that goes its own way."""
        return replace(
            self,
            hops=list(self.hops),
            blockers=list(self.blockers),
            unknowns=list(self.unknowns),
            notes=list(self.notes),
            crossed=list(self.crossed),
            translations=list(self.translations),
            partial=list(self.partial),
            rests=list(self.rests),
            inspected=dict(self.inspected),
            returned=list(self.returned),
            landed=dict(self.landed),
        )

    def hop(self, component: str, kind: str, **more: object) -> None:
        """Write down a hop."""
        details = ("assumed to get here",) if self.assumed else ()
        self.hops.append(Hop(component, kind, details=details, **more))  # type: ignore[arg-type]

    def block(
        self,
        component: str,
        code: str,
        because: str,
        *,
        direction: str = "",
        rule: Rule | None = None,
        where: str = "",
        components: tuple[str, ...] = (),
    ) -> None:
        """Write down a blocker, and mark the hop at which it stands."""
        self.blockers.append(
            Blocker(component, direction, code, rule, because, self.way, where, components or (component,))
        )
        if self.hops and self.hops[-1].component == component:
            self.hops[-1] = replace(self.hops[-1], blocked=True, codes=(*self.hops[-1].codes, code))

    def unseen(self, table: str, vpc: str, component: str) -> bool:
        """Whether something that is not in the snapshot may yet be in a VPC; then it is written down as lacking."""
        if self.network.whole(table, vpc):
            return False
        self.lacks(table, component, vpc in self.network.vpcs and self.network.home(vpc) is None)
        return True

    def lacks(self, table: str, component: str, shared: bool = False) -> None:
        """Write down that a component cannot be looked up. shared: it is in a VPC that another account owns and shares."""
        if shared:
            why = f"{component} is needed, and who takes part in a shared VPC is not shown what others have in it: collect its owner's account too"
            self.unknowns.append(Unknown(table, why, "UNKNOWN_RESOURCE"))
        elif self.network.known(table):
            self.unknowns.append(Unknown(component, f"{component} is not in the snapshot", "UNKNOWN_RESOURCE"))
        else:
            damaged = self.network.damaged.get(table)
            why = (
                f"the table holds records that cannot be read ({damaged[0]})"
                if damaged
                else "the table was not collected"
            )
            self.unknowns.append(Unknown(table, f"{why}, and {component} is needed", "UNKNOWN_RESOURCE"))

    def rewrite(self, **spans: Span) -> None:
        """Translate addresses or ports, of both sets."""
        self.asked, self.live = self.asked.with_span(**spans), self.live.with_span(**spans)

    def narrow(self, **spans: Span) -> None:
        """Keep the packets whose named dimensions lie in the spans."""
        self.asked, self.live = self.asked.within(**spans), self.live.within(**spans)

    def arrive(self, kind: str, at: str, vpc: str = "", end: Interface | None = None) -> None:
        """The packets are there."""
        self.arrived, self.at, self.vpc, self.end = kind, at, vpc, end

    def header(self) -> Header:
        """The packets as they are here."""
        return self.asked.header()

    def who(self) -> tuple[str, str]:
        """Source and destination, for a sentence: the end itself where it stands for many addresses."""
        told = []
        for name, end in (("source", self.home), ("destination", self.goal)):
            spans = self.asked.spans(name)
            many = len(spans) > 2 or sum(high - low for low, high in spans) > 1 << 16
            told.append(
                f"any address of {end.given}".replace("any address of internet", "the internet")
                if many and end.wide
                else some_addresses(spans, self.family)
            )
        return told[0], told[1]

    def service(self) -> str:
        """Protocol and port, for a sentence; of the replies: from which port to which."""
        if not self.asked.boxes:
            return "nothing"
        box = self.asked.boxes[0]
        if self.forward or box.protocol not in ((TCP, TCP), (UDP, UDP)):
            return service_text(box.protocol, box.port)
        return f"replies ({service_text(box.protocol, box.source_port)} to port {port_text(box.port)})"


def some_addresses(spans: Sequence[Span], family: int) -> str:
    """A few addresses for a sentence."""
    texts = [text for span in spans[:2] for text in blocks(span, family)]
    if not texts:
        return "nowhere"
    if len(spans) > 2 or len(texts) > 2:
        return "any such address"
    return " or ".join(text.removesuffix("/32").removesuffix("/128") for text in texts)


def asks(packets: Packets, forward: bool) -> Packets:
    """What has to get through whole: protocols and ports asked for, whatever the addresses and the client's port."""
    wide = ANY_ADDRESS[packets.family]
    if forward:
        return packets.with_span(source=wide, destination=wide, source_port=ANY_PORT)
    icmp = [box for box in packets.boxes if box.protocol[0] == box.protocol[1] and box.protocol[0] in (ICMP, 58)]
    ports = [box for box in packets.boxes if box not in icmp]
    return Packets.of(
        packets.family,
        [box._replace(source=wide, destination=wide, source_port=ANY_PORT) for box in icmp]
        + [box._replace(source=wide, destination=wide, port=ANY_PORT) for box in ports],
    )


def filtered(
    leg: Leg,
    decide: Callable[[Packets], Decision],
    whole: Decision,
    sentence: str,
    *,
    component: str,
    direction: str,
    where: str,
    components: tuple[str, ...] = (),
) -> None:
    """Put the packets through a filter: it blocks when it keeps back a protocol or port, by itself or with those before it.

    whole is decide(leg.asked); the last hop is the filter's.
    """
    before = leg.live
    need = asks(leg.asked, leg.forward)
    fits = whole.allowed is leg.asked or asks(whole.allowed, leg.forward).covers(need)
    alone = fits or asks(whole.possible, leg.forward).covers(need)
    if not fits and alone:
        leg.unknowns.extend(whole.unknowns)
    passed = before if whole.possible is leg.asked else before & whole.possible
    still = passed is before or not asks(before, leg.forward).covers(need) or asks(passed, leg.forward).covers(need)
    leg.hops[-1] = replace(
        leg.hops[-1], rule=(whole.allow or whole.deny) if alone and still else (whole.deny or whole.allow)
    )
    if not alone or not still:
        leg.block(
            component,
            whole.code or ("SUBNET_ACL_RESTRICTION" if component.startswith("acl-") else "ENI_SG_RULES_MISMATCH"),
            sentence + _let_through(whole.possible, leg),
            direction=direction,
            rule=whole.deny,
            where=where,
            components=components,
        )
    elif not leg.forward and passed is not before and not passed.covers(before):
        leg.partial.append(f"{component} lets replies through to {_ports(passed)} only")
    leg.live = passed


def _let_through(possible: Packets, leg: Leg) -> str:
    found = sorted({service_text(box.protocol, box.port if leg.forward else box.source_port) for box in possible.boxes})
    return f"; of what was asked it lets through only {', '.join(found[:4])}" if found else ""


def _ports(packets: Packets) -> str:
    return "ports " + ", ".join(port_text(span) for span in packets.spans("port"))


def named(component: str, name: str) -> str:
    """A component with its name, for a sentence."""
    return f"{component} ({name})" if name and name != component else component
