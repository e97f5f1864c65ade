"""The table `organization` of a document: accepted domains, sites, links, servers.

Each of its parts is a list of entries that is named in the singular, the plural, or as Exchange
does (`site`, `sites`, `Sites`).
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from postconnector.model.organization import OrganizationSettings
from postconnector.model.problem import DocumentPath, Problem, Severity, quoted, some_of
from postconnector.model.property_names import folded
from postconnector.model.topology import (
    AcceptedDomain,
    EdgeSubscription,
    Server,
    Site,
    SiteLink,
)
from postconnector.sources.fields import by_field, unknown, validate

ORGANIZATION = "organization"
_PARTS: dict[str, tuple[str, type[BaseModel]]] = {
    "accepted_domains": ("accepted_domain", AcceptedDomain),
    "sites": ("site", Site),
    "site_links": ("site_link", SiteLink),
    "servers": ("server", Server),
    "edge_subscriptions": ("edge_subscription", EdgeSubscription),
}
_VALUES = (
    "exchange_version",
    "tls_send_domain_secure_list",
    "downgraded_failures",
    "upgraded_failures",
)
_FIELDS = {
    **{folded(name): name for name in (*_PARTS, *_VALUES)},
    **{folded(singular): plural for plural, (singular, _) in _PARTS.items()},
}


_REFERENCES = frozenset(("name", "domain_name", "default", "site", "sites", "server_role"))
"""What entries say of each other; one in which this is broken takes no part in that."""


def read_organization_settings(
    key: str, table: object
) -> tuple[OrganizationSettings, list[Problem]]:
    """The settings, without what is broken, and all that is wrong with them."""
    settings, problems, _ = read_organization_table(key, table)
    return settings, problems


def read_organization_table(
    key: str, table: object
) -> tuple[OrganizationSettings, list[Problem], frozenset[str]]:
    """The same, and the parts of which something is broken, so that less is known than said."""
    if not isinstance(table, Mapping):
        return OrganizationSettings(), [Problem(f"write [{ORGANIZATION}]", (key,))], frozenset()
    entries = by_field(table, _FIELDS, "entry")
    problems = list(entries.problems)
    problems += [
        unknown((name,), name, [*_VALUES, *(singular for singular, _ in _PARTS.values())], "entry")
        for name in entries.unknown
    ]
    fields: dict[str, Any] = {}
    places: dict[str, list[DocumentPath]] = {}
    broken: set[str] = set()
    for field, value in entries.fields.items():
        if field in _PARTS:
            found, wrong = _read_part(field, entries.spelling[field], value)
            fields[field] = tuple(entry for entry, _ in found)
            places[field] = [path for _, path in found]
            problems += wrong
            broken |= {field} if wrong else set()
        else:
            fields[field] = value
    settings, wrong_fields, wrong = validate(OrganizationSettings, fields)
    problems += wrong
    broken |= wrong_fields
    settings = settings or OrganizationSettings()
    problems += _reference_problems(settings, places, broken)
    return settings, entries.as_spelled(problems, (key,)), frozenset(broken)


def _read_part(
    field: str, spelling: str, value: object
) -> tuple[list[tuple[BaseModel, DocumentPath]], list[Problem]]:
    """The entries of a part, each with its place, and all that is wrong with them."""
    singular, kind = _PARTS[field]
    if not isinstance(value, Sequence) or isinstance(value, str):
        message = f"write [[{ORGANIZATION}.{singular}]], in double brackets"
        return [], [Problem(message, (spelling,), property=spelling)]
    found: list[tuple[BaseModel, DocumentPath]] = []
    problems: list[Problem] = []
    names = {folded(name): name for name in kind.model_fields}
    for index, item in enumerate(value):
        path: DocumentPath = (spelling, index)
        if not isinstance(item, Mapping):
            problems.append(Problem("this is not a table", path, property=singular))
            continue
        entries = by_field(item, names, "entry")
        entry, broken, wrong = validate(kind, entries.fields)
        wrong = entries.problems + wrong
        wrong += [unknown((key,), key, kind.model_fields, "entry") for key in entries.unknown]
        problems += entries.as_spelled(wrong, path)
        if entry is not None and not broken & _REFERENCES:
            found.append((entry, path))
    return found, problems


_SITES, _SERVERS = frozenset(("sites",)), frozenset(("servers",))


@dataclass(frozen=True, slots=True)
class _Flaw:
    """What an entry says that does not fit the others: its part, number there, and property.

    `needs`: the parts that have to be known whole for this to be sure.
    """

    part: str
    number: int
    name: str
    message: str
    severity: Severity = Severity.ERROR
    needs: frozenset[str] = frozenset()


def _reference_problems(
    settings: OrganizationSettings, places: Mapping[str, list[DocumentPath]], broken: Set[str]
) -> Iterator[Problem]:
    """What the parts say of each other; what is broken is not missed as well."""
    flaws = [
        *_repeated(settings),
        *_default_domain_flaws(settings),
        *_link_flaws(settings),
        *_server_flaws(settings),
        *_subscription_flaws(settings),
        *_unlinked_sites(settings),
    ]
    for flaw in flaws:
        if flaw.needs & broken:
            continue
        path = (*places[flaw.part][flaw.number], flaw.name)
        yield Problem(flaw.message, path, property=flaw.name, severity=flaw.severity)


def _repeated(settings: OrganizationSettings) -> Iterator[_Flaw]:
    for part in _PARTS:
        seen: set[str] = set()
        for number, entry in enumerate(getattr(settings, part)):
            if entry.sort_name in seen:
                name = "domain_name" if part == "accepted_domains" else "name"
                message = f"{quoted(entry.sort_name)} is there more than once"
                yield _Flaw(part, number, name, message)
            seen.add(entry.sort_name)
    names = {server.sort_name for server in settings.servers}
    full_names: set[str] = set()
    for number, server in enumerate(settings.servers):
        if server.full_name and server.full_name in full_names:
            message = f"{quoted(server.full_name)} is another server's too"
            yield _Flaw("servers", number, "fqdn", message)
        full_names.add(server.full_name)
        if server.full_name in names - {server.sort_name}:
            message = f"{quoted(server.full_name)} is the name of another server"
            yield _Flaw("servers", number, "name", message)


def _default_domain_flaws(settings: OrganizationSettings) -> Iterator[_Flaw]:
    defaults = [n for n, domain in enumerate(settings.accepted_domains) if domain.default]
    for number in defaults[1:]:
        first = settings.accepted_domains[defaults[0]].domain_name
        message = f"{first} is the default already; only one domain can be"
        yield _Flaw("accepted_domains", number, "default", message)
    for number, domain in enumerate(settings.accepted_domains):
        if domain.default and domain.domain_name.startswith("*"):
            message = "the default domain is one domain, without a wildcard"
            yield _Flaw("accepted_domains", number, "default", message)


class _Sites:
    """The names of the sites, to look others up in."""

    def __init__(self, settings: OrganizationSettings) -> None:
        self._known = {site.sort_name for site in settings.sites}
        self._shown = some_of(site.name for site in settings.sites)

    def flaw(self, part: str, number: int, name: str, site: str) -> Iterator[_Flaw]:
        """What is wrong with a site's name that an entry has under `name`, if anything is."""
        if site.casefold() not in self._known:
            message = f"there is no site {quoted(site)}; known are {self._shown}"
            yield _Flaw(part, number, name, message, needs=_SITES)


