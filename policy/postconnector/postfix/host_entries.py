"""What the host's own tables say of the mail that connectors claim, and of the host's domains.

Postfix asks all tables for a key before it goes on to the next key: for the whole address, the
domain, its parents from the longest, then `*` (transport(5)).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.lookup_tables import asked_directly, elements, is_listable
from postconnector.postfix.own_domains import OwnDomains

EVERYTHING = "*"
AS_WITHOUT_TABLE = ":"
"""The right-hand side that sends mail where it would go without a table (transport(5))."""

_PATH = re.compile(r"/[^\s,{}]+")
_ANYBODY = "postmaster@"
_NOWHERE = "unclaimed.invalid"
"""A domain that no table names: one that answers for an address in it answers for all."""


@dataclass(slots=True)
class HostEntries:
    """Entries of the host's own tables.

    `transport`: of transport_maps, as far as they can be listed, else for what was asked.
    `addresses`: of tables that answer for whole addresses without naming each (pcre, static),
    by domain, EVERYTHING for all. `bare_next_hops`: entries without a transport, of domains that
    take the default one, with that as the host has it. `tls_policies`: what smtp_tls_policy_maps
    says for next hops. `failing`: tables that could not be asked, with the reason; `routes_known`:
    none of them is in transport_maps. `depends_on_questions`: tables are there that only answer.
    """

    transport: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    bare_next_hops: dict[str, str] = field(default_factory=dict)
    tls_policies: dict[str, str] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    routes_known: bool = True
    depends_on_questions: bool = False

    def transport_for(self, domain: str) -> str | None:
        """The entry by which the host routes a domain of its own; None if there is none."""
        found = (self.transport.get(key) for key in _keys(domain))
        return next((value for value in found if value is not None), None)


def read_host_entries(
    host: PostfixHost,
    facts: PostfixFacts,
    own_names: Iterable[str],
    claimed: Callable[[], Sequence[str]],
    next_hops: Callable[[], Sequence[str]],
    own_domains: OwnDomains,
) -> HostEntries:
    """Read and ask the host's tables, if it has any.

    `own_names`: the host's domains. `claimed`: domains, and .domains, of address spaces.
    `next_hops`: keys of TLS policies that connectors have demands for.
    """
    asking = _Asking(host, facts)
    if facts.parameter("transport_maps"):
        own = dict.fromkeys(key for domain in own_names for key in _keys(domain))
        asking.transport([*claimed(), *own])
        asking.entries.bare_next_hops = dict(_bare_next_hops(asking.entries, facts, own_domains))
    if facts.parameter("smtp_tls_policy_maps"):
        asking.tls_policies(next_hops())
    return asking.entries


class _Asking:
    def __init__(self, host: PostfixHost, facts: PostfixFacts) -> None:
        self._host = host
        self._ours = facts.own_directory.resolve()
        self._names = [n for n in ("transport_maps", "smtp_tls_policy_maps") if facts.parameter(n)]
        self._values: Mapping[str, str] = host.expanded(*self._names) if self._names else {}
        self.entries = HostEntries()

    def transport(self, domains: Sequence[str]) -> None:
        """The first table that has a key counts."""
        for table in self._tables("transport_maps"):
            known = self.entries.transport
            if is_listable(table):
                known.update(_unknown(self._all(table), known))
                continue
            addresses = self._addresses(table, domains)
            if EVERYTHING not in addresses:
                known.update(_unknown(self._asked(table, [*domains, EVERYTHING]), known))
            self.entries.addresses.update(_unknown(addresses, self.entries.addresses))
        self.entries.routes_known = not self.entries.failing

    def _addresses(self, table: str, domains: Sequence[str]) -> dict[str, str]:
        """What a table that can't be listed says of whole addresses, by domain."""
        asked = [_ANYBODY + _NOWHERE, *map(_anybody_in, domains)]
        found = self._asked(table, asked).items()
        answers = {key.removeprefix(_ANYBODY): value for key, value in found}
        return {EVERYTHING: answers[_NOWHERE]} if _NOWHERE in answers else answers

    def tls_policies(self, next_hops: Sequence[str]) -> None:
        for table in self._tables("smtp_tls_policy_maps") if next_hops else ():
            known = self.entries.tls_policies
            known.update(_unknown(self._asked(table, next_hops), known))

    def _tables(self, name: str) -> Iterator[str]:
        for table in map(asked_directly, elements(self._values.get(name, ""))):
            if not any(map(self._is_ours, _PATH.findall(table))):
                yield table

    def _is_ours(self, path: str) -> bool:
        """Also where what is published names our folder by another way."""
        return Path(path).resolve().is_relative_to(self._ours)

    def _all(self, table: str) -> dict[str, str]:
        try:
            return {key.lower(): value for key, value in self._host.entries(table).items()}
        except PostfixError as error:
            self.entries.failing[table] = _reason(error)
            return {}

    def _asked(self, table: str, keys: Sequence[str]) -> dict[str, str]:
        self.entries.depends_on_questions = True
        try:
            return self._host.lookup_all(table, keys)
        except PostfixError as error:
            self.entries.failing[table] = _reason(error)
            return {}


def _reason(error: PostfixError) -> str:
    """Postfix' commands say several lines, the last of them why they end."""
    return str(error).splitlines()[-1].rpartition("fatal: ")[2]


def _bare_next_hops(
    entries: HostEntries, facts: PostfixFacts, own_domains: OwnDomains
) -> Iterator[tuple[str, str]]:
    transport = facts.parameter("default_transport").partition(":")[0]
    for key, value in entries.transport.items():
        if value.startswith(":") and value != AS_WITHOUT_TABLE:
            domain = key.rpartition("@")[2]
            # .contoso.com is any subdomain, which is the host's only where its parents are.
            asked = f"any{domain}" if domain.startswith(".") else domain
            if key == EVERYTHING or not own_domains.holds(asked, relayed_too=True):
                yield key, transport + value


def _keys(domain: str) -> Iterator[str]:
    yield domain
    parent = domain.partition(".")[2]
    while parent:
        yield f".{parent}"
        parent = parent.partition(".")[2]
    yield EVERYTHING


def _anybody_in(domain: str) -> str:
    return _ANYBODY + domain.removeprefix(".")


def _unknown(found: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in found.items() if key not in known}
