"""X.400 addresses as RFC 1685 writes them: attributes `c=US;a=Fabrikam;p=Contoso;o=Sales`."""

import re
from collections.abc import Iterator

X400Attributes = frozenset[tuple[str, str]]
"""Names and values folded for comparison."""

_MOST_ATTRIBUTES = 32
_ALIASES = {"admd": "a", "prmd": "p", "ou": "ou1", "org": "o"}
_NAMES = frozenset(
    "c a p o ou1 ou2 ou3 ou4 s g i q cn x.121 n-id t-id t-ty".split()  # noqa: SIM905
)
_DOMAIN_DEFINED = re.compile(r"dda[:.].+")


def parse_x400(text: str) -> X400Attributes:
    """Read the attributes; one with a blank value counts as missing (a single blank ADMD).

    Raises ValueError, saying what would be right.
    """
    attributes = frozenset(_attributes(text))
    if len(dict(attributes)) < len(attributes):
        raise ValueError("an X.400 attribute stands twice with different values")
    if not attributes:
        raise ValueError("this names no X.400 attribute; write e.g. X400:c=US;a=Fabrikam;1")
    return attributes


def x400_attributes(text: str) -> X400Attributes:
    """The attributes of a recipient's address; what is none is left out, as it can't match."""
    found: set[tuple[str, str]] = set()
    for part in text.split(";")[:_MOST_ATTRIBUTES]:
        name, equals, value = part.partition("=")
        if equals and value.strip():
            found.add(_folded(name, value))
    return frozenset(found)


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    parts = [part for part in text.split(";") if part.strip()]
    if len(parts) > _MOST_ATTRIBUTES:
        raise ValueError(f"an X.400 address has at most {_MOST_ATTRIBUTES} attributes")
    for part in parts:
        name, equals, value = part.partition("=")
        folded, content = _folded(name, value)
        if not equals or not (folded in _NAMES or _DOMAIN_DEFINED.fullmatch(folded)):
            raise ValueError(
                "an X.400 address is attributes (RFC 1685), such as c=US;a=Fabrikam;p=Contoso"
            )
        if content:
            yield folded, content


def _folded(name: str, value: str) -> tuple[str, str]:
    name = name.strip().casefold()
    return _ALIASES.get(name, name), value.strip().casefold()
