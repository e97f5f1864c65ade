"""What the milter says of a message: all rules, asked once, with everything known of it."""

import logging
import time
from collections.abc import Callable, Sequence

from postconnector.daemon.metrics import Metrics
from postconnector.enforcement.judgement import judge
from postconnector.enforcement.message import Client, Message, Stage
from postconnector.enforcement.postfix_view import PostfixView, routes_as_queued
from postconnector.enforcement.recipient_route import connectors_of
from postconnector.enforcement.rule import (
    Defer,
    NamedRule,
    Refuse,
    TakeAgentPath,
    Verdict,
    asks_strangers,
    word_of,
)
from postconnector.enforcement.size import too_big
from postconnector.enforcement.within_limits import WithinLimits
from postconnector.model.organization import Organization
from postconnector.postfix.listener import NOT_PUBLISHED, Listener
from postconnector.selection.routing_table import RoutingTable
from postconnector_milter.message import OpenMessage

TRY_LATER = Defer(451, "4.3.0", "Connector milter can't judge this message now")

_NO_CLIENT = Client()
"""What came by sendmail(1) has none, who could be told anything."""

_STAGE = Stage.END_OF_MESSAGE

log = logging.getLogger(__name__)


class Judge:
    """Judges by the connectors of one organization, as its server of this name.

    Any number of threads may ask at the same time.
    """

    def __init__(
        self,
        organization: Organization,
        postfix: PostfixView,
        rules: Sequence[NamedRule],
        metrics: Metrics,
        server: str | None = None,
    ) -> None:
        self._routing = RoutingTable(organization, server)
        self._limits = WithinLimits(organization, self._routing)
        self._postfix = postfix
        self._rules = rules
        self._asks_strangers = asks_strangers(rules)
        self._metrics = metrics

    def verdict(
        self,
        message: OpenMessage,
        client: Callable[[], Client],
        queue_id: str | None,
        listener: Callable[[], Listener],
    ) -> Verdict | None:
        """What is to become of a message; None: nothing is to be said."""
        if (excess := message.over_bounds) is not None:
            verdict: Verdict | None = Refuse(552, "5.3.4", f"the message has {excess}")
            _log(verdict, queue_id)
            return verdict
        began = time.perf_counter()
        size, recipients = message.size, message.recipients
        if self._limits.covers(size) and not self._asks_strangers:
            verdict = None
            names = {self._limits.connector(recipient) for recipient in recipients}
        else:
            taker = listener()
            routes = routes_as_queued(
                self._routing,
                self._limits,
                self._postfix,
                recipients,
                size,
                maps_late=taker.maps_late,
            )
            verdict = self._of_rules(
                Message(_STAGE, message.sender, routes, size, client(), queue_id, message.headers)
            )
            moved = any(route.moved for route in routes)
            if verdict is None and moved and not taker.asked_behind:
                verdict = TakeAgentPath("its size moves it to another connector")
            if isinstance(verdict, TakeAgentPath) and taker.way is None:
                log.warning("%s: %s", queue_id, NOT_PUBLISHED)
                verdict = TRY_LATER
            names = connectors_of(routes)
        self._metrics.answered(_STAGE.value, time.perf_counter() - began)
        _log(verdict, queue_id)
        for name in names:
            self._metrics.decided(name, _STAGE.value, word_of(verdict))
        return verdict

    def _of_rules(self, message: Message) -> Verdict | None:
        routes = message.recipients
        verdict = judge(self._rules, message).of_whole(message)
        if (
            isinstance(verdict, Refuse)
            and len(routes) > 1
            and message.client == _NO_CLIENT
            # Then the agent refuses them as well, as it goes by the same sizes.
            and all(not route.kept and too_big(route, message.size) for route in routes)
        ):
            return TakeAgentPath("a report says of each recipient why")
        return verdict


def _log(verdict: Verdict | None, queue_id: str | None) -> None:
    match verdict:
        case TakeAgentPath(why):
            log.info("%s: %s: to the agent: %s", queue_id, _STAGE.value, why)
        case Refuse(code, enhanced, text) | Defer(code, enhanced, text):
            log.info("%s: %s: %d %s %s", queue_id, _STAGE.value, code, enhanced, text)
