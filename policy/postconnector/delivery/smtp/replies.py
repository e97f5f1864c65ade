"""Reading the replies of a next hop: bytes in, replies out. No I/O.

Bounds: a line of 2,048 bytes, 100 lines and 64 KB a reply. RFC 5321 has 512 bytes; real servers
say more. A bare LF ends a line, too: some still send it, and nothing can be smuggled to us that
the next hop could not say anyway.
"""

import re

from postconnector.delivery.reply import Reply

_LONGEST_LINE = 2048
_MOST_LINES = 100
_MOST_BYTES = 64 * 1024
_SHOWN = 40
_LINE = re.compile(rb"(?P<code>[2-5][0-9]{2})(?:(?P<more>[ -])(?P<text>.*))?", re.DOTALL)


class ProtocolError(Exception):
    """What came is no reply; nothing that follows can be trusted. The text says what it was."""


class ReplyParser:
    """Takes bytes as they come and gives the replies that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code: int | None = None
        self._lines: list[str] = []
        self._bytes = 0

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self._buffer += data

    @property
    def unread(self) -> int:
        """How many bytes wait to be looked at."""
        return len(self._buffer)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come since the last reply, not even a part of one."""
        return not self._buffer and self._code is None

    def next_reply(self) -> Reply | None:
        """The next reply, if it is whole. Raises ProtocolError."""
        while (end := self._buffer.find(b"\n", 0, _LONGEST_LINE + 2)) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            if (reply := self._take(line)) is not None:
                return reply
        if len(self._buffer) > _LONGEST_LINE + 1:
            raise ProtocolError(f"a line of more than {_LONGEST_LINE} bytes")
        return None

    def _take(self, line: bytes) -> Reply | None:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ProtocolError(f"no reply: {line[:_SHOWN].decode('utf-8', 'backslashreplace')}")
        code = int(match["code"])
        if self._code not in (None, code):
            raise ProtocolError(f"a reply with two codes, {self._code} and {code}")
        self._bytes += len(line)
        self._lines.append((match["text"] or b"").decode("utf-8", "backslashreplace"))
        if len(self._lines) > _MOST_LINES or self._bytes > _MOST_BYTES:
            raise ProtocolError(f"a reply of more than {_MOST_LINES} lines or {_MOST_BYTES} bytes")
        if match["more"] == b"-":
            self._code = code
            return None
        lines = tuple(self._lines)
        self._code, self._lines, self._bytes = None, [], 0
        return Reply.said(code, lines)
