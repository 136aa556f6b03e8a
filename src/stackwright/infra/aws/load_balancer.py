"""Load balancer of an environment: terminates modern TLS in front of hosts that are replaced over time."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.firewall_rules import RuleArgs, create_rule, rule_name
from stackwright.infra.aws.load_balancer_args import (
    APPLICATION,
    DESYNC,
    HTTP_PORT,
    HTTPS_PORT,
    NETWORK,
    TLS_POLICIES,
    LoadBalancerArgs,
)
from stackwright.infra.aws.target_groups import create_target_group
from stackwright.infra.components.results import Endpoint, ServiceResult
from stackwright.model.edge import LOAD_BALANCER_IDLE_SECONDS

_PART = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class LoadBalancer(pulumi.ComponentResource):
    """A load balancer in several zones, with its security group, its listeners and one group of hosts behind it.

    It accepts TLS 1.2 and 1.3, writes access logs, and cannot be deleted by mistake where data is kept.

    * `application`: HTTP is redirected. HTTPS (1.1 and 2, WebSockets) is forwarded to the hosts for the given names,
      and any other name gets 404. Hosts see the client as the last address in `X-Forwarded-For`.
    * `network`: TLS ends here, and hosts see connections with the client's own IPv4 address. Nothing listens on port
      80, because it cannot redirect. An idle connection ends after 350 seconds: WebSockets have to ping. It does not
      read requests, so that it cannot have a web firewall.

    Hosts are registered by `attach` or by an Auto Scaling group (its `target_group_arns`), and have to `admit` it.
    """

    arn: pulumi.Output[str]
    #: The last part of the ARN, which metrics use.
    arn_suffix: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    #: Hosted zone of `dns_name`, for an alias.
    zone_id: pulumi.Output[str]
    #: ARN of the HTTPS or TLS listener.
    listener_arn: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]
    #: Known once the target group receives requests: AWS refuses to scale by the requests of a group that receives
    #: none.
    target_group_arn_suffix: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:LoadBalancer", name, None, opts)
        self._name, self._args, self._context = name, args, args.context
        self._group_name = self._context.name("security_group", args.label)
        self._security_group = self._create_security_group()
        network = args.chosen_kind == NETWORK
        balancer = self._create_network() if network else self._create_application()
        self._targets = create_target_group(
            self, f"{name}-targets", args.targets, args.context, args.vpc_id, label=args.label, network=network
        )
        if network:
            listener = self._create_network_listener(balancer)
            self._set_outputs(balancer, listener, [listener.arn])
            return
        if args.redirects:
            self._create_redirect(balancer)
        listener = self._create_https_listener(balancer)
        self._set_outputs(balancer, listener, [rule.arn for rule in self._create_rules(listener)])

    @property
    def result(self) -> ServiceResult:
        """Return the endpoint `https`; there is no secret, as AWS holds the certificate's key."""
        endpoint = Endpoint(scheme="https", addresses=(self.dns_name,), port=HTTPS_PORT)
        return ServiceResult(endpoints={"https": endpoint}, secrets=())

    def attach(self, instance_ids: Mapping[str, pulumi.Input[str]]) -> None:
        """Register hosts that stay: name -> id of the instance."""
        for host, instance in instance_ids.items():
            aws.lb.TargetGroupAttachment(
                f"{self._name}-target-{host}",
                target_group_arn=self._targets.arn,
                target_id=instance,
                port=self._args.targets.chosen_port,
                opts=self._child(),
            )

    def attach_group(self, part: str, auto_scaling_group_name: pulumi.Input[str]) -> None:
        """Register the servers of an Auto Scaling group that does not know its target groups itself.

        Not for a group with `target_group_arns`, such as `ScalingGroup`: the two would undo each other.
        """
        aws.autoscaling.Attachment(
            f"{self._name}-group-{_part(part)}",
            autoscaling_group_name=auto_scaling_group_name,
            lb_target_group_arn=self._targets.arn,
            opts=self._child(),
        )

    def admit(self, part: str, security_group_id: pulumi.Input[str]) -> None:
        """Allow traffic to hosts: out of this load balancer to their security group, and into that group from here.

        `part` names them, such as `app`; a load balancer can reach no other hosts.
        """
        port, tags = self._args.targets.chosen_port, self._context.tags(self._group_name)
        to = RuleArgs(reason=f"Requests and health checks to {part}", port=port, security_group_id=security_group_id)
        reason = f"Requests and health checks of the load balancer {self._args.label}"
        come = RuleArgs(reason=reason, port=port, security_group_id=self.security_group_id)
        create_rule(self, f"{self._name}-to-{_part(part)}", self.security_group_id, to, tags, incoming=False)
        create_rule(self, f"{self._name}-into-{part}", security_group_id, come, tags, incoming=True)

    def _set_outputs(
        self, balancer: aws.lb.LoadBalancer, listener: aws.lb.Listener, ways: Sequence[pulumi.Output[str]]
    ) -> None:
        self.arn = balancer.arn
        self.arn_suffix = balancer.arn_suffix
        self.dns_name = balancer.dns_name
        self.zone_id = balancer.zone_id
        self.listener_arn = listener.arn
        self.target_group_arn = self._targets.arn
        self.target_group_arn_suffix = pulumi.Output.all(self._targets.arn_suffix, *ways).apply(lambda all_: all_[0])
        self.security_group_id = self._security_group.id
        self.register_outputs(
            {
                "arn": self.arn,
                "arnSuffix": self.arn_suffix,
                "dnsName": self.dns_name,
                "zoneId": self.zone_id,
                "listenerArn": self.listener_arn,
                "targetGroupArn": self.target_group_arn,
                "targetGroupArnSuffix": self.target_group_arn_suffix,
                "securityGroupId": self.security_group_id,
            }
        )

    def _child(self, *, protect: bool = False) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=protect)

    def _create_security_group(self) -> aws.ec2.SecurityGroup:
        # A network load balancer that is created without a security group can never get one.
        tags = self._context.tags(self._group_name)
        group = aws.ec2.SecurityGroup(
            f"{self._name}-security-group",
            name=self._group_name,
            description="Clients of the load balancer",
            vpc_id=self._args.vpc_id,
            tags=tags,
            opts=self._child(),
        )
        for rule in self._args.ingress:
            create_rule(self, f"{self._name}-{rule_name(rule, incoming=True)}", group.id, rule, tags, incoming=True)
        return group

    def _create_application(self) -> aws.lb.LoadBalancer:
        args, context = self._args, self._context
        balancer_name = context.name("load_balancer", args.label)
        # The three kinds of logs share a directory: AWS distinguishes them by the names of the files.
        bucket, prefix = args.log_bucket, args.chosen_log_prefix
        return aws.lb.LoadBalancer(
            f"{self._name}-load-balancer",
            name=balancer_name,
            load_balancer_type=APPLICATION,
            internal=bool(args.internal),
            ip_address_type="dualstack" if args.ipv6 else "ipv4",
            subnets=args.subnet_ids,
            security_groups=[self._security_group.id],
            enable_deletion_protection=context.keeps_data,
            access_logs=aws.lb.LoadBalancerAccessLogsArgs(bucket=bucket, prefix=prefix, enabled=True),
            connection_logs=aws.lb.LoadBalancerConnectionLogsArgs(bucket=bucket, prefix=prefix, enabled=True),
            health_check_logs=aws.lb.LoadBalancerHealthCheckLogsArgs(bucket=bucket, prefix=prefix, enabled=True),
            idle_timeout=LOAD_BALANCER_IDLE_SECONDS if args.idle_seconds is None else args.idle_seconds,
            enable_http2=True,
            # Drops headers whose names contain anything but letters, digits and hyphens; nginx would drop most of them
            # as well.
            drop_invalid_header_fields=True,
            desync_mitigation_mode=args.desync or DESYNC[0],
            # The hosts select the site by the Host header.
            preserve_host_header=True,
            # A client controls everything before the last address, which is the true one. If only CloudFront can
            # connect, CloudFront has appended the client's address, and appending its own would hide it.
            xff_header_processing_mode="preserve" if args.internal and args.origin_only else "append",
            # Without its web firewall it does not serve requests.
            enable_waf_fail_open=False,
            tags=context.tags(balancer_name),
            opts=self._child(protect=context.keeps_data),
        )

    def _create_network(self) -> aws.lb.LoadBalancer:
        args, context = self._args, self._context
        balancer_name = context.name("load_balancer", args.label)
        return aws.lb.LoadBalancer(
            f"{self._name}-load-balancer",
            name=balancer_name,
            load_balancer_type=NETWORK,
            internal=bool(args.internal),
            ip_address_type="dualstack" if args.ipv6 else "ipv4",
            subnets=args.subnet_ids,
            security_groups=[self._security_group.id],
            enable_deletion_protection=context.keeps_data,
            enable_cross_zone_load_balancing=True,
            # Only for TLS listeners, such as this one; this kind of load balancer has no others.
            access_logs=aws.lb.LoadBalancerAccessLogsArgs(
                bucket=args.log_bucket, prefix=args.chosen_log_prefix, enabled=True
            ),
            tags=context.tags(balancer_name),
            opts=self._child(protect=context.keeps_data),
        )

    def _create_network_listener(self, balancer: aws.lb.LoadBalancer) -> aws.lb.Listener:
        # Behind plain TCP a host would receive HTTP/2 without having negotiated it.
        over_tls = self._args.targets.chosen_protocol == "HTTPS"
        return aws.lb.Listener(
            f"{self._name}-tls",
            load_balancer_arn=balancer.arn,
            port=HTTPS_PORT,
            protocol="TLS",
            ssl_policy=self._args.tls_policy or TLS_POLICIES[0],
            alpn_policy="HTTP2Preferred" if over_tls else "HTTP1Only",
            certificate_arn=self._args.certificate_arn,
            default_actions=[
                aws.lb.ListenerDefaultActionArgs(type="forward", target_group_arn=self._targets.arn),
            ],
            tags=self._listener_tags("tls"),
            opts=self._child(),
        )

    def _create_https_listener(self, balancer: aws.lb.LoadBalancer) -> aws.lb.Listener:
        # Address scanners, and foreign names that point at this load balancer, do not reach the application.
        nothing = aws.lb.ListenerDefaultActionFixedResponseArgs(
            content_type="text/plain", message_body="Not found", status_code="404"
        )
        return aws.lb.Listener(
            f"{self._name}-https",
            load_balancer_arn=balancer.arn,
            port=HTTPS_PORT,
            protocol="HTTPS",
            ssl_policy=self._args.tls_policy or TLS_POLICIES[0],
            certificate_arn=self._args.certificate_arn,
            routing_http_response_server_enabled=False,
            default_actions=[aws.lb.ListenerDefaultActionArgs(type="fixed-response", fixed_response=nothing)],
            tags=self._listener_tags("https"),
            opts=self._child(),
        )

    def _create_redirect(self, balancer: aws.lb.LoadBalancer) -> None:
        https = aws.lb.ListenerDefaultActionRedirectArgs(status_code="HTTP_301", protocol="HTTPS", port=str(HTTPS_PORT))
        aws.lb.Listener(
            f"{self._name}-http",
            load_balancer_arn=balancer.arn,
            port=HTTP_PORT,
            protocol="HTTP",
            routing_http_response_server_enabled=False,
            default_actions=[aws.lb.ListenerDefaultActionArgs(type="redirect", redirect=https)],
            tags=self._listener_tags("http"),
            opts=self._child(),
        )

    def _create_rules(self, listener: aws.lb.Listener) -> list[aws.lb.ListenerRule]:
        return [
            aws.lb.ListenerRule(
                f"{self._name}-names-{number}",
                listener_arn=listener.arn,
                # Gaps for rules that are created elsewhere.
                priority=100 * number,
                conditions=[
                    aws.lb.ListenerRuleConditionArgs(
                        host_header=aws.lb.ListenerRuleConditionHostHeaderArgs(values=names)
                    )
                ],
                actions=[aws.lb.ListenerRuleActionArgs(type="forward", target_group_arn=self._targets.arn)],
                tags=self._listener_tags("names", str(number)),
                opts=self._child(),
            )
            for number, names in enumerate(self._args.names_by_rule, start=1)
        ]

    def _listener_tags(self, *parts: str) -> dict[str, str]:
        return self._context.tags(self._context.name("name_tag", self._args.label, *parts))


def _part(part: str) -> str:
    if not _PART.fullmatch(part):
        raise ValueError(f"part is {part!r}, accepted: lower-case letters, digits and hyphens")
    return part
