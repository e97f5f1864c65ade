"""Postfix' policy delegation protocol (SMTPD_POLICY_README): bytes in, requests out. No I/O.

A request is lines of name=value with an empty line behind them. Attributes that nobody asks
for are ignored, as the protocol wants it.
"""

import re
from collections.abc import Iterator

MOST_BYTES = 64 * 1024
MOST_ATTRIBUTES = 200

Request = dict[str, str]


def _attributes(names: str) -> re.Pattern[str]:
    """A request of exactly these, in this order. Nothing is tried twice: a value ends with its
    line.
    """
    return re.compile("".join(f"{name}=(?P<{name}>[^\n]*+)\n" for name in names.split()) + "\n")


_NAMES = """
request protocol_state protocol_name client_address client_name client_port reverse_client_name
server_address server_port helo_name sender recipient recipient_count queue_id instance size
etrn_domain stress sasl_method sasl_username sasl_sender ccert_subject ccert_issuer
ccert_fingerprint ccert_pubkey_fingerprint encryption_protocol encryption_cipher encryption_keysize
policy_context
"""
_SINCE_3_2 = _attributes(_NAMES)
_SINCE_3_8 = _attributes(f"{_NAMES} compatibility_level mail_version")
_NEW = "\ncompatibility_level="


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

    def only(self, data: bytes) -> Request | None:
        """The one request that `data` is, as is so for nearly all that comes; None: feed() it.

        It is one of Postfix 3.2 to 3.10, read in one step, which takes a third of the time.
        """
        if self._buffer or len(data) > MOST_BYTES:
            return None
        text = data.decode("utf-8", "replace")
        found = (_SINCE_3_8 if _NEW in text else _SINCE_3_2).fullmatch(text)
        return None if found is None else found.groupdict()

    @property
    def pending(self) -> bool:
        """Whether part of a request has come."""
        return bool(self._buffer)

    def _end(self, searched: int) -> int:
        if self._buffer.startswith(b"\n"):
            raise ProtocolError("an empty request")
        return self._buffer.find(b"\n\n", searched)


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
    if not action.isprintable():
        raise ValueError("an action is one line of printable characters")
    return f"action={action}\n\n".encode()
