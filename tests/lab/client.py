"""What a test gives the SMTP client: a message, a log that remembers, TLS that trusts."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Message:
    """A Content in memory, in pieces of odd sizes."""

    data: bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data)

    @property
    def is_8bit(self) -> bool:
        """Whether a byte above 127 is in it."""
        return not self.data.isascii()

    @property
    def has_8bit_header(self) -> bool:
        """Whether one is in its header."""
        return not self.data.partition(b"\r\n\r\n")[0].isascii()

    def chunks(self) -> Iterator[bytes]:
        """The whole."""
        step = max(len(self.data) // 50, 7)
        for start in range(0, len(self.data), step):
            yield self.data[start : start + step]


@dataclass
class Heard:
    """A DialogueLog that remembers, in the signs of Exchange's protocol log."""

    lines: list[str] = field(default_factory=list)

    def information(self, text: str, context: str = "") -> None:
        """Remember."""
        self.lines.append(f"* {text}{context}")

    def connected(self, local: str, remote: str) -> None:
        """Remember."""
        self.lines.append(f"+ {local} {remote}")

    def sent(self, line: str) -> None:
        """Remember."""
        self.lines.append(f"> {line}")

    def received(self, line: str) -> None:
        """Remember."""
        self.lines.append(f"< {line}")

    def disconnected(self, reason: str) -> None:
        """Remember."""
        self.lines.append(f"- {reason}")


def client_context(ca_file: Path | None = None, certificate: Path | None = None) -> ssl.SSLContext:
    """Trusts this authority, or anybody; shows this certificate (PEM with its key), or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if ca_file is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca_file)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context
