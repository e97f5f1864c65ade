"""XFORWARD (Postfix' XFORWARD_README): what the client knows of where a message came from. No I/O.

For logs and nothing else.
"""

import re
from collections.abc import Mapping

from postconnector.delivery.lmtp.command_error import CommandError
from postconnector.model.plain_text import clean

ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
_UNAVAILABLE = "[UNAVAILABLE]"
_LONGEST = 255
_VALUE = re.compile(r"(?:[!-*,-~]|\+[0-9A-Fa-f]{2})+")
_ENCODED = re.compile(r"\+([0-9A-Fa-f]{2})")


def xforward_attributes(text: str) -> Mapping[str, str]:
    """The attributes, decoded, without what would steer a terminal; empty if unavailable.

    Raises CommandError.
    """
    words = [word for word in text.split(" ") if word]
    if not words:
        raise CommandError(501, "5.5.4", "XFORWARD wants attributes")
    attributes: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        name = name.upper()
        if name not in ATTRIBUTES:
            raise CommandError(501, "5.5.4", "unknown XFORWARD attribute")
        if not _VALUE.fullmatch(value):
            raise CommandError(501, "5.5.4", f"bad value of {name}")
        is_available = value.upper() != _UNAVAILABLE
        attributes[name] = clean(_decode(value))[:_LONGEST] if is_available else ""
    return attributes


def _decode(value: str) -> str:
    octets = _ENCODED.sub(lambda match: chr(int(match[1], 16)), value).encode("latin-1")
    return octets.decode("utf-8", "replace")
