"""What Postfix asks the lookup service, and where in its configuration. Pure.

Two things can't stand in a table that `apply` writes: whose turn it is among several smart hosts,
and whether a connector's own certificate can be shown now. Mail of other connectors, and of none,
is never asked about. See docs/operations.md, "Live lookups".

- Routes: transport_maps has a pipe of tables. The first, built by `apply`, has only the domains
  whose connector has several smart hosts; the route found there is what the service is asked for,
  and it answers with the same route in another order.
- Certificates: the connector's own service asks for a TLS policy, of which there is none while all
  is well; else smtp(8) defers before it connects, and the reason is asked for.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from urllib.parse import quote

from postconnector.model.address_space import Specificity
from postconnector.model.organization import HostSettings
from postconnector.model.problem import quoted
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.compiled import Service, Table
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.local_routing import LocalRouting, UnknownAddressError
from postconnector.postfix.lookup_tables import joined
from postconnector.postfix.native import next_hops
from postconnector.postfix.settings import Setting, host_tables
from postconnector.postfix.table_names import CERTIFICATE_FAILURES_TABLE, ROUND_ROBIN_TABLE

TRANSPORT_MAP = "transport"
CERTIFICATE_MAP = "certificate"
REASON_MAP = "reason"
"""Names of the maps; the two of certificates have `/` and the connector's name behind them."""

TABLE_TYPES = frozenset({"pipemap", "socketmap"})
"""What Postfix must have for this."""

_TLS_FAILURE = "/^4[.]7[.]5.client.TLS.configuration.problem$/"
"""What smtp(8) says when it can't ask for a TLS policy."""


def can_ask(facts: PostfixFacts) -> bool:
    """Whether this Postfix was built with what it takes (3.0 and later are, by default)."""
    return facts.table_types >= TABLE_TYPES


LONGEST_ROUTE = 8000
"""Characters; some 200 smart hosts. Those of a longer one are tried in their order."""


def routes_in_turn(local: LocalRouting, facts: PostfixFacts) -> frozenset[str]:
    """The routes, as they stand in a transport table, whose smart hosts take turns."""
    if not can_ask(facts):
        return frozenset()
    routes = (
        f"{service.name}:{local.next_hop(connector)}"
        for service in local.services
        for connector in service.connectors
        if _has_several_hosts(local, connector)
    )
    return frozenset(route for route in routes if len(route) <= LONGEST_ROUTE)


def round_robin_table(routes: Mapping[str, str], in_turn: Collection[str]) -> Iterator[Table]:
    """The domains whose route is one of those; `routes` by domain."""
    if entries := tuple((key, routes[key]) for key in sorted(routes) if routes[key] in in_turn):
        yield Table(ROUND_ROBIN_TABLE, entries)


def live_transport(facts: PostfixFacts, host: HostSettings) -> str:
    """The table in transport_maps that asks whose turn it is."""
    return _pipe(facts.table(ROUND_ROBIN_TABLE), _socketmap(host, TRANSPORT_MAP))


def certificate_failures_table(services: Sequence[Service]) -> Iterator[Table]:
    """The pattern of what is asked about, if one of these asks; see `with_certificate_check`."""
    values = (setting.value for service in services for setting in service.settings)
    if any(f"/{CERTIFICATE_FAILURES_TABLE}," in value for value in values):
        yield Table(CERTIFICATE_FAILURES_TABLE, ((_TLS_FAILURE, "why"),), patterns=True)


def with_certificate_check(
    settings: Sequence[Setting],
    connectors: Sequence[SendConnector],
    facts: PostfixFacts,
    host: HostSettings,
) -> tuple[Setting, ...]:
    """The settings of a service with the question about its connectors' certificate in front.

    They all have the same one (see `sharing`).
    """
    if not connectors[0].shows_certificate or not can_ask(facts):
        return tuple(settings)
    name = quote(min(connector.name for connector in connectors), safe="")
    failures = facts.pattern_table(CERTIFICATE_FAILURES_TABLE)
    asked = {
        "smtp_tls_policy_maps": _socketmap(host, f"{CERTIFICATE_MAP}/{name}"),
        "smtp_delivery_status_filter": _pipe(failures, _socketmap(host, f"{REASON_MAP}/{name}")),
    }
    return (
        *(_before(asked.pop(s.name), s) if s.name in asked else s for s in settings),
        *(_new(parameter, table, facts) for parameter, table in asked.items()),
    )


def needing_lookups(local: LocalRouting, facts: PostfixFacts) -> Iterator[tuple[str, str]]:
    """The connectors, by name, whose mail waits without the lookup service, and why."""
    if not can_ask(facts):
        return
    several = {c.name for c in _native(local) if _has_several_hosts(local, c)}
    in_turn = several & _claiming_domains(local) if several else several
    for connector in _native(local):
        if connector.shows_certificate:
            yield connector.name, "it has a certificate of its own (TlsCertificateName)"
        elif connector.name in in_turn:
            yield connector.name, "it has several smart hosts"


def _claiming_domains(local: LocalRouting) -> frozenset[str]:
    """The connectors, by name, that get mail by a table."""
    return frozenset(
        winner.connector.name
        for (specificity, _), winner in local.table.addresses()
        if specificity is not Specificity.ALL
    )


def lookup_warnings(local: LocalRouting, facts: PostfixFacts) -> Iterator[str]:
    """What Exchange does for connectors, and this host does not."""
    several = [c.name for c in _native(local) if _has_several_hosts(local, c)]
    default = local.table.default
    if default is not None and default.reach.hops == 0 and default.connector.name in several:
        yield (
            f"connector {quoted(default.connector.name)} has several smart hosts: mail that takes"
            " it by the address space * tries them in their order, and the first has all the load;"
            " Exchange, and address spaces that name domains, spread it"
        )
    if can_ask(facts):
        return
    missing = ", ".join(sorted(TABLE_TYPES - facts.table_types))
    for connector in _native(local):
        if connector.shows_certificate or connector.name in several:
            yield (
                f"this Postfix has no tables of type {missing}: smart hosts are tried in their"
                " order, and an expired certificate is shown all the same; install a Postfix that"
                " was built with them"
            )
            return


def _has_several_hosts(local: LocalRouting, connector: SendConnector) -> bool:
    hosts = connector.smart_hosts
    if len(hosts) == 1 and not hosts[0].is_subscribed_site:
        return False
    try:
        return len(set(next_hops(local.resolved(connector)))) > 1
    except UnknownAddressError:
        return False  # this is said where the route is compiled


def _native(local: LocalRouting) -> Iterator[SendConnector]:
    """The connectors that Postfix carries out by itself."""
    return (connector for service in local.services for connector in service.connectors)


def _before(table: str, setting: Setting) -> Setting:
    return setting._replace(
        value=joined(table, setting.value),
        reason=f"TlsCertificateName, {setting.reason}",
    )


def _new(parameter: str, table: str, facts: PostfixFacts) -> Setting:
    return Setting(parameter, table, "TlsCertificateName", host_tables(parameter, facts))


def _socketmap(host: HostSettings, name: str) -> str:
    return f"socketmap:{host.lookup_service}:{name}"


def _pipe(first: str, then: str) -> str:
    """Without blanks, so that it is one word everywhere."""
    return f"pipemap:{{{first},{then}}}"
