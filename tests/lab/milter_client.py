"""A client that speaks the milter protocol as Postfix does, and stops where a test wants it to."""

import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

_LENGTH = struct.Struct("!I")
_VERSION, _ALL_ACTIONS, _ALL_STEPS = 6, 0x1FF, 0x1FFFFF


class MilterClient:
    """One connection, negotiated; `steps` is what the milter has negotiated (SMFIP_…)."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        self._answers = self._socket.makefile("rb")
        self.send(b"O", struct.pack("!III", _VERSION, _ALL_ACTIONS, _ALL_STEPS))
        _, self.actions, self.steps = struct.unpack_from("!III", self.receive()[1:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._answers.close()
        self._socket.close()

    def send(self, command: bytes, data: bytes = b"") -> None:
        """Send a packet."""
        self._socket.sendall(_LENGTH.pack(len(command + data)) + command + data)

    def receive(self) -> bytes:
        """The next packet: a letter, and what belongs to it."""
        (length,) = _LENGTH.unpack(self._answers.read(_LENGTH.size))
        return self._answers.read(length)

    def begin(self, sender: str, *recipients: str) -> None:
        """An envelope, and the first header."""
        self.send(b"D", b"M{client_port}\0" + b"0\0")
        self.send(b"M", f"<{sender}>\0".encode())
        for recipient in recipients:
            self.send(b"R", f"<{recipient}>\0".encode())
        self.send(b"L", b"Subject\0 test\0")

    def finish(self, size: int) -> bytes:
        """A body of so many bytes, and the end; the answer to it."""
        for start in range(0, size, 50_000):
            self.send(b"B", b"x" * min(50_000, size - start))
        self.send(b"E")
        return self.receive()
