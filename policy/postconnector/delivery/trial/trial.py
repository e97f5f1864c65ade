"""Trying a connector: a session with every next hop that it has, in which no mail is sent.

Nothing is remembered of hosts that were dead before: each is tried.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from postconnector.delivery.envelope import Envelope
from postconnector.delivery.hosts.back_off import BackOff
from postconnector.delivery.hosts.next_hops import NextHops
from postconnector.delivery.hosts.own_host import OwnHost
from postconnector.delivery.hosts.resolver import Resolver
from postconnector.delivery.in_force import InForce
from postconnector.delivery.smtp.settings import SessionSettings, Timeouts
from postconnector.delivery.tls.contexts import TlsContexts, Trust
from postconnector.delivery.tls.policy import Starttls, TlsPolicy
from postconnector.delivery.trial.certificate import ShownCertificate, read_certificate
from postconnector.delivery.trial.findings import Demand, Finding, FoundTarget, NotFound
from postconnector.delivery.trial.session import SessionPlan, look
from postconnector.delivery.trial.targets import find_targets
from postconnector.delivery.trial.verdict import Verdict, verdict
from postconnector.delivery.ways import Ways, session_settings
from postconnector.enforcement.failure_policy import failure_policy
from postconnector.model.send_connector import SendConnector

_DNS_PORT = 53
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class TrialReport:
    """What came of it. `domain`: of the recipients, by which DNS routing was done, or empty.

    `trust`: whom certificates had to lead to, the machine's authorities by their places.
    """

    connector: SendConnector
    domain: str
    helo_name: str
    demand: Demand
    trust: Trust
    findings: Sequence[Finding]
    not_found: Sequence[NotFound]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Trial:
    """Of one connector as this host carries it out (`LocalRouting.resolved`).

    `domain`: what the agent routes by, empty with smart hosts. `seconds`: for each step of each
    session, and for each question to DNS.
    """

    in_force: InForce
    connector: SendConnector
    domain: str
    seconds: float

    async def run(self, envelope: Envelope | None = None) -> TrialReport:
        """Try all next hops; with an envelope of one recipient, ask them for it.

        Raises CannotSendError if the connector lacks something that it needs for any session.
        """
        plan = self._plan()
        external = self.connector.use_external_dns_servers_enabled
        servers = self.in_force.external_dns_servers if external else ()
        resolver = self._resolver(servers)
        own = OwnHost(frozenset({self.in_force.hostname.lower()}))
        next_hops = NextHops(resolver, BackOff(time.monotonic), own, random.SystemRandom())
        found, not_found = await find_targets(
            Ways(lambda _servers: next_hops), resolver, self.in_force, self.connector, self.domain
        )
        findings = await self._look_at(found, envelope)
        policy = failure_policy(self.connector, self.in_force.local.settings)
        return TrialReport(
            connector=self.connector,
            domain=self.domain,
            helo_name=plan.settings.helo_name,
            demand=plan.demand,
            trust=named_trust(self.in_force.contexts.trust),
            findings=findings,
            not_found=not_found,
            verdict=verdict(findings, not_found, policy),
        )

    def _resolver(self, servers: tuple[str, ...]) -> Resolver:
        if servers:
            return Resolver(servers, _DNS_PORT, per_try=self.seconds / 2, in_all=self.seconds)
        return Resolver.of_system()

    async def _look_at(
        self, found: Sequence[FoundTarget], envelope: Envelope | None
    ) -> list[Finding]:
        """Some at once: a human waits."""
        few = asyncio.Semaphore(_AT_ONCE)

        async def looked_at(each: FoundTarget) -> Finding:
            async with few:
                return await look(each, self._plan(), envelope)

        return list(await asyncio.gather(*map(looked_at, found)))

    def _plan(self) -> SessionPlan:
        """One for each session, with TLS contexts of its own. Raises CannotSendError."""
        contexts = TlsContexts(self.in_force.contexts.trust)
        in_force = replace(self.in_force, contexts=contexts)
        settings = session_settings(in_force, self.connector, self.domain)
        settings = replace(settings, timeouts=_timeouts(self.seconds))
        own = self.in_force.secrets.certificates.get(self.connector.name)
        shown = own if self.connector.shows_certificate else None
        unverified = TlsPolicy(Starttls.REQUIRED, contexts.context(chain=False, shown=shown))
        return SessionPlan(settings, unverified, self._demand(settings, shown))

    def _demand(self, settings: SessionSettings, shown: bytes | None) -> Demand:
        context = settings.tls.context
        chain = context is not None and context.verify_mode is ssl.CERT_REQUIRED
        return Demand(
            settings.tls.starttls,
            chain=chain,
            names=settings.tls.names,
            revocation=chain and self.in_force.contexts.trust.crl_directory is not None,
            user=settings.login.user_name if settings.login is not None else None,
            shows_own=_certificate_of(shown) if shown is not None else None,
        )


def named_trust(trust: Trust) -> Trust:
    """The same with the places of the machine's authorities, where these are trusted."""
    if trust.ca_file is not None or trust.ca_directory is not None:
        return trust
    system = ssl.get_default_verify_paths()
    file, directory = (Path(path) if path else None for path in (system.cafile, system.capath))
    return Trust(file, directory, trust.crl_directory)


def _timeouts(seconds: float) -> Timeouts:
    return Timeouts(
        connect=seconds,
        tls=seconds,
        greeting=seconds,
        ehlo=seconds,
        mail=seconds,
        rcpt=seconds,
        quit=min(seconds, 2.0),
    )


def _certificate_of(pem: bytes) -> ShownCertificate | None:
    certificate = x509.load_pem_x509_certificate(pem)
    return read_certificate(certificate.public_bytes(Encoding.DER), datetime.now(UTC))
