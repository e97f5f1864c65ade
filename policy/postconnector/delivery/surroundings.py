"""The host that the delivery agent runs on, as its Postfix has it, or without one."""

import socket
from collections.abc import Container, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from postconnector.delivery.hosts.local_addresses import LocalAddresses
from postconnector.delivery.hosts.own_host import IpAddress, OwnHost
from postconnector.postfix.host import PostfixHost

_INTERFACES = ("inet_interfaces", "proxy_interfaces")
_TRUST = ("smtp_tls_CAfile", "smtp_tls_CApath")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`ca_file` and `ca_directory`: what Postfix trusts; empty if it says nothing.

    `own`: where mail arrives here.
    """

    hostname: str
    ca_file: str
    ca_directory: str
    own: OwnHost

    @classmethod
    def of(cls, host: PostfixHost | None) -> "Surroundings":
        """Asks Postfix. Raises PostfixError."""
        if host is None:
            name = socket.getfqdn()
            return cls(name, "", "", OwnHost(frozenset({name.lower()})))
        values = host.expanded("myhostname", *_INTERFACES, *_TRUST)
        name = values["myhostname"]
        interfaces = " ".join(values[each] for each in _INTERFACES)
        own = OwnHost(frozenset({name.lower()}), _addresses(interfaces))
        return cls(name, values["smtp_tls_CAfile"], values["smtp_tls_CApath"], own)


def _addresses(interfaces: str) -> Container[IpAddress]:
    words = interfaces.replace(",", " ").split()
    if "all" in words:
        return LocalAddresses()
    return frozenset(address for word in words for address in _named(word))


def _named(word: str) -> Iterator[IpAddress]:
    """An address, or a name of this host; one that is not known is no way in."""
    name = {"loopback-only": "localhost"}.get(word, word).strip("[]")
    try:
        for *_, endpoint in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM):
            yield ip_address(endpoint[0])
    except (OSError, ValueError):
        return
