"""A message as it goes over the wire (RFC 5321, 4.5.2): dots doubled, one at the end. No I/O."""

from collections.abc import Iterable, Iterator

_END = b".\r\n"


def stuffed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces with each dot at the beginning of a line doubled, the last line ended, and the
    dot that ends the message in the last of them.

    A piece may begin or end anywhere, also between CR and LF.
    """
    tail = b"\r\n"
    held = b""
    for chunk in chunks:
        if not chunk:
            continue
        if held:
            yield held
        # Looking for a dot alone is much quicker; much of what is big has none.
        held = _with_dots_doubled(tail, chunk) if b"." in chunk else chunk
        tail = (tail + chunk[-2:])[-2:]
    yield held + (_END if tail == b"\r\n" else b"\r\n" + _END)


def _with_dots_doubled(before: bytes, chunk: bytes) -> bytes:
    """What stands before decides whether a dot at the beginning is the first of its line."""
    return (before + chunk).replace(b"\r\n.", b"\r\n..")[len(before) :]
