"""The naming and tagging context of every component: the owner, the location and the names of its resources."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from dataclasses import dataclass

from stackwright.model.aws import names

#: Prefix of the tags of every resource; Ansible's groups and the cost reports use these tags.
TAG_PREFIX = "stackwright"


@dataclass(frozen=True, kw_only=True)
class Context:
    """The environment that a component belongs to.

    With `account` (12 digits) and `region`, ARNs are known before any resource exists, so that policies can be exact.
    """

    environment: str
    system: str
    #: `development`, `staging` or `production`; only development may lose its data.
    environment_class: str
    account: str
    region: str

    @property
    def partition(self) -> str:
        """The partition in the ARNs of the region."""
        prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
        return next((name for prefix, name in prefixes.items() if self.region.startswith(prefix)), "aws")

    @property
    def keeps_data(self) -> bool:
        """Whether a deletion has to be confirmed twice, because both AWS and Pulumi protect the resource."""
        return self.environment_class != "development"

    def name(self, kind: str, *parts: str) -> str:
        """Return the name of a resource of that kind (`stackwright.model.aws.names.RULES`)."""
        return names.name(kind, self.environment, *parts)

    def arn(self, service: str, resource: str, *, region: str | None = None, account: str | None = None) -> str:
        """Return the ARN of a resource; pass `region=""` and `account=""` for services without them."""
        where = self.region if region is None else region
        whose = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{where}:{whose}:{resource}"

    def tags(self, name: str, *, tier: str | None = None) -> dict[str, str]:
        """Return the tags of a resource; `tier` is the Ansible group that a host is in."""
        common_tags = {
            "Name": name,
            f"{TAG_PREFIX}:environment": self.environment,
            f"{TAG_PREFIX}:system": self.system,
            f"{TAG_PREFIX}:class": self.environment_class,
        }
        return common_tags | ({f"{TAG_PREFIX}:tier": tier} if tier else {})
