"""Where a message is to be taken: from a domain, or a connector's smart hosts, to targets in order.

Asks DNS, leaves to `mail_exchangers` and `smart_hosts` what the answers mean, and to `back_off`
who is not to be bothered now.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

from postconnector.delivery.hosts.address_literal import is_address_literal, parse_address_literal
from postconnector.delivery.hosts.answer import MailExchanger, is_host_name
from postconnector.delivery.hosts.back_off import BackOff
from postconnector.delivery.hosts.mail_exchangers import exchangers_of, permanent, places, temporary
from postconnector.delivery.hosts.mail_host import Family, MailHost
from postconnector.delivery.hosts.own_host import IpAddress, OwnHost
from postconnector.delivery.hosts.resolver import Resolver
from postconnector.delivery.hosts.route import has_route
from postconnector.delivery.hosts.smart_hosts import RoundRobin, no_smart_host
from postconnector.delivery.hosts.target import NoTargetError, Target
from postconnector.delivery.reply import Reply
from postconnector.model.plain_text import clean
from postconnector.model.smart_host import SmartHost

_SMTP_PORT = 25
_NOBODY = OwnHost()


class NextHops:
    """For all connectors whose DNS servers are those of `resolver`.

    `own`: this host, which mail must not come back to. `rng` shuffles equal hosts.
    `has_route`: whether the system has a way to an address.
    """

    def __init__(
        self,
        resolver: Resolver,
        back_off: BackOff,
        own: OwnHost,
        rng: random.Random,
        has_route: Callable[[str], bool] = has_route,
    ) -> None:
        self._resolver = resolver
        self._back_off = back_off
        self._own = own
        self._rng = rng
        self._has_route = has_route
        self._round_robin = RoundRobin()

    async def for_domain(
        self, domain: str, port: int = _SMTP_PORT, family: Family | None = None
    ) -> list[Target]:
        """Targets for mail to this domain (A-labels, or an address literal), best first.

        `family`: that of the connector's SourceIPAddress; None: both. Raises NoTargetError.
        """
        return self._back_off.usable(await self._of_domain(domain, port, family))

    async def for_smart_hosts(
        self, key: str, hosts: Sequence[SmartHost], port: int, family: Family | None = None
    ) -> list[Target]:
        """Targets of these smart hosts; each call begins with the next of them.

        `key`: the connector, which has turns of its own. Raises NoTargetError, always 4xx.
        """
        in_turn = self._round_robin.take_turn(key, hosts)
        found = await asyncio.gather(*(self._of_smart_host(host, port, family) for host in in_turn))
        targets = [target for each in found if isinstance(each, list) for target in each]
        if not targets:
            replies = [each for each in found if isinstance(each, Reply)]
            raise no_smart_host(list(zip(in_turn, replies, strict=True)))
        return self._back_off.usable(list(dict.fromkeys(targets)))

    async def _of_smart_host(
        self, host: SmartHost, port: int, family: Family | None
    ) -> list[Target] | Reply:
        """Its targets, or why there are none."""
        try:
            if host.is_address:
                literal = f"[IPv6:{host.host}]" if ":" in host.host else f"[{host.host}]"
                return self._of_literal(literal, port, family)
            return await self._of_name(host.host, port, family)
        except NoTargetError as error:
            return error.reply

    async def _of_domain(self, domain: str, port: int, family: Family | None) -> list[Target]:
        if is_address_literal(domain):
            return self._of_literal(domain, port, family)
        return await self._of_name(domain, port, family)

    async def _of_name(self, name: str, port: int, family: Family | None) -> list[Target]:
        name = name.removesuffix(".").lower()
        if not is_host_name(name):
            raise permanent(550, "5.1.2", f"{clean(name)} is no domain name")
        answer = await self._resolver.mail_exchangers(name)
        exchangers = exchangers_of(name, answer, self._rng)
        hosts = await self._mail_hosts(exchangers)
        found = places(name, hosts, family, self._own_at(port), self._rng)
        targets = [Target(host, str(address), port) for host, address in found]
        if len({":" in target.address for target in targets}) < 2:
            return targets
        # Without any way at all the connection is to fail, and to say why.
        return [target for target in targets if self._has_route(target.address)] or targets

    async def _mail_hosts(self, exchangers: Sequence[MailExchanger]) -> Sequence[MailHost]:
        """All are asked for at once; most of the time nobody has to be asked."""
        known = [self._resolver.known_addresses(exchanger.host) for exchanger in exchangers]
        found = [
            MailHost(exchanger.preference, exchanger.host, *addresses)
            for exchanger, addresses in zip(exchangers, known, strict=True)
            if addresses is not None
        ]
        if len(found) == len(exchangers):
            return found
        return await asyncio.gather(*map(self._mail_host, exchangers))

    async def _mail_host(self, exchanger: MailExchanger) -> MailHost:
        ipv4, ipv6 = await asyncio.gather(
            self._resolver.ipv4(exchanger.host), self._resolver.ipv6(exchanger.host)
        )
        return MailHost(exchanger.preference, exchanger.host, ipv4, ipv6)

    def _of_literal(self, literal: str, port: int, family: Family | None) -> list[Target]:
        try:
            address: IpAddress = parse_address_literal(literal)
        except ValueError:
            raise permanent(550, "5.1.2", f"{clean(literal)} is no address literal") from None
        if family is not None and address.version != family:
            raise temporary("4.4.4", f"{literal} cannot be reached by IPv{family}")
        if self._own_at(port).is_at(address):
            raise permanent(550, "5.4.6", f"mail for {literal} loops back to this host")
        return [Target(str(address), str(address), port)]

    def _own_at(self, port: int) -> OwnHost:
        """Behind another port than SMTP's stands somebody else, on this host too."""
        return self._own if port == _SMTP_PORT else _NOBODY
