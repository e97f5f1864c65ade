"""One TCP connection to a next hop: bytes out, replies in, TLS in between."""

import asyncio
import os
import ssl
from collections.abc import Iterable
from typing import Any, cast

from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.replies import ProtocolError, ReplyParser
from postconnector.delivery.tls.verification import handshake_failure

_HIGH_WATER = 256 * 1024
_MOST_UNREAD = 128 * 1024
_CLOSED = "it closed the connection"


class ConnectionLostError(ConnectionError):
    """The next hop is gone; the text says how."""


class Wire(asyncio.Protocol):
    """Every wait is bounded by its caller. What comes is parsed when it is asked for."""

    def __init__(self) -> None:
        self._parser = ReplyParser()
        self._transport: asyncio.Transport | None = None
        self._lost: str | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._may_read = True
        self._closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """A piece of replies. Who says more than anybody reads must wait."""
        self._parser.feed(data)
        if self._parser.unread > _MOST_UNREAD and self._transport is not None:
            self._may_read = False
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """It will say nothing more, and so do we."""
        self._lost = self._lost or _CLOSED
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever waits hears of it."""
        if isinstance(error, ssl.SSLError):
            self._lost = self._lost or str(handshake_failure(error))
        if isinstance(error, OSError) and error.errno:
            self._lost = self._lost or os.strerror(error.errno)
        self._lost = self._lost or (str(error) if error else _CLOSED)
        self._may_write.set()
        self._closed.set()
        self._wake()

    def pause_writing(self) -> None:
        """Enough is waiting to be sent."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """More may be sent."""
        self._may_write.set()

    @property
    def is_lost(self) -> bool:
        """Whether the next hop is gone."""
        return self._lost is not None

    @property
    def is_spoken_to(self) -> bool:
        """Whether something has come that nobody has read."""
        return not self._parser.is_empty

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session."""
        found: ssl.SSLObject | None = self._info("ssl_object")
        return found

    def endpoint(self, which: str) -> str:
        """`sockname` or `peername` as address:port."""
        found: tuple[str, int] | str | None = self._info(which)
        if not found or isinstance(found, str):
            return found or ""
        host, port = found[0], found[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def reply(self) -> Reply:
        """The next reply. Raises ProtocolError or ConnectionLostError."""
        while (found := self._parser.next_reply()) is None:
            if self._lost is not None:
                raise ConnectionLostError(self._lost)
            if not self._may_read and self._transport is not None:
                self._may_read = True
                self._transport.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return found

    def reply_at_hand(self) -> Reply | None:
        """What has come already, if it is whole. Raises ProtocolError."""
        return self._parser.next_reply()

    def write(self, data: bytes) -> None:
        """Send what is short. Raises ConnectionLostError."""
        if self._transport is None or self._lost is not None:
            raise ConnectionLostError(self._lost or "there is no connection")
        self._transport.write(data)

    async def send(self, pieces: Iterable[bytes], seconds: float) -> bool:
        """Send what is long, `seconds` at most for each piece to be taken.

        False if the next hop spoke or left before the last piece was on its way: then it has not
        got the whole. Raises TimeoutError.
        """
        for number, piece in enumerate(pieces):
            if number:
                # Others get their turn, and we notice what has come.
                await asyncio.sleep(0)
            await self._room(seconds)
            if self.is_spoken_to or self._transport is None or self._lost is not None:
                return False
            self._transport.write(piece)
        await self._room(seconds)
        return True

    async def _room(self, seconds: float) -> None:
        if not self._may_write.is_set():
            async with asyncio.timeout(seconds):
                await self._may_write.wait()

    async def start_tls(self, context: ssl.SSLContext, name: str | None, seconds: float) -> None:
        """Go over to TLS. Raises OSError (ssl.SSLError, TimeoutError), or ProtocolError.

        Nothing that came in clear is left: from the look at the parser to the moment when all
        that comes is for TLS nothing else runs, and what came before is a ProtocolError.
        """
        if self._transport is None or self._lost is not None:
            raise ConnectionLostError(self._lost or "there is no connection")
        if self.is_spoken_to:
            raise ProtocolError("it spoke on in clear after its reply to STARTTLS")
        async with asyncio.timeout(seconds):
            transport = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                context,
                server_hostname=name,
                # Ours is to end first: it is told apart from a connection that was lost.
                ssl_handshake_timeout=2 * seconds,
                ssl_shutdown_timeout=1.0,
            )
        if transport is None:
            raise ConnectionLostError(_CLOSED)
        self._transport = transport
        self._transport.set_write_buffer_limits(_HIGH_WATER)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close when all is sent."""
        if self._transport is not None:
            self._transport.close()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, after close() or abort()."""
        await self._closed.wait()

    def _info(self, name: str) -> Any:  # noqa: ANN401 (as asyncio has it)
        return None if self._transport is None else self._transport.get_extra_info(name)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
