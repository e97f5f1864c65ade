"""Messages so small that no limit of the organization can matter, as nearly all are. Pure.

What selection says of them depends on the recipient's domain alone, and is remembered by it.
"""

from postconnector.model.organization import Organization
from postconnector.selection.outcome import Selected
from postconnector.selection.routing_table import RoutingTable

_MOST_REMEMBERED = 10_000
_LONGEST_REMEMBERED = 255
_ENCAPSULATED = "IMCEA"


class WithinLimits:
    """For one organization, by its routing table."""

    def __init__(self, organization: Organization, routing: RoutingTable) -> None:
        sizes = [connector.max_message_size.limit for connector in organization.connectors]
        sizes += [link.max_message_size.limit for link in organization.settings.site_links]
        self._smallest = min((size for size in sizes if size is not None), default=None)
        self._routing = routing
        self._names: dict[str, str] = {}

    def covers(self, size: int) -> bool:
        """Whether a message of `size` bytes is within every limit there is."""
        return self._smallest is None or size <= self._smallest

    def connector(self, recipient: str) -> str:
        """The name of the connector that takes such messages; empty: there is none."""
        local_part, _, domain = recipient.rpartition("@")
        name = self._names.get(domain)
        if name is None or local_part[: len(_ENCAPSULATED)].upper() == _ENCAPSULATED:
            return self._select(recipient, local_part, domain)
        return name

    def _select(self, recipient: str, local_part: str, domain: str) -> str:
        outcome = self._routing.select(recipient)
        name = outcome.connector.name if isinstance(outcome, Selected) else ""
        # Of an encapsulated address the domain says nothing, nor where there is no domain.
        if domain and local_part[: len(_ENCAPSULATED)].upper() != _ENCAPSULATED:
            if len(self._names) >= _MOST_REMEMBERED:
                self._names.clear()
            if len(domain) <= _LONGEST_REMEMBERED:
                self._names[domain] = name
        return name
