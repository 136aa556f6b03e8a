"""CloudFront in front of the application: TLS near the client, files from its cache, all else passed on at once.

**Only CloudFront reaches the origin.** With `load_balancer_arn` the load balancer is internal and CloudFront connects
through its own network interface inside the VPC (VPC origin): no public address, and no header with a secret.
WebSockets are supported since 2026-05-01 (AWS's announcement of that day; gRPC and Lambda@Edge on the origin's side are
not). The VPC needs an internet gateway, although none of this traffic passes through it. The load balancer's security
group must admit the managed prefix list `com.amazonaws.global.cloudfront.origin-facing` on its port; inside a VPC no
distribution of another customer can use it. CloudFront itself appends the client's address to X-Forwarded-For, and the
internal load balancer passes the header on unchanged (`LoadBalancer`), so that its last entry is the client,
regardless of the address that CloudFront connects from. Without `load_balancer_arn` the origin is public; the same
prefix list admits only CloudFront, but that includes distributions of other customers, who can bypass a firewall of
this distribution.

TLS to the origin uses the name that the client requested, which every behaviour passes on: the certificate of the load
balancer has the site's names, and none of its own.

**Limits of CloudFront.** A response must begin, and each next part follow, within `read_seconds`, at most 120 (more
requires a quota increase): an event stream has to send a comment from time to time. A WebSocket on which the server
sends nothing for ten minutes is closed. None of this was tested with an account.
"""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import bucket_policies
from stackwright.infra.aws import cdn_behaviours as behaviours
from stackwright.infra.aws.cdn_args import HOME_REGION, PRICE_CLASSES, TLS_POLICIES, CdnArgs
from stackwright.infra.aws.cdn_behaviours import StaticArgs

#: The newest version that CloudFront supports to an origin (API reference, SslProtocol).
_ORIGIN_TLS = "TLSv1.2"
_HTTP = 80
_ORIGIN = "application"
#: CloudFront retries not only if a connection fails, but also if a response takes too long: a slow page should not be
#: generated three times.
_ATTEMPTS, _CONNECT_SECONDS = 2, 5
#: The provider's default of 15 minutes is often too short for a VPC origin (terraform-aws-cloudfront#163).
_ORIGIN_TIMEOUTS = pulumi.CustomTimeouts(create="45m", update="45m", delete="45m")
#: Without cookies, which would contain sessions (developer guide, "Configure standard logging (v2)").
_LOG_FIELDS = (
    "date",
    "time",
    "x-edge-location",
    "c-ip",
    "cs-method",
    "cs(Host)",
    "x-host-header",
    "cs-uri-stem",
    "cs-uri-query",
    "cs-protocol",
    "cs-protocol-version",
    "cs-bytes",
    "cs(User-Agent)",
    "cs(Referer)",
    "sc-status",
    "sc-bytes",
    "sc-content-type",
    "time-taken",
    "time-to-first-byte",
    "x-edge-result-type",
    "x-edge-response-result-type",
    "x-edge-detailed-result-type",
    "x-edge-request-id",
    "ssl-protocol",
    "ssl-cipher",
)


