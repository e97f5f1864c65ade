"""What plan and apply share: everything that is to be published, checked but not written."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from postconnector.cli.connectors import read_file, valid_organization
from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import print_problems
from postconnector.cli.program import this_program
from postconnector.daemon.endpoint import Endpoint
from postconnector.model.organization import Organization
from postconnector.model.problem import Severity
from postconnector.postfix.compile import compile_organization
from postconnector.postfix.facts import OWN_DIRECTORY, PostfixFacts
from postconnector.postfix.generations import LIVE, live_folder
from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.host_entries import HostEntries, read_host_entries
from postconnector.postfix.inputs import (
    Inputs,
    read_inputs,
    read_publishable_inputs,
    read_published_inputs,
    read_renewed_inputs,
)
from postconnector.postfix.local_routing import LocalRouting, UnknownAddressError
from postconnector.postfix.native import tls_demand
from postconnector.postfix.own_domains import OwnDomains, OwnNames
from postconnector.postfix.plan import read_live
from postconnector.postfix.progress import Progress
from postconnector.postfix.publish import Publication
from postconnector.postfix.register import Register, register_of
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS, render
from postconnector.postfix.sharing import policy_keys
from postconnector.postfix.tables import claimed_keys
from postconnector.selection.standpoint import UnknownServerError
from postconnector.sources.connectors_file import parse_connectors


def find_host(config_directory: str | None) -> PostfixHost:
    """The Postfix instance that a command is for."""
    try:
        return PostfixHost.at(config_directory)
    except PostfixError as error:
        raise CommandFailedError(os.EX_UNAVAILABLE, str(error)) from None


PREPARING, PUBLISHING = 3, 5
"""How many steps these take, for a progress bar."""

MANY_CONNECTORS = 500
"""From here on it takes long enough to compile all of them for a small change."""


def prepare(path: Path, host: PostfixHost, progress: Progress) -> tuple[Publication, Endpoint]:
    """Read, validate and compile; also where the policy service should be."""
    live = live_folder(host.config_directory / OWN_DIRECTORY)
    folder = path.resolve().parent
    return _prepare(path, live, host, progress, lambda local: read_inputs(local, folder))


def prepare_again(
    generation: Path, host: PostfixHost, progress: Progress
) -> tuple[Publication, Endpoint]:
    """The same with what a generation was published with."""
    path = generation / PUBLISHED_CONNECTORS
    live = live_folder(host.config_directory / OWN_DIRECTORY)

    def read(local: LocalRouting) -> Inputs:
        return read_publishable_inputs(local, generation)

    return _prepare(path, live, host, progress, read)


def prepare_as_it_is(
    live: Path, host: PostfixHost, progress: Progress
) -> tuple[Publication, Endpoint]:
    """The same with the live one, also where mail of some connectors waits for a certificate."""
    path = live / PUBLISHED_CONNECTORS
    return _prepare(path, live, host, progress, lambda local: read_published_inputs(local, live))


def prepare_renewed(
    live: Path, host: PostfixHost, progress: Progress
) -> tuple[Publication, Endpoint]:
    """The same with the certificates that the store has now."""
    path = live / PUBLISHED_CONNECTORS
    return _prepare(path, live, host, progress, lambda local: read_renewed_inputs(local, live))


def _prepare(
    path: Path,
    live: Path | None,
    host: PostfixHost,
    progress: Progress,
    read: Callable[[LocalRouting], Inputs],
) -> tuple[Publication, Endpoint]:
    """`live`: the live generation, as it was found before anything was read."""
    progress.begins("reading the connectors")
    file = read_file(path)
    organization = valid_organization(file)
    progress.begins("asking Postfix what is there")
    before = read_live(host.read_files(), live or host.config_directory / OWN_DIRECTORY / LIVE)
    facts = host.facts()
    local = _local_routing(organization, facts.hostname)
    inputs = read(local)
    problems = file.located(inputs.problems)
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise configuration_error(f"{file.path}: passwords or certificates are missing", problems)
    print_problems(problems)
    own_domains = OwnDomains(host)
    own = own_domains.names(named_domains(organization))
    entries = host_entries(host, facts, local, own, own_domains)
    progress.begins("compiling")
    try:
        compiled = compile_organization(
            local, facts, own, inputs.passwords, inputs.certificates.chains, entries
        )
    except UnknownAddressError as error:
        raise configuration_error(f"{file.path}: {error}") from None
    if (states := inputs.certificates.states) is not None:
        compiled = replace(compiled, certificate_states=states.data())
    rendered = render(compiled, facts, before.configuration, file.data)

    def register() -> Register | None:
        if len(organization.connectors) < MANY_CONNECTORS or problems or file.problems:
            return None
        return register_of(this_program(), facts, own, entries, local, compiled, rendered)

    has_limits = local.table.smallest_limit is not None
    endpoint = Endpoint.parse(organization.host.policy_service, facts.queue_directory)
    publication = Publication(
        host, facts, compiled, rendered, before, live, local, has_limits, register
    )
    return publication, endpoint


def host_entries(
    host: PostfixHost,
    facts: PostfixFacts,
    local: LocalRouting,
    own: OwnNames,
    own_domains: OwnDomains,
) -> HostEntries:
    """What the host's own tables say of what the connectors claim."""

    def next_hops() -> list[str]:
        native = (connector for service in local.services for connector in service.connectors)
        demanding = (c for c in native if tls_demand(c).level is not None)
        return [key for connector in demanding for key in policy_keys(connector)]

    return read_host_entries(
        host, facts, own.names, lambda: claimed_keys(local), next_hops, own_domains
    )


def published_routing(publication: Publication) -> LocalRouting | None:
    """What is live, as it was compiled on this host; None if nothing is, or it can't be read."""
    data = publication.before.files.get(PUBLISHED_CONNECTORS)
    if data is None or data == publication.rendered.files[PUBLISHED_CONNECTORS].data:
        return publication.local if data is not None else None
    file = parse_connectors(data, publication.facts.live_directory / PUBLISHED_CONNECTORS)
    if file.organization is None:
        return None
    try:
        return LocalRouting.on_host(file.organization, publication.facts.hostname)
    except UnknownServerError:
        return None


def published_routing_at(generation: Path, host: PostfixHost) -> LocalRouting:
    """The connectors of a generation on this host. Raises CommandFailedError."""
    organization = valid_organization(read_file(generation / PUBLISHED_CONNECTORS))
    return _local_routing(organization, host.expanded("myhostname")["myhostname"])


def named_domains(organization: Organization) -> Iterator[str]:
    """Domains of which we want to know whether Postfix delivers for them."""
    for connector in organization.connectors:
        yield from (s.domain for s in connector.address_spaces if s.is_smtp and s.domain)
    for domain in organization.settings.accepted_domains:
        yield domain.sort_name.removeprefix("*.")


def _local_routing(organization: Organization, hostname: str) -> LocalRouting:
    try:
        return LocalRouting.on_host(organization, hostname)
    except UnknownServerError as error:
        raise configuration_error(str(error)) from None
