"""The message itself, as it is sent. No I/O here; `spool` keeps it."""

from collections.abc import Iterator
from typing import Protocol


class Content(Protocol):
    """Header and body with CRLF line ends, not dot-stuffed, without the final dot.

    `size` in bytes (RFC 1870). `is_8bit`: a byte above 127 is somewhere in it;
    `has_8bit_header`: in the header, so that it is a message for SMTPUTF8 (RFC 6532).
    """

    @property
    def size(self) -> int: ...  # noqa: D102

    @property
    def is_8bit(self) -> bool: ...  # noqa: D102

    @property
    def has_8bit_header(self) -> bool: ...  # noqa: D102

    def chunks(self) -> Iterator[bytes]:
        """The whole, in pieces of at most 64 KB, from the beginning every time it is asked for."""
        ...
