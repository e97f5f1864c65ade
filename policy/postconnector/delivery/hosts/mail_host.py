"""A mail host and what DNS says of its addresses. No I/O."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from postconnector.delivery.hosts.answer import Answer, Status
from postconnector.delivery.hosts.own_host import IpAddress

Family = Literal[4, 6]
"""As ipaddress calls it: `source_address.version`."""

MOST_ADDRESSES = 10
"""Of one host, by family."""

_BROADCAST = IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class MailHost:
    """`preference` of its MX record; 0 for a host that none led to."""

    preference: int
    host: str
    ipv4: Answer[IPv4Address]
    ipv6: Answer[IPv6Address]

    @property
    def every_address(self) -> tuple[IpAddress, ...]:
        """All that DNS says, whether or not anybody could connect there."""
        return (*self.ipv4.records, *self.ipv6.records)

    def addresses(self, family: Family | None = None) -> list[IpAddress]:
        """Those that a connection can be made to; None: of both families."""
        found: list[IpAddress] = []
        if family != 6:
            found += [each for each in self.ipv4.records if is_of_one_host(each)][:MOST_ADDRESSES]
        if family != 4:
            found += [each for each in self.ipv6.records if is_of_one_host(each)][:MOST_ADDRESSES]
        return found

    def failure(self, family: Family | None = None) -> str | None:
        """Why not all addresses are known; None if they are."""
        answers = [self.ipv4] if family == 4 else [self.ipv6] if family == 6 else None
        for answer in answers or (self.ipv4, self.ipv6):
            if answer.status is Status.FAILED:
                return answer.reason
        return None

    @property
    def is_unknown(self) -> bool:
        """Whether DNS says that there is no such name."""
        return self.ipv4.status is Status.NO_NAME and self.ipv6.status is Status.NO_NAME


def is_of_one_host(address: IpAddress) -> bool:
    """Whether this is the address of some host, private or not.

    0.0.0.0 and :: would lead to ourselves, under an address that we do not know as ours; so
    might IPv4 in IPv6's clothes, which has no place in DNS.
    """
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        return False
    return not (isinstance(address, IPv6Address) and address.ipv4_mapped is not None)
