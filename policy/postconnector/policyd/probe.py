"""Asking a running policy service whether it is there, as Postfix would ask it."""

from collections.abc import Callable

from postconnector.daemon.endpoint import Endpoint
from postconnector.policyd.protocol import PROBE

_QUESTION = b"request=smtpd_access_policy\nprotocol_state=CONNECT\n\n"
_WITH_POSTFIX = f"request={PROBE}\n\n".encode()
_TIMEOUT = 5.0


class NoAnswerError(Exception):
    """Nobody answers; the text says why."""


def policy_service_failure(endpoint: Endpoint) -> str | None:
    """Return why the policy service does not answer, or None if it does."""
    try:
        received = asked(endpoint, _QUESTION, lambda data: data.endswith(b"\n\n"))
    except NoAnswerError as error:
        return str(error)
    return None if received.startswith(b"action=") else "it does not speak the policy protocol"


def postfix_failure(endpoint: Endpoint) -> str | None:
    """Return why a policy service that answers can't ask Postfix, or None if it can."""
    try:
        received = asked(endpoint, _WITH_POSTFIX, lambda data: data.endswith(b"\n\n"))
    except NoAnswerError:
        return None
    answer = received.decode("utf-8", "replace").strip()
    return None if answer == "action=DUNNO" else answer.partition(" 4.3.0 ")[2] or answer


def asked(endpoint: Endpoint, question: bytes, is_whole: Callable[[bytes], bool]) -> bytes:
    """The answer to a question. Raises NoAnswerError."""
    received = b""
    try:
        with endpoint.connect(_TIMEOUT) as client:
            client.sendall(question)
            while not is_whole(received):
                data = client.recv(4096)
                if not data:
                    raise NoAnswerError("it closed the connection")
                received += data
    except OSError as error:
        raise NoAnswerError(error.strerror or str(error)) from None
    return received
