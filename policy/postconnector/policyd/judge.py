"""What the policy service answers. Asks the size rule; keeps the recipients of open messages.

At RCPT TO the declared size (SIZE=) is judged for each recipient. At END-OF-DATA the real size
is judged for all recipients; Postfix names the recipient there only if there is one, so those
of a message are remembered from RCPT TO by the request attribute `instance`.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from postconnector.enforcement.size import (
    RecipientRoute,
    common_detour,
    common_refusal,
    refusal,
    route_recipient,
)
from postconnector.model.domain import recipient_domain
from postconnector.model.organization import Organization
from postconnector.policyd.protocol import Request
from postconnector.postfix.local_routing import LocalRouting, path_of
from postconnector.selection.outcome import Candidate

NOTHING_TO_SAY = "DUNNO"
TRY_LATER = "451 4.3.0 Connector policy service can't judge this message now"
MOST_OPEN_RECIPIENTS = 200_000

HoldsDomain = Callable[[str, bool], Awaitable[bool]]
"""Whether Postfix keeps a domain's mail from the connectors.

Its local and virtual domains always; its relay domains when only `*` matches them (the second
argument).
"""

log = logging.getLogger(__name__)


class OpenMessages:
    """The recipients of messages that are being received, the oldest forgotten first."""

    def __init__(self, most_recipients: int = MOST_OPEN_RECIPIENTS) -> None:
        self._most = most_recipients
        self._count = 0
        self._messages: OrderedDict[str, list[str]] = OrderedDict()

    def add(self, instance: str, recipient: str) -> None:
        """Remember a recipient of a message."""
        self._messages.setdefault(instance, []).append(recipient)
        self._count += 1
        while self._count > self._most:
            _, forgotten = self._messages.popitem(last=False)
            self._count -= len(forgotten)

    def take(self, instance: str) -> list[str]:
        """Return and forget the recipients of a message, each as often as it was named."""
        recipients = self._messages.pop(instance, [])
        self._count -= len(recipients)
        return recipients


class Judge:
    """Answers requests by the connectors of one organization, as its server of this name."""

    def __init__(
        self,
        organization: Organization,
        messages: OpenMessages,
        holds_domain: HoldsDomain,
        server: str | None = None,
    ) -> None:
        self._local = LocalRouting(organization, server)
        self._routing = self._local.table
        self._messages = messages
        self._holds_domain = holds_domain

    async def action(self, request: Request) -> str:
        """Return the access(5) action for a request."""
        if request.get("request") != "smtpd_access_policy":
            return NOTHING_TO_SAY
        size = _number(request, "size")
        match request.get("protocol_state"):
            case "RCPT":
                return await self._at_rcpt(request, size)
            case "END-OF-MESSAGE":
                return await self._at_end(request, size)
            case _:
                return NOTHING_TO_SAY

    async def _at_rcpt(self, request: Request, size: int) -> str:
        recipient = request.get("recipient", "")
        route = await self._route(recipient, size)
        reply = refusal(route, size) if route is not None else None
        if reply is not None:
            log.info("RCPT: %s", reply)
            return reply
        if instance := request.get("instance"):
            self._messages.add(instance, recipient)
        return NOTHING_TO_SAY

    async def _at_end(self, request: Request, size: int) -> str:
        recipients = self._messages.take(request.get("instance", ""))
        if request.get("recipient"):
            recipients = [request["recipient"]]
        if len(recipients) < max(_number(request, "recipient_count"), 1):
            return self._without_recipients(request, size)
        found = [await self._route(recipient, size) for recipient in dict.fromkeys(recipients)]
        routes = [route for route in found if route is not None]
        if len(routes) < len(found):
            return self._let_pass(request, routes, size)
        if (reply := common_refusal(routes, size)) is not None:
            log.info("%s: END-OF-MESSAGE: %s", _queue_id(request), reply)
            return reply
        detour = common_detour(routes)
        if detour is not None and self._is_native(detour) and not await self._any_own(routes):
            return f"FILTER {self._local.target(detour)}"
        return self._let_pass(request, routes, size)

    async def _route(self, recipient: str, size: int) -> RecipientRoute | None:
        """What selection says; None: no connector takes part in this recipient's delivery."""
        route = route_recipient(self._routing, recipient, size)
        if (route.moved or refusal(route, size)) and await self._any_own([route]):
            return None
        return route

    async def _any_own(self, routes: list[RecipientRoute]) -> bool:
        """Whether Postfix delivers to one of these by itself: FILTER would take that along."""
        for route in routes:
            domain = recipient_domain(route.recipient)
            if domain and await self._holds_domain(domain, route.only_default):
                return True
        return False

    def _is_native(self, candidate: Candidate) -> bool:
        return path_of(self._local.organization.host, candidate, self._local.server) == "native"

    def _let_pass(self, request: Request, routes: list[RecipientRoute], size: int) -> str:
        for route in routes:
            if route.moved or refusal(route, size):
                log.warning(
                    "%s: %d bytes are more than the connector of %r takes, but the other"
                    " recipients need another route: passed",
                    _queue_id(request),
                    size,
                    route.recipient,
                )
        return NOTHING_TO_SAY

    def _without_recipients(self, request: Request, size: int) -> str:
        """We were not there at RCPT TO (a restart), at least not for all. Where no limit is in
        reach there is nothing to judge.
        """
        if self._routing.smallest_limit is None or size <= self._routing.smallest_limit:
            return NOTHING_TO_SAY
        log.warning("%s: recipients unknown, asking to try again", _queue_id(request))
        return TRY_LATER


def _number(request: Request, name: str) -> int:
    text = request.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _queue_id(request: Request) -> str:
    return request.get("queue_id") or "NOQUEUE"
