"""Which connectors share an smtp(8) service, and which need one of their own. Pure.

Postfix checks master.cf in square time (12 s for 1,000 services), so on a host with many
connectors those that differ only in smart host, credential and TLS names share a service, told
apart by next hop in smtp_sasl_password_maps and smtp_tls_policy_maps. With few connectors each
has a service that bears its name, in the log too.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from postconnector.enforcement.tls_requirement import mutual_tls_domains
from postconnector.model.address_space import Specificity
from postconnector.model.domain import in_unicode
from postconnector.model.organization import OrganizationSettings
from postconnector.model.problem import quoted
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.native import TlsDemand, logs_in, next_hops, tls_demand
from postconnector.postfix.service_names import PREFIX
from postconnector.postfix.settings import Setting, own_settings

MOST_OWN_SERVICES = 30
"""With more connectors than these, they share."""

_NOT_IN_A_SHAPE = frozenset(
    {
        "name",
        "comment",
        "enabled",
        "address_spaces",
        "smart_hosts",
        "authentication_credential",
        "source_transport_servers",
        "max_message_size",
    }
)
_said = attrgetter(*(name for name in SendConnector.model_fields if name not in _NOT_IN_A_SHAPE))
_ANY_HOST = PostfixFacts(Path("/"), Path("/"), version=(4, 0), map_type="lmdb")
"""For comparing connectors: their settings on one and the same host."""


@dataclass(frozen=True, slots=True)
class ConnectorService:
    """An smtp(8) service and the connectors that it carries out.

    `why_own`: what keeps its only connector from sharing with others; None where nothing does.
    """

    name: str
    connectors: tuple[SendConnector, ...]
    why_own: str | None = None


@dataclass(frozen=True, slots=True)
class _OwnShape:
    """What connectors must have in common to share a service."""

    settings: tuple[Setting, ...]
    certificate: str | None
    login: bool
    mutual_tls: bool
    demand: TlsDemand | None

    def reason(self, common: Collection[Setting]) -> str:
        """The properties by which a connector has a shape that no other has; all have `common`."""
        own = [setting for setting in self.settings if setting not in common]
        names = {name: None for setting in own for name in setting.reason.split(", ")}
        if self.certificate is not None:
            names["TlsCertificateName"] = None
        if self.mutual_tls:
            names["DomainSecureEnabled"] = None
        if self.demand is not None and self.demand.level is not None:
            names["TlsAuthLevel"] = None
        return f"no other connector has the same {', '.join(names) or 'settings'}"


_Distinction = tuple[str | None, object]
"""What tables say of a next hop: its TLS policy and its credential."""


@dataclass(slots=True)
class _Sharing:
    """Connectors that share a service; no next hop of theirs is to be treated in two ways."""

    members: list[SendConnector] = field(default_factory=list)
    by_next_hop: dict[str, _Distinction] = field(default_factory=dict)
    beneath: dict[str, set[_Distinction]] = field(default_factory=dict)

    def takes(self, hops: Sequence[str], distinction: _Distinction) -> bool:
        """Whether nothing that is known of these next hops, or around them, says otherwise."""
        return all(
            self.by_next_hop.get(known, distinction) == distinction
            for hop in hops
            for known in (hop, *_around(hop))
        ) and all(self.beneath.get(hop, {distinction}) == {distinction} for hop in hops)

    def add(self, connector: SendConnector, hops: Sequence[str], distinction: _Distinction) -> None:
        self.members.append(connector)
        for hop in hops:
            self.by_next_hop[hop] = distinction
            for parent in _around(hop):
                self.beneath.setdefault(parent, set()).add(distinction)


def connector_services(
    connectors: Sequence[SendConnector],
    names: Mapping[str, str],
    settings: OrganizationSettings,
) -> tuple[ConnectorService, ...]:
    """Give each connector a service; `names` are those of services of their own.

    The name of a shared service depends on what its connectors have in common alone, so that
    it stays while connectors come and go.
    """
    if len(connectors) <= MOST_OWN_SERVICES:
        return tuple(ConnectorService(names[c.name], (c,)) for c in connectors)
    found: dict[_OwnShape, list[_Sharing]] = {}
    known: dict[tuple[object, ...], _OwnShape] = {}
    for connector in connectors:
        hops, distinction = policy_keys(connector), _distinction(connector)
        look = _look(connector, hops)
        if look not in known:
            known[look] = _shape(connector, settings)
        shared = found.setdefault(known[look], [])
        for sharing in shared:
            if sharing.takes(hops, distinction):
                break
        else:
            sharing = _Sharing()
            shared.append(sharing)
        sharing.add(connector, hops, distinction)
    common = frozenset.intersection(*(frozenset(shape.settings) for shape in found))
    return tuple(
        _service(shape, number, shared, names, common)
        for shape, shared in found.items()
        for number in range(len(shared))
    )


def policy_keys(connector: SendConnector) -> tuple[str, ...]:
    """What Postfix looks up for the connector's mail in tables by next hop.

    With DNS routing a next hop is a recipient's domain: keys are those of the transport table.
    There are none where they can't be told, as for the address space *.
    """
    if not connector.dns_routing_enabled:
        return next_hops(connector)
    keys: list[str] = []
    for space in connector.address_spaces:
        match space.specificity:
            case Specificity.EXACT:
                keys.append(space.domain)
            case Specificity.WILDCARD:
                keys += (space.domain, f".{space.domain}")
            case _:
                return ()
    return (*keys, *filter(None, map(in_unicode, keys)))


def _service(
    shape: _OwnShape,
    number: int,
    shared: Sequence[_Sharing],
    names: Mapping[str, str],
    common: Collection[Setting],
) -> ConnectorService:
    members = tuple(shared[number].members)
    if len(members) > 1:
        digest = hashlib.sha256(repr((shape, number)).encode()).hexdigest()[:8]
        return ConnectorService(f"{PREFIX}shared-{digest}", members)
    why = shape.reason(common)
    if len(shared) > 1:
        others = shared[0 if number else 1].members
        other = next(each for each in others if not _fit(each, members[0]))
        why = f"{quoted(other.name)} has the same next hop with another credential or TLS name"
    return ConnectorService(names[members[0].name], members, why)


def _look(connector: SendConnector, hops: Sequence[str]) -> tuple[object, ...]:
    """All that a shape is made of; of thousands of connectors most have the same."""
    return (_said(connector), bool(connector.smart_hosts), bool(hops))


def _fit(one: SendConnector, other: SendConnector) -> bool:
    """Whether two connectors of the same shape could share a service."""
    alone = _Sharing()
    alone.add(one, policy_keys(one), _distinction(one))
    return alone.takes(policy_keys(other), _distinction(other))


def _shape(connector: SendConnector, settings: OrganizationSettings) -> _OwnShape:
    demand = tls_demand(connector)
    said_by_table = demand.level is not None and bool(policy_keys(connector))
    return _OwnShape(
        settings=tuple(own_settings(connector, _ANY_HOST, settings)),
        certificate=_certificate(connector),
        login=logs_in(connector),
        mutual_tls=bool(mutual_tls_domains(connector, settings)),
        demand=None if said_by_table else demand,
    )


def _certificate(connector: SendConnector) -> str | None:
    return str(connector.tls_certificate_name) if connector.shows_certificate else None


def _distinction(connector: SendConnector) -> _Distinction:
    credential = connector.authentication_credential if logs_in(connector) else None
    return tls_demand(connector).policy, credential


def _around(hop: str) -> Iterator[str]:
    """The keys that Postfix asks for when it has none for a domain: .contoso.com, .com."""
    if ":" in hop:
        return
    parent = hop.removeprefix(".")
    while parent := parent.partition(".")[2]:
        yield f".{parent}"