def _link_flaws(settings: OrganizationSettings) -> Iterator[_Flaw]:
    sites = _Sites(settings)
    for number, link in enumerate(settings.site_links):
        if len({name.casefold() for name in link.sites}) < 2:
            message = "a site link is between two or more sites; name them"
            yield _Flaw("site_links", number, "sites", message)
        for name in link.sites:
            yield from sites.flaw("site_links", number, "sites", name)


def _server_flaws(settings: OrganizationSettings) -> Iterator[_Flaw]:
    sites = _Sites(settings)
    for number, server in enumerate(settings.servers):
        wrong: str | None = None
        if server.is_edge and server.site is not None:
            wrong = (
                "an Edge server stands in no site; take it out, and say the site that it is"
                " subscribed to in [[organization.edge_subscription]]"
            )
        elif not server.is_edge and server.site is not None:
            yield from sites.flaw("servers", number, "site", server.site)
        elif not server.is_edge and settings.sites:
            wrong = "a Mailbox server stands in a site; say which"
        if wrong is not None:
            yield _Flaw("servers", number, "site", wrong, needs=_SITES)


def _subscription_flaws(settings: OrganizationSettings) -> Iterator[_Flaw]:
    sites, subscribed = _Sites(settings), set[str]()
    for number, subscription in enumerate(settings.edge_subscriptions):
        server = settings.server(subscription.name)
        if server is None or not server.is_edge:
            message = f"there is no Edge server {quoted(subscription.name)}"
            yield _Flaw("edge_subscriptions", number, "name", message, needs=_SERVERS)
        elif server.sort_name in subscribed and subscription.sort_name != server.sort_name:
            message = f"{server.name} is subscribed to a site already"
            yield _Flaw("edge_subscriptions", number, "name", message)
        subscribed.add(server.sort_name if server is not None else subscription.sort_name)
        yield from sites.flaw("edge_subscriptions", number, "site", subscription.site)


def _unlinked_sites(settings: OrganizationSettings) -> Iterator[_Flaw]:
    linked = {name.casefold() for link in settings.site_links for name in link.sites}
    for number, site in enumerate(settings.sites):
        if len(settings.sites) > 1 and site.sort_name not in linked:
            message = "no site link reaches this site, so no mail from other sites does"
            links = frozenset(("sites", "site_links"))
            yield _Flaw("sites", number, "name", message, Severity.WARNING, links)
