"""The milter program: libmilter's threads around the judge.

The main thread follows what is published and waits for SIGTERM; libmilter takes connections in
another, and has a thread for each. Whatever goes wrong in judging is answered with 451: our fault
defers mail.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence

from postconnector.daemon.endpoint import Endpoint
from postconnector.daemon.follower import Follower
from postconnector.daemon.metrics import Metrics
from postconnector.daemon.published import PublishedOrganization
from postconnector.daemon.stopping import stop_event
from postconnector.enforcement.postfix_view import PostfixView
from postconnector.enforcement.rule import NamedRule
from postconnector.model.organization import Organization
from postconnector.selection.standpoint import local_server
from postconnector_milter import callbacks
from postconnector_milter.connection import Connection
from postconnector_milter.judge import Judge
from postconnector_milter.underway import Underway

_STOPS_WITHIN = 20.0
"""Seconds that messages which are just coming may take to end; Postfix waits no longer either."""

log = logging.getLogger(__name__)


class MilterServer:
    """Serves one endpoint until told to stop, on the host of this name."""

    def __init__(
        self,
        published: PublishedOrganization,
        postfix: PostfixView,
        rules: Sequence[NamedRule],
        metrics: Metrics,
        hostname: str | None = None,
    ) -> None:
        self._postfix = postfix
        self._rules = rules
        self._metrics = metrics
        self._hostname = hostname
        self._underway = Underway()
        self._judges = Follower(published, self._new_judge)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gave_up = False

    def listen(self, endpoint: Endpoint) -> None:
        """Have libmilter listen. Raises OSError."""
        callbacks.open_socket(endpoint, lambda: Connection(self._judge, self._underway))

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; RuntimeError if libmilter gives up before."""
        stop, self._loop = stop_event(), asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(stop, self._loop), daemon=True).start()
        ready()
        follower = asyncio.create_task(self._judges.follow())
        await stop.wait()
        follower.cancel()
        if self._gave_up:
            raise RuntimeError("libmilter gave up")
        await self._finish()

    def _run(self, stop: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        try:
            callbacks.run()
        finally:
            self._gave_up = True
            loop.call_soon_threadsafe(stop.set)

    async def _finish(self) -> None:
        if count := self._underway.stop():
            log.info("stopping when the messages that are coming have ended: %d", count)
        if not await asyncio.to_thread(self._underway.wait_for_none, _STOPS_WITHIN):
            log.warning("stopping, although a message does not end: Postfix tries again")

    def _judge(self) -> Judge | None:
        """Called by libmilter's threads."""
        if self._judges.is_up_to_date or self._loop is None:
            return self._judges.made
        return asyncio.run_coroutine_threadsafe(self._judges.current(), self._loop).result()

    def _new_judge(self, organization: Organization) -> Judge:
        server = local_server(organization, self._hostname)
        return Judge(organization, self._postfix, self._rules, self._metrics, server)
