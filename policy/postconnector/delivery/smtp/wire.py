"""One TCP connection to a next hop: bytes out, replies in, TLS in between."""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any, cast

from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.replies import ProtocolError, ReplyParser
from postconnector.delivery.tls.verification import handshake_failure

_HIGH_WATER = 256 * 1024


class ConnectionLostError(Exception):
    """The next hop is gone; the text says how."""


class Wire(asyncio.Protocol):
    """Every wait is bounded by its caller. What comes is parsed as it comes."""

    def __init__(self) -> None:
        self._parser = ReplyParser()
        self._transport: asyncio.Transport | None = None
        self._lost: str | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called again when TLS is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """A piece of replies."""
        self._parser.feed(data)
        self._wake()

    def eof_received(self) -> bool:
        """It will say nothing more, and so do we."""
        self._lost = self._lost or "it closed the connection"
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever waits hears of it."""
        if isinstance(error, ssl.SSLError):
            self._lost = self._lost or str(handshake_failure(error))
        self._lost = self._lost or (str(error) if error else "it closed the connection")
        self._may_write.set()
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
    def has_reply(self) -> bool:
        """Whether something was said that nobody has read."""
        return not self._parser.is_empty

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody asked for, and the connection is there."""
        return self._lost is None and self._parser.is_empty

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session."""
        found: ssl.SSLObject | None = self._info("ssl_object")
        return found

    def endpoint(self, which: str) -> str:
        """`sockname` or `peername` as address:port."""
        found: tuple[str, int] | None = self._info(which)
        if not found:
            return ""
        host, port = found[0], found[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def reply(self) -> Reply:
        """The next reply. Raises ProtocolError or ConnectionLostError."""
        while (found := self._parser.next_reply()) is None:
            if self._lost is not None:
                raise ConnectionLostError(self._lost)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return found

    def write(self, data: bytes) -> None:
        """Send what is short. Raises ConnectionLostError."""
        if self._transport is None or self._lost is not None:
            raise ConnectionLostError(self._lost or "there is no connection")
        self._transport.write(data)

    async def send(self, pieces: Iterable[bytes], seconds: float) -> None:
        """Send what is long, `seconds` at most for each piece to be taken.

        Ends early if the next hop speaks meanwhile: it has said what becomes of the message.
        Raises ConnectionLostError or TimeoutError.
        """
        for piece in pieces:
            if not self._may_write.is_set():
                async with asyncio.timeout(seconds):
                    await self._may_write.wait()
            self.write(piece)
            if self._lost is not None:
                raise ConnectionLostError(self._lost)

    async def start_tls(self, context: ssl.SSLContext, name: str | None, seconds: float) -> None:
        """Go over to TLS. Raises ssl.SSLError, OSError or TimeoutError."""
        if self._transport is None or self._lost is not None:
            raise ConnectionLostError(self._lost or "there is no connection")
        if not self._parser.is_empty:
            raise ProtocolError("it spoke on in clear behind its answer to STARTTLS")
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(
            self._transport,
            self,
            context,
            server_hostname=name,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=1.0,
        )
        if transport is None:
            raise ConnectionLostError("it closed the connection")
        self._transport = transport

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close when all is sent."""
        if self._transport is not None:
            self._transport.close()

    def _info(self, name: str) -> Any:  # noqa: ANN401 (as asyncio has it)
        return None if self._transport is None else self._transport.get_extra_info(name)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
