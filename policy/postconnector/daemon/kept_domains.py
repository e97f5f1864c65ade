"""Which domains Postfix keeps from the connectors, asked without holding up an event loop."""

import asyncio

from postconnector.postfix.own_domains import OwnDomains


class KeptDomains:
    """Postfix' local and virtual domains, and its relay domains where `relayed_too` is asked.

    Without a Postfix there are none.
    """

    def __init__(self, own_domains: OwnDomains | None) -> None:
        self._own_domains = own_domains
        self._lock = asyncio.Lock()

    def known(self, domain: str, *, relayed_too: bool) -> bool | None:
        """What is known of a domain (lower case); None: it is to be found out."""
        if self._own_domains is None:
            return False
        return self._own_domains.remembered(domain, relayed_too=relayed_too)

    async def find_out(self, domain: str, *, relayed_too: bool) -> None:
        """Ask Postfix, whose commands run beside; known afterwards. Raises PostfixError."""
        if self._own_domains is not None:
            async with self._lock:
                await asyncio.to_thread(self._own_domains.holds, domain, relayed_too=relayed_too)
