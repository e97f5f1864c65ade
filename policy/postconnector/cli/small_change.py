"""Preparing a small change of what is published to be compiled by itself, where that can be done.

Everything that a publication depends on beside the connectors file has to be as it was when it was
published: this is looked at anew each time. See `postconnector.postfix.small_change`.
"""

from dataclasses import dataclass
from pathlib import Path

from postconnector.cli.program import this_program
from postconnector.cli.publication import host_entries, named_domains, prepare
from postconnector.daemon.endpoint import Endpoint
from postconnector.postfix.built_table import built_fingerprint
from postconnector.postfix.compile import compile_organization
from postconnector.postfix.facts import OWN_DIRECTORY, PostfixFacts
from postconnector.postfix.generations import REGISTER, live_folder
from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.inputs import (
    Inputs,
    holds_password,
    logins_in,
    read_inputs,
    read_published_inputs,
)
from postconnector.postfix.local_routing import LocalRouting, UnknownAddressError
from postconnector.postfix.own_domains import OwnDomains, OwnNames
from postconnector.postfix.part import Part, Published, whole_after
from postconnector.postfix.plan import is_published, read_live
from postconnector.postfix.progress import Progress
from postconnector.postfix.publish import Publication
from postconnector.postfix.register import (
    Entry,
    Register,
    configuration_fingerprint,
    entry_of,
    fingerprints,
    host_fingerprint,
)
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS
from postconnector.postfix.small_change import NeedsAllError, cut_out, small_change
from postconnector.postfix.table_names import password_table
from postconnector.postfix.unfinished import read_unfinished
from postconnector.selection.standpoint import UnknownServerError
from postconnector.sources.connectors_file import UnreadableFileError, parse_connectors, read_bytes
from postconnector.sources.entry_texts import ChangedEntries, Entries
from postconnector.sources.regular_file import read_regular_file

LOOKING = 1
"""How many steps it takes more, for a progress bar."""

_LARGEST_REGISTER = 256 * 1024**2
_CANT_TELL = (
    PostfixError,
    UnknownAddressError,
    UnknownServerError,
    UnreadableFileError,
    OSError,
)


def prepare_for_apply(
    path: Path, host: PostfixHost, progress: Progress
) -> tuple[Publication, Endpoint]:
    """As `prepare`, but of a small change nothing is compiled that it does not concern.

    Whatever is wrong is said by preparing everything.
    """
    progress.begins("looking for what changes")
    try:
        publication, endpoint = _prepare_change(path, host)
    except (NeedsAllError, *_CANT_TELL):
        return prepare(path, host, progress)
    if not is_published(publication.before, publication.rendered):
        compiled = len(publication.local.organization.connectors)
        progress.says(f"compiled {compiled} connectors: the change does not concern the others")
    return publication, endpoint


def _prepare_change(path: Path, host: PostfixHost) -> tuple[Publication, Endpoint]:
    own_directory = host.config_directory / OWN_DIRECTORY
    live = live_folder(own_directory)
    if live is None or read_unfinished(own_directory) is not None or not path.is_file():
        raise NeedsAllError("there is more to do")
    folder = path.resolve().parent
    register = _read_register(live)
    with host.asked_for_facts() as asked:
        published = _read_published(host, live, register)
        then = Entries(published.live.files[PUBLISHED_CONNECTORS], published.register.starts)
        change, now = small_change(then, read_bytes(path))
        _require_passwords(published, change, folder)
        facts = asked()
    if not change.gone and not change.new:
        _require_built(published, live, facts)
    cut = cut_out(published.register, change, _new_entries(now, change, facts))
    before, after = _routing(cut.before(then), facts), _routing(cut.after(now), facts)
    around = _look_around(host, facts, after, published.register)
    parts = (
        around.part(before, read_published_inputs(before, live)),
        around.part(after, read_inputs(after, folder)),
    )
    whole = whole_after(cut, *parts, published, facts, around.own, now)
    publication = Publication(
        host,
        facts,
        whole.compiled,
        whole.rendered,
        published.live,
        live,
        after,
        has_limits=whole.register.limited > 0,
        register=lambda: whole.register,
    )
    endpoint = Endpoint.parse(after.organization.host.policy_service, facts.queue_directory)
    return publication, endpoint


@dataclass(frozen=True, slots=True)
class _Around:
    """What compiling depends on beside connectors."""

    facts: PostfixFacts
    own: OwnNames
    entries: HostEntries

    def part(self, local: LocalRouting, inputs: Inputs) -> Part:
        if inputs.problems or inputs.certificates.states is not None:
            raise NeedsAllError("there is something to say of passwords or certificates")
        compiled = compile_organization(
            local, self.facts, self.own, inputs.passwords, {}, self.entries
        )
        return Part(local, compiled)


def _look_around(
    host: PostfixHost, facts: PostfixFacts, local: LocalRouting, register: Register
) -> _Around:
    own_domains = OwnDomains(host)
    own = own_domains.names(named_domains(local.organization))
    entries = host_entries(host, facts, local, own, own_domains)
    if host_fingerprint(facts, own, entries) != register.host:
        raise NeedsAllError("the host has changed")
    return _Around(facts, own, entries)


def _read_register(live: Path) -> Register:
    try:
        register = Register.parse(read_regular_file(live / REGISTER, _LARGEST_REGISTER))
    except ValueError:
        raise NeedsAllError("the register is broken") from None
    if register.program != this_program():
        raise NeedsAllError("another program has published")
    return register


def _read_published(host: PostfixHost, live: Path, register: Register) -> Published:
    """What is live, as long as nobody has changed it since."""
    found = read_live(host.read_files(), live)
    if configuration_fingerprint(found.configuration) != register.configuration:
        raise NeedsAllError("main.cf or master.cf was changed")
    if fingerprints(found.files) != register.files:
        raise NeedsAllError("what is published was changed")
    return Published(found, register)


def _require_built(published: Published, live: Path, facts: PostfixFacts) -> None:
    """Where nothing is asked of the tables, as nothing comes, they are as they were built."""
    for name, known in published.register.built.items():
        if built_fingerprint(facts, live / name) != known:
            raise NeedsAllError(f"somebody has built {name}")


def _new_entries(entries: Entries, change: ChangedEntries, facts: PostfixFacts) -> list[Entry]:
    """The connectors that come, by themselves."""
    if not change.new:
        return []
    numbers = range(change.start, change.start + change.new)
    local = _routing(entries.with_entries(map(entries.text, numbers)), facts)
    return [entry_of(connector, local) for connector in local.organization.connectors]


def _routing(connectors_file: bytes, facts: PostfixFacts) -> LocalRouting:
    """Connectors of which there is nothing to say."""
    file = parse_connectors(connectors_file, Path())
    if file.organization is None or file.problems:
        raise NeedsAllError("there is something to say of the connectors")
    return LocalRouting.on_host(file.organization, facts.hostname)


def _require_passwords(published: Published, change: ChangedEntries, folder: Path) -> None:
    """Those of the connectors that do not change are in their files as they are published."""
    entries = published.register.entries
    logins: dict[str, dict[str, str]] = {}
    for entry in (*entries[: change.start], *entries[change.start + change.gone :]):
        if not entry.password_file:
            continue
        if entry.service not in logins:
            logins[entry.service] = logins_in(
                published.live.files[password_table(entry.service)].decode()
            )
        login = logins[entry.service].get(entry.next_hops[0], "")
        password = login.removeprefix(f"{entry.user_name}:")
        if password == login or not holds_password(folder, entry.password_file, password):
            raise NeedsAllError("a password was changed")
