"""Arguments of the component `Network`: a separate module because of the number of checks and defaults."""

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
    #: Kind (`public`, `private`, `isolated`) -> zone -> CIDR, as `stackwright.model.aws.subnets.plan` returns them.
    subnets: Mapping[str, Mapping[str, str]]
    #: Kind -> zone -> blocks of its subnet from which AWS assigns no address automatically: those of servers with fixed
    #: addresses.
    reserved: Mapping[str, Mapping[str, Sequence[str]]] | None = None
    #: Encrypts the flow logs; its policy has to admit CloudWatch Logs (`EncryptionKey` with `logs`).
    kms_key_arn: pulumi.Input[str]
    #: How private subnets reach the Internet: `none`, `single` or `per_zone`; defaults to `per_zone` in production, to
    #: `single` elsewhere.
    nat: str | None = None
    #: A /64 in every subnet; private ones reach the Internet through an egress-only gateway, independently of `nat`.
    ipv6: bool | None = None
    #: AWS services reached from inside the network; defaults to S3, SSM, Secrets Manager, ECR and CloudWatch Logs.
    endpoints: Sequence[str] | None = None
    #: Buckets of other owners in the region that hosts may download from; the S3 gateway allows no others.
    readable_buckets: Sequence[str] | None = None
    #: Defaults to 30.
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
        """Return `nat`, or the default of the environment's class."""
        if self.nat is not None:
            return self.nat
        return "per_zone" if self.context.environment_class == "production" else "single"

    @property
    def nat_zones(self) -> Sequence[str]:
        """Return the zones that have a NAT gateway."""
        return {"none": (), "single": self.zones[:1], "per_zone": self.zones}[self.chosen_nat]

    @property
    def chosen_endpoints(self) -> tuple[str, ...]:
        """Return `endpoints`, or the default ones."""
        return tuple(network_checks.DEFAULT_ENDPOINTS if self.endpoints is None else self.endpoints)

    @property
    def chosen_flow_log_days(self) -> int:
        """Return `flow_log_days`, or a month."""
        return 30 if self.flow_log_days is None else self.flow_log_days

    @property
    def zones(self) -> tuple[str, ...]:
        """Return the zones in the order of their names."""
        return tuple(sorted(self.subnets["private"]))
