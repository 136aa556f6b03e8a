"""The network of an environment on AWS: zones, subnets, gateways and flow logs."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.network_args import NetworkArgs
from stackwright.infra.aws.network_endpoints import NetworkEndpoints, NetworkEndpointsArgs
from stackwright.infra.aws.network_flow_logs import NetworkFlowLogs, NetworkFlowLogsArgs
from stackwright.infra.components.results import NetworkResult
from stackwright.model.aws import subnets as plan

_EVERYWHERE, _EVERYWHERE_IPV6 = "0.0.0.0/0", "::/0"


@dataclass(frozen=True, kw_only=True)
class _Gateways:
    """Gateways of the network."""

    internet: aws.ec2.InternetGateway
    egress_only: aws.ec2.EgressOnlyInternetGateway | None
    #: Zone -> the gateway that its private subnet uses; empty without NAT.
    nat: Mapping[str, aws.ec2.NatGateway]


def ipv6_subnet(block: str, index: int) -> str:
    """Return the /64 at `index` of a VPC's block (a /56)."""
    first = int(ipaddress.IPv6Network(block).network_address)
    return str(ipaddress.IPv6Network((first + index * 2**64, 64)))


class Network(pulumi.ComponentResource):
    """A VPC with a public, a private and an isolated subnet in each zone.

    Isolated subnets have no route to the Internet. Nothing gets a public address automatically; the default security
    group and route table that AWS creates with a VPC allow nothing. Flow logs of all traffic are kept, encrypted.
    """

    vpc_id: pulumi.Output[str]
    cidr: pulumi.Output[str]
    #: The /56 that AWS assigned; None without IPv6.
    ipv6_cidr: pulumi.Output[str | None]
    #: In the order of the zones.
    public_subnet_ids: pulumi.Output[Sequence[str]]
    private_subnet_ids: pulumi.Output[Sequence[str]]
    isolated_subnet_ids: pulumi.Output[Sequence[str]]
    #: Kind -> zone -> id.
    subnet_ids: pulumi.Output[Mapping[str, Mapping[str, str]]]
    #: Zone -> id; for the routes of a peering or a VPN.
    private_route_table_ids: pulumi.Output[Mapping[str, str]]
    #: Public IPv4 addresses that hosts connect from, in the order of the zones; for partners' allow lists.
    nat_addresses: pulumi.Output[Sequence[str]]
    #: Zone -> id, for the zones that have a NAT gateway; for alarms.
    nat_gateway_ids: pulumi.Output[Mapping[str, str]]
    #: None without interface endpoints.
    endpoint_security_group_id: pulumi.Output[str | None]
    #: None without the endpoint `s3`.
    s3_endpoint_id: pulumi.Output[str | None]
    s3_prefix_list_id: pulumi.Output[str | None]
    flow_log_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Network", name, None, opts)
        self._args = args
        self._addresses: list[pulumi.Output[str]] = []
        self._nat_ids: dict[str, pulumi.Output[str]] = {}
        #: Kind and zone -> the reservations of addresses in the subnet.
        self._reservations: dict[tuple[str, str], list[aws.ec2.SubnetCidrReservation]] = {}
        vpc = self._create_vpc(name)
        subnets = self._create_subnets(name, vpc)
        gateways = self._create_gateways(name, vpc, subnets)
        private = {zone: self._create_private_routes(name, zone, vpc, gateways) for zone in args.zones}
        public = self._create_public_routes(name, vpc, gateways)
        isolated = self._create_route_table(name, "isolated", vpc)
        tables = {"public": dict.fromkeys(args.zones, public), "private": private}
        self._associate(name, subnets, tables | {"isolated": dict.fromkeys(args.zones, isolated)})
        endpoints = self._create_endpoints(name, vpc, subnets, [*private.values(), isolated])
        flow_logs = NetworkFlowLogs(
            f"{name}-flow-logs",
            NetworkFlowLogsArgs(
                context=args.context,
                vpc_id=vpc.id,
                kms_key_arn=args.kms_key_arn,
                retention_days=args.chosen_flow_log_days,
            ),
            self._child(),
        )
        self._set_outputs(vpc, subnets, private, endpoints, flow_logs)

    @property
    def nat_zones(self) -> Sequence[str]:
        """Return the zones that have a NAT gateway, which `nat_gateway_ids` knows only after they are created."""
        return self._args.nat_zones

    @property
    def result(self) -> NetworkResult:
        """Return the id of the network that the hosts are on."""
        return NetworkResult(name=self.vpc_id, cidr=self.cidr)

    def _set_outputs(
        self,
        vpc: aws.ec2.Vpc,
        subnets: Mapping[str, Mapping[str, aws.ec2.Subnet]],
        private: Mapping[str, aws.ec2.RouteTable],
        endpoints: NetworkEndpoints,
        flow_logs: NetworkFlowLogs,
    ) -> None:
        by_kind: Any = {
            kind: {zone: self._subnet_id(kind, zone, subnet) for zone, subnet in zones.items()}
            for kind, zones in subnets.items()
        }
        tables: Any = {zone: table.id for zone, table in private.items()}
        self.vpc_id = vpc.id
        self.cidr = vpc.cidr_block
        self.ipv6_cidr = vpc.ipv6_cidr_block if self._args.ipv6 else pulumi.Output.from_input(None)
        self.public_subnet_ids = pulumi.Output.all(*by_kind["public"].values())
        self.private_subnet_ids = pulumi.Output.all(*by_kind["private"].values())
        self.isolated_subnet_ids = pulumi.Output.all(*by_kind["isolated"].values())
        self.subnet_ids = pulumi.Output.from_input(by_kind)
        self.private_route_table_ids = pulumi.Output.from_input(tables)
        self.nat_addresses = pulumi.Output.all(*self._addresses)
        nat_ids: Any = self._nat_ids
        self.nat_gateway_ids = pulumi.Output.from_input(nat_ids)
        self.endpoint_security_group_id = endpoints.security_group_id
        self.s3_endpoint_id = endpoints.s3_endpoint_id
        self.s3_prefix_list_id = endpoints.s3_prefix_list_id
        self.flow_log_group_name = flow_logs.log_group_name
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "cidr": self.cidr,
                "ipv6Cidr": self.ipv6_cidr,
                "publicSubnetIds": self.public_subnet_ids,
                "privateSubnetIds": self.private_subnet_ids,
                "isolatedSubnetIds": self.isolated_subnet_ids,
                "subnetIds": self.subnet_ids,
                "privateRouteTableIds": self.private_route_table_ids,
                "natAddresses": self.nat_addresses,
                "natGatewayIds": self.nat_gateway_ids,
                "endpointSecurityGroupId": self.endpoint_security_group_id,
                "s3EndpointId": self.s3_endpoint_id,
                "s3PrefixListId": self.s3_prefix_list_id,
                "flowLogGroupName": self.flow_log_group_name,
            }
        )

    def _tags(self, *parts: str) -> dict[str, str]:
        context = self._args.context
        return context.tags(context.name("name_tag", *parts))

    def _child(self, *depends_on: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(depends_on) or None)

    def _create_vpc(self, name: str) -> aws.ec2.Vpc:
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=self._args.cidr,
            # Private DNS of the endpoints and of hosted zones requires both.
            enable_dns_support=True,
            enable_dns_hostnames=True,
            assign_generated_ipv6_cidr_block=bool(self._args.ipv6),
            tags=self._tags("network"),
            opts=self._child(),
        )
        # Both come with the VPC and apply to resources that name no other: empty, so that a forgotten name opens
        # nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default-group",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags=self._tags("default", "closed"),
            opts=self._child(),
        )
        aws.ec2.DefaultRouteTable(
            f"{name}-default-routes",
            default_route_table_id=vpc.default_route_table_id,
            routes=[],
            tags=self._tags("default", "closed"),
            opts=self._child(),
        )
        return vpc

    def _create_subnets(self, name: str, vpc: aws.ec2.Vpc) -> dict[str, dict[str, aws.ec2.Subnet]]:
        return {
            kind: {zone: self._create_subnet(name, kind, zone, vpc) for zone in self._args.zones} for kind in plan.KINDS
        }

    def _subnet_id(self, kind: str, zone: str, subnet: aws.ec2.Subnet) -> pulumi.Output[str]:
        """Return the subnet's id after its addresses are reserved: resources in the subnet are created later."""
        reservations = self._reservations.get((kind, zone))
        if not reservations:
            return subnet.id
        # Not `Subnet.id` with a dependency: in a preview the ids of new reservations are unknown, and would replace
        # hosts.
        return pulumi.Output.all(*(reservation.subnet_id for reservation in reservations)).apply(
            lambda ids: str(ids[0])
        )

    def _create_reservations(self, name: str, kind: str, zone: str, subnet: aws.ec2.Subnet) -> None:
        blocks = (self._args.reserved or {}).get(kind, {}).get(zone, ())
        self._reservations[kind, zone] = [
            aws.ec2.SubnetCidrReservation(
                f"{name}-{kind}-{zone[-1]}-hosts-{block.replace('/', '-')}",
                subnet_id=subnet.id,
                cidr_block=block,
                # AWS assigns its addresses only if a resource requests them explicitly.
                reservation_type="explicit",
                description="Servers with fixed addresses",
                opts=self._child(),
            )
            for block in blocks
        ]

    def _reserved(self, kind: str) -> list[pulumi.Resource]:
        return [
            reservation
            for (subnet_kind, _), made in self._reservations.items()
            if subnet_kind == kind
            for reservation in made
        ]

    def _create_subnet(self, name: str, kind: str, zone: str, vpc: aws.ec2.Vpc) -> aws.ec2.Subnet:
        block = None
        if self._args.ipv6:
            index = plan.ipv6_index(kind, zone)
            block = vpc.ipv6_cidr_block.apply(lambda whole: ipv6_subnet(whole, index))
        subnet = aws.ec2.Subnet(
            f"{name}-{kind}-{zone[-1]}",
            vpc_id=vpc.id,
            availability_zone=zone,
            cidr_block=self._args.subnets[kind][zone],
            ipv6_cidr_block=block,
            # An IPv6 address in a public subnet is reachable from the Internet: there it has to be requested
            # explicitly.
            assign_ipv6_address_on_creation=bool(self._args.ipv6) and kind != "public",
            map_public_ip_on_launch=False,
            tags=self._tags(kind, zone[-1]),
            opts=self._child(),
        )
        self._create_reservations(name, kind, zone, subnet)
        return subnet

    def _create_gateways(
        self, name: str, vpc: aws.ec2.Vpc, subnets: Mapping[str, Mapping[str, aws.ec2.Subnet]]
    ) -> _Gateways:
        args = self._args
        internet = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=vpc.id, tags=self._tags("internet"), opts=self._child()
        )
        egress_only = None
        if args.ipv6:
            egress_only = aws.ec2.EgressOnlyInternetGateway(
                f"{name}-egress-only", vpc_id=vpc.id, tags=self._tags("egress-only"), opts=self._child()
            )
        placed = args.nat_zones
        made = {zone: self._create_nat(name, zone, subnets["public"][zone], internet) for zone in placed}
        self._nat_ids = {zone: gateway.id for zone, gateway in made.items()}
        used = {zone: made.get(zone) or made[placed[0]] for zone in args.zones} if made else {}
        return _Gateways(internet=internet, egress_only=egress_only, nat=used)

    def _create_nat(
        self, name: str, zone: str, subnet: aws.ec2.Subnet, internet: aws.ec2.InternetGateway
    ) -> aws.ec2.NatGateway:
        # AWS provides neither before the VPC has its Internet gateway.
        options = self._child(internet, *self._reserved("public"))
        tags = self._tags("nat", zone[-1])
        address = aws.ec2.Eip(f"{name}-nat-{zone[-1]}-address", domain="vpc", tags=tags, opts=options)
        self._addresses.append(address.public_ip)
        return aws.ec2.NatGateway(
            f"{name}-nat-{zone[-1]}", allocation_id=address.id, subnet_id=subnet.id, tags=tags, opts=options
        )

    def _create_route_table(self, name: str, part: str, vpc: aws.ec2.Vpc) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(
            f"{name}-{part}-routes", vpc_id=vpc.id, tags=self._tags(part, "routes"), opts=self._child()
        )

    def _create_route(
        self,
        name: str,
        table: aws.ec2.RouteTable,
        destination: str,
        *,
        gateway: pulumi.Input[str] | None = None,
        nat_gateway: pulumi.Input[str] | None = None,
        egress_only_gateway: pulumi.Input[str] | None = None,
    ) -> None:
        ipv6 = ":" in destination
        aws.ec2.Route(
            name,
            route_table_id=table.id,
            destination_cidr_block=None if ipv6 else destination,
            destination_ipv6_cidr_block=destination if ipv6 else None,
            gateway_id=gateway,
            nat_gateway_id=nat_gateway,
            egress_only_gateway_id=egress_only_gateway,
            opts=self._child(),
        )

    def _create_public_routes(self, name: str, vpc: aws.ec2.Vpc, gateways: _Gateways) -> aws.ec2.RouteTable:
        table = self._create_route_table(name, "public", vpc)
        prefix, gateway = f"{name}-public-routes-internet", gateways.internet.id
        self._create_route(prefix, table, _EVERYWHERE, gateway=gateway)
        if self._args.ipv6:
            self._create_route(f"{prefix}-ipv6", table, _EVERYWHERE_IPV6, gateway=gateway)
        return table

    def _create_private_routes(self, name: str, zone: str, vpc: aws.ec2.Vpc, gateways: _Gateways) -> aws.ec2.RouteTable:
        part = f"private-{zone[-1]}"
        table = self._create_route_table(name, part, vpc)
        prefix = f"{name}-{part}-routes-internet"
        if zone in gateways.nat:
            self._create_route(prefix, table, _EVERYWHERE, nat_gateway=gateways.nat[zone].id)
        if gateways.egress_only is not None:
            way = gateways.egress_only.id
            self._create_route(f"{prefix}-ipv6", table, _EVERYWHERE_IPV6, egress_only_gateway=way)
        return table

    def _associate(
        self,
        name: str,
        subnets: Mapping[str, Mapping[str, aws.ec2.Subnet]],
        tables: Mapping[str, Mapping[str, aws.ec2.RouteTable]],
    ) -> None:
        for kind, zones in subnets.items():
            for zone, subnet in zones.items():
                aws.ec2.RouteTableAssociation(
                    f"{name}-{kind}-{zone[-1]}-association",
                    subnet_id=subnet.id,
                    route_table_id=tables[kind][zone].id,
                    opts=self._child(),
                )

    def _create_endpoints(
        self,
        name: str,
        vpc: aws.ec2.Vpc,
        subnets: Mapping[str, Mapping[str, aws.ec2.Subnet]],
        tables: Sequence[aws.ec2.RouteTable],
    ) -> NetworkEndpoints:
        args = NetworkEndpointsArgs(
            context=self._args.context,
            vpc_id=vpc.id,
            cidr=self._args.cidr,
            subnet_ids=[subnet.id for subnet in subnets["private"].values()],
            route_table_ids=[table.id for table in tables],
            services=self._args.chosen_endpoints,
            readable_buckets=self._args.readable_buckets or (),
        )
        return NetworkEndpoints(f"{name}-endpoints", args, self._child(*self._reserved("private")))
