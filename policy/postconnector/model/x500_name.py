r"""X.500 names in the string form of Windows, as `TlsCertificateName` holds them.

`CN=mail.contoso.com, O="Contoso, Ltd.", C=US`: most specific first, values with special
characters in double quotes, a quote inside doubled, parts of a multi-valued RDN joined by +
(Win32 CertNameToStr). Names are compared by their parts, without regard to case, blanks
around separators, order inside a multi-valued RDN, and ST for S (see docs/decisions.md).
"""

import re
from dataclasses import dataclass

_ALIASES = {"ST": "S", "EMAILADDRESS": "E", "EMAIL": "E", "SURNAME": "SN", "GIVENNAME": "G"}
_ATTRIBUTE = re.compile(r"\s*(?P<key>[A-Za-z][A-Za-z0-9.\-]*|[0-9.]+)\s*=\s*")
_QUOTED = re.compile(r'"(?P<value>(?:[^"]|"")*)"\s*')
_PLAIN = re.compile(r'(?P<value>[^",+<>#;]*)')

Rdn = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class X500Name:
    """A name as its relative distinguished names, most specific first, folded for comparison."""

    rdns: tuple[Rdn, ...]

    @classmethod
    def parse(cls, text: str) -> "X500Name":
        """Read the string form; ValueError says what is wrong."""
        rdns: list[Rdn] = []
        parts: list[tuple[str, str]] = []
        position = 0
        while True:
            part, position = _parse_part(text, position)
            parts.append(part)
            separator = text[position : position + 1]
            if separator == "+":
                position += 1
                continue
            rdns.append(frozenset(parts))
            parts = []
            if not separator:
                return cls(tuple(rdns))
            if separator not in ",;":
                raise ValueError(f"a value with {separator} in it must stand in double quotes")
            position += 1


def folded_part(key: str, value: str) -> tuple[str, str]:
    """One attribute as names are compared: key by its Windows spelling, value without case."""
    key = key.upper().removeprefix("OID.")
    return _ALIASES.get(key, key), " ".join(value.split()).casefold()


def _parse_part(text: str, position: int) -> tuple[tuple[str, str], int]:
    attribute = _ATTRIBUTE.match(text, position)
    if attribute is None:
        raise ValueError("a part of the name is not KEY=value, such as CN=mail.contoso.com")
    position = attribute.end()
    value = (_QUOTED if text[position : position + 1] == '"' else _PLAIN).match(text, position)
    if value is None:
        raise ValueError("a double quote is not closed")
    plain = value["value"].replace('""', '"')
    if not plain.strip():
        raise ValueError(f"{attribute['key']}= has no value")
    return folded_part(attribute["key"], plain), value.end()
