"""The policy service: sockets around the judge.

Every client is served by itself; one that is slow, stuck or sends nonsense hurts no other. What
was published since is read beside answering.
Whatever goes wrong in judging is answered with 451: our fault defers mail.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence

from postconnector.daemon.follower import Follower
from postconnector.daemon.metrics import Metrics
from postconnector.daemon.postfix_answers import RememberedAnswers
from postconnector.daemon.published import PublishedOrganization
from postconnector.daemon.stopping import stop_event
from postconnector.enforcement.rule import NamedRule
from postconnector.model.organization import Organization
from postconnector.model.plain_text import clean, cut
from postconnector.policyd.clients import Clients
from postconnector.policyd.judge import TRY_LATER, Judge
from postconnector.policyd.limits import Limits
from postconnector.policyd.open_messages import OpenMessages
from postconnector.policyd.protocol import PROBE, Outline, Request
from postconnector.postfix.host import PostfixError
from postconnector.selection.standpoint import local_server

_LONGEST = 400
"""Characters of what Postfix' commands say."""

_LOOKS_AGAIN = 0.005
"""Seconds from one look at what is published to the next, while there are questions. When `apply`
ends they are over: it asks Postfix' own commands between publishing and that."""


class PolicyServer:
    """Serves one listening socket until told to stop, on the host of this name."""

    def __init__(
        self,
        published: PublishedOrganization,
        postfix: RememberedAnswers,
        rules: Sequence[NamedRule],
        hostname: str | None = None,
        limits: Limits | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._hostname = hostname
        self._postfix = postfix
        self._rules = rules
        self._limits = limits or Limits()
        self._metrics = metrics or Metrics()
        self._messages = OpenMessages()
        self._judges = Follower(published, self._new_judge, replaced=self._forget_judge)
        self._judge: Judge | None = None
        """That of what is published, as of a moment ago; None: there may be another."""
        self._looks_at = 0.0

    def _new_judge(self, organization: Organization) -> Judge:
        return Judge(
            organization,
            self._messages,
            self._postfix,
            self._rules,
            local_server(organization, self._hostname),
            decided=self._metrics.decided,
        )

    def _forget_judge(self) -> None:
        self._judge, self._looks_at = None, 0.0

    async def serve(self, listener: socket.socket, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT."""
        stop = stop_event()
        clients = Clients(listener, self, self._limits)
        beside = [
            asyncio.create_task(task) for task in (self._judges.follow(), clients.watch_time())
        ]
        ready()
        await stop.wait()
        for task in beside:
            task.cancel()
        clients.stop()

    def accepts(self, outline: Outline) -> bool:
        """Whether there is nothing to say, and no more to know for it."""
        now = time.monotonic()
        judge = self._judge
        if judge is None or now >= self._looks_at or not judge.accepts(outline):
            return False
        self._metrics.answered(outline[0], time.monotonic() - now)
        return True

    def at_once(self, request: Request) -> str | None:
        """The action for a request; None if somebody has to be asked, or connectors to be read."""
        now = time.monotonic()
        if now >= self._looks_at:
            self._looks_at = now + _LOOKS_AGAIN
            self._judge = self._judges.made if self._judges.is_up_to_date else None
        if self._judge is None:
            return None
        action = self._judge.action_at_once(request)
        if action is not None:
            self._measure(request.get("protocol_state", ""), now)
        return action

    async def later(self, request: Request) -> str:
        """The same, however long it takes."""
        began = time.monotonic()
        judge = await self._judges.current()
        try:
            action = TRY_LATER if judge is None else await judge.action(request)
        except PostfixError as error:
            if request.get("request") != PROBE:
                raise
            action = f"451 4.3.0 {cut(clean(str(error)), _LONGEST)}"
        self._measure(request.get("protocol_state", ""), began)
        return action

    def _measure(self, stage: str, began: float) -> None:
        self._metrics.answered(stage, time.monotonic() - began)
