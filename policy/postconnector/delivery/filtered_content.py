"""A message as the header firewall of a connector lets it leave. No I/O but reading the message.

Says the same of every header as the patterns that Postfix gets (`postfix.header_checks`), by the
same idea of what a header is: lines `Name:` or `Name :` with those below that begin with a blank,
up to the first line that is neither. Lines end with LF, with or without CR before it. Lines of
mailboxes (`From `, `>From `) may stand before the headers. Headers of parts and attached messages
are not looked at. A byte that belongs to no header of Exchange leaves as it is.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from postconnector.delivery.content import Content
from postconnector.delivery.reply import Reply
from postconnector.enforcement.header_firewall import (
    CROSS_PREMISES,
    CROSSING,
    FOREST,
    ORGANIZATION,
    ROUTING,
    CrossPremises,
    HeaderFirewall,
)

LARGEST_HEADER = 1024**2
"""Bytes; Exchange's Receive connectors take a quarter of that (MaxHeaderSize)."""

_LARGEST_CHUNK = 64 * 1024
_NAME = rb"[!-9;-~]"
_LINES = re.compile(rb"(?:(?:[ \t]|" + _NAME + rb"++[ \t]*+:)[^\n]*+\n)*+")
_MAILBOX_LINES = re.compile(rb"(?:>*+From [^\n]*+\n)*+")
_REST_OF_FIELD = rb"[ \t]*:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*"


class HeaderTooLargeError(Exception):
    """A header that can't be looked at whole never leaves; `reply` is for good (5xx).

    For good, because it is the message that is wrong, and would be every time.
    """

    reply = Reply(552, "5.3.4", (f"the message header is larger than {LARGEST_HEADER} bytes",))


def filtered(content: Content, firewall: HeaderFirewall) -> Content:
    """The message as it leaves; the same object if that is as it came.

    Raises HeaderTooLargeError.
    """
    if firewall.is_open:
        return content
    original, _ = _read_header(content.chunks())
    header = _leaving(original, firewall)
    if header == original:
        return content
    return FilteredContent(
        content,
        firewall,
        content.size - len(original) + len(header),
        content.is_8bit and (not header.isascii() or _is_8bit_below(content, original)),
        not header.isascii(),
    )


@dataclass(frozen=True, slots=True)
class FilteredContent:
    """A message without some of its headers, or with other names for them.

    Nothing of it is kept: it is filtered anew each time that it is read.
    """

    _content: Content = field(repr=False)
    _firewall: HeaderFirewall
    size: int
    is_8bit: bool
    has_8bit_header: bool

    def chunks(self) -> Iterator[bytes]:
        """The whole, in pieces of at most 64 KB."""
        rest = self._content.chunks()
        header, behind = _read_header(rest)
        beginning = _leaving(header, self._firewall) + behind
        for start in range(0, len(beginning), _LARGEST_CHUNK):
            yield beginning[start : start + _LARGEST_CHUNK]
        yield from rest


def _read_header(chunks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """All lines of the header, and what was read of what is behind it."""
    data, end = b"", 0
    for chunk in chunks:
        data += chunk
        end = _end_of_lines(data, end)
        decided = data.find(b"\n", end)
        if (decided if decided >= 0 else len(data)) > LARGEST_HEADER:
            raise HeaderTooLargeError
        if decided >= 0:
            return data[:end], data[end:]
    end = min(_end_of_lines(data + b"\n", end), len(data))
    return data[:end], data[end:]


def _end_of_lines(data: bytes, known: int) -> int:
    """Where the lines of the header end that are there as a whole; up to `known` they are."""
    mailbox = _MAILBOX_LINES.match(data)
    start = max(mailbox.end() if mailbox else 0, known)
    lines = _LINES.match(data, start)
    return lines.end() if lines else start


def _leaving(header: bytes, firewall: HeaderFirewall) -> bytes:
    if firewall.cross_premises is CrossPremises.MADE:
        header = _CROSSING.sub(CROSS_PREMISES.encode() + rb"\1:", header)
    removed = _removed(firewall)
    return header if removed is None else removed.sub(b"", header)


@functools.cache
def _removed(firewall: HeaderFirewall) -> re.Pattern[bytes] | None:
    """The whole of each header that does not leave."""
    beginnings = [] if firewall.organization else [ORGANIZATION, FOREST]
    if firewall.cross_premises is CrossPremises.REMOVED:
        beginnings.append(CROSS_PREMISES)
    names = [re.escape(beginning.encode()) + _NAME + b"*" for beginning in beginnings]
    names += () if firewall.routing else (re.escape(name.encode()) for name in ROUTING)
    return _at_line_start(b"(?:" + b"|".join(names) + b")" + _REST_OF_FIELD) if names else None


def _at_line_start(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(b"^" + pattern, re.IGNORECASE | re.MULTILINE)


_CROSSING = _at_line_start(
    re.escape(ORGANIZATION.encode()) + b"(" + "|".join(CROSSING).encode() + rb")[ \t]*:"
)


def _is_8bit_below(content: Content, header: bytes) -> bool:
    """Whether there are bytes above 127 in the body of a message that has some."""
    if header.isascii():
        return True
    rest = content.chunks()
    _, behind = _read_header(rest)
    return not behind.isascii() or _has_8bit(rest)


def _has_8bit(chunks: Iterable[bytes]) -> bool:
    return any(not chunk.isascii() for chunk in chunks)
