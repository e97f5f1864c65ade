"""The organization: connectors, what Exchange knows around them, and this host. Immutable."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, PrivateAttr

from postconnector.model import values
from postconnector.model.domain import parse_domain
from postconnector.model.enhanced_status_code import EnhancedStatusCode
from postconnector.model.exchange_version import DEFAULT_VERSION, ExchangeVersion
from postconnector.model.send_connector import SendConnector
from postconnector.model.topology import (
    AcceptedDomain,
    EdgeSubscription,
    Server,
    Site,
    SiteLink,
)

_UNIX = re.compile(r"unix:[A-Za-z0-9._/+-]+")
_INET = re.compile(r"inet:(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


def _path(value: object) -> str:
    path = values.any_text(value)
    if not path:
        raise ValueError("the path is empty")
    return path


def _whole_path(value: object) -> str:
    path = _path(value)
    if not path.startswith("/"):
        raise ValueError("write the whole path, from / on: the delivery agent goes there itself")
    return path


def _endpoint(value: object) -> str:
    text = values.any_text(value)
    if _UNIX.fullmatch(text):
        return text
    inet = _INET.fullmatch(text)
    if inet is not None and 0 < int(inet["port"]) < 65536:
        return text
    raise ValueError(
        "this is no endpoint; write unix:PATH (relative to Postfix' queue directory),"
        " or inet:127.0.0.1:PORT"
    )


class Unmatched(StrEnum):
    """What becomes of mail that no connector matches and Postfix does not deliver itself."""

    POSTFIX = "postfix"
    UNREACHABLE = "unreachable"


class AskMilter(StrEnum):
    """Which mail Postfix shows to the milter: none, that by sendmail(1), or that by SMTP too."""

    NONE = "none"
    SENDMAIL = "sendmail"
    SMTP = "smtp"


class HostSettings(BaseModel):
    """What postconnector itself needs to know of this host (table `[host]`).

    `certificate_directory`: PEM files with our certificates and keys; relative to the folder of
    the connectors file. `trusted_certificates`: a PEM file of the authorities that the delivery
    agent trusts instead of those that Postfix, or this machine, trusts.
    `certificate_revocation_lists`: a folder of CRLs in PEM form. `policy_service`: where Postfix
    asks the policy service. `delivery_agent`: where it hands mail to the agent.
    `lookup_service`: where Postfix looks up what no table can say.
    `milter`: which mail it shows to the milter; `milter_service`: where it does.
    `send_protocol_log_path`: the folder of the protocol log (Set-TransportService). `server`: which
    of the organization's servers this host is. `unmatched`: what no connector matches is
    Postfix' own to route, or is kept as in Exchange's Unreachable queue.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate_directory: Annotated[str, PlainValidator(_path)] = "certificates"
    trusted_certificates: Annotated[str, PlainValidator(_whole_path)] | None = None
    certificate_revocation_lists: Annotated[str, PlainValidator(_whole_path)] | None = None
    policy_service: Annotated[str, PlainValidator(_endpoint)] = "unix:postconnector/policy"
    delivery_agent: Annotated[str, PlainValidator(_endpoint)] = "unix:postconnector/deliver"
    lookup_service: Annotated[str, PlainValidator(_endpoint)] = "unix:postconnector/lookup"
    milter: Annotated[AskMilter, values.choice(AskMilter)] = AskMilter.NONE
    milter_service: Annotated[str, PlainValidator(_endpoint)] = "unix:postconnector/milter"
    send_protocol_log_path: Annotated[str, PlainValidator(_whole_path)] = (
        "/var/log/postconnector/SmtpSend"
    )
    server: Annotated[str, PlainValidator(values.name)] | None = None
    unmatched: Annotated[Unmatched, values.choice(Unmatched)] = Unmatched.POSTFIX


def _version(value: object) -> object:
    """2013 may stand without quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Permanent = Annotated[
    EnhancedStatusCode, values.text(EnhancedStatusCode.parse_permanent, EnhancedStatusCode)
]
_Temporary = Annotated[
    EnhancedStatusCode, values.text(EnhancedStatusCode.parse_temporary, EnhancedStatusCode)
]


class OrganizationSettings(BaseModel):
    """What Exchange knows of the organization besides its connectors (table `[organization]`).

    All of it is optional: without sites and servers, every connector is this host's own.
    `tls_send_domain_secure_list` is that of Set-TransportConfig: the domains that a connector
    with DomainSecureEnabled reaches by mutual TLS alone. `downgraded_failures` and
    `upgraded_failures` are ours: the failures that DowngradeCustomFailures and
    UpgradeCustomFailures are for, which Exchange has built in and does not document.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    exchange_version: Annotated[
        ExchangeVersion, values.choice(ExchangeVersion), BeforeValidator(_version)
    ] = DEFAULT_VERSION
    accepted_domains: tuple[AcceptedDomain, ...] = ()
    sites: tuple[Site, ...] = ()
    site_links: tuple[SiteLink, ...] = ()
    servers: tuple[Server, ...] = ()
    edge_subscriptions: tuple[EdgeSubscription, ...] = ()
    tls_send_domain_secure_list: Annotated[
        tuple[Annotated[str, values.text(parse_domain, str)], ...],
        BeforeValidator(values.as_list),
    ] = ()
    downgraded_failures: Annotated[tuple[_Permanent, ...], values.list_of("5.7.1")] = ()
    upgraded_failures: Annotated[tuple[_Temporary, ...], values.list_of("4.4.1")] = ()
    _servers: dict[str, Server] = PrivateAttr(default_factory=dict)

    def model_post_init(self, _context: object) -> None:
        """Servers are looked up for every connector."""
        by_full_name = {server.full_name: server for server in self.servers if server.full_name}
        by_name = {server.sort_name: server for server in self.servers}
        self._servers = {**by_full_name, **by_name}

    def server(self, name: str) -> Server | None:
        """The server of this name or fully qualified domain name, in any case of letters."""
        return self._servers.get(name.casefold())

    def source_servers(self, connector: SendConnector) -> tuple[Server, ...]:
        """The declared servers among a connector's source transport servers."""
        found = (self.server(name) for name in connector.source_transport_servers)
        return tuple(server for server in found if server is not None)

    def is_on_edge(self, connector: SendConnector) -> bool:
        """Whether Edge servers carry a connector out: its source servers, or all there are."""
        if not self.servers:
            return False
        sources = self.source_servers(connector) or self.servers
        return all(server.is_edge for server in sources)

    def subscribed_site(self, server: Server) -> str | None:
        """The site that an Edge server is subscribed to."""
        for subscription in self.edge_subscriptions:
            if server.is_named(subscription.name):
                return subscription.site
        return None


@dataclass(frozen=True, slots=True)
class Organization:
    """Connectors with unique names, in the order of the document."""

    connectors: tuple[SendConnector, ...] = ()
    host: HostSettings = field(default_factory=HostSettings)
    settings: OrganizationSettings = field(default_factory=OrganizationSettings)

    @classmethod
    def of(cls, connectors: Iterable[SendConnector]) -> "Organization":
        """These connectors and nothing around them."""
        return cls(tuple(connectors))

    def connector(self, name: str) -> SendConnector | None:
        """The connector of this name, in any case of letters."""
        wanted = name.casefold()
        return next((c for c in self.connectors if c.sort_name == wanted), None)
