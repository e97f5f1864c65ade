"""Error policies in Postfix' words: a table for smtp(8)'s delivery status filter. Pure.

The filter is asked once a recipient, when no other MX or smart host is left to try, with the
enhanced status code, a blank and a text: what the next hop said, or why it was not reached.
So a code that one pattern has made is never changed by another.
"""

from postconnector.enforcement.failure_policy import FailurePolicy
from postconnector.model.enhanced_status_code import EnhancedStatusCode

_PERMANENT, _TEMPORARY = 5, 4
_UNKNOWN_TO_DNS = ("/^[45]([.][0-9.]+.Host.or.domain.name.not.found.*)$/", "4$1")
"""Those that are temporary already stay so: no list may make them permanent."""


def failure_table(policy: FailurePolicy) -> str | None:
    """The name of the table of patterns that does it; None if nothing is to be done."""
    words = [
        word
        for word, does in (
            ("dns", policy.dns),
            ("downgraded", policy.downgraded),
            ("upgraded", policy.upgraded),
        )
        if does
    ]
    return f"failures/{'-'.join(words)}" if words else None


def failure_patterns(policy: FailurePolicy) -> tuple[tuple[str, str], ...]:
    """regexp_table(5), for status filters: the first that matches counts."""
    return (
        *((_UNKNOWN_TO_DNS,) if policy.dns else ()),
        *(_becomes(_TEMPORARY, code) for code in policy.downgraded),
        *(_becomes(_PERMANENT, code) for code in policy.upgraded),
    )


def _becomes(status_class: int, code: EnhancedStatusCode) -> tuple[str, str]:
    """The class changes; the text stays. A key has no blanks, and 5.7.1 is not 5.7.10."""
    detail = "[0-9]+" if code.detail is None else str(code.detail)
    pattern = f"/^{code.status_class}([.]{code.subject}[.]{detail}[^0-9].*)$/"
    return pattern, f"{status_class}$1"