class Cdn(pulumi.ComponentResource):
    """A distribution with its VPC origin, its cache policies and its access log.

    It supports HTTP/2 and 3, uses only HTTPS on both sides, and caches only the static files, and no errors. It adds
    and removes no headers: these are up to the application. A changed file that is not immutable stays cached until its
    age is over, unless the release invalidates it. Protected where data is kept, because DNS records refer to its
    domain name.
    """

    distribution_id: pulumi.Output[str]
    arn: pulumi.Output[str]
    #: The target of an alias in DNS.
    domain_name: pulumi.Output[str]
    hosted_zone_id: pulumi.Output[str]

    def __init__(self, name: str, args: CdnArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Cdn", name, None, opts)
        self._args, self._context = args, args.context
        origin = self._create_origin(name)
        distribution = self._create_distribution(name, origin, self._create_policies(name))
        self._create_log(name, distribution)
        self.distribution_id = distribution.id
        self.arn = distribution.arn
        self.domain_name = distribution.domain_name
        self.hosted_zone_id = distribution.hosted_zone_id
        self.register_outputs(
            {
                "distributionId": self.distribution_id,
                "arn": self.arn,
                "domainName": self.domain_name,
                "hostedZoneId": self.hosted_zone_id,
            }
        )

    def _child(self, *, protect: bool = False) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=protect)

    def _create_origin(self, name: str) -> aws.cloudfront.DistributionOriginArgs:
        args = self._args
        origin = aws.cloudfront.DistributionOriginArgs(
            origin_id=_ORIGIN,
            domain_name=args.origin_domain,
            connection_attempts=_ATTEMPTS,
            connection_timeout=_CONNECT_SECONDS,
        )
        if args.load_balancer_arn is None:
            origin.custom_origin_config = aws.cloudfront.DistributionOriginCustomOriginConfigArgs(
                http_port=_HTTP,
                https_port=args.chosen_port,
                origin_protocol_policy="https-only",
                origin_ssl_protocols=[_ORIGIN_TLS],
                origin_read_timeout=args.chosen_read_seconds,
                origin_keepalive_timeout=args.chosen_keepalive_seconds,
            )
        else:
            origin.vpc_origin_config = aws.cloudfront.DistributionOriginVpcOriginConfigArgs(
                vpc_origin_id=self._create_vpc_origin(name, args.load_balancer_arn).id,
                origin_read_timeout=args.chosen_read_seconds,
                origin_keepalive_timeout=args.chosen_keepalive_seconds,
            )
        return origin

    def _create_vpc_origin(self, name: str, load_balancer_arn: pulumi.Input[str]) -> aws.cloudfront.VpcOrigin:
        origin_name = self._context.name("vpc_origin", _ORIGIN)
        return aws.cloudfront.VpcOrigin(
            f"{name}-vpc-origin",
            vpc_origin_endpoint_config=aws.cloudfront.VpcOriginVpcOriginEndpointConfigArgs(
                name=origin_name,
                arn=load_balancer_arn,
                # Required by the API, but not used.
                http_port=_HTTP,
                https_port=self._args.chosen_port,
                origin_protocol_policy="https-only",
                origin_ssl_protocols=aws.cloudfront.VpcOriginVpcOriginEndpointConfigOriginSslProtocolsArgs(
                    items=[_ORIGIN_TLS], quantity=1
                ),
            ),
            tags=self._context.tags(origin_name),
            opts=pulumi.ResourceOptions.merge(self._child(), pulumi.ResourceOptions(custom_timeouts=_ORIGIN_TIMEOUTS)),
        )

    def _create_policies(self, name: str) -> Mapping[str, aws.cloudfront.CachePolicy]:
        """Create a cache policy for each kind of static files."""
        kinds = {behaviours.policy_part(folder): folder for folder in behaviours.kept(self._args.static or ())}
        return {part: self._create_policy(name, part, folder) for part, folder in sorted(kinds.items())}

    def _create_policy(self, name: str, part: str, static: StaticArgs) -> aws.cloudfront.CachePolicy:
        seconds = static.max_age_days * behaviours.DAY_SECONDS
        return aws.cloudfront.CachePolicy(
            f"{name}-{part}",
            name=self._context.name("cache_policy", part),
            comment=f"{self._context.system}, {self._context.environment}: {part}",
            # Not 0, for which CloudFront's guide promises no compression; the origin's `no-store` is overruled for this
            # time.
            min_ttl=1,
            default_ttl=seconds,
            max_ttl=seconds,
            parameters_in_cache_key_and_forwarded_to_origin=behaviours.cache_key(immutable=bool(static.immutable)),
            opts=self._child(),
        )

    def _create_distribution(
        self,
        name: str,
        origin: aws.cloudfront.DistributionOriginArgs,
        policies: Mapping[str, aws.cloudfront.CachePolicy],
    ) -> aws.cloudfront.Distribution:
        args, context = self._args, self._context
        static = behaviours.kept(args.static or ())
        return aws.cloudfront.Distribution(
            f"{name}-distribution",
            enabled=True,
            comment=f"{context.system}, {context.environment}",
            aliases=args.names,
            http_version="http2and3",
            is_ipv6_enabled=args.ipv6 is not False,
            price_class=args.price_class or PRICE_CLASSES[0],
            web_acl_id=args.web_acl_arn,
            viewer_certificate=aws.cloudfront.DistributionViewerCertificateArgs(
                acm_certificate_arn=args.certificate_arn,
                minimum_protocol_version=args.tls_policy or TLS_POLICIES[0],
                ssl_support_method="sni-only",
            ),
            origins=[origin],
            default_cache_behavior=behaviours.application_behaviour(_ORIGIN),
            ordered_cache_behaviors=[
                behaviours.static_behaviour(_ORIGIN, folder, policies[behaviours.policy_part(folder)].id)
                for folder in static
            ],
            custom_error_responses=behaviours.errors(),
            restrictions=aws.cloudfront.DistributionRestrictionsArgs(geo_restriction=self._geo_restriction()),
            tags=context.tags(context.name("name_tag", "cdn")),
            opts=self._child(protect=context.keeps_data),
        )

    def _geo_restriction(self) -> aws.cloudfront.DistributionRestrictionsGeoRestrictionArgs:
        only, without = self._args.only_countries, self._args.except_countries
        kind = "whitelist" if only else "blacklist" if without else "none"
        return aws.cloudfront.DistributionRestrictionsGeoRestrictionArgs(
            restriction_type=kind, locations=sorted(only or without or ())
        )

    def _create_log(self, name: str, distribution: aws.cloudfront.Distribution) -> None:
        """Create the hourly JSON log by standard logging v2, because v1 needs an ACL and our buckets have none."""
        context = self._context
        delivery_name = context.name("log_delivery", "cdn")
        source = aws.cloudwatch.LogDeliverySource(
            f"{name}-log-source",
            name=delivery_name,
            log_type="ACCESS_LOGS",
            resource_arn=distribution.arn,
            region=HOME_REGION,
            tags=context.tags(delivery_name),
            opts=self._child(),
        )
        # The whole prefix, because AWS's documents differ on whether it adds `AWSLogs/...` to a given prefix: the
        # bucket policy lets it write here either way.
        folder = f"{bucket_policies.CDN_PREFIX}/AWSLogs/{context.account}/CloudFront"
        destination = aws.cloudwatch.LogDeliveryDestination(
            f"{name}-log-destination",
            name=delivery_name,
            output_format="json",
            delivery_destination_configuration={
                "destination_resource_arn": pulumi.Output.concat(self._args.log_bucket_arn, "/", folder)
            },
            region=HOME_REGION,
            tags=context.tags(delivery_name),
            opts=self._child(),
        )
        aws.cloudwatch.LogDelivery(
            f"{name}-log",
            delivery_source_name=source.name,
            delivery_destination_arn=destination.arn,
            record_fields=list(_LOG_FIELDS),
            s3_delivery_configurations=[
                {"suffix_path": "{DistributionId}/{yyyy}/{MM}/{dd}/{HH}", "enable_hive_compatible_path": False}
            ],
            region=HOME_REGION,
            tags=context.tags(delivery_name),
            opts=self._child(),
        )
