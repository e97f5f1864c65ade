"""Address spaces: which recipients a connector is for, and at what cost.

`[Type:]Address[;Cost]` (New-SendConnector, parameter AddressSpaces). The type is SMTP, X400 or
any other word; `--` means all accepted domains.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from postconnector.model.domain import PLAIN_DOMAIN, parse_domain
from postconnector.model.imcea import comparable
from postconnector.model.x400 import X400Attributes, parse_x400

SMTP, X400 = "SMTP", "X400"
_TYPE = re.compile(r"(?P<type>[A-Za-z0-9_-]{1,64}):(?P<rest>.*)", re.DOTALL)
_PLAIN = re.compile(rf"(?:(?:[*][.])?{PLAIN_DOMAIN.pattern}\n)+")
"""What nearly all address spaces are, each in a line, found right in one step (length aside)."""

_LONGEST_PLAIN = 253

_NO_ATTRIBUTES: X400Attributes = frozenset()
_COST = re.compile(r"[0-9]{1,9}")
LOWEST_COST, HIGHEST_COST = 1, 100


class Specificity(IntEnum):
    """How an address space matches; of two that match one recipient the higher is more precise.

    Two wildcards are told apart by the number of labels, two X.400 address spaces by that of
    their attributes (see `selection`).
    """

    ALL = 0
    WILDCARD = 1
    EXACT = 2
    ACCEPTED_DOMAINS = 3


class _AddressSpaceFields(NamedTuple):
    address: str
    cost: int
    type: str
    specificity: Specificity
    domain: str
    attributes: X400Attributes


class AddressSpace(_AddressSpaceFields):
    """One address space; `address` keeps the case in which it was written.

    `domain` is what is compared: of type SMTP the domain in lower case, without the wildcard
    label; of another type the text as it is compared. It is empty for `*` and `--`.
    `attributes` are those of an X.400 address.

    A tuple, because there are a hundred thousand of them on a large host.
    """

    __slots__ = ()

    def __new__(cls, address: str, cost: int = 1, type: str = SMTP) -> "AddressSpace":  # noqa: A002
        """Tell apart what the address says."""
        is_smtp = type == SMTP
        attributes = _NO_ATTRIBUTES
        if address == "*":
            specificity, domain = Specificity.ALL, ""
        elif is_smtp and address == "--":
            specificity, domain = Specificity.ACCEPTED_DOMAINS, ""
        elif is_smtp and address.startswith("*."):
            specificity, domain = Specificity.WILDCARD, address[2:].lower()
        else:
            specificity, domain = Specificity.EXACT, address.lower()
            if type == X400:
                attributes = parse_x400(address)
            elif not is_smtp:
                domain = comparable(address)
        return super().__new__(cls, address, cost, type, specificity, domain, attributes)

    @property
    def is_smtp(self) -> bool:
        """Whether this is for SMTP addresses."""
        return self.type == SMTP

    @classmethod
    def all_plain(cls, texts: Sequence[Any]) -> "tuple[AddressSpace, ...] | None":
        """Read what is a domain, or *. and a domain, each; None if any is something else."""
        if {*map(type, texts)} != {str} or max(map(len, texts)) > _LONGEST_PLAIN:
            return None
        lines = "\n".join([*texts, ""])
        if _PLAIN.fullmatch(lines) is None or lines.count("\n") != len(texts):
            return None
        new, exact, wildcard = tuple.__new__, Specificity.EXACT, Specificity.WILDCARD
        return tuple(
            [
                new(cls, (text, 1, SMTP, wildcard, address[2:], _NO_ATTRIBUTES))
                if address[0] == "*"
                else new(cls, (text, 1, SMTP, exact, address, _NO_ATTRIBUTES))
                for text, address in zip(texts, lines.lower().splitlines(), strict=True)
            ]
        )

    @classmethod
    def parse(cls, text: str) -> "AddressSpace":
        """Read `[Type:]Address[;Cost]`.

        Raises ValueError, saying what would be right.
        """
        text = text.strip()
        typed = _TYPE.fullmatch(text) if ":" in text else None
        if typed is None:
            return cls._smtp(text)
        kind, rest = typed["type"], typed["rest"]
        if rest.startswith("//"):
            raise ValueError("this is a URL; write the domain alone, such as contoso.com")
        match kind.casefold():
            case "mailto":
                raise ValueError("this is a link to an address; write the domain alone")
            case "local":
                raise ValueError(
                    "the prefix Local: of Exchange 2007 is not an address space type;"
                    " leave it away and add is_scoped_connector = true"
                )
            case "smtp":
                return cls._smtp(rest)
            case "x400":
                return cls._other(X400, rest)
            case _:
                return cls._other(kind, rest)

    @classmethod
    def _smtp(cls, text: str) -> "AddressSpace":
        address, semicolon, cost = text.partition(";")
        return cls(_parse_smtp_address(address.strip()), _parse_cost(cost) if semicolon else 1)

    @classmethod
    def _other(cls, kind: str, text: str) -> "AddressSpace":
        address, semicolon, cost = text.rpartition(";")
        if not semicolon:
            address, cost = text, "1"
        elif not _COST.fullmatch(cost.strip()):
            raise ValueError(
                "an address with a semicolon must state the cost behind the last one,"
                " such as X400:c=US;a=Fabrikam;1"
            )
        if not address.strip():
            raise ValueError(f"the address is empty; write {kind}:* for all addresses of this type")
        return cls(address.strip(), _parse_cost(cost), kind)

    def __str__(self) -> str:
        return f"{self.type}:{self.address};{self.cost}"


def _parse_smtp_address(address: str) -> str:
    if address in ("*", "--"):
        return address
    if not address:
        raise ValueError("the address is empty; write a domain such as contoso.com, or *")
    if address.startswith("*."):
        return "*." + parse_domain(address[2:])
    return parse_domain(address)


def _parse_cost(text: str) -> int:
    text = text.strip()
    if not _COST.fullmatch(text) or not LOWEST_COST <= int(text) <= HIGHEST_COST:
        raise ValueError(
            f"the cost behind the semicolon is not a whole number from {LOWEST_COST} to"
            f" {HIGHEST_COST}; write e.g. contoso.com;10"
        )
    return int(text)
