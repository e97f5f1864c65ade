"""Connector selection for one recipient ("Connector selection in external message routing").

Connectors whose limit is below the message drop out first; of the enabled ones that match,
those with the most precise address space stay; of these the lowest cost wins, then the name.

A decision costs a few dictionary look-ups for each label of the recipient's domain, however
many connectors there are. For each address, the table keeps only connectors that can win for
some size: in order of preference, each with a larger limit than the one before. The first of
them is the address's *small-message winner*.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from postconnector.model.address_space import AddressSpace, Specificity
from postconnector.model.domain import recipient_domain
from postconnector.model.send_connector import SendConnector

TOO_BIG: Final = "5.3.4"
_NO_LIMIT: Final = 2**63

Address = tuple[Specificity, str]
"""What an address space is looked up by: its specificity and domain."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A connector together with the address space by which it matches."""

    connector: SendConnector
    address_space: AddressSpace

    @property
    def preference(self) -> tuple[int, str]:
        """Of two candidates for one address the one with the lower preference wins."""
        return self.address_space.cost, self.connector.sort_name


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
    """No matching connector takes a message of this size: a non-delivery report with `code`.

    `largest` is the matching connector with the largest limit.
    """

    largest: Candidate
    code: str = TOO_BIG


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connector matches: Exchange keeps the message in its Unreachable queue."""


Outcome = Selected | NonDelivery | Unreachable


class RoutingTable:
    """The connectors of an organization, ready to decide."""

    def __init__(self, connectors: Iterable[SendConnector]) -> None:
        by_address: dict[Address, list[Candidate]] = {}
        for connector in connectors:
            if not connector.enabled or connector.max_message_size.limit == 0:
                continue
            for space in connector.address_spaces:
                candidate = Candidate(connector, space)
                by_address.setdefault((space.specificity, space.domain), []).append(candidate)
        self._candidates = {key: _staircase(found) for key, found in by_address.items()}

    def select(self, recipient: str, size: int | None = None) -> Outcome:
        """Decide for an envelope recipient and a message of `size` bytes (None: a small one)."""
        domain = recipient_domain(recipient)
        return Unreachable() if domain is None else self.select_domain(domain, size)

    def select_domain(self, domain: str, size: int | None = None) -> Outcome:
        """Decide for a recipient's domain, in the form of `model.domain.recipient_domain`."""
        largest: Candidate | None = None
        for address in addresses_of(domain):
            stairs = self._candidates.get(address)
            if stairs is None:
                continue
            found = stairs.first_that_admits(size or 0)
            if found is not None:
                return Selected(found)
            if largest is None or _limit(stairs.candidates[-1]) > _limit(largest):
                largest = stairs.candidates[-1]
        return Unreachable() if largest is None else NonDelivery(largest)

    @property
    def smallest_limit(self) -> int | None:
        """The smallest limit of any small-message winner in bytes; None: there is no limit."""
        smallest = min((s.limits[0] for s in self._candidates.values()), default=_NO_LIMIT)
        return None if smallest == _NO_LIMIT else smallest

    def addresses(self) -> Iterator[tuple[Address, Candidate]]:
        """Every address that some connector names, with its small-message winner."""
        for address, stairs in self._candidates.items():
            yield address, stairs.candidates[0]


def addresses_of(domain: str) -> Iterator[Address]:
    """The addresses that match a domain, the most precise first.

    For a.contoso.com: a.contoso.com, *.a.contoso.com, *.contoso.com, *.com, *.
    """
    yield Specificity.EXACT, domain
    if not domain.startswith("["):
        parent = domain
        while parent:
            yield Specificity.WILDCARD, parent
            parent = parent.partition(".")[2]
    yield Specificity.ALL, ""


@dataclass(frozen=True, slots=True)
class _Stairs:
    candidates: tuple[Candidate, ...]
    limits: tuple[int, ...]

    def first_that_admits(self, size: int) -> Candidate | None:
        step = bisect_left(self.limits, size)
        return self.candidates[step] if step < len(self.candidates) else None


def _limit(candidate: Candidate) -> int:
    limit = candidate.connector.max_message_size.limit
    return _NO_LIMIT if limit is None else limit


def _staircase(candidates: Iterable[Candidate]) -> _Stairs:
    steps: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: c.preference):
        if not steps or _limit(candidate) > _limit(steps[-1]):
            steps.append(candidate)
    return _Stairs(tuple(steps), tuple(_limit(step) for step in steps))
