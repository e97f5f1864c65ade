"""What on the host works against the connectors: what wins, and how to decide otherwise. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from postconnector.enforcement.header_firewall import header_firewall
from postconnector.model.address_space import Specificity
from postconnector.model.domain import mistaken
from postconnector.model.organization import AskMilter, HostSettings
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.compiled import Service
from postconnector.postfix.facts import END_OF_DATA_RESTRICTIONS, PostfixFacts
from postconnector.postfix.host_entries import EVERYTHING, HostEntries
from postconnector.postfix.host_listeners import (
    asked_restrictions,
    asking_parameters,
    behind_filters,
    content_filters,
    is_asked_behind,
    not_asking_behind,
    pickup_of,
)
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.native import next_hop, tls_demand
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.sharing import policy_keys
from postconnector.postfix.tables import authoritative_domains, claim_on_key, claimed_by
from postconnector.postfix.version_conflicts import named, version_conflicts
from postconnector.selection.outcome import Candidate
from postconnector.selection.routing_table import RoutingTable

MANY_SERVICES = 200
"""From here on `postfix check` takes more than a second for them."""


def conflicts(
    local: LocalRouting,
    facts: PostfixFacts,
    own: OwnNames,
    services: Sequence[Service],
    default: Candidate | None,
    entries: HostEntries,
    set_by_us: Iterable[str],
) -> Iterator[str]:
    """A sentence for each; `set_by_us` are the parameters of main.cf that are to be set."""
    native = [connector for service in services for connector in service.connectors]
    yield from _own_domains(local.table, own)
    yield from _authoritative(local, own)
    yield from _mistaken_domains(local.table)
    yield from _failing(entries)
    yield from _whole_addresses(local.table, own, entries.addresses)
    yield from _transport_entries(local.table, own, default, entries.transport)
    if default is not None:
        yield from _default_route(default.connector, facts)
    yield from _tls_policies(native, entries.tls_policies)
    yield from _own_restrictions(local.organization.host, facts)
    yield from _content_filters(local.organization.host, facts)
    yield from _followers(facts, set_by_us)
    yield from _sizes(native, facts)
    yield from _trust(native, facts)
    yield from version_conflicts(native, facts)
    yield from _routing_headers(native, local)
    yield from _many_services(services)


def _own_domains(routing: RoutingTable, own: OwnNames) -> Iterator[str]:
    for domain in sorted(own.names):
        claim = claimed_by(routing, domain)
        if claim is not None and claim.address_space.specificity is Specificity.EXACT:
            yield (
                f'connector "{claim.connector.name}" names {domain}, but Postfix delivers mail'
                " for it itself (mydestination, virtual domains): it stays here; take it out of"
                " Postfix' domains if the connector is to have it"
            )
    wildcards = any(s is Specificity.WILDCARD for (s, _), _ in routing.addresses())
    if wildcards:
        for table in own.unlisted:
            yield (
                f"the domains in {table} can't be listed: one below an address space with a"
                " wildcard is taken by that connector"
            )


def _authoritative(local: LocalRouting, own: OwnNames) -> Iterator[str]:
    """What Exchange delivers itself, Postfix has to know as well, or it would take the way out."""
    for domain in sorted({domain.removeprefix(".") for domain in authoritative_domains(local)}):
        if domain not in own.names:
            yield (
                f"the accepted domain {domain} is authoritative, so no connector takes its mail:"
                " Postfix needs it in mydestination, its virtual domains or relay_domains"
            )


def _mistaken_domains(routing: RoutingTable) -> Iterator[str]:
    for (_, domain), winner in routing.addresses():
        if "xn--" in domain and (names := mistaken(domain)) is not None:
            written, other = names
            yield (
                f'connector "{winner.connector.name}" names {domain}: mail to {written}, written so'
                f" (SMTPUTF8), is mail to {other} for Postfix, and goes where that goes"
            )


def _failing(entries: HostEntries) -> Iterator[str]:
    for table, reason in entries.failing.items():
        yield (
            f"the host's table {table} can't be asked ({reason}): whether it works against"
            " connectors is not known"
        )


def _whole_addresses(
    routing: RoutingTable, own: OwnNames, entries: Mapping[str, str]
) -> Iterator[str]:
    """Tables of patterns are asked for a whole address before ours has its domain."""
    for domain, value in sorted(entries.items()):
        if domain == EVERYTHING:
            yield (
                f"a table in the host's transport_maps sends every address to {value}: no connector"
                " gets anything; have it answer for domains only, or take it out"
            )
        elif domain not in own.names and (claim := claimed_by(routing, domain)) is not None:
            yield (
                f"a table in the host's transport_maps sends addresses in {domain} to {value}, and"
                f' wins over connector "{claim.connector.name}": take them out of it if the'
                " connector is to have them"
            )


def _transport_entries(
    routing: RoutingTable, own: OwnNames, default: Candidate | None, entries: Mapping[str, str]
) -> Iterator[str]:
    """Postfix asks all tables for the address, then for its domain, then for parents of it."""
    for key, value in sorted(entries.items()):
        if key == EVERYTHING:
            if default is not None:
                yield (
                    f"the host's transport_maps send * to {value}: connector"
                    f' "{default.connector.name}" (*) gets nothing; take the entry out if the'
                    " connector is to have it"
                )
            continue
        user, _, domain = key.rpartition("@")
        claim = claim_on_key(routing, domain if user else key)
        if claim is None or domain in own.names:
            continue
        owner, space = f'connector "{claim.connector.name}"', str(claim.address_space.address)
        if not user and key in _keys(claim):
            yield (
                f"the host's transport_maps send {key} to {value}, but {owner} ({space}) wins:"
                " disable the connector, or take the domain out of it, if the entry is to count"
            )
        else:
            yield (
                f"the host's transport_maps send {key} to {value}, which is more precise than"
                f" {space} of {owner} and wins: take the entry out if the connector is to have it"
            )


def _keys(claim: Candidate) -> tuple[str, ...]:
    space = claim.address_space
    if space.specificity is Specificity.WILDCARD:
        return space.domain, f".{space.domain}"
    return (space.domain,)


def _default_route(connector: SendConnector, facts: PostfixFacts) -> Iterator[str]:
    if facts.parameter("sender_dependent_default_transport_maps"):
        yield (
            "sender_dependent_default_transport_maps of main.cf wins over connector"
            f' "{connector.name}" (*) for the senders that it names; take them out if the connector'
            " is to have their mail"
        )
    if facts.parameter("sender_dependent_relayhost_maps") and next_hop(connector):
        yield (
            f'connector "{connector.name}" (*) wins over sender_dependent_relayhost_maps of'
            " main.cf: its smart hosts get the mail of all senders"
        )


def _tls_policies(native: Sequence[SendConnector], policies: Mapping[str, str]) -> Iterator[str]:
    for connector in native if policies else ():
        demand = tls_demand(connector)
        for key in policy_keys(connector) if demand.level is not None else ():
            if key in policies and policies[key] != demand.policy:
                yield (
                    f"the host's smtp_tls_policy_maps say {policies[key]!r} for {key}, but"
                    f' connector "{connector.name}" demands {demand.policy!r} and wins; without'
                    " RequireTLS and IgnoreSTARTTLS the host's policy would count"
                )


def _own_restrictions(host: HostSettings, facts: PostfixFacts) -> Iterator[str]:
    asked = {*asked_restrictions(host)}
    for service, own in facts.own_restrictions.items():
        if own >= asked and host.milter is not AskMilter.SMTP:
            what = (
                "what comes in there is routed by the connectors, but the policy service does not"
                " see it"
            )
        elif END_OF_DATA_RESTRICTIONS not in own:
            what = (
                "MaxMessageSize is judged there when a message has come, not at RCPT TO; with"
                " several recipients the delivery agent does it, and sends reports"
            )
        elif END_OF_DATA_RESTRICTIONS in asked:
            what = "MaxMessageSize is judged there by the size that the client declares alone"
        else:
            continue  # the milter judges there
        parameters = ", ".join(sorted(own))
        yield f"master.cf gives {service} restrictions of its own ({parameters}): {what}"


def _content_filters(host: HostSettings, facts: PostfixFacts) -> Iterator[str]:
    """FILTER has a message go to a connector, or to the agent, in place of the content filter."""
    filters = ", ".join(content_filters(facts))
    if not filters:
        return
    if is_asked_behind(facts, host):
        yield (
            "mail that its size moves to another connector is moved behind the content filter"
            f" {filters}: where it comes back, which may be {', '.join(behind_filters(facts))}, the"
            " rules are asked again; if it comes back elsewhere, have them asked there too"
        )
    else:
        needed = ", ".join(
            f"{name} ({_needed_to_ask(name, host, facts)})"
            for name in not_asking_behind(facts, host)
        )
        yield (
            "mail that its size moves to another connector passes the content filter"
            f" {filters} by (FILTER); to have it filtered, have the rules asked again where it may"
            f" come back: {needed}"
        )


def _needed_to_ask(listener: str, host: HostSettings, facts: PostfixFacts) -> str:
    if listener == pickup_of(facts):
        return "[host] milter, and no no_milters"
    own = f"no {' or '.join(asking_parameters(host))} of its own in master.cf"
    return own if host.milter is not AskMilter.SMTP else f"{own}, and no no_milters"


def _followers(facts: PostfixFacts, set_by_us: Iterable[str]) -> Iterator[str]:
    """Services of the host's own, which we leave as they are."""
    reference = re.compile(rf"[$][({{]?\s*({'|'.join(set_by_us)})\b")
    for setting, value in facts.service_settings.items():
        if (found := reference.search(value)) is not None:
            yield (
                f"master.cf sets {setting} = {value}, which follows {found[1]}: it gets the value"
                " that connectors need; write there what you mean"
            )


