"""What a recipient is before connectors are asked: encapsulated, of a domain of ours, or neither.

Sources: recipient resolution (IMCEA addresses), accepted domains.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from postconnector.model.domain import recipient_domain
from postconnector.model.imcea import ForeignAddress, decapsulate
from postconnector.model.topology import AcceptedDomain, DomainType

BAD_TYPE: Final = "5.1.3"
_REFUSED_TYPES = frozenset(("SMTP", "X500"))

Recipient = str | ForeignAddress
"""An SMTP address, or one of another type."""


@dataclass(frozen=True, slots=True)
class RefusedType:
    """An encapsulated address of a type that recipient resolution refuses."""

    address: ForeignAddress


class AcceptedDomains:
    """The organization's accepted domains, ready to look up.

    `default` is the one in which addresses of other types are encapsulated.
    """

    def __init__(self, domains: Iterable[AcceptedDomain]) -> None:
        self._domains = {domain.sort_name: domain for domain in domains}
        default = next((d for d in self._domains.values() if d.default), None)
        self.default = default.sort_name.removeprefix("*.") if default is not None else None

    def covering(self, domain: str) -> AcceptedDomain | None:
        """The most precise accepted domain that a recipient's domain falls under.

        `*.contoso.com` covers contoso.com and all its subdomains, as in an address space.
        """
        if not self._domains:
            return None
        return next((self._domains[n] for n in _names(domain) if n in self._domains), None)

    def resolve(self, address: str) -> Recipient | RefusedType:
        """The recipient that an SMTP address stands for.

        One of another type is encapsulated only in the default accepted domain.
        """
        if self.default is None or recipient_domain(address) != self.default:
            return address
        foreign = decapsulate(address.rpartition("@")[0])
        if foreign is None:
            return address
        return RefusedType(foreign) if foreign.type in _REFUSED_TYPES else foreign

    def of_the_edge(self) -> Iterator[AcceptedDomain]:
        """Those that the address space -- stands for: not relayed to the outside."""
        for domain in self._domains.values():
            if domain.domain_type is not DomainType.EXTERNAL_RELAY:
                yield domain


def _names(domain: str) -> Iterator[str]:
    yield domain
    if not domain.startswith("["):
        parent = domain
        while parent:
            yield f"*.{parent}"
            parent = parent.partition(".")[2]
    yield "*"
