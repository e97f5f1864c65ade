"""Why connectors can't be published to a host at all: some mail would take the wrong way. Pure."""

from collections.abc import Iterable, Iterator

from postconnector.model.problem import quoted
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.host_listeners import content_filters, is_carried_over
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.native import next_hop
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.stand_ins import STAND_IN_PREFIX
from postconnector.postfix.tables import kept_domains
from postconnector.selection.outcome import Candidate

OLDEST = (3, 5)
_PARENTS = "parent_domain_matches_subdomains"
_ROUTING = ("transport_maps", "default_transport", "relayhost", "relay_transport")
_BY_SENDER = ("sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps")


def refusals(
    facts: PostfixFacts,
    local: LocalRouting,
    own: OwnNames,
    entries: HostEntries,
    services: Iterable[str],
) -> Iterator[str]:
    """A sentence for each: what it is, and what would be right. `services`: names of ours."""
    default = local.table.default
    if facts.version < OLDEST:
        major, minor = facts.version
        yield (
            f"this is Postfix {major}.{minor}: several next hops for one route came with 3.5, so an"
            " older one can't try one smart host after the other; upgrade"
        )
    if "transport_maps" in facts.parameter(_PARENTS).replace(",", " ").split():
        yield (
            f"main.cf has transport_maps in {_PARENTS}: an address space contoso.com would take"
            " the mail of all its subdomains too; take transport_maps out there"
        )
    for setting in facts.service_settings:
        if setting.startswith("rewrite/") and setting.rpartition("/")[2] in _ROUTING:
            yield (
                f"master.cf sets {setting}: trivial-rewrite(8) would not see the routes of"
                " connectors; set it in main.cf instead"
            )
    yield from _odd_content_filters(facts)
    yield from _taken_names(facts, set(services))
    yield from _unknown_routes(local, own, entries)
    if default is not None and not next_hop(default.connector):
        yield from _by_sender_beside_dns(default, facts)


def _odd_content_filters(facts: PostfixFacts) -> Iterator[str]:
    """What comes back from the agent has to be given to just the same."""
    for content_filter in content_filters(facts):
        if not is_carried_over(content_filter):
            yield (
                f"the content_filter {quoted(content_filter)} has blanks, braces, commas or"
                " semicolons, which belong to no transport:nexthop; take them out"
            )


def _taken_names(facts: PostfixFacts, services: set[str]) -> Iterator[str]:
    """Of two services with one name, Postfix takes the last, whosever it is."""
    for name in sorted(facts.services):
        if name in services:
            yield (
                f"master.cf has a service {name} outside our block, which would be in the way of"
                " ours: if it is the host's own, rename it; if it is ours (postconf -F and -P move"
                " services to the end of the file), delete it there, and apply writes it anew"
            )
        if name.startswith(STAND_IN_PREFIX):
            yield (
                f"master.cf has a service {name}, and {STAND_IN_PREFIX}… are the names of services"
                " that stand in for connectors' own; rename it"
            )


def _unknown_routes(local: LocalRouting, own: OwnNames, entries: HostEntries) -> Iterator[str]:
    """A domain of the host's own keeps its route, which has to be known where ours come first."""
    if entries.routes_known or not (covered := kept_domains(local, own)):
        return
    tables = ", ".join(f"{table} ({reason})" for table, reason in entries.failing.items())
    yield (
        f"transport_maps of main.cf can't be asked for {covered[0]}, a domain of the host's own"
        f" that an address space covers: {tables}; try again when it answers"
    )


def _by_sender_beside_dns(default: Candidate, facts: PostfixFacts) -> Iterator[str]:
    """A next hop of Postfix' own always stands before the recipient's domain: relayhost has to be
    empty, and what a sender's own route leaves to it would go astray.
    """
    relay_hosts, transports = (facts.parameter(name) for name in _BY_SENDER)
    if not relay_hosts and not (transports and facts.parameter("relayhost")):
        return
    name = _BY_SENDER[0] if relay_hosts else _BY_SENDER[1]
    why = (
        "mail of the senders in it would go to their relay hosts without the login of their own"
        if relay_hosts
        else "its transports without a next hop would no longer go to relayhost"
    )
    yield (
        f"connector {quoted(default.connector.name)} (*) routes by DNS, and main.cf has {name}:"
        f" {why}; give the connector smart hosts, or name its domains instead of *, or take the"
        " parameter out"
    )
