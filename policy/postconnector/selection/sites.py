"""Least-cost paths between Active Directory sites ("Route mail between Active Directory sites")."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from postconnector.model.topology import Site, SiteLink

_NO_LIMIT = 2**63


@dataclass(frozen=True, slots=True)
class Path:
    """The way from one site to another: what it costs, and the sites and links it goes by.

    `sites` are all of them in order, both ends included.
    """

    cost: int
    sites: tuple[str, ...]
    links: tuple[SiteLink, ...]

    @property
    def hops(self) -> int:
        """How many links it goes over."""
        return len(self.links)

    @property
    def narrowest(self) -> SiteLink | None:
        """The link with the smallest size limit; None if no link has one."""
        limited = (link for link in self.links if link.max_message_size.limit is not None)
        return min(limited, key=_limit, default=None)


class SiteMap:
    """The sites of an organization and what links them."""

    def __init__(self, sites: Iterable[Site], links: Iterable[SiteLink]) -> None:
        self._sites = {site.sort_name: site for site in sites}
        self._neighbours: dict[str, dict[str, SiteLink]] = {}
        for link in links:
            for here, there in _pairs(link):
                self._connect(here, there, link)

    def paths_from(self, site: str) -> dict[str, Path]:
        """The least-cost path to every site within reach, by name without case.

        Of paths with the same cost that with fewer hops, then that whose sites, from the
        destination backwards, come first in the alphabet.
        """
        start = site.casefold()
        best: dict[str, Path] = {}
        waiting: list[tuple[int, int, tuple[str, ...], str, tuple[SiteLink, ...]]] = []
        heapq.heappush(waiting, (0, 0, (start,), start, ()))
        while waiting:
            cost, hops, backwards, here, links = heapq.heappop(waiting)
            if here in best:
                continue
            names = tuple(self._name(name) for name in reversed(backwards))
            best[here] = Path(cost, names, links)
            for there, link in self._neighbours.get(here, {}).items():
                if there not in best:
                    step = (cost + link.cost, hops + 1, (there, *backwards), there, (*links, link))
                    heapq.heappush(waiting, step)
        return best

    def hub_on(self, path: Path) -> str | None:
        """The first hub site strictly between the ends of a path, where mail stops."""
        for name in path.sites[1:-1]:
            if self._sites[name.casefold()].hub_site_enabled:
                return name
        return None

    def _name(self, folded: str) -> str:
        return self._sites[folded].name if folded in self._sites else folded

    def _connect(self, here: str, there: str, link: SiteLink) -> None:
        """Keep the cheapest of several links; of equally cheap ones that with the larger limit."""
        neighbours = self._neighbours.setdefault(here, {})
        known = neighbours.get(there)
        if known is None or (link.cost, -_limit(link)) < (known.cost, -_limit(known)):
            neighbours[there] = link


def _limit(link: SiteLink) -> int:
    limit = link.max_message_size.limit
    return _NO_LIMIT if limit is None else limit


def _pairs(link: SiteLink) -> Iterator[tuple[str, str]]:
    """A link connects each of its sites with each other."""
    names = {name.casefold() for name in link.sites}
    for here in names:
        for there in names - {here}:
            yield here, there
