"""The certificates that this host's connectors show: from the store, or as they were published.

A connector whose certificate is gone from the store, or expired, keeps the chain that it was
published with: Postfix must find one to start at all where it may do without TLS. Nobody shows it,
as the published state says that mail waits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from postconnector.certificates.choice import (
    NoCertificateError,
    choose_certificate,
    reason_for,
)
from postconnector.certificates.state import (
    LARGEST_FILE,
    CertificateFacts,
    CertificateState,
    CertificateStates,
    StateError,
)
from postconnector.certificates.store import OwnCertificate
from postconnector.certificates.watch import unusable_reason
from postconnector.model.problem import Problem, Severity
from postconnector.model.send_connector import SendConnector
from postconnector.model.tls_certificate_name import TlsCertificateName
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.table_names import (
    CERTIFICATE_STATES,
    agent_certificate,
    certificate_file,
)
from postconnector.sources.connector_entry import CONNECTORS

_GONE = "no certificate with this issuer and subject and with its private key is in the store"


@dataclass(frozen=True, slots=True)
class OwnCertificates:
    """`chains` (PEM with key) and `states` by connector name; `problems`: what is wrong.

    `states` is None where no connector has a certificate of its own.
    """

    chains: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    states: CertificateStates | None = None
    problems: tuple[Problem, ...] = ()


def chosen_certificates(local: LocalRouting, directory: Path, now: datetime) -> OwnCertificates:
    """Choose from the store; one that can't be shown at `now` is a problem of its connector."""
    wanted = list(_with_certificate(local))
    if not wanted:
        return OwnCertificates()
    from postconnector.certificates.pem import read_store  # takes a while, and few have any

    store = read_store(directory)
    chains: dict[str, bytes] = {}
    states: dict[str, CertificateState] = {}
    problems = [
        Problem(text, ("host", "certificate_directory"), severity=Severity.WARNING)
        for text in store.problems
    ]
    for index, connector, name in wanted:
        try:
            certificate = choose_certificate(name, store, now)
            states[connector.name] = _state(certificate, reason_for(certificate, name, store, now))
            chains[connector.name] = certificate.pem
        except NoCertificateError as error:
            states[connector.name] = _state(error.latest, str(error))
            if error.latest is not None:
                chains[connector.name] = error.latest.pem
            problems.append(_problem(index, connector, str(error)))
    known = CertificateStates(directory=str(store.directory), connectors=states)
    return OwnCertificates(chains, known, tuple(problems))


def published_certificates(
    local: LocalRouting, generation: Path, now: datetime | None = None
) -> OwnCertificates:
    """What a generation holds; one that can't be shown at `now`, if given, is a problem too."""
    wanted = list(_with_certificate(local))
    if not wanted:
        return OwnCertificates()
    try:
        states = read_states(generation)
    except StateError as error:
        problem = Problem(str(error), ("host", "certificate_directory"))
        return OwnCertificates(problems=(problem,))
    chains: dict[str, bytes] = {}
    problems: list[Problem] = []
    for index, connector, _ in wanted:
        state = states.connectors.get(connector.name)
        chain = _read_chain(generation / chain_file(local, connector))
        if chain is not None:
            chains[connector.name] = chain
        if state is None or not _is_of(state, chain):
            message = "the generation does not hold its certificate"
            problems.append(_problem(index, connector, message))
        elif now is not None and (reason := unusable_reason(state, now)) is not None:
            problems.append(_problem(index, connector, f"its certificate: {reason}"))
    return OwnCertificates(chains, states, tuple(problems))


def renewed_certificates(local: LocalRouting, generation: Path, now: datetime) -> OwnCertificates:
    """What `generation` becomes by the store as it is now. What can't be shown is no problem."""
    before = published_certificates(local, generation)
    if before.states is None:
        return before
    after = chosen_certificates(local, Path(before.states.directory), now)
    warnings = tuple(p for p in after.problems if p.severity is Severity.WARNING)
    return OwnCertificates({**before.chains, **after.chains}, after.states, warnings)


def read_states(generation: Path) -> CertificateStates:
    """What a generation says of its certificates. Raises StateError."""
    try:
        with (generation / CERTIFICATE_STATES).open("rb") as file:
            return CertificateStates.parse(file.read(LARGEST_FILE))
    except OSError as error:
        raise StateError(f"{CERTIFICATE_STATES} can't be read: {error.strerror}") from None


def _with_certificate(
    local: LocalRouting,
) -> Iterator[tuple[int, SendConnector, TlsCertificateName]]:
    for index, connector in enumerate(local.organization.connectors):
        name = connector.tls_certificate_name
        if name is not None and local.is_own(connector) and connector.shows_certificate:
            yield index, connector, name


def _state(certificate: OwnCertificate | None, why: str) -> CertificateState:
    if certificate is None:
        return CertificateState(certificate=None, why=why, problem=_GONE)
    issuer, subject = certificate.names
    facts = CertificateFacts(
        subject=subject,
        issuer=issuer,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        sha256=certificate.sha256,
        file=str(certificate.file),
    )
    return CertificateState(certificate=facts, why=why)


def _is_of(state: CertificateState, chain: bytes | None) -> bool:
    """Whether a published chain is that of the published state."""
    if state.certificate is None:
        return True
    from postconnector.certificates.pem import leaf_fingerprint

    try:
        return leaf_fingerprint(chain or b"") == state.certificate.sha256
    except ValueError:
        return False


def chain_file(local: LocalRouting, connector: SendConnector) -> str:
    """Where in a generation's folder the chain stands that a connector shows."""
    name = local.names[connector.name]
    by_agent = local.agent_reason(connector) is not None
    return agent_certificate(name) if by_agent else certificate_file(name)


def _read_chain(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _problem(index: int, connector: SendConnector, message: str) -> Problem:
    name = "tls_certificate_name"
    return Problem(message, (CONNECTORS, index, name), connector.name, name)
