"""Reverse-path and forward-path of RFC 5321 and 6531, as a careful MTA reads them. No I/O.

Stricter than Postfix in syntax, as lenient in length: a VERP sender of more than 64 octets is
mail that Postfix took, and so is an address beyond ASCII that came without SMTPUTF8
(strict_smtputf8 is off by default). Source routes are dropped, as RFC 5321 (appendix C) wants it.
"""

import re

from postconnector.delivery.lmtp.command_error import CommandError

LONGEST_ADDRESS = 1024
"""Octets."""
_LONGEST_DOMAIN = 255

_ROUTE = r"(?:@[^\s<>\":]+:)?"
_QUOTED = r'"(?:[ !#-\[\]-~]|[^\x00-\x7f]|\\[ -~])*"'
_UNQUOTED = r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]|[^\x00-\x7f])+"
_LABEL = r"(?:[A-Za-z0-9_-]|[^\x00-\x7f])+"
_LITERAL = r"\[[!-Z^-~]+\]"
_MAILBOX = re.compile(
    rf"{_ROUTE}(?P<mailbox>(?:{_QUOTED}|{_UNQUOTED})"
    rf"@(?P<domain>{_LABEL}(?:\.{_LABEL})*|{_LITERAL}))"
)
_PATH = re.compile(rf'<((?:{_QUOTED}|[^"<>])*)>(?: +|$)')


def split_path(text: str) -> tuple[str, str] | None:
    """Part `<path> rest` in the two, without the angle brackets; None if it is not of that form."""
    match = _PATH.match(text)
    return (match[1], text[match.end() :]) if match else None


def sender_address(path: str) -> str:
    """The address of a reverse-path, empty for the null one. Raises CommandError."""
    return _mailbox(path, "5.1.7", "sender") if path else ""


def recipient_address(path: str) -> str:
    """The address of a forward-path; Postmaster needs no domain. Raises CommandError."""
    if path.lower() == "postmaster":
        return path
    return _mailbox(path, "5.1.3", "recipient")


def _mailbox(path: str, enhanced: str, whose: str) -> str:
    match = _MAILBOX.fullmatch(path)
    if match is None:
        raise CommandError(501, enhanced, f"bad {whose} address syntax")
    address: str = match["mailbox"]
    if len(match["domain"].encode()) > _LONGEST_DOMAIN or len(address.encode()) > LONGEST_ADDRESS:
        raise CommandError(501, enhanced, f"{whose} address too long")
    return address
