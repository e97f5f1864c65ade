"""From a connector to how its mail gets to its next hop: targets, and how sessions are held."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from postconnector.certificates.choice import NoCertificateError
from postconnector.certificates.watch import reply_text
from postconnector.delivery.attempts import Way
from postconnector.delivery.grouping import Group
from postconnector.delivery.hosts.next_hops import NextHops
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.in_force import InForce
from postconnector.delivery.reply import Reply
from postconnector.delivery.secrets import NoSecretError
from postconnector.delivery.smtp.settings import Login, SessionSettings
from postconnector.delivery.tls.contexts import TrustError
from postconnector.delivery.tls.policies import certificate_to_show, tls_policy
from postconnector.delivery.tls.policy import TlsPolicy
from postconnector.enforcement.header_firewall import CrossPremises, HeaderFirewall, header_firewall
from postconnector.model.problem import quoted
from postconnector.model.send_connector import SendConnector, SmartHostAuthMechanism
from postconnector.postfix.local_routing import UnknownAddressError
from postconnector.postfix.native import logs_in

_EVERYTHING = HeaderFirewall(
    organization=True, routing=True, cross_premises=CrossPremises.AS_THEY_ARE
)
"""Leaves for a server of the organization."""


class CannotSendError(Exception):
    """Mail can't be sent by this connector now; `reply` (4xx) says why."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, (text,))


@dataclass(frozen=True, slots=True)
class Ways:
    """Finds the way of each group. `next_hops` by the DNS servers to ask; none: the system's."""

    next_hops: Callable[[tuple[str, ...]], NextHops]

    async def find(self, in_force: InForce, group: Group) -> Way:
        """The way to the next hop. Raises NoTargetError or CannotSendError."""
        connector, firewall = _carried_out(in_force, group)
        settings = session_settings(in_force, connector, group.domain)
        protocol_log = in_force.protocol_log
        return Way(
            key=(in_force.number, connector.name, connector.smart_hosts, group.domain),
            targets=await self.targets(in_force, connector, group.domain),
            settings=settings,
            firewall=firewall,
            session_log=lambda target: protocol_log.session(
                connector, f"{target.address}:{target.port}", firewall
            ),
        )

    async def targets(
        self, in_force: InForce, connector: SendConnector, domain: str
    ) -> list[Target]:
        """What is to be tried, in this order. Raises NoTargetError."""
        external = connector.use_external_dns_servers_enabled
        next_hops = self.next_hops(in_force.external_dns_servers if external else ())
        source = connector.source_ip_address
        family = source.version if source is not None else None
        if connector.dns_routing_enabled:
            return await next_hops.for_domain(domain, connector.port, family)
        return await next_hops.for_smart_hosts(
            connector.name, connector.smart_hosts, connector.port, family
        )


def _carried_out(in_force: InForce, group: Group) -> tuple[SendConnector, HeaderFirewall]:
    """The connector as this host carries it out, and which headers leave.

    Mail for another server's goes to that server, which is not the connector's business yet.
    """
    local, candidate = in_force.local, group.candidate
    try:
        if candidate.reach.hops == 0:
            connector = local.resolved(candidate.connector)
            return connector, header_firewall(connector, local.settings)
        servers = tuple(local.source_hosts(candidate))
    except UnknownAddressError as error:
        raise CannotSendError(451, "4.3.5", str(error)) from None
    name = f"source servers of {candidate.connector.name}"
    relay = SendConnector(name=name, dns_routing_enabled=False, smart_hosts=servers)
    return relay, _EVERYTHING


def session_settings(in_force: InForce, connector: SendConnector, domain: str) -> SessionSettings:
    """How sessions with the next hops of `connector` for mail to `domain` are held.

    Raises CannotSendError.
    """
    return SessionSettings(
        helo_name=connector.fqdn or in_force.hostname,
        tls=_tls(in_force, connector, domain),
        force_helo=connector.force_helo,
        source_address=connector.source_ip_address,
        login=_login(in_force, connector),
        messages=connector.smtp_max_messages_per_connection,
        idle=connector.connection_inactivity_time_out.seconds,
    )


def _tls(in_force: InForce, connector: SendConnector, domain: str) -> TlsPolicy:
    try:
        published = in_force.secrets.certificates.get(connector.name)
        shown = certificate_to_show(connector, published, datetime.now(UTC))
        return tls_policy(domain, connector, in_force.local.settings, in_force.contexts, shown)
    except NoCertificateError as error:
        raise CannotSendError(454, "4.7.5", reply_text(str(error))) from None
    except TrustError as error:
        raise CannotSendError(451, "4.7.5", str(error)) from None


def _login(in_force: InForce, connector: SendConnector) -> Login | None:
    credential = connector.authentication_credential
    if credential is None or not logs_in(connector):
        return None
    try:
        secret = in_force.secrets.login_secret(connector)
    except NoSecretError as error:
        text = f"can't log in for connector {quoted(connector.name)}: {error}"
        raise CannotSendError(451, "4.7.8", text) from None
    mechanism = connector.smart_host_auth_mechanism
    return Login(
        credential.user_name,
        secret,
        only_encrypted=mechanism is SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS,
        oauth=credential.token_file is not None,
    )
