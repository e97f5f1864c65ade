"""What the policy service answers: rules asked at RCPT TO and at the end of each message.

At RCPT TO the declared size (SIZE=) is judged for each recipient. At END-OF-MESSAGE the real size
is judged for all recipients; Postfix names the recipient there only if there is one, so those
of a message are remembered from RCPT TO.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from postconnector.enforcement.judgement import judge
from postconnector.enforcement.message import Client, Message, Stage
from postconnector.enforcement.postfix_view import (
    NotKnownYetError,
    PostfixView,
    route_of_queued,
    routes_as_queued,
    with_kept,
)
from postconnector.enforcement.recipient_route import (
    RecipientRoute,
    common_detour,
    connectors_of,
    route_recipient,
)
from postconnector.enforcement.rule import (
    Defer,
    NamedRule,
    TakeAgentPath,
    Verdict,
    asks_strangers,
    word_of,
)
from postconnector.enforcement.size import too_big
from postconnector.enforcement.within_limits import WithinLimits
from postconnector.model.organization import Organization
from postconnector.policyd.decision_log import log_decision, queue_id
from postconnector.policyd.open_messages import OpenMessages
from postconnector.policyd.protocol import PROBE, Outline, Request
from postconnector.postfix.agent_path import RETURN_CONTEXT, agent_path
from postconnector.postfix.listener import NOT_PUBLISHED, Listener, listener_told
from postconnector.postfix.local_routing import LocalRouting
from postconnector.selection.outcome import Candidate, Selected

NOTHING_TO_SAY, _FILTER = "DUNNO", "FILTER"
_NOBODYS = "postconnector.invalid"
"""A domain that no Postfix has (RFC 2606)."""

_RCPT, _END = Stage.RCPT.value, Stage.END_OF_MESSAGE.value

_NOT_NOW = Defer(451, "4.3.0", "Connector policy service can't judge this message now")
TRY_LATER = f"{_NOT_NOW.code} {_NOT_NOW.enhanced} {_NOT_NOW.text}"

_DIFFERENT = "the recipients need different connectors because of the size"
_OTHERS_COME = "Postfix may add recipients (always_bcc and others) that the size does not move"

Decided = Callable[[str, str, str], None]
"""Told the connector (empty: none), the stage and what was decided, for the metrics."""

log = logging.getLogger(__name__)


class RememberedView(PostfixView, Protocol):
    """Raises NotKnownYetError where Postfix would have to be asked."""

    def adds_recipients(self) -> bool:
        """Whether Postfix may add recipients to a message when it queues it."""
        ...

    async def find_out(self, unknown: NotKnownYetError) -> None:
        """Ask Postfix; known afterwards. Raises PostfixError."""
        ...


class Judge:
    """Answers requests by the connectors of one organization, as its server of this name."""

    def __init__(
        self,
        organization: Organization,
        messages: OpenMessages,
        postfix: RememberedView,
        rules: Sequence[NamedRule],
        server: str | None = None,
        decided: Decided = lambda _connector, _stage, _verdict: None,
    ) -> None:
        self._local = LocalRouting(organization, server)
        self._routing = self._local.table
        self._within_limits = WithinLimits(organization, self._routing)
        self._messages = messages
        self._postfix = postfix
        self._rules = rules
        self._asks_strangers = asks_strangers(rules)
        self._decided = decided

    async def action(self, request: Request) -> str:
        """Return the access(5) action for a request; Postfix may have to be asked first.

        Raises PostfixError where it can't be asked.
        """
        while True:
            try:
                return self._action(request)
            except NotKnownYetError as unknown:
                await self._postfix.find_out(unknown)

    def action_at_once(self, request: Request) -> str | None:
        """The same if nobody has to be asked, as is so for nearly every request; else None."""
        try:
            return self._action(request)
        except NotKnownYetError:
            return None

    def accepts(self, outline: Outline) -> bool:
        """Whether a message is within every limit, as nearly all are, and no stranger is asked.

        Then there is nothing to judge, and this is the whole answer.
        """
        state, recipient, instance, size = outline
        if self._asks_strangers or not self._within_limits.covers(int(size or 0)):
            return False
        if state == _RCPT:
            if instance:
                self._messages.add(instance, recipient)
        else:
            recipients = self._messages.forget(instance)
            if not recipient:
                for name in set(map(self._within_limits.connector, recipients)):
                    self._decided(name, state, "accepted")
                return True
        self._decided(self._within_limits.connector(recipient), state, "accepted")
        return True

    def _action(self, request: Request) -> str:
        if request.get("request") == PROBE:
            self._postfix.keeps(_NOBODYS, relayed_too=True)
        if request.get("request") != "smtpd_access_policy":
            return NOTHING_TO_SAY
        size = _number(request, "size")
        match request.get("protocol_state"):
            case "RCPT" if request.get("policy_context") == RETURN_CONTEXT:
                return self._on_return(request, size)
            case "RCPT":
                return self._at_rcpt(request, size)
            case "END-OF-MESSAGE":
                return self._at_end(request, size)
            case _:
                return NOTHING_TO_SAY

    def _at_rcpt(self, request: Request, size: int) -> str:
        recipient, instance = request.get("recipient", ""), request.get("instance", "")
        if self.accepts((_RCPT, recipient, instance, str(size))):
            return NOTHING_TO_SAY
        route = route_recipient(self._routing, recipient, size)
        if too_big(route, size) is not None:
            (route,) = self._routes(request, [recipient], size)
        action = NOTHING_TO_SAY
        if self._asks_strangers or too_big(route, size) is not None:
            message = _message(Stage.RCPT, request, (route,), size)
            verdict = judge(self._rules, message).of_whole(message)
            if verdict is not None:
                action = self._say(request, message, verdict)
                if not action.startswith(_FILTER):
                    return action  # he is not in the message
        if action is NOTHING_TO_SAY:
            self._decided(route.connector_name, _RCPT, "accepted")
        if instance:
            self._messages.add(instance, recipient)
        return action

    def _at_end(self, request: Request, size: int) -> str:
        recipient, instance = request.get("recipient", ""), request.get("instance", "")
        if self.accepts((_END, recipient, instance, str(size))):
            return NOTHING_TO_SAY
        recipients = [recipient] if recipient else self._messages.recipients(instance)
        if len(recipients) < max(_number(request, "recipient_count"), 1):
            action = self._without_recipients(request, size)
        else:
            routes = self._routes(request, dict.fromkeys(recipients), size)
            action = self._for_all(request, routes, size)
        self._messages.forget(instance)
        return action

    def _for_all(self, request: Request, routes: tuple[RecipientRoute, ...], size: int) -> str:
        moved = any(route.moved for route in routes)
        # Before rules are asked: Postfix may have to be, and then all is done once more.
        as_kept = [with_kept(route, self._postfix) for route in routes] if moved else []
        others_come = moved and self._postfix.adds_recipients()
        message = _message(Stage.END_OF_MESSAGE, request, routes, size)
        verdict = judge(self._rules, message).of_whole(message)
        if verdict is None and moved and _listener(request).asked_behind:
            log_decision("filter", request, "left to whom is asked behind the content filter")
        elif verdict is None and moved:
            detour = common_detour(as_kept)
            if detour is not None and not others_come:
                self._decided(detour.connector.name, message.stage.value, "moved")
                return self._filter(request, detour)
            verdict = TakeAgentPath(_DIFFERENT if detour is None else _OTHERS_COME)
        if verdict is not None:
            return self._say(request, message, verdict)
        for name in connectors_of(routes):
            self._decided(name, message.stage.value, "accepted")
        return NOTHING_TO_SAY

    def _on_return(self, request: Request, size: int) -> str:
        """The delivery agent hands back what is Postfix' to deliver: nothing is judged again.

        `size` is what was judged, which the agent declares.
        """
        route = route_recipient(self._routing, request.get("recipient", ""), size)
        route = route_of_queued(route, self._postfix, size)
        if not route.moved or not isinstance(route.outcome, Selected):
            return NOTHING_TO_SAY
        return self._filter(request, route.outcome.candidate)

    def _routes(
        self, request: Request, recipients: Collection[str], size: int
    ) -> tuple[RecipientRoute, ...]:
        return routes_as_queued(
            self._routing,
            self._within_limits,
            self._postfix,
            recipients,
            size,
            maps_late=_listener(request).maps_late,
        )

    def _filter(self, request: Request, detour: Candidate) -> str:
        target = self._local.target(detour)
        log_decision("filter", request, f"by {target}")
        return f"{_FILTER} {target}"

    def _say(self, request: Request, message: Message, verdict: Verdict) -> str:
        way = _listener(request).way
        if isinstance(verdict, TakeAgentPath) and way is None:
            log.warning("%s: %s", queue_id(request), NOT_PUBLISHED)
            verdict = _NOT_NOW
        for name in connectors_of(message.recipients) or ("",):
            self._decided(name, message.stage.value, word_of(verdict))
        if isinstance(verdict, TakeAgentPath):
            log_decision("filter", request, f"to the agent: {verdict.why}")
            return f"{_FILTER} {agent_path(self._local.organization.host, way or '')}"
        reply = f"{verdict.code} {verdict.enhanced} {verdict.text}"
        log_decision("reject", request, reply)
        return reply

    def _without_recipients(self, request: Request, size: int) -> str:
        """We were not there at RCPT TO (a restart), or were not asked (a listener has restrictions
        of its own): then the agent, who sees all recipients, judges for each.
        """
        if self._messages.began_before_us(request.get("instance", "")):
            log.warning("%s: recipients unknown, asking to try again", queue_id(request))
            self._decided("", _END, "deferred")
            return TRY_LATER
        message = _message(Stage.END_OF_MESSAGE, request, (), size)
        return self._say(request, message, TakeAgentPath("nobody asked about all its recipients"))


def _message(
    stage: Stage, request: Request, recipients: Iterable[RecipientRoute], size: int
) -> Message:
    client = Client(
        address=request.get("client_address", ""),
        name=request.get("client_name", ""),
        helo=request.get("helo_name", ""),
        sasl_username=request.get("sasl_username", ""),
        sasl_method=request.get("sasl_method", ""),
        tls_protocol=request.get("encryption_protocol", ""),
        tls_cipher=request.get("encryption_cipher", ""),
        certificate_subject=request.get("ccert_subject", ""),
    )
    sender, queue_id = request.get("sender", ""), request.get("queue_id") or None
    return Message(stage, sender, tuple(recipients), size, client, queue_id)


def _listener(request: Request) -> Listener:
    return listener_told(request.get("policy_context"))


def _number(request: Request, name: str) -> int:
    text = request.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
