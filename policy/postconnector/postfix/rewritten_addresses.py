"""Of which recipients Postfix makes others: virtual aliases and canonical addresses.

cleanup(8) does so when it queues a message, after smtpd(8) and milters were asked about them.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.lookup_tables import asked_directly, elements, is_table
from postconnector.postfix.remembered import Remembered

_TABLES = ("recipient_canonical_maps", "canonical_maps", "virtual_alias_maps")
_DELIMITERS = "recipient_delimiter"

log = logging.getLogger(__name__)


class RewrittenAddresses:
    """Those of one Postfix instance; answers are remembered for a minute.

    Calls block while Postfix' commands run: not for an event loop.
    """

    def __init__(self, host: PostfixHost) -> None:
        self._host = host
        self._remembered = Remembered[str, bool | None]()
        self._tables: list[str] = []
        self._delimiters = ""
        self._is_unknown = False

    def among(self, addresses: Collection[str], *, in_doubt: bool) -> frozenset[str]:
        """Those that become others; `in_doubt`: or stay beside them, or may do so, as any may
        where a table can't be asked.

        For plain addresses. Raises PostfixError where Postfix can't be asked at all.
        """
        if self._remembered.is_over:
            self._read()
        known = self._remembered.add(self._found(self._remembered.missing(addresses)))
        return _those_of(known, addresses, in_doubt)

    def remembered(self, addresses: Collection[str], *, in_doubt: bool) -> frozenset[str] | None:
        """The same, of what was found out in the last minute; never blocks. None: of some nothing
        was.
        """
        known = self._remembered.get(addresses)
        return _those_of(known, addresses, in_doubt) if known is not None else None

    def _read(self) -> None:
        values = self._host.expanded(*_TABLES, _DELIMITERS)
        found = [each for name in _TABLES for each in elements(values.get(name, ""))]
        self._tables = [asked_directly(each) for each in found if is_table(each)]
        self._delimiters = values.get(_DELIMITERS, "")
        self._is_unknown = False
        self._remembered.begin()

    def _found(self, addresses: Sequence[str]) -> dict[str, bool | None]:
        """Whether each becomes others; None where it stays beside them, or it can't be told."""
        keys = {each: list(self._keys(each)) for each in addresses}
        wanted = dict.fromkeys(chain.from_iterable(keys.values()))
        answers = []
        if wanted and not self._is_unknown:
            try:
                answers = [self._host.lookup_all(table, wanted) for table in self._tables]
            except PostfixError as error:
                log.warning("any address may be an alias: %s", error)
                self._is_unknown = True  # asking again would take a second each time
        if self._is_unknown:
            return dict.fromkeys(addresses)
        return {
            each: _becomes_others(each, [a[key] for a in answers for key in keys[each] if key in a])
            for each in addresses
        }

    def _keys(self, address: str) -> Iterator[str]:
        """What Postfix looks for (virtual(5), TABLE SEARCH ORDER), and sometimes does not: the bare
        local part counts in some domains only, and nothing but the address in tables of patterns.
        """
        local_part, _, domain = address.rpartition("@")
        for local in (local_part, self._without_extension(local_part)):
            yield f"{local}@{domain}"
            yield local
        yield f"@{domain}"

    def _without_extension(self, local_part: str) -> str:
        places = [at for mark in self._delimiters if (at := local_part.find(mark, 1)) > 0]
        return local_part[: min(places)] if places else local_part


def _becomes_others(address: str, answers: Iterable[str]) -> bool | None:
    """Going by what tables say of it; see `_found`."""
    found = {each.lower() for answer in answers for each in elements(answer)}
    others = found - {address.lower()}
    return None if others and others != found else bool(others)


def _those_of(
    known: Mapping[str, bool | None], addresses: Collection[str], in_doubt: bool
) -> frozenset[str]:
    """`in_doubt`: whether those count of which it can't be told."""
    return frozenset(
        each for each in addresses if known[each] or (in_doubt and known[each] is None)
    )
