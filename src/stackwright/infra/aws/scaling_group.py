"""Auto Scaling group: servers configure themselves without logins, and then report that they are ready to serve."""

# No postponed annotations: Pulumi's analyzer reads the outputs' types at run time.
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import firewall_rules, scaling_checks, scaling_policies
from stackwright.infra.aws.instance_role import InstanceRole, InstanceRoleArgs, StatementArgs
from stackwright.infra.aws.launch_template import LaunchTemplate, LaunchTemplateArgs
from stackwright.infra.aws.scaling_group_args import ScalingGroupArgs, SpotArgs

#: Percent of the desired servers while some are replaced: first the new one serves, then an old one is terminated.
_LEAST_HEALTHY, _MOST_HEALTHY = 100, 150
_METRICS = (
    "DesiredCapacity",
    "InServiceInstances",
    "MaxSize",
    "MinSize",
    "PendingInstances",
    "StandbyInstances",
    "TerminatingInstances",
    "TotalInstances",
)
_WARM_METRICS = ("DesiredCapacity", "PendingCapacity", "TotalCapacity", "WarmedCapacity")


class ScalingGroup(pulumi.ComponentResource):
    """A group of servers that configure themselves from a signed bundle.

    A server enters service when it has reported that it is healthy, and is abandoned if it does not do so within its
    time; a server that is terminated may finish its work. A change of the template replaces servers one by one, the new
    one first, and is rolled back if it fails, provided that `image_id` is given. Access is through Systems Manager;
    there is no SSH port.
    """

    group_name: pulumi.Output[str]
    group_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    #: ARN of the role, for policies of keys, buckets and secrets.
    role_arn: pulumi.Output[str]
    launch_template_id: pulumi.Output[str]

    def __init__(self, name: str, args: ScalingGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:ScalingGroup", name, None, opts)
        self._args = args
        firewall = self._create_security_group(name)
        rules = self._create_rules(name, firewall)
        role = self._create_role(name)
        template = self._create_template(name, role, firewall)
        group = self._create_group(name, template, rules)
        self._create_hooks(name, group)
        self._create_policies(name, group)
        self.group_name = group.name
        self.group_arn = group.arn
        self.security_group_id = firewall.id
        self.role_arn = role.role_arn
        self.launch_template_id = template.template_id
        self.register_outputs(
            {
                "groupName": self.group_name,
                "groupArn": self.group_arn,
                "securityGroupId": self.security_group_id,
                "roleArn": self.role_arn,
                "launchTemplateId": self.launch_template_id,
            }
        )

    def _create_security_group(self, name: str) -> aws.ec2.SecurityGroup:
        args, context = self._args, self._args.context
        group_name = context.name("security_group", "group", args.tier)
        return aws.ec2.SecurityGroup(
            f"{name}-firewall",
            name=group_name,
            description=f"Servers of the group {args.tier}",
            vpc_id=args.vpc_id,
            tags=context.tags(group_name, tier=args.tier),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_rules(self, name: str, firewall: aws.ec2.SecurityGroup) -> list[pulumi.Resource]:
        args, context = self._args, self._args.context
        tags = context.tags(context.name("security_group", "group", args.tier), tier=args.tier)
        return [
            firewall_rules.create_rule(
                self,
                f"{name}-{firewall_rules.rule_name(rule, incoming=incoming)}",
                firewall.id,
                rule,
                tags,
                incoming=incoming,
            )
            for incoming, rules in ((True, args.ingress), (False, args.egress))
            for rule in rules or ()
        ]

    def _create_role(self, name: str) -> InstanceRole:
        args = self._args
        return InstanceRole(
            f"{name}-servers",
            InstanceRoleArgs(
                context=args.context,
                purpose=f"{args.tier}-group",
                statements=[*own_statements(args), *(args.statements or ())],
                metrics=args.metrics,
                permissions_boundary=args.permissions_boundary,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _create_template(self, name: str, role: InstanceRole, firewall: aws.ec2.SecurityGroup) -> LaunchTemplate:
        args, image = self._args, self._args.image
        return LaunchTemplate(
            f"{name}-servers",
            LaunchTemplateArgs(
                context=args.context,
                tier=args.tier,
                image_id=image.image_id if args.image_id is None else args.image_id,
                root_device=image.root_device,
                instance_type=args.instance_type,
                disk_gb=20 if args.disk_gb is None else args.disk_gb,
                kms_key_arn=args.kms_key_arn,
                profile_arn=role.profile_arn,
                security_group_ids=[firewall.id, *(args.security_group_ids or ())],
                user_data=scaling_checks.user_data(args).encoded(),
                detailed_monitoring=args.detailed_monitoring,
                cpu_credits=args.cpu_credits,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _create_group(
        self, name: str, template: LaunchTemplate, rules: Sequence[pulumi.Resource]
    ) -> aws.autoscaling.Group:
        args = self._args
        return aws.autoscaling.Group(
            f"{name}-group",
            name=args.name,
            min_size=args.min,
            max_size=args.max,
            vpc_zone_identifiers=args.subnet_ids,
            launch_template=None if args.spot else {"id": template.template_id, "version": template.version},
            mixed_instances_policy=self._mixed(template, args.spot) if args.spot else None,
            # A Spot server that is about to be interrupted is replaced while it still serves.
            capacity_rebalance=args.spot is not None,
            target_group_arns=args.target_group_arns,
            health_check_type="ELB" if args.target_group_arns else "EC2",
            health_check_grace_period=60 if args.health_grace_seconds is None else args.health_grace_seconds,
            default_instance_warmup=self._warmup,
            initial_lifecycle_hooks=self._first_hooks(),
            instance_refresh=self._refresh(),
            instance_maintenance_policy={
                "min_healthy_percentage": _LEAST_HEALTHY,
                "max_healthy_percentage": _MOST_HEALTHY,
            },
            warm_pool=self._warm_pool() if args.warm else None,
            enabled_metrics=self._metrics(),
            # The first servers configure themselves before the program continues.
            wait_for_capacity_timeout=f"{args.chosen_launch_timeout_seconds + 300}s",
            tags=self._tags(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(rules), ignore_changes=self._ignored),
        )

    @property
    def _ignored(self) -> list[str]:
        """Return inputs that something else changes after the creation."""
        # Hooks are separate resources; these apply to the servers that start before those exist.
        ignored = ["initial_lifecycle_hooks"]
        if self._args.schedules:
            # A schedule sets both; without this, an update after a refresh would reset them until the next scheduled
            # time.
            ignored += ["min_size", "max_size"]
        return ignored

    @property
    def _warmup(self) -> int:
        return 120 if self._args.warmup_seconds is None else self._args.warmup_seconds

    def _mixed(self, template: LaunchTemplate, spot: SpotArgs) -> aws.autoscaling.GroupMixedInstancesPolicyArgsDict:
        types = [self._args.instance_type, *spot.types]
        return {
            "launch_template": {
                "launch_template_specification": {
                    "launch_template_id": template.template_id,
                    "version": template.version,
                },
                "overrides": [{"instance_type": instance_type} for instance_type in types],
            },
            "instances_distribution": {
                "on_demand_allocation_strategy": "prioritized",
                "on_demand_base_capacity": 1 if spot.on_demand is None else spot.on_demand,
                "on_demand_percentage_above_base_capacity": (
                    50 if spot.percent_on_demand is None else spot.percent_on_demand
                ),
                # The provider's default is the cheapest pool, which is interrupted first.
                "spot_allocation_strategy": "price-capacity-optimized",
            },
        }

    def _hook_settings(self) -> Mapping[str, tuple[str, int, str]]:
        """Return part -> transition, seconds, and the result if the server does not respond."""
        args = self._args
        return {
            "launch": ("autoscaling:EC2_INSTANCE_LAUNCHING", args.chosen_launch_timeout_seconds, "ABANDON"),
            # Half a minute more than the server uses itself.
            "terminate": ("autoscaling:EC2_INSTANCE_TERMINATING", args.chosen_drain_seconds + 30, "CONTINUE"),
        }

    def _first_hooks(self) -> list[aws.autoscaling.GroupInitialLifecycleHookArgsDict]:
        return [
            {
                "name": self._args.hook(part),
                "lifecycle_transition": transition,
                "heartbeat_timeout": seconds,
                "default_result": result,
            }
            for part, (transition, seconds, result) in self._hook_settings().items()
        ]

    def _create_hooks(self, name: str, group: aws.autoscaling.Group) -> None:
        for part, (transition, seconds, result) in self._hook_settings().items():
            aws.autoscaling.LifecycleHook(
                f"{name}-{part}-hook",
                name=self._args.hook(part),
                autoscaling_group_name=group.name,
                lifecycle_transition=transition,
                heartbeat_timeout=seconds,
                default_result=result,
                opts=pulumi.ResourceOptions(parent=self),
            )

    def _refresh(self) -> aws.autoscaling.GroupInstanceRefreshArgsDict:
        alarms = self._args.rollback_alarms
        preferences: aws.autoscaling.GroupInstanceRefreshPreferencesArgsDict = {
            # AWS refuses it for images by parameter (API reference, RollbackInstanceRefresh).
            "auto_rollback": self._args.image_id is not None,
            "min_healthy_percentage": _LEAST_HEALTHY,
            "max_healthy_percentage": _MOST_HEALTHY,
            "instance_warmup": str(self._warmup),
        }
        if alarms:
            preferences["alarm_specification"] = {"alarms": list(alarms)}
        return {"strategy": "Rolling", "preferences": preferences, "triggers": ["tag"]}

    def _warm_pool(self) -> aws.autoscaling.GroupWarmPoolArgsDict:
        warm = self._args.warm or 0
        return {
            "pool_state": "Stopped",
            "min_size": warm,
            # Without it the pool would hold as many servers as the maximum size of the group.
            "max_group_prepared_capacity": self._args.min + warm,
            # A server that has served differs from a newly configured one.
            "instance_reuse_policy": {"reuse_on_scale_in": False},
        }

    def _metrics(self) -> list[aws.autoscaling.Metric]:
        pool = [f"WarmPool{metric}" for metric in _WARM_METRICS] if self._args.warm else []
        return [
            aws.autoscaling.Metric(metric_name) for metric_name in (*(f"Group{metric}" for metric in _METRICS), *pool)
        ]

    def _tags(self) -> list[aws.autoscaling.GroupTagArgsDict]:
        context, tier = self._args.context, self._args.tier
        tags = context.tags(context.name("name_tag", tier), tier=tier)
        return [{"key": key, "value": value, "propagate_at_launch": True} for key, value in tags.items()]

    def _create_policies(self, name: str, group: aws.autoscaling.Group) -> None:
        args, context = self._args, self._args.context
        percent = 55 if args.cpu_percent is None else args.cpu_percent
        scaling_policies.create_cpu_policy(self, f"{name}-cpu", context, group, args.tier, percent)
        if args.requests is not None:
            requests = args.requests
            scaling_policies.create_requests_policy(self, f"{name}-requests", context, group, args.tier, requests)
        for schedule in args.schedules or ():
            scaling_policies.create_schedule(self, f"{name}-at-{schedule.name}", context, group, args.tier, schedule)


def own_statements(args: ScalingGroupArgs) -> list[StatementArgs]:
    """Return what a server needs to configure itself: its bundle, and the permission to report the result."""
    context, boot = args.context, args.boot
    bundle = context.arn("s3", f"{boot.bucket}/{boot.key}", region="", account="")
    # The middle part is an id that AWS generates; the name is unique in the account and the region.
    group = context.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{args.name}")
    statements = [
        StatementArgs(sid="ReadBundle", actions=["s3:GetObject"], resources=[bundle, f"{bundle}.sig"]),
        StatementArgs(sid="SayHowItWent", actions=["autoscaling:CompleteLifecycleAction"], resources=[group]),
    ]
    if boot.kms_key_arn is not None:
        domain = "amazonaws.com.cn" if context.partition == "aws-cn" else "amazonaws.com"
        statements.append(
            StatementArgs(
                sid="DecryptBundle",
                actions=["kms:Decrypt"],
                resources=[boot.kms_key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"s3.{context.region}.{domain}"}},
            )
        )
    return statements
