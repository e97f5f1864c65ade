"""Looking at the next hops of a connector, each by a session of its own that sends no mail."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography import x509

from postconnector.delivery.dialogue_log import NoDialogueLog
from postconnector.delivery.hosts.target import NoTargetError, Target
from postconnector.delivery.in_force import InForce
from postconnector.delivery.reply import Reply, clean
from postconnector.delivery.smtp.connection import Connection
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.settings import SessionSettings, Timeouts
from postconnector.delivery.smtp.steps import SessionFailedError
from postconnector.delivery.tls.contexts import TlsContexts, Trust
from postconnector.delivery.tls.names import UnreadableCertificateError, names_in
from postconnector.delivery.tls.policy import Starttls, TlsPolicy
from postconnector.delivery.ways import Ways, session_settings
from postconnector.model.send_connector import SendConnector


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What a next hop showed; `names` of the SANs and CNs. `days_left` may be negative."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]

    @classmethod
    def read(cls, data: bytes) -> "ShownCertificate | None":
        """From DER; None for what is no certificate."""
        try:
            certificate = x509.load_der_x509_certificate(data)
            names = names_in(data)
        except (ValueError, UnreadableCertificateError):
            return None
        return cls(
            clean(certificate.subject.rfc4514_string()),
            clean(certificate.issuer.rfc4514_string()),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            tuple(clean(name) for name in names),
        )

    @property
    def days_left(self) -> int:
        """Until it expires."""
        return (self.not_after - datetime.now(UTC)).days


@dataclass(slots=True)
class Inspection:
    """One next hop. `hop`: the smart host, or the recipients' domain, that led to `target`.

    `failure`: what a message would be told there; None if it would be taken. `seconds`: until the
    session stood. `certificate_unverified`: it was seen in a second session, without verification.
    """

    hop: str
    target: Target | None
    failure: Reply | None = None
    local_endpoint: str = ""
    seconds: float | None = None
    opened: Opened = field(default_factory=Opened)
    certificate: ShownCertificate | None = None
    certificate_unverified: bool = False
    recipient_answer: Reply | None = None


@dataclass(frozen=True, slots=True)
class Inspector:
    """Inspects for one connector as this host carries it out. `seconds`: for each step."""

    in_force: InForce
    ways: Ways
    connector: SendConnector
    seconds: float

    async def inspect(
        self, domain: str, sender: str, recipient: str | None
    ) -> AsyncIterator[Inspection]:
        """All next hops for mail to a domain, one after the other. Raises CannotSendError.

        `recipient`: the one that each is asked about, if any.
        """
        timeouts = Timeouts(*[self.seconds] * len(Timeouts.__dataclass_fields__))
        settings = session_settings(self.in_force, self.connector, domain)
        settings = replace(settings, timeouts=timeouts)
        for hop, part in self._hops(domain):
            try:
                targets = await self.ways.targets(self.in_force, part, domain)
            except NoTargetError as error:
                yield Inspection(hop, None, error.reply)
                continue
            for target in targets:
                inspection = Inspection(hop, target)
                await self._look(inspection, target, settings, sender, recipient)
                yield inspection

    def _hops(self, domain: str) -> list[tuple[str, SendConnector]]:
        """Smart hosts one by one, so that one that is not found is seen as well."""
        if self.connector.dns_routing_enabled:
            return [(domain, self.connector)]
        return [
            (str(host), self.connector.model_copy(update={"smart_hosts": (host,)}))
            for host in self.connector.smart_hosts
        ]

    async def _look(
        self,
        inspection: Inspection,
        target: Target,
        settings: SessionSettings,
        sender: str,
        recipient: str | None,
    ) -> None:
        began = time.monotonic()
        try:
            connection = await Connection.open(target, settings, NoDialogueLog())
        except SessionFailedError as failure:
            inspection.failure, inspection.opened = failure.reply, failure.opened
            in_clear = failure.opened.in_clear or failure.opened.extensions
            if failure.opened.tls is None and in_clear.offers("STARTTLS"):
                await self._look_again(inspection, target, settings)
        else:
            inspection.seconds = time.monotonic() - began
            inspection.opened = connection.opened
            inspection.local_endpoint = connection.local_endpoint
            if recipient is not None:
                await self._ask(inspection, connection, sender, recipient)
            connection.quit()
            await connection.wait_closed()
        tls = inspection.opened.tls
        if tls is not None and tls.certificate is not None:
            inspection.certificate = ShownCertificate.read(tls.certificate)

    async def _ask(
        self, inspection: Inspection, connection: Connection, sender: str, recipient: str
    ) -> None:
        try:
            answer, _ = await connection.ask(sender, recipient)
        except SessionFailedError as failure:
            inspection.failure = failure.reply
            return
        inspection.recipient_answer = answer
        if not answer.is_positive:
            inspection.failure = answer

    async def _look_again(
        self, inspection: Inspection, target: Target, settings: SessionSettings
    ) -> None:
        """TLS was not good enough: without any demand its certificate can be seen."""
        context = TlsContexts(Trust()).context(chain=False, shown=None)
        blind = replace(settings, login=None, tls=TlsPolicy(Starttls.REQUIRED, context))
        try:
            connection = await Connection.open(target, blind, NoDialogueLog())
        except SessionFailedError:
            return
        inspection.opened = connection.opened
        inspection.certificate_unverified = True
        connection.quit()
        await connection.wait_closed()
