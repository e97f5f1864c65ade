"""One connection of Postfix to the milter, and the message that comes by it.

Nothing is answered before the end of a message: what goes wrong until then is remembered.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from postconnector.enforcement.marker import NAME, to_the_agent
from postconnector.enforcement.message import Client
from postconnector.enforcement.rule import TakeAgentPath, Verdict
from postconnector.postfix.listener import Listener, listener_told
from postconnector.postfix.milter import LISTENER_MACRO, PICKUP_MACRO
from postconnector_milter.judge import TRY_LATER, Judge
from postconnector_milter.message import OpenMessage
from postconnector_milter.underway import Underway

AT_MAIL = (
    "{client_addr} {client_name} {client_port} {auth_authen} {auth_type}"
    " {tls_version} {cipher} {cert_subject}"
)
_QUEUE_ID = "i"
AT_END = f"{_QUEUE_ID} {LISTENER_MACRO} {PICKUP_MACRO}"
"""The macros that are asked for, by the time at which they are."""

_NO_CLIENT = "0"
"""The port of what came by sendmail(1), as Postfix has it; no client has it."""

_IPV6_TAG = "IPv6:"
"""Of addresses in macros (RFC 5321, 4.1.3); the policy service gets them without."""

log = logging.getLogger(__name__)


class Dialogue(Protocol):
    """What Postfix may be asked, and told to do with a message."""

    def getsymval(self, name: str) -> str | None:
        """The value of a macro."""
        ...

    def addheader(self, name: str, value: str, index: int) -> None:
        """Add a header; -1: behind all others."""
        ...

    def chgheader(self, name: str, index: int, value: str | None) -> None:
        """Change, or take out, the header that is the index-th of this name, from 1 on."""
        ...


class Connection:
    """What Postfix has said so far; `judge`: who judges now, if anybody can."""

    def __init__(self, judge: Callable[[], Judge | None], underway: Underway) -> None:
        self._helo = ""
        self._judge = judge
        self._underway = underway
        self._message: OpenMessage | None = None
        self._has_content = self._is_counted = False
        self._failed = False

    def helo(self, name: str) -> None:
        """HELO or EHLO."""
        self._helo = name

    def mail(self, sender: bytes, *_parameters: bytes) -> None:
        """MAIL FROM: a message begins."""
        self.end()
        self._message = OpenMessage(sender)

    def rcpt(self, recipient: bytes, *_parameters: bytes) -> None:
        """RCPT TO."""
        self._open_message().add_recipient(recipient)

    def header(self, name: str, value: bytes) -> None:
        """A header; see OpenMessage."""
        self._message_with_content().add_header(name, value)

    def body(self, chunk: bytes) -> None:
        """Part of the body."""
        self._message_with_content().add_body(chunk)

    def fail(self) -> None:
        """Something of ours went wrong with this message."""
        self._failed = True

    def end(self) -> None:
        """The message is answered, or given up."""
        self._message, self._failed = None, False
        if self._is_counted:
            self._underway.end()
        self._has_content = self._is_counted = False

    def verdict(self, dialogue: Dialogue) -> Verdict | None:
        """The end of the message: say what is to become of it, and have Postfix change it so."""
        judge = self._judge()
        if judge is None or self._failed:
            return TRY_LATER
        message = self._message_with_content()
        listener = partial(_listener, dialogue)
        client = partial(_client, dialogue, self._helo)
        verdict = judge.verdict(message, client, dialogue.getsymval(_QUEUE_ID), listener)
        if verdict is None or isinstance(verdict, TakeAgentPath):
            for index in range(message.markers, 0, -1):  # each keeps its number until it goes
                dialogue.chgheader(NAME, index, "")
        if isinstance(verdict, TakeAgentPath):
            dialogue.addheader(NAME, f" {to_the_agent(listener().way or '')}", -1)
        return verdict

    def _open_message(self) -> OpenMessage:
        if self._message is None:
            raise RuntimeError("Postfix names no sender first")
        return self._message

    def _message_with_content(self) -> OpenMessage:
        if not self._has_content:
            self._has_content = True
            self._is_counted = self._underway.begin()
        return self._open_message()


def _listener(dialogue: Dialogue) -> Listener:
    macro = LISTENER_MACRO if _has_client(dialogue) else PICKUP_MACRO
    return listener_told(dialogue.getsymval(macro))


def _has_client(dialogue: Dialogue) -> bool:
    return dialogue.getsymval("{client_port}") not in (None, _NO_CLIENT)


def _client(dialogue: Dialogue, helo: str) -> Client:
    if not _has_client(dialogue):
        return Client()
    return Client(
        address=(dialogue.getsymval("{client_addr}") or "").removeprefix(_IPV6_TAG),
        name=dialogue.getsymval("{client_name}") or "",
        helo=helo,
        sasl_username=dialogue.getsymval("{auth_authen}") or "",
        sasl_method=dialogue.getsymval("{auth_type}") or "",
        tls_protocol=dialogue.getsymval("{tls_version}") or "",
        tls_cipher=dialogue.getsymval("{cipher}") or "",
        certificate_subject=dialogue.getsymval("{cert_subject}") or "",
    )
