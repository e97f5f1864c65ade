"""Sessions of LMTP, beside a bookkeeper who reads the same bytes line by line.

He knows by himself which commands are due an answer, which order is in order, and what each message
is; whether the arguments of a command are well-formed he takes from its reply (lmtp_commands looks
at these).
"""

from dataclasses import dataclass, field

from postconnector.delivery.envelope import EnvelopeRecipient
from postconnector.delivery.lmtp.commands import LONGEST_LINE, Command, Mail, Rcpt, parse_command
from postconnector.delivery.lmtp.events import (
    Event,
    MessageBegun,
    MessageEnded,
    MessagePiece,
    SendBytes,
)
from postconnector.delivery.lmtp.limits import Limits
from postconnector.delivery.lmtp.session import LmtpSession
from tests.fuzz import message_data
from tests.fuzz.given import agree, given
from tests.fuzz.lmtp_commands import envelope_is_said, envelope_of

_MOST_SENT = 20_000
WORDS = (
    b"LHLO mx.contoso.test\r\n",
    b"MAIL FROM:<a@contoso.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n",
    b"MAIL FROM:<\xc3\xa9@contoso.test> SMTPUTF8\r\n",
    b"MAIL FROM:<> SIZE=61\r\n",
    b"RCPT TO:<bob@fabrikam.test>\r\n",
    b"XFORWARD NAME=mx.test IDENT=4Q7\r\n",
    b"DATA\r\n",
    b"\r\n.\r\n",
    b".\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"QUIT\r\n",
    b"EHLO mx\r\n",
    b"\n",
    b"NOOP x\xfd\x80\x0c",
    b"X\r\n\xfe\x04\x02",
)
_LIMITS = (
    Limits(recipients=2, bad_commands=4),
    Limits(message_size=60, recipients=2, bad_commands=4),
)
_LHLO = b"LHLO mx.contoso.test"
_LONGEST_REPLY = 512
# RFC 5321, 4.3.2, and RFC 2033: what these may be answered with, where they are well-formed.
_CODES = {
    b"LHLO": {250, 501},
    b"MAIL": {250, 501, 503, 552, 553},
    b"RCPT": {250, 452, 501, 503, 553},
    b"DATA": {354, 501, 503},
    b"RSET": {250, 501},
    b"NOOP": {250},
    b"VRFY": {252},
    b"QUIT": {221, 501},
    b"XFORWARD": {250, 501, 503},
}


class SessionOver(Exception):  # noqa: N818
    """Nothing more is said or read."""


def check(data: bytes) -> None:
    """AssertionError where a session is not as RFC 2033 has it."""
    whole, reads = given(data, _MOST_SENT)
    for limits in _LIMITS:
        heard = read([whole], limits)
        agree(read(reads, limits), heard)
        Bookkeeper(whole, heard, limits).follow()


@dataclass
class Heard:
    """Replies, beginnings of messages, and messages with their ends, in their order.

    `unfinished`: what is given so far of a message without an end.
    """

    steps: list[bytes | MessageBegun | tuple[bytes, MessageEnded]] = field(default_factory=list)
    unfinished: bytes = b""
    is_closed: bool = False


def read(reads: list[bytes], limits: Limits) -> Heard:
    """As our server does, which stops where the session is closed."""
    session, heard, replies, content = LmtpSession(limits), Heard(), bytearray(), bytearray()
    for data in reads:
        if session.is_closed:
            break
        for event in session.feed(data):
            _hear(event, heard, replies, content)
        assert session.is_closed or len(session._received) < LONGEST_LINE
    assert not replies, "half a reply"
    # How much of a message that is too big is given before it is known depends on the reads.
    heard.unfinished = b"" if limits.message_size else bytes(content)
    heard.is_closed = session.is_closed
    return heard


def _hear(event: Event, heard: Heard, replies: bytearray, content: bytearray) -> None:
    match event:
        case SendBytes(data):
            replies += data
            assert replies.endswith(b"\r\n")
            lines = bytes(replies).removesuffix(b"\r\n").split(b"\r\n")
            assert all(line.decode("ascii").isprintable() for line in lines)
            assert all(len(line) + 2 <= _LONGEST_REPLY for line in lines)
            assert [line[3:4] for line in lines] == [b"-"] * (len(lines) - 1) + [b" "]
            assert len({line[:3] for line in lines}) == 1
            heard.steps.append(bytes(replies))
            replies.clear()
        case MessagePiece(data):
            assert data
            content += data
        case MessageEnded(refusal):
            heard.steps.append((b"" if refusal else bytes(content), event))
            content.clear()
        case MessageBegun():
            assert not content
            heard.steps.append(event)


