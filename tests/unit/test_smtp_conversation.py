"""Whole sessions with a next hop that says anything at all: they end as declared."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.smtp.connection import Connection, StaleConnectionError
from postconnector.delivery.smtp.conversation import Conversation
from postconnector.delivery.smtp.dialogue import opening
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.settings import Login, SessionSettings
from postconnector.delivery.smtp.steps import SessionFailedError
from postconnector.delivery.smtp.transaction import Delivered
from postconnector.delivery.smtp.wire import Wire
from postconnector.delivery.tls.policy import Starttls, TlsPolicy
from tests.lab.client import Heard, Message

_PASSWORD = "hunter2hunter2"
_SECRETS = (_PASSWORD, "AHVzZXIAaHVudGVyMmh1bnRlcjI", "aHVudGVyMmh1bnRlcjI")
_ECHO = b"535 unknown: "
_TURNS = 4
_TARGET = Target("peer.test", "192.0.2.1", 25)
_RECIPIENTS = tuple(EnvelopeRecipient(f"{name}@fabrikam.test") for name in "abc")
_ENVELOPE = Envelope("alice@contoso.test", _RECIPIENTS)
_MESSAGE = Message(b"Subject: x\r\n\r\n" + 300 * b".\r\n")

_OFFERS_LOGIN = b"250-peer.test\r\n250-SIZE 10000\r\n250-PIPELINING\r\n250 AUTH LOGIN\r\n"
_OFFERS_PLAIN = b"250-peer.test\r\n250 AUTH PLAIN\r\n"
_BEGINNINGS: tuple[list[bytes], ...] = (
    [],
    [b"220 hi\r\n", _OFFERS_PLAIN],
    [b"220 hi\r\n", _OFFERS_LOGIN, b"334 \r\n", b"334 \r\n"],
)

# Mostly what lets a session go on: else none would come far.
_SAID = (
    *([b"250 2.0.0 ok\r\n"] * 6),
    _OFFERS_LOGIN,
    _OFFERS_PLAIN,
    *([b"220 hi\r\n", b"354 go on\r\n", b"354 go on\r\n", b"334 \r\n", b"334 YQ==\r\n"]),
    *([b"235 ok\r\n", b"550 5.1.1 no\r\n", b"450 4.2.0 later\r\n", b"421 closing\r\n"]),
    *([_ECHO] * 3),
    *([b"250-", b"2", b"\r\n", b"250 ok\n", b"\xff\r\n", b"250 a\r\n250 b\r\n", b"199 x\r\n"]),
)
anything = st.lists(st.sampled_from(_SAID) | st.binary(min_size=1, max_size=9), max_size=25)


class AnyNextHop(asyncio.Transport):
    """Says the next piece each time that it is spoken to, or waited for; in the end it leaves.

    After _ECHO it says again what it has just heard.
    """

    def __init__(self, wire: Wire, pieces: Sequence[bytes]) -> None:
        super().__init__()
        self._wire = wire
        self._pieces = iter(pieces)
        self._has_left = False
        self._said = 0
        self.heard = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.heard += bytes(data)
        self.later(self._speak)

    def later(self, act: Callable[[], None], turns: int = 1) -> None:
        """After so many turns of the loop."""
        next_one = act if turns <= 1 else lambda: self.later(act, turns - 1)
        asyncio.get_running_loop().call_soon(next_one)

    def listen(self) -> None:
        """Speak, unless something was said in the meantime."""
        said, heard = self._said, len(self.heard)

        def speak_on() -> None:
            if (said, heard) == (self._said, len(self.heard)):
                self._speak()

        self.later(speak_on, _TURNS)

    def _speak(self) -> None:
        if self._has_left:
            return
        self._said += 1
        piece = next(self._pieces, None)
        if piece is None:
            self._wire.eof_received()
            self.close()
            return
        if piece is _ECHO:
            piece += b" ".join(self.heard.split(b"\r\n")[-3:]) + b"\r\n"
        self._wire.data_received(piece)
        self.listen()

    def close(self) -> None:
        if not self._has_left:
            self._has_left = True
            self.later(lambda: self._wire.connection_lost(None))

    abort = close

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def converse(
    pieces: Sequence[bytes], settings: SessionSettings, message: Message
) -> tuple[list[Delivered], Heard, bytes]:
    """Open, and deliver twice if it goes so far; what was delivered, the log, what was sent."""
    log, wire, delivered = Heard(), Wire(), list[Delivered]()
    next_hop = AnyNextHop(wire, pieces)

    async def session() -> None:
        wire.connection_made(next_hop)
        conversation = Conversation(_TARGET, settings, log, wire)
        next_hop.listen()
        opened = Opened()
        try:
            await conversation.carry_out(opening(settings, opened))
            connection = Connection(_TARGET, settings, conversation, opened)
            for _ in range(2):
                delivered.append(await connection.deliver(_ENVELOPE, message))
                if not connection.is_reusable:
                    break
        except (SessionFailedError, StaleConnectionError):
            pass
        conversation.say_goodbye()
        await conversation.wait_closed()

    asyncio.run(asyncio.wait_for(session(), 20.0))
    return delivered, log, next_hop.heard


def settings(login: Login | None) -> SessionSettings:
    return SessionSettings("client.test", TlsPolicy(Starttls.NEVER, None), login=login)


@given(st.sampled_from(_BEGINNINGS), anything, st.booleans())
def test_any_next_hop(beginning: list[bytes], more: list[bytes], logs_in: bool) -> None:
    login = Login("user", _PASSWORD, only_encrypted=False) if logs_in else None
    delivered, log, _ = converse([*beginning, *more], settings(login), _MESSAGE)
    for each in delivered:
        assert len(each.replies) == len(_RECIPIENTS)
    assert re.fullmatch(r"\+[*<>]*-", "".join(line[0] for line in log.lines)), log.lines
    shown = "".join(log.lines) + "".join(str(r.reply) for d in delivered for r in d.replies)
    for secret in _SECRETS:
        assert secret not in shown


@given(anything)
def test_taken_is_only_what_was_sent_whole(pieces: list[bytes]) -> None:
    good = [b"220 hi\r\n", b"250 peer.test\r\n", *([b"250 ok\r\n"] * 4)]
    delivered, _, heard = converse([*good, b"354 go on\r\n", *pieces], settings(None), _MESSAGE)
    for each in delivered:
        if any(reply.reply.is_positive for reply in each.replies):
            assert heard.count(b"\r\n.\r\n") >= 1


def test_the_echo_is_heard() -> None:
    """Else it would prove nothing."""
    login = Login("user", _PASSWORD, only_encrypted=False)
    for beginning in _BEGINNINGS[1:]:
        _, log, _ = converse([*beginning, _ECHO], settings(login), _MESSAGE)
        assert log.lines[-2].startswith("> QUIT")
        assert log.lines[-3].startswith("< 535 unknown: ")
        assert "****" in log.lines[-3]


class BreakingMessage(Message):
    """Cannot be read to its end."""

    def chunks(self) -> Iterator[bytes]:
        yield b"Subject: x\r\n"
        raise ValueError("closed")


@given(st.sampled_from((b"354 go on\r\n", b"354 go on\r\n250 taken\r\n")))
def test_what_cannot_be_read_has_no_end(last: bytes) -> None:
    good = [b"220 hi\r\n", b"250 peer.test\r\n", *([b"250 ok\r\n"] * 4), last]
    heard = b""
    try:
        delivered, _, heard = converse(good, settings(None), BreakingMessage(b""))
    except ValueError:
        return
    assert not any(reply.reply.is_positive for each in delivered for reply in each.replies)
    assert not heard.endswith(b".\r\n")
