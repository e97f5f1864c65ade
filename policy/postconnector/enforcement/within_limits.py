"""Messages so small that no limit of the organization can matter, as nearly all are. Pure.

What selection says of them depends on the recipient's domain alone, and is remembered by it.
"""

from math import inf

from postconnector.model.organization import Organization
from postconnector.selection.outcome import Selected
from postconnector.selection.routing_table import RoutingTable

_MOST_REMEMBERED = 10_000
_LONGEST_REMEMBERED = 255
"""Characters; a domain name is shorter."""

_ENCAPSULATED = "IMCEA"
"""How the local part of an address begins that stands for one of another type."""


class WithinLimits:
    """For one organization, by its routing table."""

    def __init__(self, organization: Organization, routing: RoutingTable) -> None:
        limits = [connector.max_message_size.limit for connector in organization.connectors]
        limits += [link.max_message_size.limit for link in organization.settings.site_links]
        self._smallest = min((limit for limit in limits if limit is not None), default=inf)
        self._routing = routing
        self._names: dict[str, str] = {}

    def covers(self, size: int) -> bool:
        """Whether a message of `size` bytes is within every limit there is; 0: it is not known."""
        return (size or 1) <= self._smallest

    def connector(self, recipient: str) -> str:
        """The name of the connector that takes such messages; empty: there is none."""
        domain = recipient[recipient.rfind("@") + 1 :]
        name = self._names.get(domain)
        if recipient[:1] in "Ii" and recipient[: len(_ENCAPSULATED)].upper() == _ENCAPSULATED:
            name = self._select(recipient)
        elif name is None:
            name = self._select(recipient)
            if domain and len(domain) <= _LONGEST_REMEMBERED:
                if len(self._names) >= _MOST_REMEMBERED:
                    self._names.clear()
                self._names[domain] = name
        return name

    def _select(self, recipient: str) -> str:
        outcome = self._routing.select(recipient)
        return outcome.connector.name if isinstance(outcome, Selected) else ""