class Bookkeeper:
    """Follows one session, and is surprised (AssertionError) by what should not be."""

    def __init__(self, data: bytes, heard: Heard, limits: Limits) -> None:
        self._data = data
        self._at = 0
        self._heard = heard
        self._steps = iter(heard.steps)
        self._limits = limits
        self._has_greeted = False
        self._bad_commands = 0
        self._forget()

    def follow(self) -> None:
        """To the end."""
        try:
            while self._at < len(self._data):
                self._command()
        except SessionOver:
            pass
        assert next(self._steps, None) is None, "more was said than asked for"

    def _forget(self) -> None:
        self._mail: Command | None = None
        self._recipients: list[EnvelopeRecipient] = []

    def _command(self) -> None:
        end = self._data.find(b"\r\n", self._at)
        line = self._data[self._at : end if end >= 0 else None]
        if len(line) + 2 > LONGEST_LINE and (end >= 0 or len(line) >= LONGEST_LINE):
            self._say_goodbye()
        if end < 0:
            assert not self._heard.is_closed
            raise SessionOver
        self._at = end + 2
        verb = line.rstrip(b" ").split(b" ")[0].upper()
        if verb == b"DATA" and self._recipients and line.rstrip(b" ").upper() == b"DATA":
            self._message()
            return
        code = self._reply()
        if code == 421:
            assert self._bad_commands == self._limits.bad_commands - 1
            assert self._heard.is_closed
            raise SessionOver
        if code >= 500 and not (verb == b"MAIL" and code == 552):
            self._bad_commands += 1
            assert self._bad_commands < self._limits.bad_commands
        assert code in _CODES.get(verb, set()) | {500, 501, 502, 555}
        self._account(verb, line, code)

    def _account(self, verb: bytes, line: bytes, code: int) -> None:
        if line == _LHLO or line in (b"RSET", b"NOOP"):
            assert code == 250
        match verb, code:
            case b"LHLO", 250:
                self._forget()
                self._has_greeted = True
            case b"RSET", 250:
                self._forget()
            case b"MAIL", 250:
                assert self._has_greeted
                assert self._mail is None
                self._mail = parse_command(line)
                assert isinstance(self._mail, Mail)
            case b"RCPT", 250:
                assert len(self._recipients) < self._limits.recipients
                self._recipients.append(self._recipient(line))
            case b"RCPT", 452:
                assert len(self._recipients) == self._limits.recipients
            case b"XFORWARD", 250:
                assert self._has_greeted
                assert self._mail is None
            case b"QUIT", 221:
                assert self._heard.is_closed
                raise SessionOver

    def _recipient(self, line: bytes) -> EnvelopeRecipient:
        assert isinstance(self._mail, Mail)
        command = parse_command(line, smtputf8=self._mail.smtputf8)
        assert isinstance(command, Rcpt)
        return command.recipient

    def _message(self) -> None:
        begun = next(self._steps)
        assert isinstance(begun, MessageBegun)
        assert isinstance(self._mail, Mail)
        assert begun.envelope == envelope_of(self._mail, self._recipients)
        assert begun.lhlo_name
        envelope_is_said(begun.envelope)
        assert self._reply() == 354
        rest = self._data[self._at :]
        message = message_data.naive(rest)
        if message is None:
            ended = message_data.naive(rest + b"\r\n.\r\n")
            assert ended is not None
            assert ended.content.startswith(self._heard.unfinished)
            assert not self._heard.is_closed
            raise SessionOver
        self._at = len(self._data) - len(message.rest)
        self._bad_commands = 0
        self._forget()
        step = next(self._steps)
        assert isinstance(step, tuple)
        content, end = step
        assert end.stray == message.stray
        if 0 < self._limits.message_size < len(message.content):
            assert end.refusal is not None
            assert end.refusal.code == 552
        else:
            assert end.refusal is None
            assert content == message.content

    def _reply(self) -> int:
        step = next(self._steps, None)
        assert isinstance(step, bytes), "a command without an answer"
        return int(step[:3])

    def _say_goodbye(self) -> None:
        assert self._reply() == 421
        assert self._heard.is_closed
        raise SessionOver
