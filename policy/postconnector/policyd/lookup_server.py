"""The lookup service: a socket around the lookups, for Postfix' socketmap tables.

Every client is served by itself; one that is slow, stuck or sends nonsense hurts no other.
Whatever goes wrong in answering is answered with TEMP: our fault defers mail.
"""

import asyncio
import logging
import socket

from postconnector.policyd.complaints import Complaints
from postconnector.policyd.lookups import Lookups
from postconnector.policyd.socketmap import (
    Question,
    QuestionParser,
    SocketmapError,
    netstring,
    try_later,
)

_IDLE = 300.0
"""Seconds; longer than Postfix keeps a connection (100 s)."""

_SUMS_UP_EVERY = 60.0
"""Seconds."""

_MOST_CLIENTS = 2000
"""More than Postfix has processes that may ask (default_process_limit for each service)."""

log = logging.getLogger(__name__)


class LookupServer:
    """Serves one listening socket from `start` to `stop`."""

    def __init__(self, lookups: Lookups) -> None:
        self.lookups = lookups
        self.complaints = Complaints(log)
        self.clients: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Answer whoever connects, in the running event loop."""
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        if listener.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(self._client, sock=listener)
        else:
            self._server = await loop.create_server(self._client, sock=listener)
        self._sum_up()

    def _sum_up(self) -> None:
        self.complaints.sum_up()
        asyncio.get_running_loop().call_later(_SUMS_UP_EVERY, self._sum_up)

    def stop(self) -> None:
        """Take no more connections and end those that are open; Postfix connects anew."""
        if self._server is not None:
            self._server.close()
        for client in list(self.clients):
            client.abort()

    def answer(self, question: Question) -> bytes:
        """The answer as it is sent, whatever goes wrong."""
        try:
            return netstring(self.lookups.answer(question))
        except Exception as error:
            self.complaints.about_ourselves(error)
            return netstring(try_later("this can't be looked up now"))

    def _client(self) -> "_Client":
        return _Client(self)


class _Client(asyncio.Protocol):
    """One connection. While the client does not read its answers, nothing is read from it."""

    def __init__(self, server: LookupServer) -> None:
        self._server = server
        self._parser = QuestionParser()
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._is_broken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for questions."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        if len(self._server.clients) >= _MOST_CLIENTS:
            self._server.complaints.about(
                f"closing a connection: there are {_MOST_CLIENTS} already"
            )
            transport.abort()
            return
        self._transport = transport
        self._server.clients.add(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Answer the questions that are complete."""
        if self._transport is None or self._is_broken:
            return
        self._wait()
        try:
            for question in self._parser.feed(data):
                self._transport.write(self._server.answer(question))
        except SocketmapError as error:
            self._server.complaints.about(f"closing a connection: the client sent {error}")
            self._is_broken = True
            self._transport.close()

    def pause_writing(self) -> None:
        """Answers pile up: take no more questions."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Answers flow again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        if self._idle is not None:
            self._idle.cancel()
        if self._transport is not None:
            self._server.clients.discard(self._transport)
            if self._parser.pending and not self._is_broken and exc is None:
                self._server.complaints.about("a client went away in the middle of a question")

    def _wait(self) -> None:
        """Hang up on a client that neither asks nor reads."""
        if self._idle is not None:
            self._idle.cancel()
        if self._transport is not None:
            self._idle = asyncio.get_running_loop().call_later(_IDLE, self._transport.abort)
