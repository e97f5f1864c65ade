"""What becomes of failures (ErrorPolicies): a table for smtp(8)'s delivery status filter.

The filter is asked once a recipient, when no other MX or smart host is left to try, with the
enhanced status code, a blank and a text: what the next hop said, or why it was not reached.
So a code that one pattern has made is never changed by another.
"""

from dataclasses import dataclass

from postconnector.model.enhanced_status_code import EnhancedStatusCode
from postconnector.model.error_policies import ErrorPolicy
from postconnector.model.organization import OrganizationSettings
from postconnector.model.send_connector import SendConnector

_PERMANENT, _TEMPORARY = 5, 4


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What counts as temporary or permanent for one connector, against its own code.

    `dns`: what DNS does not know is temporary. `downgraded` and `upgraded`: permanent failures
    that become temporary, and the reverse.
    """

    dns: bool
    downgraded: tuple[EnhancedStatusCode, ...]
    upgraded: tuple[EnhancedStatusCode, ...]

    @property
    def table(self) -> str | None:
        """The name of the table of patterns that does it; None if nothing is to be done."""
        words = [
            word
            for word, does in (
                ("dns", self.dns),
                ("downgraded", self.downgraded),
                ("upgraded", self.upgraded),
            )
            if does
        ]
        return f"failures/{'-'.join(words)}" if words else None

    @property
    def patterns(self) -> tuple[tuple[str, str], ...]:
        """regexp_table(5), for status filters: the first that matches counts."""
        return (
            *((_UNKNOWN_TO_DNS,) if self.dns else ()),
            *(_becomes(_TEMPORARY, code) for code in self.downgraded),
            *(_becomes(_PERMANENT, code) for code in self.upgraded),
        )


_UNKNOWN_TO_DNS = ("/^[45]([.][0-9.]+.Host.or.domain.name.not.found.*)$/", "4$1")
"""Those that are temporary already stay so: no list may make them permanent."""


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


def _becomes(status_class: int, code: EnhancedStatusCode) -> tuple[str, str]:
    """The class changes; the text stays. A key has no blanks, and 5.7.1 is not 5.7.10."""
    detail = "[0-9]+" if code.detail is None else str(code.detail)
    pattern = f"/^{code.status_class}([.]{code.subject}[.]{detail}[^0-9].*)$/"
    return pattern, f"{status_class}$1"
