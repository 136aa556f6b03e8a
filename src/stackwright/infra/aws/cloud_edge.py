"""The public side of an environment of size C: names, certificates, CDN, web firewall and load balancer."""

from __future__ import annotations

from functools import cached_property

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.account import Account
from stackwright.infra.aws.cdn import Cdn
from stackwright.infra.aws.cdn_args import CdnArgs, nearest_price_class
from stackwright.infra.aws.cdn_behaviours import StaticArgs
from stackwright.infra.aws.certificate import Certificate, CertificateArgs
from stackwright.infra.aws.cloud_data import Data
from stackwright.infra.aws.dns import DnsRecordArgs
from stackwright.infra.aws.load_balancer import LoadBalancer
from stackwright.infra.aws.load_balancer_args import NETWORK, LoadBalancerArgs, OriginOnlyArgs
from stackwright.infra.aws.target_groups import TargetArgs
from stackwright.infra.aws.web_firewall import CLOUDFRONT, REGIONAL, WebFirewall, WebFirewallArgs
from stackwright.infra.aws.web_firewall_rules import RateLimitArgs
from stackwright.infra.components.results import Endpoint, ServiceResult
from stackwright.model import edge, topology
from stackwright.model.aws.regions import GLOBAL_REGION
from stackwright.model.system import Health

_HTTPS = 443


class Edge:
    """The public side, each part created on first use; with a CDN the load balancer has no public address."""

    def __init__(self, account: Account, data: Data) -> None:
        self._account, self._data = account, data
        self._name, self._asked = account.environment.name, account.aws.load_balancer
        self._sites = edge.sites(account.environment)

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the sites."""
        return tuple(dict.fromkeys(name for site in self._sites for name in site.names))

    @property
    def scope(self) -> str:
        """The scope of the web firewall."""
        return CLOUDFRONT if self._asked.cdn else REGIONAL

    @cached_property
    def certificate(self) -> Certificate:
        """The certificate of the load balancer."""
        account = self._account
        if self._asked.cdn and account.aws.region != GLOBAL_REGION:
            # ACM requires the same records in every region, and Route 53 accepts each once.
            proven = self.cdn_certificate.validation_names
            args = CertificateArgs(context=account.context, names=self.names, validation_names=proven)
        else:
            args = CertificateArgs(context=account.context, names=self.names, hosted_zone_id=account.aws.hosted_zone.id)
        return Certificate(f"{self._name}-certificate", args, account.options)

    @cached_property
    def cdn_certificate(self) -> Certificate:
        """The certificate of the CDN, in the only region from which it accepts certificates."""
        account = self._account
        if account.aws.region == GLOBAL_REGION:
            return self.certificate
        zone = account.aws.hosted_zone.id
        args = CertificateArgs(context=account.context, names=self.names, hosted_zone_id=zone, region=GLOBAL_REGION)
        return Certificate(f"{self._name}-certificate-cdn", args, account.options)

    @cached_property
    def balancer(self) -> LoadBalancer:
        """The load balancer in front of the application's hosts."""
        account, section = self._account, self._asked
        origin = OriginOnlyArgs(prefix_list_id=self._cloudfront_addresses) if section.cdn else None
        args = LoadBalancerArgs(
            context=account.context,
            vpc_id=account.network.vpc_id,
            subnet_ids=account.subnets("private" if section.cdn else "public"),
            certificate_arn=self.certificate.arn,
            # Liveness, not readiness: a failover of the database must not cause every server to be replaced.
            targets=TargetArgs(health_path=self._health.path, sticky_seconds=section.sticky_seconds),
            log_bucket=self._data.store.names["logs"],
            kind=section.kind,
            names=None if section.kind == NETWORK else self.names,
            internal=section.cdn,
            ipv6=account.aws.ipv6 and not section.cdn,
            origin_only=origin,
        )
        return LoadBalancer(f"{self._name}-load-balancer", args, account.options)

    @property
    def _cloudfront_addresses(self) -> pulumi.Output[str]:
        """Return the id of AWS's list of the addresses that CloudFront connects from, which differs by region."""
        name = "com.amazonaws.global.cloudfront.origin-facing"
        return aws.ec2.get_managed_prefix_list_output(name=name, opts=self._account.lookup_options).id

    @property
    def _health(self) -> Health:
        return self._sites[0].upstreams[0].health

    @cached_property
    def firewall(self) -> WebFirewall | None:
        """The web firewall, with approximate rate limits of the sites; the nginx of each host enforces them exactly."""
        account = self._account
        if not self._asked.firewall:
            return None
        limits = {limit.name: limit for site in self._sites for limit in site.limits}
        system = topology.os_of(account.environment.stack, "app")
        args = WebFirewallArgs(
            context=account.context,
            scope=self.scope,
            limits=[
                RateLimitArgs(
                    name=name,
                    path=limit.path,
                    requests=limit.requests,
                    per=limit.per,
                    burst=limit.burst,
                    methods=limit.methods,
                )
                for name, limit in limits.items()
            ],
            kms_key_arn=account.global_key.arn if self._asked.cdn else account.key.arn,
            body_limit_mb=max(site.body_limit_mb for site in self._sites),
            platform="windows" if topology.is_windows(system) else "linux",
            load_balancer_arn=None if self._asked.cdn else self.balancer.arn,
        )
        return WebFirewall(f"{self._name}-web-firewall", args, account.options)

    @cached_property
    def cdn(self) -> Cdn | None:
        """The CDN in front, with the static files of the applications."""
        account = self._account
        if not self._asked.cdn:
            return None
        static = {folder.url: folder for site in self._sites for folder in site.static}
        args = CdnArgs(
            context=account.context,
            names=self.names,
            certificate_arn=self.cdn_certificate.arn,
            origin_domain=self.balancer.dns_name,
            log_bucket_arn=self._data.store.arns["logs"],
            load_balancer_arn=self.balancer.arn,
            web_acl_arn=None if self.firewall is None else self.firewall.arn,
            price_class=self._asked.price_class or nearest_price_class(account.aws.region),
            static=[
                StaticArgs(url=url, max_age_days=folder.max_age_days, immutable=folder.immutable)
                for url, folder in static.items()
            ],
        )
        return Cdn(f"{self._name}-cdn", args, account.options)

    @property
    def records(self) -> dict[str, DnsRecordArgs]:
        """The DNS records of the public names."""
        if self.cdn is not None:
            # CloudFront's zone, which is the same for every distribution: AWS does not evaluate health there.
            record = DnsRecordArgs(
                kind="alias",
                values=[self.cdn.domain_name],
                zone_id=self.cdn.hosted_zone_id,
                evaluate_health=False,
                ipv6=True,
            )
        else:
            address: list[pulumi.Input[str]] = [self.balancer.dns_name]
            record = DnsRecordArgs(
                kind="alias", values=address, zone_id=self.balancer.zone_id, ipv6=self._account.aws.ipv6
            )
        return dict.fromkeys(self.names, record)

    @property
    def result(self) -> ServiceResult:
        """The endpoint that users connect to."""
        if self.cdn is None:
            return self.balancer.result
        endpoint = Endpoint(scheme="https", addresses=(self.cdn.domain_name,), port=_HTTPS)
        return ServiceResult(endpoints={"https": endpoint}, secrets=())
