"""Which published certificates can't be shown at a moment and why, and which end soon. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from postconnector.certificates.state import CertificateState, CertificateStates
from postconnector.model.problem import quoted

WARN_DAYS = 30
"""Days before its end from which a certificate is warned of."""

_INSTANT = timedelta(microseconds=1)
"""A certificate is valid at its last moment too."""

NOT_FOUND = (
    "The certificate specified in TlsCertificateName of the SendConnector could not be found."
)
"""Exchange's words for mail that waits because of it, with 454 4.7.5."""


def unusable_reason(state: CertificateState, now: datetime) -> str | None:
    """Why the certificate can't be shown at `now`; None if it can."""
    certificate = state.certificate
    if state.problem is not None or certificate is None:
        return state.problem or "there is none"
    if certificate.not_after < now:
        return f"it expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC"
    if certificate.not_before > now:
        return f"it is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
    return None


def reply_text(reason: str) -> str:
    """What mail that waits is told: Exchange's words, and ours."""
    return f"{NOT_FOUND} ({reason})"


def unusable(states: CertificateStates, now: datetime) -> dict[str, str]:
    """By connector name, the reply of those whose mail waits at `now`."""
    reasons = ((name, unusable_reason(s, now)) for name, s in states.connectors.items())
    return {name: reply_text(reason) for name, reason in reasons if reason is not None}


def days_left(states: CertificateStates, now: datetime) -> dict[str, float]:
    """By connector name, days until the certificate ends; negative once it has."""
    return {
        name: (state.certificate.not_after - now) / timedelta(days=1)
        for name, state in states.connectors.items()
        if state.certificate is not None
    }


def described(state: CertificateState) -> str:
    """What is shown, for people."""
    if (certificate := state.certificate) is None:
        return "nothing"
    until = f"until {certificate.not_after:%Y-%m-%d %H:%M} UTC"
    return f"{certificate.subject} {until} ({certificate.file})"


def problem_of(name: str, state: CertificateState, now: datetime) -> str | None:
    """What an administrator should know of a connector's certificate; None if all is well."""
    if (reason := unusable_reason(state, now)) is not None:
        if state.certificate is None:
            return f"mail of connector {quoted(name)} waits: {state.why}"
        return f"mail of connector {quoted(name)} waits for its certificate: {reason}; renew it"
    if state.certificate is None:
        return None
    days = (state.certificate.not_after - now).days
    if days >= WARN_DAYS:
        return None
    return f"the certificate of connector {quoted(name)} ends in {days} days; renew it"


def next_change(states: Mapping[str, CertificateState], now: datetime) -> datetime | None:
    """The next moment after `now` from which one is valid, or no more; None: never."""
    moments = (
        moment
        for state in states.values()
        if state.certificate is not None
        for moment in (state.certificate.not_before, state.certificate.not_after + _INSTANT)
    )
    return min((moment for moment in moments if moment > now), default=None)
