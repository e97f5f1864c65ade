"""The LMTP server: takes messages from Postfix and answers when each recipient has its reply.

It keeps no message: whatever goes wrong is a 4xx, and Postfix tries again. A delivery goes on when
its client leaves, since half a message at the next hop is worse than one that comes twice.
"""

import asyncio
import contextlib
import logging
import socket

from postconnector.delivery.lmtp.connection import Connection
from postconnector.delivery.lmtp.limits import Limits
from postconnector.delivery.lmtp.transaction import Deliver
from postconnector.delivery.reply import Reply
from postconnector.delivery.spool import Spool

_TOO_MANY = Reply(421, "4.3.2", ("too many connections, try again later",))
_PAUSE = 1.0
"""Seconds without accepting after accept(2) failed: too few file descriptors, mostly."""

log = logging.getLogger(__name__)


class LmtpServer:
    """Hands each message to `deliver`; it is kept in `spool` meanwhile."""

    def __init__(self, deliver: Deliver, limits: Limits, spool: Spool) -> None:
        self._deliver = deliver
        self._limits = limits
        self._spool = spool
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._stopped = asyncio.Event()

    async def serve(self, listener: socket.socket) -> None:
        """Serve the clients of a listening socket, UNIX or TCP, until stop(); it is closed then."""
        listener.setblocking(False)
        try:
            self._watch(listener)
            await self._stopped.wait()
        finally:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()

    async def stop(self, grace: float) -> None:
        """Accept nobody any more; give deliveries `grace` seconds to end, then end all."""
        self._stopped.set()
        for connection, task in self._connections.items():
            if not connection.stop_after_delivery():
                task.cancel()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=grace)
        unfinished = list(self._connections.values())
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    def _watch(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accept one client; whoever else waits comes after those who are served already."""
        if self._stopped.is_set():
            return
        try:
            client, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            log.error("can't accept a connection: %s", error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(_PAUSE, self._watch, listener)
            return
        client.setblocking(False)
        self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        if len(self._connections) >= self._limits.connections:
            log.warning("refusing a connection: there are %d already", len(self._connections))
            _refuse(client)
            return
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(client, self._deliver, self._limits, self._spool)
        task = asyncio.create_task(connection.converse())
        self._connections[connection] = task
        task.add_done_callback(lambda task: self._ended(connection, client, task))

    def _ended(
        self, connection: Connection, client: socket.socket, task: asyncio.Task[None]
    ) -> None:
        client.close()
        self._connections.pop(connection, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("our own fault; the connection is closed", exc_info=error)


def _refuse(client: socket.socket) -> None:
    with client, contextlib.suppress(OSError):
        client.send(_TOO_MANY.encode())
