"""What the Postfix on this host makes of recipients by itself, whoever asks."""

import asyncio
import threading
from collections.abc import Collection
from functools import partial

from postconnector.enforcement.postfix_view import NotKnownYetError
from postconnector.postfix.added_recipients import AddedRecipients
from postconnector.postfix.host import PostfixHost
from postconnector.postfix.own_domains import OwnDomains
from postconnector.postfix.rewritten_addresses import RewrittenAddresses


class PostfixAnswers:
    """For threads: they wait for one another, and for Postfix' commands. Without a Postfix nothing
    is kept, and nothing rewritten.
    """

    def __init__(self, host: PostfixHost | None) -> None:
        self._domains = OwnDomains(host) if host is not None else None
        self._addresses = RewrittenAddresses(host) if host is not None else None
        self._lock = threading.Lock()

    def keeps(self, domain: str, *, relayed_too: bool) -> bool:
        """Whether Postfix delivers for a domain (lower case), or relays. Raises PostfixError."""
        if self._domains is None:
            return False
        with self._lock:
            return self._domains.holds(domain, relayed_too=relayed_too)

    def ask_ahead(self, domains: Collection[str]) -> None:
        """It will be asked for these. Raises PostfixError."""
        if self._domains is not None:
            with self._lock:
                self._domains.find_out(domains)

    def rewritten(self, addresses: Collection[str], *, in_doubt: bool) -> frozenset[str]:
        """Those of which it makes others; `in_doubt`: or may. Raises PostfixError."""
        if self._addresses is None:
            return frozenset()
        with self._lock:
            return self._addresses.among(addresses, in_doubt=in_doubt)


class RememberedAnswers:
    """The same for an event loop: what is not known is told by NotKnownYetError."""

    def __init__(self, host: PostfixHost | None) -> None:
        self._added = AddedRecipients(host) if host is not None else None
        self._domains = OwnDomains(host) if host is not None else None
        self._addresses = RewrittenAddresses(host) if host is not None else None
        self._lock = asyncio.Lock()

    def keeps(self, domain: str, *, relayed_too: bool) -> bool:
        """Raises NotKnownYetError."""
        if self._domains is None:
            return False
        known = self._domains.remembered(domain, relayed_too=relayed_too)
        if known is None:
            raise NotKnownYetError(partial(self._domains.holds, domain, relayed_too=relayed_too))
        return known

    def ask_ahead(self, domains: Collection[str]) -> None:
        """Raises NotKnownYetError."""
        if self._domains is None:
            return
        unknown = [each for each in domains if self._domains.remembered(each) is None]
        if unknown:
            raise NotKnownYetError(partial(self._domains.find_out, unknown))

    def rewritten(self, addresses: Collection[str], *, in_doubt: bool) -> frozenset[str]:
        """Raises NotKnownYetError."""
        if self._addresses is None:
            return frozenset()
        known = self._addresses.remembered(addresses, in_doubt=in_doubt)
        if known is None:
            raise NotKnownYetError(partial(self._addresses.among, addresses, in_doubt=in_doubt))
        return known

    def adds_recipients(self) -> bool:
        """Whether it may add some to a message when it queues it. Raises NotKnownYetError."""
        if self._added is None:
            return False
        known = self._added.remembered()
        if known is None:
            raise NotKnownYetError(self._added.may_come)
        return known

    async def find_out(self, unknown: NotKnownYetError) -> None:
        """Ask Postfix, whose commands run beside; known afterwards. Raises PostfixError."""
        async with self._lock:
            await asyncio.to_thread(unknown.ask)
