"""The message on its way through us: in memory, or when it is large in a file without a name.

Nothing of it is left when it is closed, or when we die. It is not synced to disk: Postfix keeps
the message until it has our reply.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

CHUNK_SIZE = 64 * 1024
MOST_IN_MEMORY = 2 * 1024**2
"""Bytes of one message."""

ALL_IN_MEMORY = 64 * 1024**2
"""Bytes of all messages together."""

_END_OF_HEADER = b"\r\n\r\n"


class Spool:
    """Where messages are kept: small ones in memory while there is room, else each in a file.

    `directory`: of the files. `room`: bytes for all messages in memory.
    """

    def __init__(self, directory: Path, room: int = ALL_IN_MEMORY) -> None:
        self.directory = directory
        self._room = room

    def reserve(self, size: int) -> bool:
        """Take so much of the room, if it is there."""
        if size > self._room:
            return False
        self._room -= size
        return True

    def release(self, size: int) -> None:
        """Give it back."""
        self._room += size


class SpooledMessage:
    """A message (Content): written first, then read by any number of readers at once.

    `size` in bytes. `is_8bit`: a byte above 127 is in it; `has_8bit_header`: in its header.
    Raises OSError where a file can't be made, written or read, and ValueError to whoever reads on
    after close(): no reader takes what is left for the whole.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._memory: list[bytes] = []
        self._reserved = 0
        self._file: int | None = None
        self._is_closed = False
        self._in_header = True
        # As if an empty line could come at once, which is a message without header.
        self._tail = b"\r\n"
        self.size = 0
        self.is_8bit = False
        self.has_8bit_header = False

    def write(self, data: bytes) -> None:
        """Add to the end. In memory no byte is copied but of pieces far below CHUNK_SIZE."""
        if not data:
            return
        self._note(data)
        if self._file is None and not self._keep(data):
            self._file = _nameless_file(self._spool.directory)
            for piece in self._memory:
                _write(self._file, piece)
            self._forget_memory()
        if self._file is not None:
            _write(self._file, data)
        self.size += len(data)

    def chunks(self) -> Iterator[bytes]:
        """The whole, in pieces of CHUNK_SIZE at most, from the beginning every time."""
        file = self._file
        pieces = iter(self._memory) if file is None else self._read(file)
        while not self._is_closed:
            if (piece := next(pieces, None)) is None:
                return
            yield piece
        raise ValueError("the message is closed")

    def close(self) -> None:
        """Forget the message; closing again does nothing."""
        self._is_closed = True
        self._forget_memory()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _keep(self, data: bytes) -> bool:
        """In memory; False if there is no room."""
        if self.size + len(data) > MOST_IN_MEMORY or not self._spool.reserve(len(data)):
            return False
        self._reserved += len(data)
        if self._memory and len(self._memory[-1]) + len(data) <= CHUNK_SIZE // 2:
            self._memory[-1] += data
        elif len(data) <= CHUNK_SIZE:
            self._memory.append(data)
        else:
            parts = range(0, len(data), CHUNK_SIZE)
            self._memory += [data[start : start + CHUNK_SIZE] for start in parts]
        return True

    def _forget_memory(self) -> None:
        self._memory = []
        self._spool.release(self._reserved)
        self._reserved = 0

    def _read(self, file: int) -> Iterator[bytes]:
        for start in range(0, self.size, CHUNK_SIZE):
            most = min(CHUNK_SIZE, self.size - start)
            data = os.pread(file, most, start)
            if len(data) != most:
                raise OSError("the message's file is shorter than what was written to it")
            yield data

    def _note(self, data: bytes) -> None:
        """Find out what the properties say, in one pass over whole pieces."""
        is_8bit = not data.isascii()
        self.is_8bit = self.is_8bit or is_8bit
        if not self._in_header:
            return
        seen = self._tail + data
        end = seen.find(_END_OF_HEADER)
        header = data
        if end >= 0:
            self._in_header = False
            header = data[: end + len(_END_OF_HEADER) - len(self._tail)]
        self._tail = seen[1 - len(_END_OF_HEADER) :]
        self.has_8bit_header = self.has_8bit_header or (is_8bit and not header.isascii())


def _nameless_file(directory: Path) -> int:
    """A file that vanishes with its descriptor, readable for us alone."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        return os.dup(file.fileno())


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
