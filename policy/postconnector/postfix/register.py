"""What is noted beside a publication of many connectors, so that a small change of them later need
not compile all of them again (see `small_change`). Pure.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import GenericAlias
from typing import Annotated, NamedTuple

from pydantic import GetCoreSchemaHandler, GetPydanticSchema, TypeAdapter
from pydantic_core import CoreSchema, core_schema

from postconnector.model.send_connector import SendConnector
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import ConfigurationFiles
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.native import logs_in, next_hops, tls_demand
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS, Rendered
from postconnector.sources.entry_texts import ChangedEntries, entry_starts


class Entry(NamedTuple):
    """A connector as it was published, as far as others may have to do with it.

    `service`: empty where this host does not carry it out. `domains`: of its address spaces,
    without wildcard labels, with blanks between. `reaches_further`: it has others, such as `*`.
    `is_plain`: it leads to smart hosts and has nothing that is looked at beyond its own service.
    `user_name` and `password_file` are empty where it does not log in.
    """

    name: str
    service: str
    tls_policy: str
    domains: str
    reaches_further: bool
    is_plain: bool
    next_hops: tuple[str, ...]
    user_name: str = ""
    password_file: str = ""


def _rows(_source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
    """How entries are read: as plain tuples, which takes a third of the time."""
    row = GenericAlias(tuple, tuple(Entry.__annotations__.values()))
    rows = handler.generate_schema(GenericAlias(tuple, (row, ...)))
    return core_schema.no_info_after_validator_function(
        lambda rows: tuple(map(Entry._make, rows)), rows
    )


@dataclass(frozen=True, slots=True)
class Register:
    """All that has to be as it was, beside the connectors file, and the connectors in its order.

    `program`: what compiled. `host`: what Postfix said of itself. `configuration`: main.cf and
    master.cf. `files`: those of the generation by name; `built`: what postmap(1) made of them. All
    five by their fingerprints. `warnings`: what was said of the host. `limited`: how many
    addresses are of connectors with a MaxMessageSize. `starts`: where in the connectors file each
    connector begins.
    """

    program: str
    host: str
    configuration: str
    files: Mapping[str, str]
    warnings: tuple[str, ...]
    limited: int
    entries: Annotated[tuple[Entry, ...], GetPydanticSchema(_rows)]
    starts: tuple[int, ...]
    built: Mapping[str, str] = field(default_factory=dict)

    def data(self) -> bytes:
        """As it stands in the generation's folder: JSON behind a line with its fingerprint."""
        body = _REGISTER.dump_json(self)
        return f"{fingerprint(body)}\n".encode() + body

    @classmethod
    def parse(cls, data: bytes) -> "Register":
        """What `data` gave. Raises ValueError for anything else."""
        known, _, body = data.partition(b"\n")
        if known != fingerprint(body).encode():
            raise ValueError("the fingerprint is another")
        return _REGISTER.validate_json(body)

    def with_built(self, built: Mapping[str, str]) -> "Register":
        """The same with what the tables were built to."""
        return replace(self, built=built)

    def with_change(
        self,
        change: ChangedEntries,
        new: Iterable[Entry],
        starts: Sequence[int],
        files: Mapping[str, bytes],
        more_limited: int,
    ) -> "Register":
        """The same with other entries in the place of some, and other contents of some files."""
        kept = self.entries[: change.start], self.entries[change.start + change.gone :]
        return replace(
            self,
            entries=(*kept[0], *new, *kept[1]),
            starts=tuple(starts),
            files={**self.files, **fingerprints(files)},
            limited=self.limited + more_limited,
        )


_REGISTER = TypeAdapter(Register)


def register_of(
    program: str,
    facts: PostfixFacts,
    own: OwnNames,
    host_entries: HostEntries,
    local: LocalRouting,
    compiled: Compiled,
    rendered: Rendered,
) -> Register | None:
    """Note a publication; None where a part of it can't be compiled by itself.

    That is where what the host says depends on what it is asked, where the delivery agent or
    certificates play a part, and where the connectors' texts can't be told apart.
    """
    if own.unlisted or host_entries.depends_on_questions or host_entries.failing:
        return None
    if compiled.agent_only or compiled.certificates or compiled.certificate_states is not None:
        return None
    files = {name: file.data for name, file in rendered.files.items()}
    starts = entry_starts(files[PUBLISHED_CONNECTORS])
    if starts is None or len(starts) != len(local.organization.connectors):
        return None
    return Register(
        program,
        host_fingerprint(facts, own, host_entries),
        configuration_fingerprint(rendered.configuration),
        fingerprints(files),
        compiled.warnings,
        limited_addresses(local),
        tuple(entry_of(connector, local) for connector in local.organization.connectors),
        starts,
    )


def entry_of(connector: SendConnector, local: LocalRouting) -> Entry:
    """Note a connector."""
    smtp = [space for space in connector.address_spaces if space.is_smtp and space.domain]
    reaches_further = len(smtp) < len(connector.address_spaces)
    is_own = local.is_own(connector)
    credential = connector.authentication_credential if is_own and logs_in(connector) else None
    return Entry(
        name=connector.name,
        service=local.names.get(connector.name, ""),
        tls_policy=tls_demand(connector).policy or "",
        domains=" ".join(dict.fromkeys([space.domain for space in smtp])),
        reaches_further=reaches_further,
        is_plain=not (
            reaches_further
            or connector.dns_routing_enabled
            or connector.shows_certificate
            or any(host.is_subscribed_site for host in connector.smart_hosts)
        ),
        next_hops=next_hops(local.known(connector)),
        user_name=credential.user_name if credential is not None else "",
        password_file=(credential.password_file or "") if credential is not None else "",
    )


def limited_addresses(local: LocalRouting, domains: Collection[str] | None = None) -> int:
    """How many addresses, in these domains or all, are of connectors with a MaxMessageSize."""
    return sum(
        winner.connector.max_message_size.limit is not None
        for (_, domain), winner in local.table.addresses()
        if domains is None or domain in domains
    )


def host_fingerprint(facts: PostfixFacts, own: OwnNames, entries: HostEntries) -> str:
    """Of all that is known of the host beside its two files."""
    return fingerprint(_canonical([asdict(facts), asdict(own), asdict(entries)]))


def configuration_fingerprint(files: ConfigurationFiles) -> str:
    """Of main.cf and master.cf."""
    return fingerprint(_canonical(asdict(files)))


def fingerprints(files: Mapping[str, bytes]) -> dict[str, str]:
    """Of each of these files."""
    return {name: fingerprint(data) for name, data in files.items()}


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, default=_listed).encode()


def _listed(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def fingerprint(data: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(data).hexdigest()
