"""A session of LMTP (RFC 2033) from the server's side: bytes in, events out. No I/O.

Whoever feeds it acts on each event before it takes the next; at MessageEnded that is one reply
for each recipient. So replies stay in order, however far ahead the client writes (RFC 2920).
"""

from collections.abc import Iterator, Mapping

from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.lmtp.command_error import CommandError
from postconnector.delivery.lmtp.commands import (
    LONGEST_LINE,
    Command,
    Lhlo,
    Mail,
    Rcpt,
    Word,
    Xforward,
    parse_command,
)
from postconnector.delivery.lmtp.events import (
    Event,
    MessageBegun,
    MessageEnded,
    MessagePiece,
    SendBytes,
)
from postconnector.delivery.lmtp.limits import Limits
from postconnector.delivery.lmtp.message_data import MessageDataReader
from postconnector.delivery.lmtp.xforward import ATTRIBUTES
from postconnector.delivery.reply import Reply

NAME = "postconnector"
"""As which we greet: not the host's name, by which Postfix would know a loop to itself."""

_TOO_BIG = "the message is bigger than this server takes"


class LmtpSession:
    """One connection. `is_closed`: it is to be closed; what else comes is not read."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._received = bytearray()
        self._lhlo_name: str | None = None
        self._forwarded: Mapping[str, str] = {}
        self._mail: Mail | None = None
        self._recipients: list[EnvelopeRecipient] = []
        self._message: MessageDataReader | None = None
        self._size = 0
        self._bad_commands = 0
        self.is_closed = False

    @property
    def in_message(self) -> bool:
        """Whether a message is being received."""
        return self._message is not None

    def greeting(self) -> bytes:
        """What the server says first."""
        return f"220 {NAME} LMTP\r\n".encode()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Give, one by one, what `data` brings about. To be taken to the end before the next."""
        if self._message is not None and not self._received:
            yield from self._take_piece(self._message, data)
        else:
            self._received += data
        while self._received and not self.is_closed:
            if self._message is not None:
                piece = bytes(self._received)
                self._received.clear()
                yield from self._take_piece(self._message, piece)
                continue
            end = self._received.find(b"\r\n", 0, LONGEST_LINE)
            if end < 0:
                if len(self._received) >= LONGEST_LINE:
                    yield self._close("4.5.2", f"a line of more than {LONGEST_LINE} octets")
                return
            line = bytes(self._received[:end])
            del self._received[: end + 2]
            yield from self._answer(line)

    def _answer(self, line: bytes) -> Iterator[Event]:
        smtputf8 = self._mail is not None and self._mail.smtputf8
        try:
            reply = self._obey(parse_command(line, smtputf8=smtputf8))
        except CommandError as error:
            yield self._refused(error.reply)
            return
        if self._message is not None and self._mail is not None:
            envelope = _envelope(self._mail, self._recipients)
            yield MessageBegun(envelope, self._lhlo_name or "", self._forwarded)
        yield SendBytes(reply)

    def _obey(self, command: Command) -> bytes:
        match command:
            case Lhlo(name):
                self._reset()
                self._lhlo_name = name
                return self._extensions()
            case Mail():
                return self._begin(command)
            case Rcpt(recipient):
                return self._add(recipient)
            case Xforward(attributes):
                return self._forward(attributes)
            case Word.DATA:
                return self._start_message()
            case Word.RSET:
                self._reset()
                return _ok("2.0.0", "Ok")
            case Word.VRFY:
                return Reply(252, "2.0.0", ("send some mail, that will show it",)).encode()
            case Word.QUIT:
                self.is_closed = True
                return Reply(221, "2.0.0", ("Bye",)).encode()
            case Word.NOOP:
                return _ok("2.0.0", "Ok")

    def _extensions(self) -> bytes:
        words = (
            NAME,
            "PIPELINING",
            f"SIZE {self._limits.message_size}",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "REQUIRETLS",
            f"XFORWARD {' '.join(ATTRIBUTES)}",
        )
        last = len(words) - 1
        lines = (f"250{' ' if n == last else '-'}{word}\r\n" for n, word in enumerate(words))
        return "".join(lines).encode()

    def _forward(self, attributes: Mapping[str, str]) -> bytes:
        self._want_lhlo()
        if self._mail is not None:
            raise CommandError(503, "5.5.1", "XFORWARD comes before MAIL")
        self._forwarded = {**self._forwarded, **attributes}
        return _ok("2.0.0", "Ok")

    def _begin(self, mail: Mail) -> bytes:
        self._want_lhlo()
        if self._mail is not None:
            raise CommandError(503, "5.5.1", "nested MAIL command")
        if 0 < self._limits.message_size < (mail.size or 0):
            return Reply(552, "5.3.4", (_TOO_BIG,)).encode()
        self._mail = mail
        return _ok("2.1.0", "Ok")

    def _add(self, recipient: EnvelopeRecipient) -> bytes:
        if self._mail is None:
            raise CommandError(503, "5.5.1", "RCPT comes after MAIL")
        if len(self._recipients) >= self._limits.recipients:
            return Reply(452, "4.5.3", ("too many recipients",)).encode()
        self._recipients.append(recipient)
        return _ok("2.1.5", "Ok")

    def _start_message(self) -> bytes:
        if not self._recipients:
            raise CommandError(503, "5.5.1", "no valid recipients")
        self._message = MessageDataReader()
        self._size = 0
        return Reply(354, None, ("End data with <CR><LF>.<CR><LF>",)).encode()

    def _take_piece(self, message: MessageDataReader, data: bytes) -> Iterator[Event]:
        piece = message.feed(data)
        self._size += len(piece)
        is_too_big = 0 < self._limits.message_size < self._size
        if piece and not is_too_big:
            yield MessagePiece(piece)
        if message.rest is None:
            return
        self._received += message.rest
        self._reset()
        self._bad_commands = 0
        yield MessageEnded(Reply(552, "5.3.4", (_TOO_BIG,)) if is_too_big else None, message.stray)

    def _want_lhlo(self) -> None:
        if self._lhlo_name is None:
            raise CommandError(503, "5.5.1", "greet with LHLO first")

    def _refused(self, reply: Reply) -> SendBytes:
        self._bad_commands += 1
        if self._bad_commands >= self._limits.bad_commands:
            return self._close("4.7.0", "too many bad commands")
        return SendBytes(reply.encode())

    def _close(self, enhanced: str, why: str) -> SendBytes:
        self.is_closed = True
        return SendBytes(Reply(421, enhanced, (f"{why}, closing the connection",)).encode())

    def _reset(self) -> None:
        """No transaction: as after RSET, and after a message."""
        self._mail = None
        self._recipients = []
        self._message = None
        self._forwarded = {}


def _ok(enhanced: str, text: str) -> bytes:
    return Reply(250, enhanced, (text,)).encode()


def _envelope(mail: Mail, recipients: list[EnvelopeRecipient]) -> Envelope:
    return Envelope(
        mail.sender,
        tuple(recipients),
        mail.body,
        mail.smtputf8,
        mail.ret,
        mail.envid,
        mail.requiretls,
    )
