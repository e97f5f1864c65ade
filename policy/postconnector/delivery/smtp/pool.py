"""Connections that wait for another message, so that not every one needs its own."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress

from postconnector.delivery.content import Content
from postconnector.delivery.envelope import Envelope
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.smtp.connection import Connection, StaleConnectionError
from postconnector.delivery.smtp.transaction import Delivered

_MOST = 200

Key = tuple[Hashable, Target]


class ConnectionPool:
    """Keeps idle connections, `settings.idle` seconds each, the oldest of too many no longer."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._idle: OrderedDict[Connection, tuple[Key, asyncio.TimerHandle]] = OrderedDict()
        self._by_key: dict[Key, list[Connection]] = {}

    def __len__(self) -> int:
        return len(self._idle)

    async def deliver(
        self, key: Hashable, target: Target, envelope: Envelope, content: Content
    ) -> tuple[Connection, Delivered] | None:
        """Deliver by the one that was used last; None if there is none, or it turns out to be gone.

        One that has gone without a word may have cost minutes; no second one is tried.
        Raises SessionFailedError.
        """
        connection = self.take(key, target)
        if connection is not None:
            with suppress(StaleConnectionError):
                return connection, await connection.deliver(envelope, content)
        return None

    def take(self, key: Hashable, target: Target) -> Connection | None:
        """The one that was used last, if it is still there."""
        while (waiting := self._by_key.get((key, target))) is not None:
            connection = waiting[-1]
            self._forget(connection)
            if connection.is_reusable:
                return connection
            connection.quit()
        return None

    def give_back(self, key: Hashable, connection: Connection) -> None:
        """Keep it for another message, or say goodbye."""
        if not connection.is_reusable:
            connection.quit()
            return
        full_key = key, connection.target
        timer = asyncio.get_running_loop().call_later(
            connection.settings.idle, self._close, connection
        )
        self._idle[connection] = full_key, timer
        self._by_key.setdefault(full_key, []).append(connection)
        if len(self._idle) > self._most:
            self._close(next(iter(self._idle)))

    def close(self) -> None:
        """Say goodbye to all."""
        for connection in list(self._idle):
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._forget(connection)
        connection.quit()

    def _forget(self, connection: Connection) -> None:
        key, timer = self._idle.pop(connection)
        timer.cancel()
        self._by_key[key].remove(connection)
        if not self._by_key[key]:
            del self._by_key[key]
