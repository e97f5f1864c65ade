"""Connector selection for one recipient ("Connector selection in external message routing").

Connectors whose limit is below the message drop out first; of those that are enabled, in scope
and match, the ones with the most precise address space stay; of these the lowest aggregate cost
wins, then the fewest hops, then the name.

A decision costs a few dictionary look-ups for each label of the recipient's domain, however
many connectors there are. For each address, the table keeps only connectors that can win for
some size: in order of preference, each with a larger limit than the one before. The first that
takes a message at all is the address's *small-message winner*.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from postconnector.model.address_space import SMTP, X400, AddressSpace, Specificity
from postconnector.model.domain import recipient_domain
from postconnector.model.imcea import ForeignAddress, comparable
from postconnector.model.organization import Organization
from postconnector.model.topology import DomainType
from postconnector.model.x400 import X400Attributes, x400_attributes
from postconnector.selection.message import Message
from postconnector.selection.outcome import (
    NO_ROUTE,
    TOO_BIG,
    Accepted,
    Candidate,
    NonDelivery,
    Outcome,
    Selected,
    Unreachable,
)
from postconnector.selection.recipients import (
    BAD_TYPE,
    AcceptedDomains,
    Recipient,
    RefusedType,
)
from postconnector.selection.standpoint import Hidden, Standpoint

_NO_LIMIT: Final = 2**63

Address = tuple[Specificity, str]
"""What an address space is looked up by: its specificity and domain."""


class RoutingTable:
    """The connectors of an organization as one of its servers sees them, ready to decide.

    Raises UnknownServerError for a server that the organization does not declare.
    """

    def __init__(self, organization: Organization, server: str | None = None) -> None:
        self.standpoint = Standpoint(organization, server)
        self.accepted_domains = AcceptedDomains(organization.settings.accepted_domains)
        smtp: dict[Address, list[Candidate]] = {}
        others: dict[str, list[Candidate]] = {}
        for connector in organization.connectors:
            reach = self.standpoint.reach(connector)
            if not connector.enabled or isinstance(reach, Hidden):
                continue
            for space in connector.address_spaces:
                candidate = Candidate(connector, space, reach)
                if space.type != SMTP:
                    others.setdefault(space.type.casefold(), []).append(candidate)
                    continue
                for address in self.addresses_named(space):
                    if address in smtp:
                        smtp[address].append(candidate)
                    else:
                        smtp[address] = [candidate]
        self._smtp = smtp
        self._stairs: dict[Address, _Stairs] = {}
        self._winners: list[tuple[Address, Candidate]] | None = None
        self._others = {kind: _OtherType(found) for kind, found in others.items()}

    def select(self, recipient: Recipient, message: Message | int | None = None) -> Outcome:
        """Decide for an envelope recipient.

        `message` may be just its size in bytes; None is a small one.
        """
        size = message.judged_size if isinstance(message, Message) else max(message or 1, 1)
        resolved = recipient
        if isinstance(recipient, str):
            found = self.accepted_domains.resolve(recipient)
            if isinstance(found, RefusedType):
                return NonDelivery(BAD_TYPE)
            resolved = found
        if isinstance(resolved, ForeignAddress):
            return self._select_foreign(resolved, size)
        domain = recipient_domain(resolved)
        if domain is None:
            return Unreachable()
        return self.select_domain(domain, size)

    def select_domain(self, domain: str, size: int = 1) -> Outcome:
        """Decide for a recipient's domain, in the form of `model.domain.recipient_domain`."""
        accepted = self.accepted_domains.covering(domain)
        if (
            accepted is not None
            and accepted.domain_type is DomainType.AUTHORITATIVE
            and not self.standpoint.is_edge
        ):
            return Accepted(accepted)
        largest: Candidate | None = None
        for address in addresses_of(domain):
            stairs = self._stairs.get(address) or self._make_stairs(address)
            if stairs is None:
                continue
            found = stairs.first_that_admits(size)
            if found is not None:
                return _along_the_path(found, size)
            largest = _larger(largest, stairs.candidates[-1])
        return Unreachable() if largest is None else NonDelivery(TOO_BIG, largest)

    def _make_stairs(self, address: Address) -> "_Stairs | None":
        """Candidates are put in order when they are first asked for: most never are."""
        candidates = self._smtp.get(address)
        if candidates is None:
            return None
        self._stairs[address] = _staircase(candidates)
        return self._stairs[address]

    def _select_foreign(self, recipient: ForeignAddress, size: int) -> Outcome:
        table = self._others.get(recipient.type.casefold())
        largest: Candidate | None = None
        for group in table.matching(recipient) if table is not None else ():
            found = [c for stairs in group if (c := stairs.first_that_admits(size)) is not None]
            if found:
                return _along_the_path(min(found, key=lambda c: c.preference), size)
            for stairs in group:
                largest = _larger(largest, stairs.candidates[-1])
        return NonDelivery(NO_ROUTE) if largest is None else NonDelivery(TOO_BIG, largest)

    def addresses_named(self, space: AddressSpace) -> Sequence[Address]:
        """The addresses that an SMTP address space stands for: its own, or those of `--`.

        Inside, `--` is no domain: the connectors that an Edge server brings mail in by are not
        for the way out.
        """
        if space.specificity is not Specificity.ACCEPTED_DOMAINS:
            return ((space.specificity, space.domain),)
        if self.standpoint.is_inside:
            return ()
        named = (AddressSpace(d.domain_name) for d in self.accepted_domains.of_the_edge())
        return [(space.specificity, space.domain) for space in named]

    @cached_property
    def smallest_limit(self) -> int | None:
        """The smallest limit of any small-message winner in bytes; None: there is no limit."""
        winners = {winner.connector.name: winner for _, winner in self.addresses()}
        smallest = min(map(_limit, winners.values()), default=_NO_LIMIT)
        return None if smallest == _NO_LIMIT else smallest

    def addresses(self) -> Sequence[tuple[Address, Candidate]]:
        """Every SMTP address that some connector names, with its small-message winner."""
        if self._winners is None:
            self._winners = [
                (address, winner)
                for address, candidates in self._smtp.items()
                if (winner := _small_message_winner(candidates)) is not None
            ]
        return self._winners

    @property
    def default(self) -> Candidate | None:
        """The small-message winner of all domains that nothing more precise names."""
        return _small_message_winner(self._smtp.get((Specificity.ALL, ""), ()))

    def foreign_addresses(self) -> Iterator[tuple[str, str | None, Candidate]]:
        """Type, text (None: all) and small-message winner of what is not SMTP.

        The most precise come first. X.400 addresses with attributes are left out.
        """
        for kind, table in self._others.items():
            for text, winner in table.winners():
                yield kind, text or None, winner


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


