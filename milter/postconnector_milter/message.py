"""A message while Postfix hands it to the milter, piece by piece: counted, not kept. No I/O.

Only the envelope and the headers stay in memory, within bounds.
"""

from postconnector.enforcement.marker import is_marker
from postconnector.enforcement.message import Client

MOST_RECIPIENTS = 100_000
"""smtpd(8) allows 1,000 in one transaction; sendmail(1) has no limit."""

MOST_HEADERS = 10_000
MOST_HEADER_BYTES = 4 * 1024**2
"""Postfix bounds single headers only (header_size_limit, 102,400 bytes)."""

_EMPTY_LINE = 2


class OpenMessage:
    """What has come so far of one message.

    `size` in bytes is what Postfix counts at END-OF-DATA: headers and body with CRLF, without the
    Received header that it adds. `markers`: how many headers are copies of our own.
    """

    def __init__(self, sender: bytes, client: Client) -> None:
        self.sender = _address(sender)
        self.client = client
        self.size = _EMPTY_LINE
        self.markers = 0
        self._recipients: dict[str, None] = {}
        self._headers: list[tuple[str, str]] = []
        self._header_bytes = 0
        self._over: str | None = None

    def add_recipient(self, address: bytes) -> None:
        """Take a recipient, as RCPT TO has it: <bob@example.com>."""
        if len(self._recipients) < MOST_RECIPIENTS:
            self._recipients[_address(address)] = None
        else:
            self._over = f"more than {MOST_RECIPIENTS:,} recipients"

    def add_header(self, name: str, value: bytes) -> None:
        """Take a header; `value` with the blank behind the colon and with line ends as LF."""
        length = len(name) + 1 + len(value) + value.count(b"\n") + 2
        self.size += length
        self._header_bytes += length
        if is_marker(name):
            self.markers += 1
        if self._header_bytes > MOST_HEADER_BYTES or len(self._headers) >= MOST_HEADERS:
            self._over = f"more than {MOST_HEADERS:,} headers, or {MOST_HEADER_BYTES:,} bytes"
            return
        self._headers.append((name, value.decode("utf-8", "replace").removeprefix(" ")))

    def add_body(self, chunk: bytes) -> None:
        """Take part of the body, whose lines end with CRLF."""
        self.size += len(chunk)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Each once, in the order in which they came."""
        return tuple(self._recipients)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values; folded ones keep their line ends, as LF."""
        return tuple(self._headers)

    @property
    def over_bounds(self) -> str | None:
        """What the message has too much of to be judged as a whole; None: nothing."""
        return self._over


def _address(text: bytes) -> str:
    """An address without its angle brackets; what is no UTF-8 survives as surrogates."""
    address = text.decode("utf-8", "surrogateescape")
    return address[1:-1] if address.startswith("<") and address.endswith(">") else address
