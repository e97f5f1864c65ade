"""Postfix' policy delegation protocol (SMTPD_POLICY_README): bytes in, requests out. No I/O.

A request is lines of name=value with an empty line behind them. Attributes that nobody asks
for are ignored, as the protocol wants it.
"""

import re
from collections.abc import Iterator

from postconnector.postfix.listener import TOLD

MOST_BYTES = 64 * 1024
MOST_ATTRIBUTES = 200

Request = dict[str, str]

_ANY = "[^\n]*+"

PROBE = "postconnector_probe"
"""A request of ours: DUNNO if Postfix can be asked for what rules have to know, else why not."""

Outline = tuple[str, str, str, str]
"""What matters of most requests: protocol_state (RCPT or END-OF-MESSAGE), recipient, instance and
size (digits; none where it is not known)."""


def _lines(names: str) -> str:
    """Exactly these, in this order. Nothing is tried twice: a value ends with its line."""
    values = {
        "request": "smtpd_access_policy",
        "protocol_state": "(RCPT|END-OF-MESSAGE)",
        "recipient": f"({_ANY})",
        "instance": f"({_ANY})",
        "size": "([0-9]{0,19}+)",
        "policy_context": f"(?:{TOLD}{_ANY})?+",
    }
    return "".join(f"{name}={values.get(name, _ANY)}\n" for name in names.split())


_OUTLINED = re.compile(
    _lines(
        "request protocol_state protocol_name client_address client_name client_port"
        " reverse_client_name server_address server_port helo_name sender recipient recipient_count"
        " queue_id instance size"
    )
)
_REST = re.compile(
    _lines(
        "etrn_domain stress sasl_method sasl_username sasl_sender ccert_subject ccert_issuer"
        " ccert_fingerprint ccert_pubkey_fingerprint encryption_protocol encryption_cipher"
        " encryption_keysize policy_context"
    )
    + f"(?:{_lines('compatibility_level mail_version')})?+\n"
)
_LONGEST_REST = 4 * 1024
"""Characters of what is remembered."""


class ProtocolError(Exception):
    """What came is no request; nothing more can be read from this client."""


class RequestParser:
    """Takes bytes as they come and gives the requests that are complete.

    Bounds: a request of MOST_BYTES bytes and MOST_ATTRIBUTES attributes.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._usual_rest: str | None = None
        """As the last request went on behind its outline; that of the next is mostly the same."""

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

    def outline(self, data: bytes) -> Outline | None:
        """That of the one request that `data` is, as is so for nearly all that comes.

        None: who wants to know what it is must feed() it, which takes five times as long. It is
        one of Postfix 3.2 to 3.10, by a listener with the policy_context that is compiled, or none.
        """
        if self._buffer or len(data) > MOST_BYTES:
            return None
        text = data.decode("utf-8", "replace")
        found = _OUTLINED.match(text)
        if found is None:
            return None
        rest = text[found.end() :]
        if rest != self._usual_rest:
            if _REST.fullmatch(rest) is None:
                return None
            self._usual_rest = rest if len(rest) <= _LONGEST_REST else None
        state, recipient, instance, size = found.groups()
        return state, recipient, instance, size

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
