"""One client of the policy service: its socket around its parser.

Nothing is read ahead. Requests are answered in their order and at once; while one needs longer, or
the client does not read its answers, nothing more is read from it. So a client has at most one
read and its answers in memory, and no other waits for it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Protocol

from postconnector.policyd.complaints import Complaints
from postconnector.policyd.judge import NOTHING_TO_SAY, TRY_LATER
from postconnector.policyd.limits import Limits
from postconnector.policyd.protocol import Outline, ProtocolError, Request, RequestParser, answer
from postconnector.postfix.host import PostfixError

_READ_SIZE = 4 * 1024
"""A few requests: who sends many at once does not keep the others waiting."""

_ACCEPT = answer(NOTHING_TO_SAY)
_TRY_LATER = answer(TRY_LATER)
_NOTHING: Iterator[Request] = iter(())


class Answering(Protocol):
    """Who answers the requests."""

    def accepts(self, outline: Outline) -> bool:
        """Whether there is nothing to say for sure; if not, the whole request is to be asked."""
        ...

    def at_once(self, request: Request) -> str | None:
        """The action; None if that takes longer."""
        ...

    async def later(self, request: Request) -> str:
        """The same, however long it takes."""
        ...


class Connection:
    """Serves one client, in the running event loop, from when it is made until end().

    `ended` hears of that, whoever has called it.
    """

    __slots__ = (
        "_answering",
        "_asking",
        "_complaints",
        "_ended",
        "_loop",
        "_parser",
        "_requests",
        "_since",
        "_socket",
        "_unsent",
    )

    def __init__(
        self,
        client: socket.socket,
        answering: Answering,
        complaints: Complaints,
        ended: Callable[["Connection"], None],
    ) -> None:
        self._socket = client
        self._answering = answering
        self._complaints = complaints
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser()
        self._requests = _NOTHING
        self._unsent = b""
        self._asking: asyncio.Task[None] | None = None
        self._since: float | None = None
        self._loop.add_reader(client, self._read)

    def end(self) -> None:
        """Close, whatever is unanswered."""
        if self._socket.fileno() < 0:
            return
        if self._asking is not None:
            self._asking.cancel()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._ended(self)

    def look_at_time(self, now: float, limits: Limits) -> None:
        """End what takes too long. Called once in a while: the time counts from the first call
        after the client did something.
        """
        if self._asking is not None:
            return
        if self._since is None:
            self._since = now
            return
        stuck = bool(self._unsent) or self._parser.pending
        if now - self._since < (limits.stalled if stuck else limits.idle):
            return
        if self._unsent:
            self._complaints.about("closing a connection: the client does not read its answers")
        elif stuck:
            self._complaints.about("closing a connection: the client sent half a request")
        self.end()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.end()
            return
        if not data:
            if self._parser.pending:
                self._complaints.about("a client went away in the middle of a request")
            self.end()
            return
        if (known := self._at_a_glance(data)) is not None:
            self._since = None
            self._send(known)
            return
        if not self._parser.pending:
            self._since = None
        self._requests = self._parser.feed(data)
        self._answer()

    def _at_a_glance(self, data: bytes) -> bytes | None:
        """The answer where there is nothing to say, as nearly always; None: it is to be read."""
        try:
            outline = self._parser.outline(data)
            return _ACCEPT if outline is not None and self._answering.accepts(outline) else None
        except Exception as error:
            self._complaints.about_ourselves(error)
            return _TRY_LATER

    def _answer(self) -> None:
        """Answer what has come, until somebody has to be asked."""
        answers = []
        try:
            for request in self._requests:
                self._since = None
                action = self._action_at_once(request)
                if action is None:
                    self._ask(request)
                    break
                answers.append(self._line(action))
        except ProtocolError as error:
            self._break_off(b"".join(answers), error)
            return
        if answers:
            self._send(answers[0] if len(answers) == 1 else b"".join(answers))

    def _action_at_once(self, request: Request) -> str | None:
        try:
            return self._answering.at_once(request)
        except Exception as error:
            self._complaints.about_ourselves(error)
            return TRY_LATER

    def _ask(self, request: Request) -> None:
        self._loop.remove_reader(self._socket)
        self._asking = self._loop.create_task(self._answer_later(request))

    async def _answer_later(self, request: Request) -> None:
        try:
            action = await self._answering.later(request)
        except PostfixError as error:
            self._complaints.about_postfix(error)
            action = TRY_LATER
        except Exception as error:
            self._complaints.about_ourselves(error)
            action = TRY_LATER
        self._asking = None
        self._send(self._line(action))
        if not self._unsent:
            self._go_on()

    def _send(self, data: bytes) -> None:
        """Send, and read no more while the client does not take it."""
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.end()
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.remove_reader(self._socket)
            self._loop.add_writer(self._socket, self._send_rest)

    def _send_rest(self) -> None:
        data, self._unsent = self._unsent, b""
        self._loop.remove_writer(self._socket)
        self._send(data)
        if not self._unsent and self._asking is None:
            self._go_on()

    def _go_on(self) -> None:
        """Answer what had come already, then read again."""
        if self._socket.fileno() < 0:
            return
        self._since = None
        self._loop.add_reader(self._socket, self._read)
        self._answer()

    def _break_off(self, answers: bytes, error: ProtocolError) -> None:
        self._complaints.about(f"closing a connection: the client sent {error}")
        with contextlib.suppress(OSError):
            self._socket.send(answers)
        self.end()

    def _line(self, action: str) -> bytes:
        try:
            return answer(action)
        except ValueError as error:
            self._complaints.about_ourselves(error)
            return _TRY_LATER
