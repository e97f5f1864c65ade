"""Looking up mail exchangers and addresses, with a memory; who asks the same at once asks once."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Generic, TypeVar, cast

import dns.rdata
import dns.rdatatype
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from postconnector.delivery.hosts.answer import Answer, MailExchanger
from postconnector.delivery.hosts.answer_cache import AnswerCache
from postconnector.delivery.hosts.dns_client import Asked, DnsClient
from postconnector.delivery.hosts.nameservers import RESOLV_CONF, Nameservers, SystemNameservers

_MOST_RECORDS = 40
"""Kept of one answer: more than anybody tries, less than fills the memory."""

T = TypeVar("T")


class Resolver:
    """Asks these servers (IP addresses), the first that answers counting.

    `per_try` and `in_all`: seconds, see DnsClient. `clock` gives seconds that never go back.
    """

    def __init__(
        self,
        nameservers: Sequence[str] | Callable[[], Nameservers],
        port: int = 53,
        *,
        per_try: float = 5.0,
        in_all: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        servers = nameservers if callable(nameservers) else lambda: tuple(nameservers)
        client = DnsClient(servers, port, per_try, in_all)
        self._mx = _Lookup(client, dns.rdatatype.MX, clock, _mail_exchangers)
        self._a = _Lookup(client, dns.rdatatype.A, clock, _ipv4)
        self._aaaa = _Lookup(client, dns.rdatatype.AAAA, clock, _ipv6)

    @classmethod
    def of_system(cls, path: Path = RESOLV_CONF) -> "Resolver":
        """One that asks the servers of resolv.conf, and those it names later on."""
        return cls(SystemNameservers(path))

    async def mail_exchangers(self, domain: str) -> Answer[MailExchanger]:
        """MX records, best preference first."""
        return await self._mx.answer(domain)

    def known_addresses(self, host: str) -> tuple[Answer[IPv4Address], Answer[IPv6Address]] | None:
        """A and AAAA records, if both are known without asking."""
        ipv4, ipv6 = self._a.known(host), self._aaaa.known(host)
        return None if ipv4 is None or ipv6 is None else (ipv4, ipv6)

    async def ipv4(self, host: str) -> Answer[IPv4Address]:
        """A records."""
        return await self._a.answer(host)

    async def ipv6(self, host: str) -> Answer[IPv6Address]:
        """AAAA records."""
        return await self._aaaa.answer(host)


class _Lookup(Generic[T]):
    """All questions for one type of records."""

    def __init__(
        self,
        client: DnsClient,
        asked: Asked,
        clock: Callable[[], float],
        read: Callable[[Iterable[dns.rdata.Rdata]], list[T]],
    ) -> None:
        self._client = client
        self._asked = asked
        self._read = read
        self._cache = AnswerCache[T](clock)
        self._open: dict[str, asyncio.Task[Answer[T]]] = {}

    def known(self, name: str) -> Answer[T] | None:
        return self._cache.get(name.lower())

    async def answer(self, name: str) -> Answer[T]:
        name = name.lower()
        if (known := self._cache.get(name)) is not None:
            return known
        question = self._open.get(name)
        if question is None:
            question = asyncio.create_task(self._ask(name))
            self._open[name] = question
            question.add_done_callback(lambda _: self._open.pop(name, None))
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(question)

    async def _ask(self, name: str) -> Answer[T]:
        heard = await self._client.ask(name, self._asked)
        records = tuple(self._read(heard.records)[:_MOST_RECORDS])
        answer = Answer(heard.status, records, heard.reason, heard.ttl)
        self._cache.put(name, answer)
        return answer


def _mail_exchangers(records: Iterable[dns.rdata.Rdata]) -> list[MailExchanger]:
    return sorted(
        MailExchanger(record.preference, record.exchange.to_text(omit_final_dot=True).lower())
        for record in cast(Iterable[MX], records)
    )


def _ipv4(records: Iterable[dns.rdata.Rdata]) -> list[IPv4Address]:
    return [IPv4Address(record.address) for record in cast(Iterable[A], records)]


def _ipv6(records: Iterable[dns.rdata.Rdata]) -> list[IPv6Address]:
    return [IPv6Address(record.address) for record in cast(Iterable[AAAA], records)]
