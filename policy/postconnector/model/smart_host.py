"""Smart hosts: where a connector that does not use DNS routing hands its mail to.

An FQDN (whose MX records count first, then its addresses) or an IP address
(New-SendConnector, parameter SmartHosts).
"""

import ipaddress
import re
from dataclasses import dataclass

from postconnector.model.domain import is_ip_address, parse_domain

_WITH_PORT = re.compile(r"(?P<host>[^:\s]+|\[[^\]\s]+\]):(?P<port>[0-9]+)")

_SUBSCRIBED_SITE = "--"


@dataclass(frozen=True, slots=True)
class SmartHost:
    """A smart host: `host` is a domain name, or an IP address in its shortest form.

    On an Edge server `--` stands for the Mailbox servers of the subscribed site.
    """

    host: str
    is_address: bool

    @classmethod
    def parse(cls, text: str) -> "SmartHost":
        """Read an FQDN or an IP address, bare or in brackets.

        Raises ValueError, saying what would be right.
        """
        text = text.strip()
        bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        if is_ip_address(bare):
            return cls(str(ipaddress.ip_address(bare)), is_address=True)
        if match := _WITH_PORT.fullmatch(text):
            raise ValueError(
                f"a smart host has no port; write {match['host']} here and port = {match['port']}"
            )
        if "*" in text:
            raise ValueError("a smart host is one host; write its name without a wildcard")
        if bare.casefold().startswith("ipv6:") and bare != text:
            raise ValueError(f"leave IPv6: away; write [{bare[5:]}]")
        if bare != text:
            raise ValueError("brackets are for IP addresses; write a host name without them")
        if text == _SUBSCRIBED_SITE:
            return cls(text, is_address=False)
        return cls(parse_domain(text), is_address=False)

    @property
    def is_subscribed_site(self) -> bool:
        """Whether this stands for the servers of the subscribed site."""
        return self.host == _SUBSCRIBED_SITE

    def __str__(self) -> str:
        return f"[{self.host}]" if self.is_address else self.host