class _OtherType:
    """The candidates of one type other than SMTP."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        by_key: dict[X400Attributes | str, list[Candidate]] = {}
        for candidate in candidates:
            space = candidate.address_space
            by_key.setdefault(space.attributes or space.domain, []).append(candidate)
        self._stairs = {key: _staircase(found) for key, found in by_key.items()}
        shapes = {frozenset(dict(key)) for key in self._stairs if not isinstance(key, str)}
        self._shapes = sorted(shapes, key=len, reverse=True)

    def matching(self, recipient: ForeignAddress) -> Iterator[list[_Stairs]]:
        """The candidates that match, in groups that are equally precise, the most precise first.

        X.400: every attribute of the address space is one of the recipient's; more are more
        precise. Which attributes address spaces name are few, however many values they have.
        """
        if recipient.type.casefold() == X400.casefold():
            yield from self._by_attributes(x400_attributes(recipient.address))
        elif (exact := self._stairs.get(comparable(recipient.address))) is not None:
            yield [exact]
        if (every := self._stairs.get("")) is not None:
            yield [every]

    def winners(self) -> Iterator[tuple[str, Candidate]]:
        """Texts with their small-message winners; the empty text is that of `*`."""
        texts = sorted((key for key in self._stairs if isinstance(key, str)), reverse=True)
        for text in texts:
            if (winner := self._stairs[text].first_that_admits(1)) is not None:
                yield text, winner

    def _by_attributes(self, attributes: X400Attributes) -> Iterator[list[_Stairs]]:
        groups: dict[int, list[_Stairs]] = {}
        for shape in self._shapes:
            key = frozenset(pair for pair in attributes if pair[0] in shape)
            if len(key) == len(shape) and (stairs := self._stairs.get(key)) is not None:
                groups.setdefault(len(shape), []).append(stairs)
        yield from groups.values()


def _along_the_path(candidate: Candidate, size: int) -> Selected | NonDelivery:
    """A link that is too narrow does not make routing look elsewhere: the message bounces."""
    path = candidate.reach.path
    link = path.narrowest if path is not None else None
    if link is not None and not link.max_message_size.admits(size):
        return NonDelivery(TOO_BIG, candidate, link)
    return Selected(candidate)


def _limit(candidate: Candidate) -> int:
    limit = candidate.connector.max_message_size.limit
    return _NO_LIMIT if limit is None else limit


def _larger(known: Candidate | None, other: Candidate) -> Candidate:
    return other if known is None or _limit(other) > _limit(known) else known


def _small_message_winner(candidates: Sequence[Candidate]) -> Candidate | None:
    if len(candidates) == 1:
        (only,) = candidates
        return only if only.connector.max_message_size.admits(1) else None
    admitting = [c for c in candidates if c.connector.max_message_size.admits(1)]
    if len(admitting) > 1:
        return min(admitting, key=lambda candidate: candidate.preference)
    return admitting[0] if admitting else None


def _staircase(candidates: Sequence[Candidate]) -> _Stairs:
    steps: list[Candidate] = []
    ordered = candidates if len(candidates) == 1 else sorted(candidates, key=lambda c: c.preference)
    for candidate in ordered:
        if not steps or _limit(candidate) > _limit(steps[-1]):
            steps.append(candidate)
    return _Stairs(tuple(steps), tuple(_limit(step) for step in steps))
