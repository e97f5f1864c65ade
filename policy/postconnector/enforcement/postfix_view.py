"""What Postfix does with recipients by itself, before or instead of a connector. Pure.

It delivers to its own domains, and makes other recipients of some: of virtual aliases, and of
canonical addresses. Selection knows neither.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import Protocol

from postconnector.enforcement.recipient_route import RecipientRoute, route_recipient
from postconnector.enforcement.size import matters
from postconnector.enforcement.within_limits import WithinLimits
from postconnector.model.domain import is_plain, recipient_domain
from postconnector.selection.outcome import Selected
from postconnector.selection.routing_table import RoutingTable


class NotKnownYetError(Exception):
    """Postfix has to be asked, which takes a while: call `ask`, then try again."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__()
        self.ask = ask


class PostfixView(Protocol):
    """May raise PostfixError, or NotKnownYetError where waiting would hold up others."""

    def keeps(self, domain: str, *, relayed_too: bool) -> bool:
        """Whether a domain (lower case) is kept from the connectors.

        Postfix' local and virtual domains always are; its relay domains when only `*` matches them
        (`relayed_too`).
        """
        ...

    def ask_ahead(self, domains: Collection[str]) -> None:
        """It will be asked whether it keeps these: one by one takes long where there are many."""
        ...

    def rewritten(self, addresses: Collection[str], *, in_doubt: bool) -> frozenset[str]:
        """Of which of these Postfix makes other recipients; `in_doubt`: or may, or makes others as
        well.
        """
        ...


def routes_as_queued(
    routing: RoutingTable,
    limits: WithinLimits,
    postfix: PostfixView,
    recipients: Collection[str],
    size: int,
    *,
    maps_late: bool,
) -> tuple[RecipientRoute, ...]:
    """What becomes of recipients of a message that Postfix has not queued yet.

    `maps_late`: it makes other recipients of them later, so that nothing can be said of those.
    Postfix is asked only where a limit may matter. Raises what `postfix` does.
    """
    routes = tuple(route_recipient(routing, recipient, size) for recipient in recipients)
    if limits.covers(size):
        return routes
    if maps_late:
        routes = with_aliases_kept(routes, postfix)
        rewritten: frozenset[str] = frozenset()
    else:
        rewritten = postfix.rewritten(_plain(routes), in_doubt=True)

    ask_ahead_for((route for route in routes if matters(route, size)), postfix)

    def as_queued(route: RecipientRoute) -> RecipientRoute:
        if route.recipient in rewritten or not is_plain(route.recipient):
            return route.as_rewritten()
        return route if route.kept else route_of_queued(route, postfix, size)

    return tuple(map(as_queued, routes))


def ask_ahead_for(routes: Iterable[RecipientRoute], postfix: PostfixView) -> None:
    """Of all of these it matters whether Postfix keeps their domains."""
    names = dict.fromkeys(chain.from_iterable(_domains(route.recipient) for route in routes))
    if len(names) > 1:
        postfix.ask_ahead(list(names))


def with_aliases_kept(
    routes: Sequence[RecipientRoute], postfix: PostfixView
) -> tuple[RecipientRoute, ...]:
    """The routes, kept where Postfix makes other recipients of them later, or may: they must not be
    moved past that. One that stays beside the others is still refused for himself.
    """
    aliases = postfix.rewritten(_plain(routes), in_doubt=False)
    doubtful = postfix.rewritten(_plain(routes), in_doubt=True)

    def is_kept(route: RecipientRoute) -> bool:
        can_move = isinstance(route.outcome, Selected) and route.recipient in doubtful
        return can_move or route.recipient in aliases

    return tuple(route.as_kept() if is_kept(route) else route for route in routes)


def _plain(routes: Iterable[RecipientRoute]) -> list[str]:
    return [route.recipient for route in routes if is_plain(route.recipient)]


def route_of_queued(route: RecipientRoute, postfix: PostfixView, size: int) -> RecipientRoute:
    """The same of one that Postfix has queued, so that it stays as it is."""
    return with_kept(route, postfix) if matters(route, size) else route


def with_kept(route: RecipientRoute, postfix: PostfixView) -> RecipientRoute:
    """The route, kept if Postfix delivers to the domain itself."""
    for name in _domains(route.recipient):
        if postfix.keeps(name, relayed_too=route.only_default):
            return route.as_kept()
    return route


def _domains(recipient: str) -> Iterable[str]:
    """His domain, as Postfix may have it among its own: with A-labels or without."""
    domain = recipient_domain(recipient)
    return dict.fromkeys((domain, recipient.rpartition("@")[2].lower())) if domain else ()
