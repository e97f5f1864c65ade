"""All that a connector's mail may be taken to, and how DNS leads there."""

from collections.abc import Sequence
from dataclasses import replace

from postconnector.delivery.hosts.answer import Status
from postconnector.delivery.hosts.resolver import Resolver
from postconnector.delivery.hosts.target import NoTargetError, Target
from postconnector.delivery.in_force import InForce
from postconnector.delivery.trial.findings import FoundTarget, NotFound
from postconnector.delivery.trying import are_tried
from postconnector.delivery.ways import Ways
from postconnector.model.send_connector import SendConnector
from postconnector.model.smart_host import SmartHost


async def find_targets(
    ways: Ways, resolver: Resolver, in_force: InForce, connector: SendConnector, domain: str
) -> tuple[list[FoundTarget], list[NotFound]]:
    """Every target in the agent's order, smart hosts in theirs; and what leads nowhere.

    `resolver`: the one that `ways` ask, which remembers its answers.
    """
    found: dict[Target, FoundTarget] = {}
    nowhere = []
    for hop, part in _hops(connector, domain):
        try:
            targets = await ways.targets(in_force, part, domain)
        except NoTargetError as error:
            nowhere.append(NotFound.of(hop, error))
            continue
        preferences = await _preferences(resolver, hop)
        for target in targets:
            found.setdefault(target, FoundTarget(target, _how(hop, target, preferences)))
    return _limited(list(found.values())), nowhere


def _hops(connector: SendConnector, domain: str) -> list[tuple[str, SendConnector]]:
    """Smart hosts one by one, so that the one that is not found is seen as well."""
    if connector.dns_routing_enabled:
        return [(domain, connector)]
    return [
        (_name(host), connector.model_copy(update={"smart_hosts": (host,)}))
        for host in connector.smart_hosts
    ]


def _name(host: SmartHost) -> str:
    return str(host) if host.is_address else host.host.removesuffix(".").lower()


async def _preferences(resolver: Resolver, name: str) -> dict[str, int]:
    """By host, that of its MX record; none for an address, or where there is no MX record."""
    if name.startswith("["):
        return {}
    answer = await resolver.mail_exchangers(name)
    if answer.status is not Status.FOUND:
        return {}
    # The best of a host's counts, and comes first.
    return {each.host: each.preference for each in reversed(answer.records)}


def _how(hop: str, target: Target, preferences: dict[str, int]) -> str:
    if (preference := preferences.get(target.host)) is not None:
        return f"MX {preference} of {hop}"
    return "address as it is written" if hop.startswith("[") else f"address of {hop} (no MX)"


def _limited(found: Sequence[FoundTarget]) -> list[FoundTarget]:
    """Which of them the agent would try."""
    tried = are_tried(each.target for each in found)
    return [replace(each, tried=is_tried) for each, is_tried in zip(found, tried, strict=True)]
