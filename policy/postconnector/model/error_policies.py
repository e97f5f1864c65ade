"""ErrorPolicies: which of the next hop's failures count as temporary, which as permanent."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class ErrorPolicy(StrEnum):
    """One deviation from the ordinary."""

    DOWNGRADE_DNS_FAILURES = "DowngradeDnsFailures"
    DOWNGRADE_CUSTOM_FAILURES = "DowngradeCustomFailures"
    UPGRADE_CUSTOM_FAILURES = "UpgradeCustomFailures"
    DOWNGRADE_AUTH_FAILURES = "DowngradeAuthFailures"


_DEFAULT = "Default"


@dataclass(frozen=True, slots=True)
class ErrorPolicies:
    """Any number of policies; none is `Default`."""

    policies: tuple[ErrorPolicy, ...] = ()

    @classmethod
    def parse(cls, names: Iterable[str]) -> "ErrorPolicies":
        """Read names in any case and order; each may itself be a list with commas.

        `Default` beside another says nothing more (see docs/decisions.md). Raises ValueError
        for a name that is none.
        """
        by_name = {policy.value.casefold(): policy for policy in ErrorPolicy}
        found: set[ErrorPolicy] = set()
        for name in (part.strip() for entry in names for part in entry.split(",")):
            if name.casefold() == _DEFAULT.casefold():
                continue
            if name.casefold() not in by_name:
                raise ValueError(f"not one of {', '.join([_DEFAULT, *ErrorPolicy])}")
            found.add(by_name[name.casefold()])
        return cls(tuple(policy for policy in ErrorPolicy if policy in found))

    def __str__(self) -> str:
        return ", ".join(self.policies) or _DEFAULT
