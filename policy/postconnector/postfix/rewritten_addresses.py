"""Of which recipients Postfix makes others: virtual aliases and canonical addresses.

cleanup(8) does so when it queues a message, after smtpd(8) and milters were asked about them.
"""

import logging
import time
from collections.abc import Iterator

from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.lookup_tables import asked_directly, elements, is_table

_TABLES = ("recipient_canonical_maps", "canonical_maps", "virtual_alias_maps")
_DELIMITERS = "recipient_delimiter"
_FRESH = 60.0
_MOST_REMEMBERED = 10_000

log = logging.getLogger(__name__)


class RewrittenAddresses:
    """Those of one Postfix instance; answers are remembered for a minute.

    Calls block while Postfix' commands run: not for an event loop.
    """

    def __init__(self, host: PostfixHost) -> None:
        self._host = host
        self._remembered: dict[str, bool] = {}
        self._read_at = -_FRESH
        self._tables: list[str] = []
        self._delimiters = ""

    def holds(self, address: str) -> bool:
        """Whether an address may become another. Of a table that can't be asked it may.

        Raises PostfixError where Postfix can't be asked at all.
        """
        if self._is_old() or len(self._remembered) > _MOST_REMEMBERED:
            self._read()
        if address not in self._remembered:
            self._remembered[address] = self._is_rewritten(address)
        return self._remembered[address]

    def remembered(self, address: str) -> bool | None:
        """The same, of what was found out in the last minute; never blocks. None: nothing was."""
        return None if self._is_old() else self._remembered.get(address)

    def _is_old(self) -> bool:
        return time.monotonic() - self._read_at > _FRESH

    def _read(self) -> None:
        self._read_at = time.monotonic()
        self._remembered = {}
        values = self._host.expanded(*_TABLES, _DELIMITERS)
        found = [each for name in _TABLES for each in elements(values.get(name, ""))]
        self._tables = [asked_directly(each) for each in found if is_table(each)]
        self._delimiters = values.get(_DELIMITERS, "")

    def _is_rewritten(self, address: str) -> bool:
        keys = list(dict.fromkeys(self._keys(address)))
        try:
            return any(
                value.strip().lower() != address.lower()
                for table in self._tables
                for value in self._host.lookup_all(table, keys).values()
            )
        except PostfixError as error:
            log.warning("any address may be an alias: %s", error)
            return True

    def _keys(self, address: str) -> Iterator[str]:
        """What Postfix looks for (virtual(5), TABLE SEARCH ORDER), and sometimes does not: the bare
        local part counts in some domains only, and nothing but the address in tables of patterns.
        """
        if "\n" in address:
            return
        local_part, at, domain = address.rpartition("@") if "@" in address else (address, "", "")
        for local in (local_part, self._without_extension(local_part)):
            yield f"{local}{at}{domain}"
            yield local
        yield f"@{domain}"

    def _without_extension(self, local_part: str) -> str:
        places = [at for mark in self._delimiters if (at := local_part.find(mark, 1)) > 0]
        return local_part[: min(places)] if places else local_part
