"""A recipient's domain that is an address: [192.0.2.1], [IPv6:2001:db8::1] (RFC 5321, 4.1.3).

No I/O.
"""

from ipaddress import IPv4Address, IPv6Address

from postconnector.delivery.hosts.mail_host import is_of_one_host
from postconnector.delivery.hosts.own_host import IpAddress

_TAG = "ipv6:"


def is_address_literal(domain: str) -> bool:
    """Whether this is written as one, well or badly."""
    return domain.startswith("[")


def parse_address_literal(domain: str) -> IpAddress:
    """The address; ValueError if it is none that a host can have."""
    if not domain.endswith("]"):
        raise ValueError("the bracket is not closed")
    text = domain[1:-1]
    if "%" in text:
        raise ValueError("an address with a zone counts on one host only")
    tagged = text[: len(_TAG)].lower() == _TAG
    address = IPv6Address(text[len(_TAG) :]) if tagged else IPv4Address(text)
    if not is_of_one_host(address):
        raise ValueError("no host has this address")
    return address
