"""What selection says of a recipient."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from postconnector.model.address_space import AddressSpace
from postconnector.model.send_connector import SendConnector
from postconnector.model.topology import AcceptedDomain, SiteLink
from postconnector.selection.standpoint import HERE, Reach

TOO_BIG: Final = "5.3.4"
NO_ROUTE: Final = "5.1.2"


class Candidate(NamedTuple):
    """A connector together with the address space by which it matches, and how far it is."""

    connector: SendConnector
    address_space: AddressSpace
    reach: Reach = HERE

    @property
    def cost(self) -> int:
        """The aggregate cost: that of the site links, and that of the address space."""
        return self.reach.cost + self.address_space.cost

    @property
    def preference(self) -> tuple[int, int, str]:
        """Of two equally precise candidates the one with the lower preference wins."""
        return self.cost, self.reach.hops, self.connector.sort_name


@dataclass(frozen=True, slots=True)
class Selected:
    """The recipient takes this connector."""

    candidate: Candidate

    @property
    def connector(self) -> SendConnector:
        """The connector that the recipient takes."""
        return self.candidate.connector


@dataclass(frozen=True, slots=True)
class NonDelivery:
    """A non-delivery report with `code`.

    `largest` is, where size is the reason, the matching connector with the largest limit; with
    `link` it is the selected connector, which this site link on the way keeps the message from.
    """

    code: str
    largest: Candidate | None = None
    link: SiteLink | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connector matches: Exchange keeps the message in its Unreachable queue."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The domain is the organization's own: no connector is asked."""

    domain: AcceptedDomain


Outcome = Selected | NonDelivery | Unreachable | Accepted
