"""Asking a running delivery agent whether it is there, as Postfix would greet it."""

from postconnector.daemon.endpoint import Endpoint

_TIMEOUT = 5.0
_LONGEST_GREETING = 4096


def delivery_agent_failure(endpoint: Endpoint) -> str | None:
    """Return why the delivery agent does not answer, or None if it does."""
    try:
        with endpoint.connect(_TIMEOUT) as client:
            received = b""
            while b"\n" not in received and len(received) < _LONGEST_GREETING:
                data = client.recv(_LONGEST_GREETING)
                if not data:
                    return "it closed the connection"
                received += data
            client.sendall(b"QUIT\r\n")
    except OSError as error:
        return error.strerror or str(error)
    return None if received.startswith(b"220 ") else "it does not greet as an LMTP server does"
