"""Postfix' policy delegation protocol (SMTPD_POLICY_README): bytes in, requests out. No I/O.

A request is lines of name=value with an empty line behind them. Attributes that nobody asks
for are ignored, as the protocol wants it.
"""

from collections.abc import Iterator

MOST_BYTES = 64 * 1024
MOST_ATTRIBUTES = 200

_MOST_REMEMBERED = 2000
_LONGEST_REMEMBERED = 100

Request = dict[str, str]


class ProtocolError(Exception):
    """What came is no request; nothing more can be read from this client."""


class RequestParser:
    """Takes bytes as they come and gives the requests that are complete.

    Bounds: a request of MOST_BYTES bytes and MOST_ATTRIBUTES attributes.
    """

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Request]:
        """Give every request that `data` completes; ProtocolError where one is none."""
        searched = max(len(self._buffer) - 1, 0)
        self._buffer += data
        while (end := self._end(searched)) >= 0:
            searched = 0
            block, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
            yield _parse(block)
        # Its last byte may be the first half of the end.
        if len(self._buffer.removesuffix(b"\n")) > MOST_BYTES:
            raise ProtocolError(f"a request of more than {MOST_BYTES} bytes")

    @property
    def pending(self) -> bool:
        """Whether part of a request has come."""
        return bool(self._buffer)

    def _end(self, searched: int) -> int:
        if self._buffer.startswith(b"\n"):
            raise ProtocolError("an empty request")
        return self._buffer.find(b"\n\n", searched)


class _Attributes(dict[bytes, tuple[str, str]]):
    """What lines say that came lately: most lines of a request are those of the one before."""

    def __missing__(self, line: bytes) -> tuple[str, str]:
        name, equals, value = line.decode("utf-8", "replace").partition("=")
        if not equals or not name:
            raise ProtocolError("a line that is not name=value")
        if len(line) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[line] = name, value
        return name, value


_attributes = _Attributes()


def _parse(block: bytes) -> Request:
    if len(block) > MOST_BYTES:
        raise ProtocolError(f"a request of more than {MOST_BYTES} bytes")
    lines = block.split(b"\n")
    if len(lines) > MOST_ATTRIBUTES:
        raise ProtocolError(f"a request of more than {MOST_ATTRIBUTES} attributes")
    return dict(map(_attributes.__getitem__, lines))


def answer(action: str) -> bytes:
    """The answer to a request: an access(5) action, in one line."""
    if not action.isprintable():
        raise ValueError("an action is one line of printable characters")
    return f"action={action}\n\n".encode()
