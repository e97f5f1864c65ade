"""Address spaces: which recipients a connector is for, and at what cost.

`[Type:]Address[;Cost]` (New-SendConnector, parameter AddressSpaces). This version knows the
type SMTP; other types and `--` are refused with a message that says so.
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum

from postconnector.model.domain import parse_domain

_TYPE = re.compile(r"(?P<type>[A-Za-z0-9]+):(?P<rest>.*)", re.DOTALL)
_COST = re.compile(r"[0-9]{1,9}")
LOWEST_COST, HIGHEST_COST = 1, 100


class Specificity(IntEnum):
    """How an address space matches; of two that match one domain the higher is more precise.

    Two wildcards are told apart by the number of labels (see `selection`).
    """

    ALL = 0
    WILDCARD = 1
    EXACT = 2


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """One address space; `address` keeps the case in which it was written.

    `domain` is what is compared: lower case, without the wildcard label; empty for `*`.
    """

    address: str
    cost: int = 1
    type: str = "SMTP"
    specificity: Specificity = field(init=False)
    domain: str = field(init=False)

    def __post_init__(self) -> None:
        if self.address == "*":
            specificity, domain = Specificity.ALL, ""
        elif self.address.startswith("*."):
            specificity, domain = Specificity.WILDCARD, self.address[2:].lower()
        else:
            specificity, domain = Specificity.EXACT, self.address.lower()
        object.__setattr__(self, "specificity", specificity)
        object.__setattr__(self, "domain", domain)

    @classmethod
    def parse(cls, text: str) -> "AddressSpace":
        """Read `[Type:]Address[;Cost]`.

        Raises ValueError, saying what would be right.
        """
        text = text.strip()
        typed = _TYPE.fullmatch(text)
        if typed is not None and typed["rest"].startswith("//"):
            raise ValueError("this is a URL; write the domain alone, such as contoso.com")
        kind = typed["type"] if typed is not None else "SMTP"
        rest = typed["rest"] if typed is not None else text
        if kind.casefold() == "local":
            raise ValueError(
                "the prefix Local: of Exchange 2007 is not an address space type;"
                " leave it away (a scoped connector is said with is_scoped_connector)"
            )
        if kind.casefold() != "smtp":
            raise ValueError(
                f"address spaces of type {kind} are not carried out by this version;"
                " only SMTP address spaces are"
            )
        address, semicolon, cost = rest.partition(";")
        return cls(_parse_address(address.strip()), _parse_cost(cost) if semicolon else 1)

    def __str__(self) -> str:
        return f"{self.type}:{self.address};{self.cost}"


def _parse_address(address: str) -> str:
    if address == "*":
        return address
    if address == "--":
        raise ValueError(
            "-- (all accepted domains) is only for Edge servers and not carried out by this"
            " version; write the domains"
        )
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
