"""The message on its way through us: small in memory, large in a file that has no name.

Nothing of it is left when it is closed, or when we die. It is not synced to disk: Postfix keeps
the message until it has our reply.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

MOST_IN_MEMORY = 64 * 1024
CHUNK_SIZE = 64 * 1024

_END_OF_HEADER = b"\r\n\r\n"


class SpooledMessage:
    """A message (Content): written first, then read by any number of readers at once.

    `size` in bytes. `is_8bit`: a byte above 127 is in it; `has_8bit_header`: in its header.
    Raises OSError where a file in `directory` can't be made, written or read, and ValueError to
    whoever reads on after close(): no reader takes what is left for the whole.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._memory = bytearray()
        self._file: int | None = None
        self._is_closed = False
        self._header_end: int | None = None
        # As if an empty line could come at once, which is a message without header.
        self._tail = b"\r\n"
        self.size = 0
        self.is_8bit = False
        self.has_8bit_header = False

    @property
    def header_end(self) -> int:
        """Where the body begins: behind the first empty line, else at the end."""
        return self.size if self._header_end is None else self._header_end

    def write(self, data: bytes) -> None:
        """Add to the end."""
        self._note(data)
        if self._file is None:
            if self.size + len(data) <= MOST_IN_MEMORY:
                self._memory += data
                self.size += len(data)
                return
            self._file = _nameless_file(self._directory)
            _write(self._file, self._memory)
            self._memory = bytearray()
        _write(self._file, data)
        self.size += len(data)

    def read(self, start: int, most: int) -> bytes:
        """Up to `most` bytes from `start` on; fewer only where the message ends before."""
        if self._is_closed:
            raise ValueError("the message is closed")
        if self._file is None:
            return bytes(self._memory[start : start + most])
        most = max(min(most, self.size - start), 0)
        data = os.pread(self._file, most, start)
        if len(data) != most:
            raise OSError("the message's file is shorter than what was written to it")
        return data

    def chunks(self) -> Iterator[bytes]:
        """The whole, in pieces of CHUNK_SIZE, from the beginning every time it is asked for."""
        for start in range(0, self.size, CHUNK_SIZE):
            yield self.read(start, CHUNK_SIZE)

    def close(self) -> None:
        """Forget the message; closing again does nothing."""
        self._is_closed = True
        self._memory = bytearray()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _note(self, data: bytes) -> None:
        """Find out what the properties say, in one pass over whole pieces."""
        is_8bit = not data.isascii()
        self.is_8bit = self.is_8bit or is_8bit
        if self._header_end is not None:
            return
        seen = self._tail + data
        end = seen.find(_END_OF_HEADER)
        header = data
        if end >= 0:
            in_data = end + len(_END_OF_HEADER) - len(self._tail)
            self._header_end = self.size + in_data
            header = data[:in_data]
        self._tail = seen[1 - len(_END_OF_HEADER) :]
        self.has_8bit_header = self.has_8bit_header or (is_8bit and not header.isascii())


def _nameless_file(directory: Path) -> int:
    """A file that vanishes with its descriptor, readable for us alone."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        return os.dup(file.fileno())


def _write(file: int, data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
