"""Command lines of LMTP (RFC 2033) and what they ask for. No I/O.

Commands: LHLO, MAIL, RCPT, DATA, RSET, NOOP, VRFY, QUIT, XFORWARD.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from postconnector.delivery.envelope import EnvelopeRecipient
from postconnector.delivery.lmtp.command_error import CommandError
from postconnector.delivery.lmtp.parameters import mail_parameters, rcpt_parameters
from postconnector.delivery.lmtp.paths import recipient_address, sender_address, split_path
from postconnector.delivery.lmtp.xforward import xforward_attributes

LONGEST_LINE = 16 * 1024
"""Octets with CRLF: Postfix reads lines of 2048, and says octets in three where it encodes them."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HOST = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Lhlo:
    """`name`: as which the client greets."""

    name: str


@dataclass(frozen=True, slots=True)
class Mail:
    """`size` in bytes as declared (RFC 1870); the rest as in Envelope."""

    sender: str
    size: int | None = None
    body: str | None = None
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    requiretls: bool = False


@dataclass(frozen=True, slots=True)
class Rcpt:
    """One more recipient."""

    recipient: EnvelopeRecipient


@dataclass(frozen=True, slots=True)
class Xforward:
    """What is known of the message's own client."""

    attributes: Mapping[str, str]


class Word(Enum):
    """Commands that are nothing but their name."""

    DATA = "DATA"
    RSET = "RSET"
    NOOP = "NOOP"
    VRFY = "VRFY"
    QUIT = "QUIT"


Command = Lhlo | Mail | Rcpt | Xforward | Word


def parse_command(line: bytes, *, smtputf8: bool = False) -> Command:
    """Read a line without its CRLF. Raises CommandError.

    `smtputf8`: MAIL said so, thus original recipients may stand in UTF-8.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise CommandError(500, "5.5.2", "the command is not UTF-8") from None
    if _CONTROLS.search(text):
        raise CommandError(500, "5.5.2", "control characters in the command")
    verb, _, argument = text.rstrip(" ").partition(" ")
    if verb.upper() == "RCPT":
        return _rcpt(argument, smtputf8)
    parse = _COMMANDS.get(verb.upper())
    if parse is None:
        raise CommandError(500, "5.5.2", "unknown command")
    return parse(argument)


def _lhlo(argument: str) -> Lhlo:
    if not _HOST.fullmatch(argument):
        raise CommandError(501, "5.5.4", "LHLO wants a host name")
    return Lhlo(argument)


def _smtp_greeting(_: str) -> Command:
    """RFC 2033, 4.1: no positive reply to these."""
    raise CommandError(500, "5.5.1", "this is LMTP: greet with LHLO")


def _not_here(_: str) -> Command:
    raise CommandError(502, "5.5.1", "no such service here")


def _mail(argument: str) -> Mail:
    path, rest = _path(argument, "FROM:")
    parameters = mail_parameters(rest)
    smtputf8 = "SMTPUTF8" in parameters
    size, body = parameters.get("SIZE"), parameters.get("BODY")
    return Mail(
        sender_address(path),
        int(size) if size else None,
        body.upper() if body else None,
        smtputf8,
        parameters.get("RET"),
        parameters.get("ENVID"),
        "REQUIRETLS" in parameters,
    )


def _rcpt(argument: str, smtputf8: bool) -> Rcpt:
    path, rest = _path(argument, "TO:")
    parameters = rcpt_parameters(rest, smtputf8=smtputf8)
    address = recipient_address(path)
    return Rcpt(EnvelopeRecipient(address, parameters.get("NOTIFY"), parameters.get("ORCPT")))


def _path(argument: str, keyword: str) -> tuple[str, str]:
    if argument[: len(keyword)].upper() == keyword:
        found = split_path(argument[len(keyword) :].lstrip(" "))
        if found is not None:
            return found
    raise CommandError(501, "5.5.4", f"write {keyword}<address>")


def _xforward(argument: str) -> Xforward:
    return Xforward(xforward_attributes(argument))


def _alone(word: Word) -> Callable[[str], Word]:
    def parse(argument: str) -> Word:
        if argument:
            raise CommandError(501, "5.5.4", f"{word.value} has no argument")
        return word

    return parse


_COMMANDS: dict[str, Callable[[str], Command]] = {
    "LHLO": _lhlo,
    "HELO": _smtp_greeting,
    "EHLO": _smtp_greeting,
    "MAIL": _mail,
    "XFORWARD": _xforward,
    "DATA": _alone(Word.DATA),
    "RSET": _alone(Word.RSET),
    "QUIT": _alone(Word.QUIT),
    "NOOP": lambda _: Word.NOOP,
    "VRFY": lambda _: Word.VRFY,
    "EXPN": _not_here,
    "HELP": _not_here,
    "STARTTLS": _not_here,
    "AUTH": _not_here,
}
