"""What stands around the connectors: accepted domains, sites, links between them, servers.

Names, types and ranges: New-AcceptedDomain, Set-AdSite, Set-AdSiteLink, Get-ExchangeServer,
New-EdgeSubscription.
"""

import ipaddress
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator

from postconnector.model import values
from postconnector.model.domain import is_ip_address, parse_domain
from postconnector.model.size import MaxMessageSize

SMALLEST_LINK_LIMIT = 64 * 1024


class DomainType(StrEnum):
    """What becomes of mail for an accepted domain."""

    AUTHORITATIVE = "Authoritative"
    INTERNAL_RELAY = "InternalRelay"
    EXTERNAL_RELAY = "ExternalRelay"


class ServerRole(StrEnum):
    """Whether a server stands inside or at the edge."""

    MAILBOX = "Mailbox"
    EDGE = "Edge"


def _accepted(text: str) -> str:
    text = text.strip()
    if text == "*":
        return text
    return f"*.{parse_domain(text[2:])}" if text.startswith("*.") else parse_domain(text)


def _dns_server(text: str) -> str:
    if not is_ip_address(text.strip()):
        raise ValueError("this is not an IP address; write that of a DNS server")
    return str(ipaddress.ip_address(text.strip()))


def _link_limit(text: str) -> MaxMessageSize:
    size = MaxMessageSize.parse(text)
    if size.limit is not None and size.limit < SMALLEST_LINK_LIMIT:
        raise ValueError("a site link's limit is at least 64 KB")
    return size


_Name = Annotated[str, PlainValidator(values.name)]
_Names = Annotated[tuple[_Name, ...], BeforeValidator(values.as_list)]
_Boolean = Annotated[bool, PlainValidator(values.boolean)]
_Cost = Annotated[int, values.whole_number(1, 99_999)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class AcceptedDomain(_Entry):
    """A domain that the organization receives mail for: `contoso.com`, `*.contoso.com` or `*`."""

    domain_name: Annotated[str, values.text(_accepted, str)]
    domain_type: Annotated[DomainType, values.choice(DomainType)] = DomainType.AUTHORITATIVE
    default: _Boolean = False

    @property
    def sort_name(self) -> str:
        """The domain as it is compared."""
        return self.domain_name.lower()


class _Named(_Entry):
    name: _Name

    @property
    def sort_name(self) -> str:
        """The name as it is compared: without case."""
        return self.name.casefold()


class Site(_Named):
    """An Active Directory site; mail stops at a hub site that lies on its way."""

    hub_site_enabled: _Boolean = False


class SiteLink(_Named):
    """An IP site link between two or more sites.

    `exchange_cost`, where given, replaces `ad_cost`. `max_message_size` is of messages in bytes.
    """

    sites: _Names = ()
    ad_cost: _Cost = 100
    exchange_cost: _Cost | None = None
    max_message_size: Annotated[MaxMessageSize, values.text(_link_limit, MaxMessageSize)] = (
        MaxMessageSize(None)
    )

    @property
    def cost(self) -> int:
        """The cost that counts for routing."""
        return self.ad_cost if self.exchange_cost is None else self.exchange_cost


class Server(_Named):
    """A server of the organization; `site` is only for Mailbox servers."""

    fqdn: Annotated[str, values.text(parse_domain, str)] | None = None
    site: _Name | None = None
    server_role: Annotated[ServerRole, values.choice(ServerRole)] = ServerRole.MAILBOX
    external_dns_servers: Annotated[
        tuple[Annotated[str, values.text(_dns_server, str)], ...], BeforeValidator(values.as_list)
    ] = ()

    @property
    def is_edge(self) -> bool:
        """Whether it is an Edge Transport server."""
        return self.server_role is ServerRole.EDGE

    def is_named(self, name: str) -> bool:
        """Whether this is the server's name or fully qualified domain name."""
        folded = name.casefold()
        return folded == self.sort_name or (self.fqdn is not None and folded == self.full_name)

    @property
    def full_name(self) -> str:
        """The fully qualified domain name as it is compared; empty if it is not known."""
        return (self.fqdn or "").casefold()


class EdgeSubscription(_Named):
    """An Edge server (`name`) is subscribed to a site."""

    site: _Name
