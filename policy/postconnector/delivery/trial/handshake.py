"""What a TLS handshake shows before it is judged: the next hop's chain, and whether it wants ours.

OpenSSL tells of each message as it goes by, and of a certificate before it verifies it: a chain
that is refused is seen as well, and in the same session.
"""

import ssl

_HANDSHAKE = 22
_CERTIFICATE, _CERTIFICATE_REQUEST, _HELLO_DONE, _FINISHED = 11, 13, 14, 20
_HEADER = 4
_HAS_HOOK = hasattr(ssl.SSLContext, "_msg_callback")


class HandshakeRecord:
    """Of the handshakes of one context. Numbers by RFC 8446, 4, and RFC 5246, 7.4.

    `chain`: the certificates (DER) as they were sent, the next hop's own first. `asks_for_ours`:
    whether it wants a certificate of us; None: not known. `ours_was_shown`: one went out.
    `accepted`: we have ended the handshake, which we do only with a chain that we accept.
    """

    def __init__(self) -> None:
        self.chain: tuple[bytes, ...] = ()
        self.asks_for_ours: bool | None = None
        self.ours_was_shown = False
        self.accepted = False

    @classmethod
    def of(cls, context: ssl.SSLContext) -> "HandshakeRecord":
        """The record of a context that nobody else uses; it stays empty if Python has no hook."""
        record = cls()
        if _HAS_HOOK:
            setattr(context, "_msg_callback", record.note)  # noqa: B010 (typeshed lacks it)
        return record

    def note(
        self,
        _connection: object,
        direction: str,
        version: int,
        content_type: int,
        message_type: int,
        data: bytes,
    ) -> None:
        """Take a message, as OpenSSL tells of it."""
        if content_type != _HANDSHAKE:
            return
        received = direction == "read"
        if message_type == _CERTIFICATE and received:
            self.chain = _certificates(data, version)
            if version == ssl.TLSVersion.TLSv1_3:
                self._has_asked()
        elif message_type == _HELLO_DONE and received:
            self._has_asked()
        elif message_type == _CERTIFICATE and _certificates(data, version):
            self.ours_was_shown = True
        elif message_type == _CERTIFICATE_REQUEST and received:
            self.asks_for_ours = True
        elif message_type == _FINISHED and not received:
            self.accepted = True

    def _has_asked(self) -> None:
        """It would have, by now: TLS 1.3 asks before it shows its own, TLS 1.2 behind that."""
        self.asks_for_ours = bool(self.asks_for_ours)


def _certificates(message: bytes, version: int) -> tuple[bytes, ...]:
    """Those of a Certificate message; as far as it can be read."""
    with_extensions = version == ssl.TLSVersion.TLSv1_3
    at = _HEADER
    if with_extensions:
        at += 1 + int.from_bytes(message[at : at + 1])
    end = at + 3 + int.from_bytes(message[at : at + 3])
    at += 3
    found = []
    while at + 3 <= min(end, len(message)):
        length = int.from_bytes(message[at : at + 3])
        found.append(message[at + 3 : at + 3 + length])
        at += 3 + length
        if with_extensions:
            at += 2 + int.from_bytes(message[at : at + 2])
    return tuple(found)
