"""Logging in to a smart host: SASL mechanisms as exchanges of lines. No I/O.

PLAIN (RFC 4616), LOGIN (Exchange's BasicAuth), CRAM-MD5 (RFC 2195), XOAUTH2 (Google, Microsoft).
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Generator

from postconnector.delivery.smtp.settings import Login

Exchange = Generator[bytes, bytes, None]
"""Yields what is said, first with AUTH itself (empty: nothing yet); is sent the server's turns."""

_LONGEST_COMMAND = 512
_BY_PASSWORD = ("CRAM-MD5", "PLAIN", "LOGIN")
"""The first that is offered is taken: the password itself is said only where it has to be."""


class NoMechanismError(Exception):
    """The next hop offers no mechanism that this login can use."""


def choose_mechanism(login: Login, offered: tuple[str, ...]) -> str:
    """The mechanism to log in by. Raises NoMechanismError."""
    possible = ("XOAUTH2",) if login.oauth else _BY_PASSWORD
    for mechanism in possible:
        if mechanism in offered:
            return mechanism
    raise NoMechanismError(f"none of {', '.join(possible)} is offered")


def exchange(mechanism: str, login: Login) -> Exchange:
    """What is said in turn; both sides without base64."""
    return _EXCHANGES[mechanism](login)


def decoded(text: str) -> bytes:
    """A server's turn. Raises ValueError for what is no base64."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("a challenge that is no base64") from None


def encoded(data: bytes) -> str:
    """Our turn."""
    return base64.b64encode(data).decode("ascii")


def _plain(login: Login) -> Exchange:
    yield from _beginning("PLAIN", f"\0{login.user_name}\0{login.password}".encode())


def _login(login: Login) -> Exchange:
    yield b""
    yield login.user_name.encode()
    yield login.password.encode()


def _cram_md5(login: Login) -> Exchange:
    challenge = yield b""
    digest = hmac.new(login.password.encode(), challenge, "md5").hexdigest()
    yield f"{login.user_name} {digest}".encode()


def _xoauth2(login: Login) -> Exchange:
    said = f"user={login.user_name}\1auth=Bearer {login.password}\1\1"
    yield from _beginning("XOAUTH2", said.encode())
    yield b""  # a refusal comes as a challenge, and wants an answer before it is one


def _beginning(mechanism: str, said: bytes) -> Exchange:
    """With AUTH, if that is no longer than a command may be then (RFC 4954, 4)."""
    if len(f"AUTH {mechanism} {encoded(said)}\r\n") > _LONGEST_COMMAND:
        yield b""
    yield said


_EXCHANGES: dict[str, Callable[[Login], Exchange]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "XOAUTH2": _xoauth2,
}
