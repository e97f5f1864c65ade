"""Where a connector's mail goes: address spaces, smart hosts, limits."""

import re
from collections.abc import Iterator, Sequence

from postconnector.model.address_space import SMTP, X400, AddressSpace
from postconnector.model.exchange_version import ExchangeVersion
from postconnector.model.organization import OrganizationSettings
from postconnector.model.rules.rule import Finding, Rule, rule_for, warning
from postconnector.model.send_connector import SendConnector, SmartHostAuthMechanism

RULES: list[Rule] = []
_BLANK_VALUE = re.compile(r"=\s*(?:;|$)")


def _is_linked(connector: SendConnector, settings: OrganizationSettings) -> bool:
    """Later versions have no such connectors, and refuse the property itself."""
    old = settings.exchange_version is ExchangeVersion.V2010
    return old and connector.linked_receive_connector is not None


@rule_for(RULES, "address_spaces", "linked_receive_connector")
def _address_spaces(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    """V2, V3."""
    if _is_linked(connector, settings):
        if connector.address_spaces:
            yield Finding(
                "address_spaces", "AddressSpaces can't be used together with LinkedReceiveConnector"
            )
    elif not connector.address_spaces and connector.linked_receive_connector is None:
        yield Finding(
            "address_spaces",
            'AddressSpaces is required; write e.g. address_spaces = ["contoso.com"]',
        )


@rule_for(RULES, "address_spaces")
def _odd_address_spaces(
    connector: SendConnector, _settings: OrganizationSettings
) -> Iterator[Finding]:
    if _are_ordinary(connector.address_spaces):
        return
    seen: set[object] = set()
    for space in connector.address_spaces:
        kind = space.type if space.is_smtp else space.type.casefold()
        key = (kind, space.specificity, space.attributes or space.domain)
        if key in seen:
            yield warning(
                "address_spaces", f"{space.address} is named more than once; its lowest cost counts"
            )
        seen.add(key)
        if space.type == X400 and _BLANK_VALUE.search(space.address):
            yield warning(
                "address_spaces", f"{space}: an attribute without a value counts as missing"
            )
        if space.is_smtp and space.domain and "." not in space.domain:
            yield warning("address_spaces", f"{space.address} has only one label")


def _are_ordinary(spaces: Sequence[AddressSpace]) -> bool:
    """Whether all are domains of several labels and differ, as those of nearly all connectors."""
    found = {space[3:5] for space in spaces if space.type == SMTP and "." in space.domain}
    return len(found) == len(spaces)


@rule_for(RULES, "address_spaces", "smart_hosts", "dns_routing_enabled")
def _other_types(connector: SendConnector, _settings: OrganizationSettings) -> Iterator[Finding]:
    """V13."""
    if connector.smart_hosts or not connector.dns_routing_enabled:
        return
    for space in connector.address_spaces:
        if space.type != SMTP:
            yield Finding(
                "address_spaces",
                f"{space}: an address space that is not SMTP needs SmartHosts and"
                " DNSRoutingEnabled false; add smart_hosts and dns_routing_enabled = false",
            )


@rule_for(RULES, "address_spaces")
def _without_default_domain(
    connector: SendConnector, settings: OrganizationSettings
) -> Iterator[Finding]:
    if any(domain.default for domain in settings.accepted_domains):
        return
    for space in connector.address_spaces:
        if space.type != SMTP:
            yield warning(
                "address_spaces",
                f"{space}: no recipient is of this type, as the organization has no accepted"
                " domain with default = true, in which such addresses are encapsulated",
            )


@rule_for(RULES, "dns_routing_enabled", "smart_hosts")
def _smart_hosts(connector: SendConnector, _settings: OrganizationSettings) -> Iterator[Finding]:
    """V4, V5."""
    if connector.smart_hosts and connector.dns_routing_enabled:
        yield Finding(
            "smart_hosts",
            "SmartHosts can't be used while DNSRoutingEnabled is true, which is the default;"
            " add dns_routing_enabled = false",
        )
    if not connector.smart_hosts and not connector.dns_routing_enabled:
        yield Finding(
            "dns_routing_enabled",
            "DNSRoutingEnabled false needs SmartHosts; add smart_hosts, or take this line out to"
            " route by DNS",
        )


@rule_for(
    RULES,
    "linked_receive_connector",
    "dns_routing_enabled",
    "max_message_size",
    "smart_hosts",
    "smart_host_auth_mechanism",
)
def _linked(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    """V23."""
    if not _is_linked(connector, settings):
        return
    for right, name, wanted in (
        (not connector.dns_routing_enabled, "dns_routing_enabled", "DNSRoutingEnabled false"),
        (connector.max_message_size.limit is None, "max_message_size", "MaxMessageSize unlimited"),
        (bool(connector.smart_hosts), "smart_hosts", "SmartHosts"),
        (
            connector.smart_host_auth_mechanism is not SmartHostAuthMechanism.NONE,
            "smart_host_auth_mechanism",
            "SmartHostAuthMechanism",
        ),
    ):
        if not right:
            yield Finding(name, f"LinkedReceiveConnector needs {wanted}")


@rule_for(RULES, "max_message_size")
def _max_message_size(
    connector: SendConnector, _settings: OrganizationSettings
) -> Iterator[Finding]:
    if connector.max_message_size.limit == 0:
        yield warning("max_message_size", "0 means that no message takes this connector")


@rule_for(RULES, "port")
def _port(connector: SendConnector, _settings: OrganizationSettings) -> Iterator[Finding]:
    if connector.port == 0:
        yield warning("port", "nothing can be reached on port 0: mail will wait")
