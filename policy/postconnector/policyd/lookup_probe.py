"""Asking a running lookup service whether it is there, as Postfix would ask it."""

from postconnector.daemon.endpoint import Endpoint
from postconnector.policyd.socketmap import found, netstring
from postconnector.postfix.live_routes import TRANSPORT_MAP

_ROUTE = "postconnector:probe"
_QUESTION = netstring(f"{TRANSPORT_MAP} {_ROUTE}")
_ANSWER = netstring(found(_ROUTE))
_TIMEOUT = 5.0


def lookup_service_failure(endpoint: Endpoint) -> str | None:
    """Return why the lookup service does not answer, or None if it does."""
    received = b""
    try:
        with endpoint.connect(_TIMEOUT) as client:
            client.sendall(_QUESTION)
            while len(received) < len(_ANSWER):
                data = client.recv(4096)
                if not data:
                    return "it closed the connection"
                received += data
    except OSError as error:
        return error.strerror or str(error)
    return None if received == _ANSWER else "it does not speak the socketmap protocol"