def _sizes(native: Sequence[SendConnector], facts: PostfixFacts) -> Iterator[str]:
    """message_size_limit is for the whole host; 0 is none, and an expression is left alone."""
    text = facts.parameter("message_size_limit")
    limit = int(text) if text.isdecimal() else 0
    limits = ((c.name, c.max_message_size.limit) for c in native) if limit else ()
    larger = [name for name, own_limit in limits if own_limit is None or own_limit > limit]
    if larger:
        yield (
            f"main.cf has message_size_limit = {limit}: Postfix refuses larger messages before a"
            f" connector is asked, whatever MaxMessageSize of {named(larger)} says"
        )


def _trust(native: Sequence[SendConnector], facts: PostfixFacts) -> Iterator[str]:
    verifying = [c.name for c in native if tls_demand(c).level == "secure"]
    if not verifying:
        return
    for name in facts.missing_files:
        yield (
            f"{name} of main.cf names {facts.parameter(name)}, which is not there: certificates"
            f" can't be verified for {named(verifying)}, and this mail will wait"
        )
    if not facts.parameter("smtp_tls_CAfile") and not facts.parameter("smtp_tls_CApath"):
        yield (
            f"certificates are verified for {named(verifying)}, but main.cf has neither"
            " smtp_tls_CAfile nor smtp_tls_CApath: this mail will wait"
        )


def _routing_headers(native: Sequence[SendConnector], local: LocalRouting) -> Iterator[str]:
    without = [c.name for c in native if not header_firewall(c, local.settings).routing]
    if without:
        yield (
            f"Received headers do not leave by {named(without)}, as its usage type has it: a loop"
            " by way of that next hop is not noticed here"
        )


def _many_services(services: Sequence[Service]) -> Iterator[str]:
    if len(services) > MANY_SERVICES:
        yield (
            f"{len(services)} smtp(8) services are needed: Postfix takes long to check and start"
            " them (12 s for 1,000); connectors share one where they differ only in smart host,"
            " credential and TLS names"
        )
