"""Properties that the organization's version of Exchange does not have."""

from collections.abc import Iterator

from postconnector.model.error_policies import ErrorPolicy
from postconnector.model.exchange_version import ExchangeVersion
from postconnector.model.organization import OrganizationSettings
from postconnector.model.property_names import EXCHANGE_NAMES
from postconnector.model.rules.rule import Finding, Rule, rule_for
from postconnector.model.send_connector import SendConnector
from postconnector.model.versions import INSTEAD, added_in, is_in_version

RULES: list[Rule] = []


@rule_for(RULES, "exchange_version")
def _lacking(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    """V22."""
    version = settings.exchange_version
    for field in sorted(connector.model_fields_set):
        if is_in_version(field, version):
            continue
        name = EXCHANGE_NAMES[field]
        if field in INSTEAD:
            yield Finding(
                field,
                f"{name} was dropped in Exchange 2013; take it out. Instead: {INSTEAD[field]}",
            )
        else:
            yield Finding(
                field,
                f"Exchange {version} has no {name}, which came with {added_in(field)}; take it"
                f' out, or set exchange_version = "{added_in(field)}" under [organization]',
            )


@rule_for(RULES, "error_policies", "exchange_version")
def _error_policies(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    """V22."""
    if (
        ErrorPolicy.DOWNGRADE_AUTH_FAILURES in connector.error_policies.policies
        and settings.exchange_version is not ExchangeVersion.V2010
    ):
        yield Finding("error_policies", "DowngradeAuthFailures is only known to Exchange 2010")


@rule_for(RULES, "source_transport_servers", "exchange_version")
def _one_site(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    if settings.exchange_version is not ExchangeVersion.V2010:
        return
    sites = {s.site.casefold() for s in settings.source_servers(connector) if s.site}
    if len(sites) > 1:
        yield Finding(
            "source_transport_servers",
            "in Exchange 2010 the source servers of a connector stand in one site",
        )
