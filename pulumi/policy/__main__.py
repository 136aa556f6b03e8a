"""The policy pack: `pulumi preview --policy-pack pulumi/policy`. Constructing a pack serves it, and blocks."""

from pulumi_policy import PolicyPack

from stackwright.policy.pack import policies

PolicyPack(name="stackwright-aws", policies=policies())
