"""A next hop with a certificate to choose, that does to STARTTLS what it is told to do.

A real SMTP server on a loopback address, which takes every message and remembers what the
client's TLS was. It runs in threads of this process: OpenSSL's server is the same as elsewhere.
"""

import io
import socket
import ssl
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from tests.lab.child import Server

_TIMEOUT = 30.0


class Offer(Enum):
    """What comes of STARTTLS."""

    TLS = "offered"
    NONE = "not offered"
    REFUSED = "refused"
    REFUSED_FOR_GOOD = "refused for good"
    GARBAGE = "answered by what is no TLS"
    CLOSED = "closed"
    INJECTED = "followed by another reply"


@dataclass
class SeenSession:
    """What the peer saw of one connection; `client_certificate` is its CN.

    `client_sha256`: its fingerprint, as OpenSSL writes it.
    """

    tls: str | None = None
    client_certificate: str | None = None
    client_sha256: str | None = None
    message: bytes | None = None


class TlsPeer(Server):
    """Its `sessions` are in the order in which they began.

    `chain`: key and certificates (PEM). `version`: TLS 1.1, 1.2 or 1.3 and no other. `clients`:
    the authority of client certificates, if they are asked for.
    """

    def __init__(
        self,
        address: str,
        port: int,
        chain: Path,
        offer: Offer = Offer.TLS,
        *,
        version: str | None = None,
        clients: Path | None = None,
        demands_certificate: bool = False,
    ) -> None:
        self.address = address
        self.port = port
        self.sessions: list[SeenSession] = []
        self._offer = offer
        self._context = _context(chain, version)
        if clients is not None:
            self._context.load_verify_locations(clients)
            self._context.verify_mode = (
                ssl.CERT_REQUIRED if demands_certificate else ssl.CERT_OPTIONAL
            )
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen."""
        self._listener = socket.create_server((self.address, self.port))
        self._thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; sessions end with their clients."""
        if self._listener is not None and self._thread is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._thread.join()
            self._listener = None

    @property
    def delivered(self) -> SeenSession | None:
        """The session that brought the last message."""
        return next((s for s in reversed(self.sessions) if s.message is not None), None)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        seen = SeenSession()
        self.sessions.append(seen)
        connection.settimeout(_TIMEOUT)
        with suppress(OSError), connection:
            with connection.makefile("rwb", buffering=0) as clear:
                _say(clear, "220 peer.test ESMTP")
                goes_over = self._talk(clear, seen, offers=self._offer is not Offer.NONE)
            if goes_over and self._answer_starttls(connection):
                with self._wrap(connection, seen) as tls, tls.makefile("rwb", buffering=0) as file:
                    self._talk(file, seen, offers=False)

    def _answer_starttls(self, connection: socket.socket) -> bool:
        """Whether TLS begins; a refused client stays in clear and is not here."""
        match self._offer:
            case Offer.INJECTED:
                connection.sendall(b"220 go ahead\r\n250 injected\r\n")
            case Offer.GARBAGE:
                connection.sendall(b"220 go ahead\r\n")
                connection.recv(1)
                connection.sendall(b"500 what was that?\r\n")
                return False
            case _:
                connection.sendall(b"220 go ahead\r\n")
        return self._offer is not Offer.CLOSED

    def _wrap(self, connection: socket.socket, seen: SeenSession) -> ssl.SSLSocket:
        tls = self._context.wrap_socket(connection, server_side=True)
        seen.tls = tls.version()
        certificate = tls.getpeercert(binary_form=True)
        if certificate is not None:
            shown = x509.load_der_x509_certificate(certificate)
            subject = shown.subject
            seen.client_sha256 = shown.fingerprint(hashes.SHA256()).hex(":").upper()
            seen.client_certificate = str(
                subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
            )
        return tls

    def _talk(self, file: io.RawIOBase, seen: SeenSession, *, offers: bool) -> bool:
        """Take mail until the client leaves; True if it is to go over to TLS."""
        while line := file.readline(1000):
            match line.split()[0].upper() if line.split() else b"":
                case b"EHLO":
                    _say(file, "250-peer.test\r\n250-STARTTLS" if offers else "250-peer.test")
                    _say(file, "250 8BITMIME")
                case b"STARTTLS" if self._offer is Offer.REFUSED:
                    _say(file, "454 4.7.0 TLS not available")
                case b"STARTTLS" if self._offer is Offer.REFUSED_FOR_GOOD:
                    _say(file, "554 5.7.0 no TLS for you")
                case b"STARTTLS" if offers:
                    return True
                case b"DATA":
                    _say(file, "354 go on")
                    seen.message = _read_message(file)
                    _say(file, "250 2.0.0 taken")
                case b"QUIT":
                    _say(file, "221 2.0.0 bye")
                    return False
                case _:
                    _say(file, "250 2.0.0 ok")
        return False


def _say(file: io.RawIOBase, text: str) -> None:
    file.write(f"{text}\r\n".encode())


def _read_message(file: io.RawIOBase) -> bytes:
    lines = []
    while (line := file.readline(10_000)) not in (b".\r\n", b""):
        lines.append(line)
    return b"".join(lines)


def _context(chain: Path, version: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # As old and weak as a test wants it: the client is to refuse it.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(chain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        if version is not None:
            only = ssl.TLSVersion[f"TLSv{version.replace('.', '_')}"]
            context.minimum_version = context.maximum_version = only
    return context
