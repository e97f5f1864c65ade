"""How the asking server hands a message on: DeliveryType and NextHopDomain.

"Queues and messages in queues", section NextHopSolutionKey.
"""

from dataclasses import dataclass

from postconnector.model.domain import recipient_domain
from postconnector.model.exchange_version import ExchangeVersion
from postconnector.model.send_connector import SendConnector
from postconnector.selection.outcome import Outcome, Selected, Unreachable
from postconnector.selection.recipients import Recipient
from postconnector.selection.standpoint import Reach, Standpoint


@dataclass(frozen=True, slots=True)
class Delivery:
    """The queue that a recipient waits in, in Exchange's words."""

    type: str
    next_hop_domain: str


def delivery(outcome: Outcome, recipient: Recipient, standpoint: Standpoint) -> Delivery | None:
    """The delivery of an outcome; None if there is none, not even a queue."""
    match outcome:
        case Selected(candidate) if candidate.reach.hops == 0:
            return _own_delivery(candidate.connector, recipient)
        case Selected(candidate):
            return _relay(candidate.connector, candidate.reach, standpoint)
        case Unreachable():
            return Delivery("Unreachable", "Unreachable Domain")
        case _:
            return None


def _own_delivery(connector: SendConnector, recipient: Recipient) -> Delivery:
    if connector.dns_routing_enabled:
        domain = recipient_domain(recipient) if isinstance(recipient, str) else None
        return Delivery("DnsConnectorDelivery", domain or "")
    return Delivery("SmartHostConnectorDelivery", ",".join(map(str, connector.smart_hosts)))


def _relay(connector: SendConnector, reach: Reach, standpoint: Standpoint) -> Delivery:
    if reach.path is not None:
        hub = standpoint.sites.hub_on(reach.path)
        old = standpoint.settings.exchange_version is ExchangeVersion.V2010
        if hub is not None or reach.edge or old:
            site = hub or reach.path.sites[-1]
            return Delivery("SmtpRelayToRemoteActiveDirectorySite", site)
        return Delivery("SmtpRelayToConnectorSourceServers", connector.name)
    if reach.edge:
        return Delivery("SmtpRelayWithinAdSiteToEdge", connector.name)
    if standpoint.settings.exchange_version is ExchangeVersion.V2010:
        return Delivery("SmtpRelayWithinAdSite", connector.name)
    return Delivery("SmtpRelayToConnectorSourceServers", connector.name)
