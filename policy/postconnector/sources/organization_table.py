"""The table `organization` of a document: accepted domains, sites, links, servers.

Each of its parts is a list of entries that is named in the singular, the plural, or as Exchange
does (`site`, `sites`, `Sites`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from postconnector.model.organization import OrganizationSettings
from postconnector.model.problem import DocumentPath, Problem, Severity, quoted
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
_VALUES = ("exchange_version", "tls_send_domain_secure_list")
_FIELDS = {
    **{folded(name): name for name in (*_PARTS, *_VALUES)},
    **{folded(singular): plural for plural, (singular, _) in _PARTS.items()},
}


def read_organization_settings(
    key: str, table: object
) -> tuple[OrganizationSettings, list[Problem]]:
    """The settings, without what is broken, and all that is wrong with them."""
    if not isinstance(table, Mapping):
        return OrganizationSettings(), [Problem(f"write [{ORGANIZATION}]", (key,))]
    entries = by_field(table, _FIELDS, "entry")
    problems = list(entries.problems)
    problems += [
        unknown((name,), name, [*_VALUES, *(singular for singular, _ in _PARTS.values())], "entry")
        for name in entries.unknown
    ]
    fields: dict[str, Any] = {}
    for field, value in entries.fields.items():
        if field in _PARTS:
            fields[field], found = _read_part(field, entries.spelling[field], value)
            problems += found
        else:
            fields[field] = value
    settings, _, found = validate(OrganizationSettings, fields)
    problems += found
    settings = settings or OrganizationSettings()
    problems += _references(settings, {f: entries.spelling.get(f, f) for f in _PARTS})
    return settings, entries.as_spelled(problems, (key,))


def _read_part(
    field: str, spelling: str, value: object
) -> tuple[tuple[BaseModel, ...], list[Problem]]:
    singular, kind = _PARTS[field]
    if not isinstance(value, Sequence) or isinstance(value, str):
        message = f"write [[{ORGANIZATION}.{singular}]], in double brackets"
        return (), [Problem(message, (spelling,), property=spelling)]
    found: list[BaseModel] = []
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
        if entry is not None and not broken:
            found.append(entry)
    return tuple(found), problems


def _references(settings: OrganizationSettings, spelling: Mapping[str, str]) -> Iterator[Problem]:
    """What the parts say of each other."""

    def problem(field: str, message: str, severity: Severity = Severity.ERROR) -> Problem:
        return Problem(message, (spelling[field],), property=_PARTS[field][0], severity=severity)

    for field in _PARTS:
        for name in _repeated(entry.sort_name for entry in getattr(settings, field)):
            yield problem(field, f"{quoted(name)} is there more than once")
    defaults = [domain for domain in settings.accepted_domains if domain.default]
    if len(defaults) > 1:
        names = " and ".join(domain.domain_name for domain in defaults)
        yield problem("accepted_domains", f"{names} are both the default; only one can be")
    yield from (problem("site_links", text) for text in _link_problems(settings))
    yield from (problem("servers", text) for text in _server_problems(settings))
    yield from (problem("edge_subscriptions", text) for text in _subscription_problems(settings))
    for text in _unlinked_sites(settings):
        yield problem("sites", text, Severity.WARNING)


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _link_problems(settings: OrganizationSettings) -> Iterator[str]:
    for link in settings.site_links:
        if len({name.casefold() for name in link.sites}) < 2:
            yield f"{link.name}: a site link is between two or more sites; name them"
        yield from _undeclared_sites(settings, link.name, link.sites)


def _undeclared_sites(
    settings: OrganizationSettings, of: str, names: Iterable[str]
) -> Iterator[str]:
    known = {site.sort_name for site in settings.sites}
    for name in names:
        if name.casefold() not in known:
            shown = ", ".join(site.name for site in settings.sites) or "none"
            yield f"{of}: there is no site {quoted(name)}; known are {shown}"


def _server_problems(settings: OrganizationSettings) -> Iterator[str]:
    for server in settings.servers:
        if server.is_edge:
            if server.site is not None:
                yield (
                    f"{server.name}: an Edge server stands in no site; take it out, and say the"
                    " site it is subscribed to in [[organization.edge_subscription]]"
                )
        elif server.site is not None:
            yield from _undeclared_sites(settings, server.name, [server.site])
        elif settings.sites:
            yield f"{server.name}: a Mailbox server stands in a site; say which"


def _subscription_problems(settings: OrganizationSettings) -> Iterator[str]:
    for subscription in settings.edge_subscriptions:
        server = settings.server(subscription.name)
        if server is None or not server.is_edge:
            yield f"{subscription.name}: there is no Edge server of this name"
        yield from _undeclared_sites(settings, subscription.name, [subscription.site])


def _unlinked_sites(settings: OrganizationSettings) -> Iterator[str]:
    linked = {name.casefold() for link in settings.site_links for name in link.sites}
    for site in settings.sites:
        if len(settings.sites) > 1 and site.sort_name not in linked:
            yield f"{site.name}: no site link reaches this site, so no mail from others does"
