"""The clients of the policy service: accepts them, looks at their time, and ends them all.

Where there are as many as there may be, the others wait in the listening socket's queue until one
leaves.
"""

import asyncio
import logging
import socket

from postconnector.policyd.complaints import Complaints
from postconnector.policyd.connection import Answering, Connection
from postconnector.policyd.limits import Limits

_PAUSE = 1.0
"""Seconds without accepting after accept(2) failed, if nobody leaves: too few file descriptors,
mostly.
"""

_LOOKS = 4
"""So often in the time that a client may be stalled it is looked at."""

log = logging.getLogger(__name__)


class Clients:
    """Those of one listening socket, in the running event loop, from when this is made."""

    def __init__(self, listener: socket.socket, answering: Answering, limits: Limits) -> None:
        self._listener = listener
        self._answering = answering
        self._limits = limits
        self._complaints = Complaints(log)
        self._connections: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._is_paused = False
        listener.setblocking(False)
        self._listen()

    def stop(self) -> None:
        """Accept nobody any more and end those who are there; Postfix connects anew."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for connection in list(self._connections):
            connection.end()
        self._complaints.sum_up(at_end=True)

    async def watch_time(self) -> None:
        """End those who take too long, until cancelled."""
        while True:
            await asyncio.sleep(self._limits.stalled / _LOOKS)
            now = self._loop.time()
            for connection in list(self._connections):
                connection.look_at_time(now, self._limits)
            self._complaints.sum_up()

    def _listen(self) -> None:
        if self._listener.fileno() >= 0 and len(self._connections) < self._limits.connections:
            self._is_paused = False
            self._loop.add_reader(self._listener, self._accept)

    def _pause(self, why: str) -> None:
        """Accept nobody until somebody leaves."""
        self._complaints.about(why)
        self._is_paused = True
        self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        """Accept one client; whoever else waits comes after those who are served already."""
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._pause(f"can't accept a connection: {error.strerror}")
            self._loop.call_later(_PAUSE, self._listen)
            return
        client.setblocking(False)
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(Connection(client, self._answering, self._complaints, self._ended))
        if len(self._connections) >= self._limits.connections:
            self._pause(f"{len(self._connections)} clients: others have to wait")

    def _ended(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._is_paused:
            self._listen()
