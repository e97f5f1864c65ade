"""The message behind DATA: where it ends, what it is, and how it leaves again.

Beside a reader that goes line by line, and beside next hops that take more for an end than RFC 5321
does: whatever comes in, none of them finds an end in what we send that we did not mean.
"""

import re
from dataclasses import dataclass

from postconnector.delivery.lmtp.message_data import MessageDataReader
from postconnector.delivery.smtp.dot_stuffing import stuffed
from tests.fuzz.given import agree, given

_MOST_SENT = 8_000
WORDS = (
    b"\r\n.\r\n",
    b"\r\n..\r\n",
    b"\n.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\r\n.\r\r\n",
    b"a: b\r\n\r\n",
    b".\xfe\x09\x00",
    b"\r\n.\xfe\x09\x02",
    b"x\xfe\xff\x00",
)
_END = b"\r\n.\r\n"
_MOST_HELD = len(_END) - 1
_BLANKS = bytes.maketrans(b"\r\n\x00", b"   ")
_ANY_END = re.compile(rb"(?:\r\n|\r|\n)\.(?:\r\n|\r|\n)")
"""An end as the most lenient next hop sees it."""


@dataclass(frozen=True)
class Message:
    """`rest`: what follows its end. `stray`: how many bytes became blanks."""

    content: bytes
    rest: bytes
    stray: int


def check(data: bytes) -> None:
    """AssertionError where the reader, or what leaves, is not as promised."""
    whole, reads = given(data, _MOST_SENT)
    expected = naive(whole)
    for each in ([whole], reads):
        parts, end = read(each)
        content = b"".join(parts)
        _holds_only_line_ends(content)
        agree(end, expected)
        if end is not None:
            _leaves_as_it_is(parts)
        else:
            _is_all_but_what_is_held(content, whole)


def read(reads: list[bytes]) -> tuple[list[bytes], Message | None]:
    """The parts of the message, and all of it if it has an end."""
    reader, parts, rest = MessageDataReader(), list[bytes](), b""
    for data in reads:
        if reader.rest is not None:
            rest += data
            continue
        parts.append(reader.feed(data))
        assert len(reader._held) <= _MOST_HELD
    if reader.rest is None:
        return parts, None
    return parts, Message(b"".join(parts), reader.rest + rest, reader.stray)


def naive(data: bytes) -> Message | None:
    """One line after the other."""
    content, stray = list[bytes](), 0
    *lines, last = data.split(b"\r\n")
    for number, line in enumerate(lines):
        if line == b".":
            rest = b"\r\n".join([*lines[number + 1 :], last])
            return Message(b"".join(content), rest, stray)
        text = line[1:] if line[:1] == b"." else line
        stray += sum(map(text.count, (b"\r", b"\n", b"\x00")))
        content.append(text.translate(_BLANKS) + b"\r\n")
    return None


def _holds_only_line_ends(content: bytes) -> None:
    without = content.replace(b"\r\n", b"")
    assert not set(without) & set(b"\r\n\x00")


def _is_all_but_what_is_held(content: bytes, whole: bytes) -> None:
    """Without an end: what is given would be the beginning of the message if it ended now."""
    ended = naive(whole + _END)
    assert ended is not None
    assert ended.content.startswith(content)
    assert len(ended.content) - len(content) <= _MOST_HELD + len(b"\r\n")


def _leaves_as_it_is(parts: list[bytes]) -> None:
    content = b"".join(parts)
    leaving = b"".join(stuffed(parts))
    _, arrived = read([leaving])
    agree(arrived, Message(content, b"", 0))
    before = b"\r\n"
    ends = [match.end() for match in _ANY_END.finditer(before + leaving)]
    assert ends == [len(before + leaving)]
