"""A message without some of its headers, or with other names for them.

As the header firewall of a connector lets it leave, which says the same of every header as the
patterns that Postfix gets (`postfix.header_checks`). A byte that belongs to no header of Exchange
leaves as it is.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from postconnector.delivery.content import Content
from postconnector.delivery.header import NAME, read_header
from postconnector.enforcement import marker
from postconnector.enforcement.header_firewall import (
    CROSS_PREMISES,
    CROSSING,
    FOREST,
    ORGANIZATION,
    ROUTING,
    CrossPremises,
    HeaderFirewall,
)

_LARGEST_CHUNK = 64 * 1024
_REST_OF_FIELD = rb"[ \t]*:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*"

_Leaving = Callable[[bytes], bytes]
"""What leaves of the lines of the header."""


def filtered(content: Content, firewall: HeaderFirewall) -> Content:
    """The message as it leaves; the same object if that is as it came.

    Raises HeaderTooLargeError.
    """
    if firewall.is_open:
        return content
    return _changed(content, functools.partial(_through, firewall))


def without_marker(content: Content) -> Content:
    """The message without our milter's mark. Raises HeaderTooLargeError."""
    return _changed(content, functools.partial(_MARKER.sub, b""))


def _changed(content: Content, leaving: _Leaving) -> Content:
    original, _ = read_header(content.chunks())
    header = leaving(original)
    if header == original:
        return content
    return FilteredContent(
        content,
        leaving,
        content.size - len(original) + len(header),
        content.is_8bit and (not header.isascii() or _is_8bit_below(content, original)),
        not header.isascii(),
    )


@dataclass(frozen=True, slots=True)
class FilteredContent:
    """Nothing of it is kept: it is filtered anew each time that it is read."""

    _content: Content = field(repr=False)
    _leaving: _Leaving
    size: int
    is_8bit: bool
    has_8bit_header: bool

    def chunks(self) -> Iterator[bytes]:
        """The whole, in pieces of at most 64 KB."""
        rest = self._content.chunks()
        header, behind = read_header(rest)
        beginning = self._leaving(header) + behind
        for start in range(0, len(beginning), _LARGEST_CHUNK):
            yield beginning[start : start + _LARGEST_CHUNK]
        yield from rest


def _through(firewall: HeaderFirewall, header: bytes) -> bytes:
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
    names = [re.escape(beginning.encode()) + NAME + b"*" for beginning in beginnings]
    names += () if firewall.routing else (re.escape(name.encode()) for name in ROUTING)
    return _at_line_start(b"(?:" + b"|".join(names) + b")" + _REST_OF_FIELD) if names else None


def _at_line_start(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(b"^" + pattern, re.IGNORECASE | re.MULTILINE)


_CROSSING = _at_line_start(
    re.escape(ORGANIZATION.encode()) + b"(" + "|".join(CROSSING).encode() + rb")[ \t]*:"
)
_MARKER = _at_line_start(re.escape(marker.NAME.encode()) + _REST_OF_FIELD)


def _is_8bit_below(content: Content, header: bytes) -> bool:
    """Whether there are bytes above 127 in the body of a message that has some."""
    if header.isascii():
        return True
    rest = content.chunks()
    _, behind = read_header(rest)
    return not behind.isascii() or _has_8bit(rest)


def _has_8bit(chunks: Iterable[bytes]) -> bool:
    return any(not chunk.isascii() for chunk in chunks)
