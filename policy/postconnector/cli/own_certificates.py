"""What apply, rollback, renew and status say of the certificates that connectors show."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from postconnector.certificates.state import CertificateState, CertificateStates
from postconnector.certificates.watch import described, problem_of, unusable_reason
from postconnector.model.problem import quoted
from postconnector.postfix.own_certificates import chain_file
from postconnector.postfix.publish import Publication
from postconnector.postfix.table_names import CERTIFICATE_STATES


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a connector shows; `days` until it ends. `why` this one, or what is wrong.

    `waits`: mail waits, as it can't be shown.
    """

    connector: str
    subject: str | None
    issuer: str | None
    file: str | None
    not_after: str | None
    days: int | None
    why: str
    waits: bool

    @classmethod
    def of(cls, name: str, state: CertificateState, now: datetime) -> "Certificate":
        """That of a connector, at this moment."""
        waits = unusable_reason(state, now) is not None
        if (facts := state.certificate) is None:
            return cls(name, None, None, None, None, None, state.why, waits)
        return cls(
            connector=name,
            subject=facts.subject,
            issuer=facts.issuer,
            file=facts.file,
            not_after=facts.not_after.isoformat(timespec="minutes"),
            days=(facts.not_after - now).days,
            why=state.why,
            waits=waits,
        )


def changed_certificates(publication: Publication, now: datetime) -> Iterator[str]:
    """A line for each connector that shows something else, or nothing, after the publication."""
    live, files = publication.before.files, publication.rendered.files
    before = CertificateStates.connectors_in(live.get(CERTIFICATE_STATES))
    published = publication.compiled.certificate_states
    connectors = {c.name: c for c in publication.local.own}
    for name, state in CertificateStates.connectors_in(published).items():
        file = chain_file(publication.local, connectors[name])
        chain = files[file].data if file in files else None
        if before.get(name) != state or live.get(file) != chain:
            yield problem_of(name, state, now) or _shown(name, state)


def waiting_for_certificates(states: CertificateStates, now: datetime) -> Iterator[str]:
    """A line for each connector whose mail waits."""
    for name, state in states.connectors.items():
        if unusable_reason(state, now) is not None and (line := problem_of(name, state, now)):
            yield line


def _shown(name: str, state: CertificateState) -> str:
    return f"connector {quoted(name)} shows {described(state)}: {state.why}"
