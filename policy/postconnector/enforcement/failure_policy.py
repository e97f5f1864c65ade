"""What a connector's error policies make of failures (ErrorPolicies). Pure."""

from dataclasses import dataclass

from postconnector.model.enhanced_status_code import EnhancedStatusCode
from postconnector.model.error_policies import ErrorPolicy
from postconnector.model.organization import OrganizationSettings
from postconnector.model.send_connector import SendConnector


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What counts as temporary or permanent for one connector, against its own code.

    `dns`: what DNS does not know is temporary. `downgraded` and `upgraded`: permanent failures
    that become temporary, and the reverse.
    """

    dns: bool
    downgraded: tuple[EnhancedStatusCode, ...]
    upgraded: tuple[EnhancedStatusCode, ...]

    def counts_as(self, status: str, *, from_dns: bool) -> str:
        """The enhanced status code that a failure has in the end, given the one it came with.

        Only the class changes, and only once: a code that is made here is in no list again.
        `from_dns`: the next hop was not found by DNS, so that no list makes this permanent.
        """
        if self.dns and from_dns and status[0] in "45":
            return f"4{status[1:]}"
        if any(_names(code, status) for code in self.downgraded):
            return f"4{status[1:]}"
        if any(_names(code, status) for code in self.upgraded):
            return f"5{status[1:]}"
        return status


def failure_policy(connector: SendConnector, settings: OrganizationSettings) -> FailurePolicy:
    """What a connector's error policies come to; the lists are the organization's."""
    policies = connector.error_policies.policies
    downgrades = ErrorPolicy.DOWNGRADE_CUSTOM_FAILURES in policies
    upgrades = ErrorPolicy.UPGRADE_CUSTOM_FAILURES in policies
    return FailurePolicy(
        dns=ErrorPolicy.DOWNGRADE_DNS_FAILURES in policies,
        downgraded=settings.downgraded_failures if downgrades else (),
        upgraded=settings.upgraded_failures if upgrades else (),
    )


def _names(code: EnhancedStatusCode, status: str) -> bool:
    """5.7.1 is not 5.7.10, and 5.7.* is all of 5.7."""
    if code.detail is None:
        return status.startswith(f"{code.status_class}.{code.subject}.")
    return status == str(code)
