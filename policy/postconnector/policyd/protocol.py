"""Postfix' policy delegation protocol (SMTPD_POLICY_README): bytes in, requests out. No I/O.

A request is lines of name=value with an empty line behind them. Attributes that nobody asks
for are ignored, as the protocol wants it.
"""

from collections.abc import Iterator

MOST_BYTES = 64 * 1024
MOST_ATTRIBUTES = 200

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
        self._buffer += data
        while (end := self._end()) >= 0:
            block, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
            yield _parse(block)
        if len(self._buffer) > MOST_BYTES:
            raise ProtocolError(f"a request of more than {MOST_BYTES} bytes")

    @property
    def pending(self) -> bool:
        """Whether part of a request has come."""
        return bool(self._buffer)

    def _end(self) -> int:
        if self._buffer.startswith(b"\n"):
            raise ProtocolError("an empty request")
        return self._buffer.find(b"\n\n")


def _parse(block: bytes) -> Request:
    if len(block) > MOST_BYTES:
        raise ProtocolError(f"a request of more than {MOST_BYTES} bytes")
    lines = block.decode("utf-8", "replace").split("\n")
    if len(lines) > MOST_ATTRIBUTES:
        raise ProtocolError(f"a request of more than {MOST_ATTRIBUTES} attributes")
    request: Request = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or not name:
            raise ProtocolError("a line that is not name=value")
        request[name] = value
    return request


def answer(action: str) -> bytes:
    """The answer to a request: an access(5) action, in one line."""
    if any(not character.isprintable() for character in action):
        raise ValueError("an action is one line of printable characters")
    return f"action={action}\n\n".encode()
