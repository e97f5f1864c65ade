"""Asking a running policy service whether it is there, as Postfix would ask it."""

from postconnector.daemon.endpoint import Endpoint

_QUESTION = b"request=smtpd_access_policy\nprotocol_state=CONNECT\n\n"
_TIMEOUT = 5.0


def policy_service_failure(endpoint: Endpoint) -> str | None:
    """Return why the policy service does not answer, or None if it does."""
    try:
        with endpoint.connect(_TIMEOUT) as client:
            client.sendall(_QUESTION)
            received = b""
            while not received.endswith(b"\n\n"):
                data = client.recv(4096)
                if not data:
                    return "it closed the connection"
                received += data
    except OSError as error:
        return error.strerror or str(error)
    return None if received.startswith(b"action=") else "it does not speak the policy protocol"
