"""Addresses of other types in SMTP's clothes: `IMCEAFAX-+2B1+20425@contoso.com`.

Encoding: [MS-OXCMAIL], encapsulation of addresses; limits: Exchange's recipient resolution.
"""

import re
from dataclasses import dataclass

LONGEST_LOCAL_PART = 315
_FORM = re.compile(r"IMCEA(?P<type>[A-Za-z0-9]+)-(?P<text>.*)", re.IGNORECASE | re.DOTALL)
_ESCAPE = re.compile(r"\+(?P<byte>[0-9A-Fa-f]{2})|_")


@dataclass(frozen=True, slots=True)
class ForeignAddress:
    """An address that is not SMTP's: its type in upper case, and its text."""

    type: str
    address: str

    def __str__(self) -> str:
        return f"{self.type}:{self.address}"


def decapsulate(local_part: str) -> ForeignAddress | None:
    """The address that the local part of an SMTP address encapsulates, if it does."""
    if len(local_part) > LONGEST_LOCAL_PART:
        return None
    match = _FORM.fullmatch(local_part)
    if match is None:
        return None
    text = _ESCAPE.sub(_unescaped, match["text"])
    return ForeignAddress(match["type"].upper(), _as_utf_8(text))


def _as_utf_8(text: str) -> str:
    """Escaped bytes are UTF-8 where they are; no character set is documented."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def comparable(text: str) -> str:
    """A text as it is compared: without regard to the case of ASCII letters.

    Those of others are encapsulated as bytes, in which no pattern of Postfix finds their case.
    """
    return "".join(c.lower() if c.isascii() else c for c in text)


def encapsulated(text: str) -> str:
    """The text of an address as it stands in a local part, behind the type."""
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character == "/":
        return "_"
    if character in "=-" or (character.isascii() and character.isalnum()):
        return character
    return "".join(f"+{byte:02X}" for byte in character.encode())


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match["byte"], 16)) if match["byte"] else "/"
