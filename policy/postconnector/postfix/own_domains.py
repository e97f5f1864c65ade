"""Which domains Postfix keeps for itself, whatever the connectors say.

Mail for its local and virtual domains never takes a Send connector, as mail for Exchange's
authoritative domains does not. Its relay domains are kept from a `*` connector only. The lists
(ADDRESS_CLASS_README) are matched as match_list(3) does: names, `!` for not, files, tables, and
for relay domains parents.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, product, takewhile
from pathlib import Path

from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.lookup_tables import asked_directly, elements, is_listable, is_table
from postconnector.postfix.remembered import Remembered

_DELIVERED = ("mydestination", "virtual_alias_domains", "virtual_mailbox_domains")
_RELAYED = ("relay_domains",)
_PARENTS = "parent_domain_matches_subdomains"


@dataclass(frozen=True, slots=True)
class OwnNames:
    """The local and virtual domains by name, as far as they can be listed.

    `unlisted`: tables of domains that can only be asked, such as mysql:/etc/postfix/domains.cf.
    """

    names: frozenset[str] = frozenset()
    unlisted: tuple[str, ...] = ()


class OwnDomains:
    """The domains of one Postfix instance; answers are remembered for a minute.

    Calls block while Postfix' commands run: not for an event loop.
    """

    def __init__(self, host: PostfixHost) -> None:
        self._host = host
        self._remembered = Remembered[tuple[str, bool], bool]()
        self._lists: dict[str, list[str]] = {}
        self._parents: frozenset[str] = frozenset()
        self._ahead: frozenset[str] = frozenset()
        self._found_ahead: dict[str, Collection[str]] = {}

    def holds(self, domain: str, *, relayed_too: bool = False) -> bool:
        """Whether Postfix delivers mail for `domain` (lower case) itself, or relays it too.

        Raises PostfixError when Postfix can't be asked.
        """
        known = self.remembered(domain, relayed_too=relayed_too)
        if known is not None:
            return known
        if self._remembered.is_over:
            self._read()
        found = self._is_listed(domain, relayed_too)
        self._remembered.add({(domain, relayed_too): found})
        return found

    def find_out(self, domains: Collection[str]) -> None:
        """Have all of these remembered; each table is asked but once for them."""
        if self._remembered.is_over:
            self._read()
        self._ahead = frozenset(chain.from_iterable(map(_with_parents, domains)))
        try:
            questions = product(domains, (False, True))
            self._remembered.add({each: self._is_listed(*each) for each in questions})
        finally:
            self._ahead, self._found_ahead = frozenset(), {}

    def remembered(self, domain: str, *, relayed_too: bool = False) -> bool | None:
        """The same, of what was found out in the last minute; never blocks. None: nothing was."""
        key = domain, relayed_too
        known = self._remembered.get([key])
        return known[key] if known is not None else None

    def names(self, asked: Iterable[str]) -> OwnNames:
        """List the local and virtual domains; those in `asked` are looked for in every table."""
        self._read()
        unlisted: list[str] = []
        listed = {
            domain for name in _DELIVERED for domain in self._listed(self._lists[name], unlisted)
        }
        candidates = listed | set(asked) if unlisted else listed
        return OwnNames(frozenset(d for d in candidates if self.holds(d)), tuple(unlisted))

    def _listed(self, listed: Iterable[str], unlisted: list[str]) -> Iterator[str]:
        for element in listed:
            pattern = _pattern(element)
            if pattern.startswith("/"):
                yield from self._listed(elements(_read_file(Path(pattern))), unlisted)
            elif not is_table(pattern):
                yield pattern.lower()
            elif is_listable(pattern):
                # $virtual_alias_maps has addresses too.
                yield from (key.lower() for key in self._host.entries(pattern) if "@" not in key)
            else:
                unlisted.append(pattern)

    def _read(self) -> None:
        lists = _DELIVERED + _RELAYED
        values = self._host.expanded(*lists, _PARENTS)
        self._lists = {name: _before_comment(elements(values.get(name, ""))) for name in lists}
        self._parents = frozenset(elements(values.get(_PARENTS, "")))
        self._remembered.begin()

    def _is_listed(self, domain: str, relayed_too: bool) -> bool:
        lists = _DELIVERED + _RELAYED if relayed_too else _DELIVERED
        return any(self._matches(name, domain) for name in lists)

    def _matches(self, name: str, domain: str) -> bool:
        keys = [domain]
        if name in _RELAYED:
            parents_too = name in self._parents
            keys += (p for p in _parents(domain) if p.startswith(".") != parents_too)
        return self._list_matches(self._lists[name], keys)

    def _list_matches(self, listed: list[str], keys: list[str]) -> bool:
        for element in listed:
            wanted = not element.startswith("!")
            if self._element_matches(_pattern(element), keys):
                return wanted
        return False

    def _element_matches(self, pattern: str, keys: list[str]) -> bool:
        if pattern.startswith("/"):
            return self._list_matches(elements(_read_file(Path(pattern))), keys)
        if is_table(pattern):
            return self._table_has_one(pattern, keys)
        return pattern.lower() in keys

    def _table_has_one(self, table: str, keys: list[str]) -> bool:
        if not self._ahead.issuperset(keys):
            return any(self._host.lookup(table, key) is not None for key in keys)
        if table not in self._found_ahead:
            self._found_ahead[table] = self._host.lookup_all(table, sorted(self._ahead))
        return any(key in self._found_ahead[table] for key in keys)


def _with_parents(domain: str) -> Iterator[str]:
    """All that a list may be asked about a domain."""
    yield domain
    yield from _parents(domain)


def _parents(domain: str) -> Iterator[str]:
    """Each in both forms: contoso.com, .contoso.com."""
    parent = domain.partition(".")[2]
    while parent:
        yield from (parent, f".{parent}")
        parent = parent.partition(".")[2]


def _pattern(element: str) -> str:
    """An element without its exclamation marks."""
    return asked_directly(element.lstrip("!"))


def _before_comment(listed: list[str]) -> list[str]:
    """Postfix takes no comments behind values: it warns of the first word, and ends there."""
    return list(takewhile(lambda element: not element.startswith("#"), listed))


def _read_file(path: Path) -> str:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PostfixError(f"{path}: {error}") from None
    return " ".join(line.partition("#")[0] for line in lines)
