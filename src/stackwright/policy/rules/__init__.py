"""The rules, one module per subject."""

from __future__ import annotations

from stackwright.policy.rule import merged
from stackwright.policy.rules import durability, encryption, exposure, governance, identity, observability, transit

#: Rules by name.
RULES = merged(
    encryption.RULES,
    transit.RULES,
    exposure.RULES,
    durability.RULES,
    identity.RULES,
    observability.RULES,
    governance.RULES,
)
