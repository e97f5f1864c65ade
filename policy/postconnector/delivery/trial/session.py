"""A session of a trial: opened as the agent opens one, and looked at on the way."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from postconnector.delivery.envelope import Envelope
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.smtp.authentication import NoMechanismError, choose_mechanism
from postconnector.delivery.smtp.connection import Connection
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.settings import SessionSettings
from postconnector.delivery.smtp.steps import Dialogue, SessionFailedError, Stage
from postconnector.delivery.tls.names import UnreadableCertificateError, carries, names_in
from postconnector.delivery.tls.policy import TlsPolicy
from postconnector.delivery.trial.certificate import ShownCertificate, read_certificate
from postconnector.delivery.trial.dialogue import asking
from postconnector.delivery.trial.findings import Demand, Failure, Finding, FoundTarget
from postconnector.delivery.trial.handshake import HandshakeRecord
from postconnector.model.plain_text import clean

_GOING_ON_WITHOUT_TLS = "going on without TLS: "
_MOST_LINES = 1000


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """`settings` have a TLS context that no other session uses; `unverified` demands TLS alone."""

    settings: SessionSettings
    unverified: TlsPolicy
    demand: Demand


async def look(found: FoundTarget, plan: SessionPlan, envelope: Envelope | None) -> Finding:
    """What is found at one target; with an envelope of one recipient it is asked for that too."""
    finding = Finding(found)
    context = plan.settings.tls.context
    record = HandshakeRecord.of(context) if context is not None else HandshakeRecord()
    try:
        connection = await _open(found.target, plan.settings, finding)
    except SessionFailedError as error:
        finding.failure, finding.opened = Failure.of(error), error.opened
        _note_tls(finding, record, plan)
        if record.chain and error.stage is Stage.TLS:
            await _look_behind(finding, plan)
    else:
        finding.opened = connection.opened
        _note_tls(finding, record, plan)
        await _end(connection, finding, envelope)
    finding.mechanism = _mechanism(finding.opened, plan.settings)
    return finding


class _Session(Connection):
    """A connection by which something else is said than mail."""

    async def converse(self, dialogue: Dialogue[None]) -> None:
        """Carry a dialogue out. Raises SessionFailedError."""
        await self._conversation.carry_out(dialogue)


class _Listener:
    """Hears what is said (a DialogueLog), and writes it into the finding."""

    def __init__(self, finding: Finding, clock: Callable[[], float] = time.monotonic) -> None:
        self._finding = finding
        self._clock = clock
        self._began = clock()

    def information(self, text: str, context: str = "") -> None:
        """What the session does by itself."""
        self._write("*", " ".join(filter(None, (context, text))))
        if text.startswith(_GOING_ON_WITHOUT_TLS):
            self._finding.without_tls = clean(text.removeprefix(_GOING_ON_WITHOUT_TLS))

    def connected(self, local: str, remote: str) -> None:
        """There is a connection; of several, the time of the first counts."""
        finding = self._finding
        finding.local, finding.remote = local, remote
        if finding.milliseconds is None:
            finding.milliseconds = (self._clock() - self._began) * 1000
        self._write("+", f"{local} to {remote}")

    def sent(self, line: str) -> None:
        """We say this."""
        self._write(">", line)

    def received(self, line: str) -> None:
        """The next hop says this."""
        self._write("<", line)

    def disconnected(self, reason: str) -> None:
        """It is over."""
        self._write("-", reason)

    def _write(self, event: str, text: str) -> None:
        if len(self._finding.dialogue) < _MOST_LINES:
            self._finding.dialogue.append(f"{event} {clean(text)}".rstrip())


async def _open(target: Target, settings: SessionSettings, finding: Finding) -> _Session:
    session = await _Session.open(target, settings, _Listener(finding))
    if not isinstance(session, _Session):
        raise AssertionError("open makes what it is asked of")
    return session


async def _end(session: _Session, finding: Finding, envelope: Envelope | None) -> None:
    """Ask for the recipient, and say goodbye."""
    try:
        if envelope is not None:
            timeouts = session.settings.timeouts
            await session.converse(asking(envelope, finding, timeouts))
    except SessionFailedError as error:
        # After an answer, what RSET comes to is no matter of the mail.
        finding.failure = finding.failure or _after_answer(error, finding)
    session.quit()
    await session.wait_closed()


def _after_answer(error: SessionFailedError, finding: Finding) -> Failure | None:
    return None if finding.recipient is not None else Failure.of(error)


async def _look_behind(finding: Finding, plan: SessionPlan) -> None:
    """The certificate was not good enough: what would be offered behind it.

    Nothing is verified, so nothing is said there that is worth anything.
    """
    blind = replace(plan.settings, tls=plan.unverified, login=None)
    heard = Finding(finding.found)
    context = plan.unverified.context
    record = HandshakeRecord.of(context) if context is not None else HandshakeRecord()
    try:
        session = await _open(finding.target, blind, heard)
    except SessionFailedError:
        return
    finally:
        finding.dialogue += heard.dialogue
    banner, in_clear = finding.opened.banner, finding.opened.in_clear
    finding.opened = replace(session.opened, banner=banner, in_clear=in_clear)
    finding.in_second = True
    if finding.asks_for_ours is None:
        finding.asks_for_ours = record.asks_for_ours
    session.quit()
    await session.wait_closed()


def _note_tls(finding: Finding, record: HandshakeRecord, plan: SessionPlan) -> None:
    """What the handshake showed; without a record, what the session knows of the certificate."""
    tls = finding.opened.tls
    data = record.chain or ((tls.certificate,) if tls is not None and tls.certificate else ())
    finding.chain = tuple(_read(data))
    finding.asks_for_ours = record.asks_for_ours
    finding.ours_was_shown = record.ours_was_shown
    if not data:
        return
    if plan.demand.chain:
        finding.chain_met = record.accepted or (tls is not None and tls.verified)
    if plan.demand.names is not None:
        finding.name_met = _carries_name(data[0], plan.demand)


def _read(chain: tuple[bytes, ...]) -> list[ShownCertificate]:
    now = datetime.now(UTC)
    found = (read_certificate(data, now) for data in chain)
    return [certificate for certificate in found if certificate is not None]


def _carries_name(certificate: bytes, demand: Demand) -> bool:
    try:
        return carries(names_in(certificate), demand.names or ())
    except UnreadableCertificateError:
        return False


def _mechanism(opened: Opened, settings: SessionSettings) -> str | None:
    if settings.login is None:
        return None
    try:
        return opened.mechanism or choose_mechanism(settings.login, opened.extensions.mechanisms)
    except NoMechanismError:
        return None
