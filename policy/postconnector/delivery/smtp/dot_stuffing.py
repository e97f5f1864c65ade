"""A message as it goes over the wire (RFC 5321, 4.5.2): dots doubled, one at the end. No I/O."""

from collections.abc import Iterable, Iterator

END = b".\r\n"


def stuffed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces with each dot at the beginning of a line doubled, the last line ended, and the
    dot that ends the message.

    A piece may begin or end anywhere, also between CR and LF.
    """
    tail = b"\r\n"
    for chunk in chunks:
        if not chunk:
            continue
        # What stands before decides whether a dot at the beginning is the first of its line.
        seen = tail + chunk
        yield seen.replace(b"\r\n.", b"\r\n..")[len(tail) :] if b"\r\n." in seen else chunk
        tail = seen[-2:]
    yield END if tail == b"\r\n" else b"\r\n" + END
