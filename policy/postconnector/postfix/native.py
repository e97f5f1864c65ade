"""What Postfix can carry out of a connector by itself: its next hop, its TLS, or why it can't.

Pure. What the connector's smtp(8) service is set to stands in `settings`.
"""

from dataclasses import dataclass
from functools import lru_cache

from postconnector.enforcement.tls_requirement import (
    NameSource,
    Starttls,
    TlsRequirement,
    tls_requirement,
)
from postconnector.model.organization import HostSettings
from postconnector.model.send_connector import (
    SendConnector,
    SmartHostAuthMechanism,
    TlsAuthLevel,
)
from postconnector.model.tls_domain import TlsDomain
from postconnector.model.topology import Server


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What a connector demands of the next hop's TLS, in Postfix' words.

    `level` is a TLS security level, or None where the host's own level and policies hold.
    `match`: names for smtp_tls_secure_cert_match. `shown`: for people.
    """

    level: str | None
    shown: str
    match: str | None = None

    @property
    def policy(self) -> str | None:
        """The same as an entry of smtp_tls_policy_maps."""
        return self.level if self.match is None else f"{self.level} match={self.match}"


def agent_reason(connector: SendConnector, server: Server | None, host: HostSettings) -> str | None:
    """Why Postfix on this server can't deliver for this connector by itself; None if it can."""
    if (
        connector.tls_auth_level is TlsAuthLevel.CERTIFICATE_VALIDATION
        and connector.smart_host_auth_mechanism is not SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS
    ):
        return "Postfix can't check a certificate without its name (CertificateValidation)"
    if any(space.attributes for space in connector.address_spaces):
        return "Postfix can't compare the attributes of X.400 addresses"
    credential = connector.authentication_credential
    if logs_in(connector) and credential is not None and credential.token_file is not None:
        return "Postfix by itself can't log in with a token (token_file)"
    if host.certificate_revocation_lists is not None and tls_demand(connector).level == "secure":
        return "Postfix can't look at revocation lists (certificate_revocation_lists)"
    asks_own_dns = connector.use_external_dns_servers_enabled and connector.dns_routing_enabled
    if asks_own_dns and server is not None and server.external_dns_servers:
        return (
            "Postfix can't ask other DNS servers for one connector (UseExternalDNSServersEnabled)"
        )
    return None


def next_hops(connector: SendConnector) -> tuple[str, ...]:
    """The next hops, in the order in which they are tried; none means the recipient's domain.

    In lower case: tables are looked up so, and two that differ in case alone are one.
    """
    if connector.dns_routing_enabled:
        return ()
    named = ((host, host.host.lower()) for host in connector.smart_hosts)
    return tuple(
        f"[{name}]:{connector.port}" if host.is_address else f"{name}:{connector.port}"
        for host, name in named
    )


def next_hop(connector: SendConnector) -> str:
    """The nexthop of a connector's mail; empty means the recipient's domain."""
    return ", ".join(next_hops(connector))


def logs_in(connector: SendConnector) -> bool:
    """Whether the connector's smart hosts want a login."""
    return connector.authenticates and bool(connector.smart_hosts)


def tls_demand(connector: SendConnector) -> TlsDemand:
    """What the connector's TLS properties come to; only the agent checks a chain without a name."""
    return _tls_demand(tls_requirement(connector), connector.tls_domain)


@lru_cache(maxsize=1000)
def _tls_demand(requirement: TlsRequirement, tls_domain: TlsDomain | None) -> TlsDemand:
    """Asked for again and again, and of thousands of connectors most have the same."""
    if requirement.starttls is Starttls.NEVER:
        return TlsDemand("none", "none")
    if requirement.starttls is Starttls.IF_OFFERED:
        return TlsDemand(None, "if offered")
    if requirement.name is None:
        return TlsDemand("encrypt", "encrypted")
    if requirement.name is not NameSource.TLS_DOMAIN or tls_domain is None:
        return TlsDemand("secure", f"verified: {requirement.name.value}", "nexthop")
    match = ("." if tls_domain.subdomains else "") + tls_domain.domain
    return TlsDemand("secure", f"verified: {tls_domain}", match)
