"""Asking a running lookup service whether it is there, as Postfix would ask it."""

from postconnector.daemon.endpoint import Endpoint
from postconnector.policyd.probe import NoAnswerError, asked
from postconnector.policyd.socketmap import found, netstring
from postconnector.postfix.live_routes import TRANSPORT_MAP

_ROUTE = "postconnector:probe"
_QUESTION = netstring(f"{TRANSPORT_MAP} {_ROUTE}")
_ANSWER = netstring(found(_ROUTE))


def lookup_service_failure(endpoint: Endpoint) -> str | None:
    """Return why the lookup service does not answer, or None if it does."""
    try:
        received = asked(endpoint, _QUESTION, lambda data: len(data) >= len(_ANSWER))
    except NoAnswerError as error:
        return str(error)
    return None if received == _ANSWER else "it does not speak the socketmap protocol"
