"""A message while Postfix hands it to the milter, piece by piece: counted, not kept. No I/O.

Only the envelope and the headers stay in memory, within bounds.
"""

from postconnector.enforcement.marker import is_marker

MOST_RECIPIENTS = 100_000
"""smtpd(8) allows 1,000 in one transaction; sendmail(1) has no limit."""

MOST_HEADERS = 10_000
MOST_HEADER_BYTES = 4 * 1024**2
"""Postfix bounds single headers only (header_size_limit, 102,400 bytes)."""

_HEADER_ENDS = len(":\r\n")
_HEADERS_END = len("\r\n")


class OpenMessage:
    """What has come so far of one message.

    Each piece is only put aside: many threads take turns while they come, and what is done in one
    go at the end takes a fraction of the time.
    """

    def __init__(self, sender: bytes) -> None:
        self.sender = _address(sender)
        self._recipients: dict[bytes, None] = {}
        self._headers: list[tuple[str, bytes]] = []
        self._header_bytes = 0
        self._body_bytes = 0
        self._over: str | None = None

    def add_recipient(self, address: bytes) -> None:
        """Take a recipient, as RCPT TO has it: <bob@example.com>."""
        if len(self._recipients) < MOST_RECIPIENTS:
            self._recipients[address] = None
        else:
            self._over = f"more than {MOST_RECIPIENTS:,} recipients"

    def add_header(self, name: str, value: bytes) -> None:
        """Take a header; `value` with the blank behind the colon and with line ends as LF."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MOST_HEADER_BYTES or len(self._headers) >= MOST_HEADERS:
            self._over = f"more than {MOST_HEADERS:,} headers, or {MOST_HEADER_BYTES:,} bytes"
            return
        self._headers.append((name, value))

    def add_body(self, chunk: bytes) -> None:
        """Take part of the body, whose lines end with CRLF."""
        self._body_bytes += len(chunk)

    @property
    def size(self) -> int:
        """In bytes, as Postfix counts at END-OF-DATA: headers and body with CRLF, without the
        Received header that it adds.
        """
        added = sum(_HEADER_ENDS + value.count(b"\n") for _, value in self._headers)
        return self._header_bytes + added + _HEADERS_END + self._body_bytes

    @property
    def markers(self) -> int:
        """How many headers are copies of our own."""
        return sum(is_marker(name) for name, _ in self._headers)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Each once, in the order in which they came."""
        return tuple(dict.fromkeys(map(_address, self._recipients)))

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values; folded ones keep their line ends, as LF."""
        return tuple(
            (name, value.decode("utf-8", "replace").removeprefix(" "))
            for name, value in self._headers
        )

    @property
    def over_bounds(self) -> str | None:
        """What the message has too much of to be judged as a whole; None: nothing."""
        return self._over


def _address(text: bytes) -> str:
    """An address without its angle brackets; what is no UTF-8 survives as surrogates."""
    address = text.decode("utf-8", "surrogateescape")
    return address[1:-1] if address.startswith("<") and address.endswith(">") else address
