"""What the lookup service answers. No I/O.

Everything that an answer depends on is in the question or is asked for at that moment, so that no
change of the connectors can come between. What can't be answered is "not now", never "not
found": Postfix would go on without the connector.
"""

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from postconnector.certificates.state import StateError
from postconnector.policyd.socketmap import NOT_FOUND, Question, found, try_later
from postconnector.policyd.turns import Turns
from postconnector.postfix.live_routes import (
    CERTIFICATE_MAP,
    LONGEST_ROUTE,
    REASON_MAP,
    TRANSPORT_MAP,
)

_NO_CERTIFICATE = "4.7.5"

Unusable = Callable[[], Mapping[str, str]]
"""The connectors, by name, whose own certificate can't be shown now, and why. StateError while
that is not known of any.
"""


class Lookups:
    """Answers questions; see `postfix.live_routes` for where Postfix asks them."""

    def __init__(self, unusable: Unusable, turns: Turns | None = None) -> None:
        self._unusable = unusable
        self._turns = Turns() if turns is None else turns

    def answer(self, question: Question) -> str:
        """The answer to a question."""
        kind, _, connector = question.map.partition("/")
        if question.map == TRANSPORT_MAP:
            return self._route(question.key)
        if kind == CERTIFICATE_MAP and connector:
            return self._certificate(unquote(connector))
        if kind == REASON_MAP and connector:
            return self._reason(unquote(connector))
        return try_later("there is no such map")

    def _route(self, route: str) -> str:
        """A route `service:hop, hop` with the hop first whose turn it is, the others behind it."""
        service, colon, rest = route.partition(":")
        hops = [hop for hop in rest.replace(",", " ").split(" ") if hop]
        is_short = len(route) <= LONGEST_ROUTE
        if not (service and colon and hops and is_short) or not route.isprintable():
            return try_later("this is no route")
        first = self._turns.whose(route, len(hops))
        return found(f"{service}:{', '.join([*hops[first:], *hops[:first]])}")

    def _certificate(self, connector: str) -> str:
        """No TLS policy of its own for any next hop, or none now: then smtp(8) defers."""
        why = self._why(connector)
        return NOT_FOUND if why is None else try_later(why)

    def _reason(self, connector: str) -> str:
        """What a delivery says that the certificate held up; none if it does so no more."""
        why = self._why(connector)
        return NOT_FOUND if why is None else found(f"{_NO_CERTIFICATE} {why}")

    def _why(self, connector: str) -> str | None:
        try:
            why = self._unusable().get(connector)
        except StateError as error:
            why = str(error)
        return None if why is None else _clean(why)


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
