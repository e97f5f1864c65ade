"""Asking a running milter whether it is there, as Postfix would: it has to negotiate."""

import struct

from postconnector.daemon.endpoint import Endpoint

_VERSION, _ALL_ACTIONS, _ALL_STEPS = 6, 0x1FF, 0x1FFFFF
_NEGOTIATE, _QUIT = b"O", b"Q"
_LENGTH = struct.Struct("!I")
_LONGEST = 64 * 1024
_TIMEOUT = 5.0


def milter_failure(endpoint: Endpoint) -> str | None:
    """Return why the milter does not answer, or None if it does."""
    question = struct.pack("!III", _VERSION, _ALL_ACTIONS, _ALL_STEPS)
    try:
        with endpoint.connect(_TIMEOUT) as client, client.makefile("rb") as answers:
            client.sendall(_packet(_NEGOTIATE, question))
            header = answers.read(_LENGTH.size)
            if len(header) < _LENGTH.size:
                return "it closed the connection"
            (length,) = _LENGTH.unpack(header)
            answer = answers.read(min(length, _LONGEST))
            client.sendall(_packet(_QUIT))
    except OSError as error:
        return error.strerror or str(error)
    return None if answer.startswith(_NEGOTIATE) else "it does not speak the milter protocol"


def _packet(command: bytes, data: bytes = b"") -> bytes:
    return _LENGTH.pack(len(command + data)) + command + data
