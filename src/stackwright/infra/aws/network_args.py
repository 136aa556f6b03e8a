"""What a network is asked for: its own module, as the checks and the defaults are half of it."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws import network_checks
from stackwright.infra.aws.context import Context


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """The network of an environment.

    Raises ValueError with every problem at once.
    """

    context: Context
    cidr: str
    #: Kind (`public`, `private`, `isolated`) -> zone -> CIDR, as `stackwright.model.aws.subnets.plan` makes them.
    subnets: Mapping[str, Mapping[str, str]]
    #: Kind -> zone -> blocks of its subnet that AWS gives to nothing by itself: those of servers that have fixed addresses.
    reserved: Mapping[str, Mapping[str, Sequence[str]]] | None = None
    #: Encrypts the flow logs; its policy has to let CloudWatch Logs use it (`EncryptionKey` with `logs`).
    kms_key_arn: pulumi.Input[str]
    #: How private subnets reach the Internet: `none`, `single` or `per_zone`; otherwise `per_zone` in production,
    #: `single` elsewhere.
    nat: str | None = None
    #: A /64 in every subnet; private ones reach the Internet by an egress-only gateway, whatever `nat` says.
    ipv6: bool | None = None
    #: Services reached inside the network; otherwise S3, SSM, Secrets Manager, ECR and CloudWatch Logs.
    endpoints: Sequence[str] | None = None
    #: Buckets of others in the region that hosts may download from; through S3's gateway nothing else passes.
    readable_buckets: Sequence[str] | None = None
    #: Otherwise 30.
    flow_log_days: int | None = None

    def __post_init__(self) -> None:
        problems = [
            *network_checks.address_problems(self.context.region, self.cidr, self.subnets),
            *network_checks.choice_problems(
                self.chosen_nat, self.chosen_endpoints, self.readable_buckets or (), self.chosen_flow_log_days
            ),
        ]
        if problems:
            raise ValueError("\n".join(f"NetworkArgs.{problem}" for problem in problems))

    @property
    def chosen_nat(self) -> str:
        """`nat`, or what the class of the environment asks for."""
        if self.nat is not None:
            return self.nat
        return "per_zone" if self.context.environment_class == "production" else "single"

    @property
    def nat_zones(self) -> Sequence[str]:
        """The zones that have a NAT gateway."""
        return {"none": (), "single": self.zones[:1], "per_zone": self.zones}[self.chosen_nat]

    @property
    def chosen_endpoints(self) -> tuple[str, ...]:
        """`endpoints`, or the usual ones."""
        return tuple(network_checks.DEFAULT_ENDPOINTS if self.endpoints is None else self.endpoints)

    @property
    def chosen_flow_log_days(self) -> int:
        """`flow_log_days`, or a month."""
        return 30 if self.flow_log_days is None else self.flow_log_days

    @property
    def zones(self) -> tuple[str, ...]:
        """In the order of their names."""
        return tuple(sorted(self.subnets["private"]))
