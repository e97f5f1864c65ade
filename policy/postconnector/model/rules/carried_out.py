"""Properties that are kept and shown, but that nothing here or in Postfix carries out (yet).

No demand on TLS or size is among them: those are carried out, or refused.
"""

from collections.abc import Iterator

from postconnector.model.error_policies import ErrorPolicy
from postconnector.model.organization import OrganizationSettings
from postconnector.model.property_names import EXCHANGE_NAMES
from postconnector.model.rules.rule import Finding, Rule, rule_for, warning
from postconnector.model.send_connector import ProtocolLoggingLevel, SendConnector
from postconnector.model.versions import INSTEAD, is_in_version

RULES: list[Rule] = []

_REASONS = {
    "connector_type": "a label of the Hybrid Configuration Wizard",
    "require_oorg": "reserved by Microsoft, and not documented",
    "frontend_proxy_enabled": "there is no Front End Transport service; mail leaves directly",
    "is_coexistence_connector": f"instead: {INSTEAD['is_coexistence_connector']}",
    "linked_receive_connector": (
        "mail received there takes the ordinary route; instead:"
        f" {INSTEAD['linked_receive_connector']}"
    ),
}


_DEFAULTS = {field: SendConnector.model_fields[field].default for field in _REASONS}


@rule_for(RULES)
def _not_carried_out(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    for field, reason in _REASONS.items():
        is_said = getattr(connector, field) != _DEFAULTS[field]
        if is_said and is_in_version(field, settings.exchange_version):
            yield warning(field, f"{EXCHANGE_NAMES[field]} is not carried out: {reason}")


@rule_for(RULES, "protocol_logging_level")
def _protocol_logging(
    connector: SendConnector, _settings: OrganizationSettings
) -> Iterator[Finding]:
    if connector.protocol_logging_level is not ProtocolLoggingLevel.NONE:
        yield warning(
            "protocol_logging_level",
            "ProtocolLoggingLevel Verbose is for mail that the delivery agent carries: Postfix logs"
            " each delivery that it makes by itself, but not the dialogue",
        )


@rule_for(RULES, "error_policies", "downgraded_failures", "upgraded_failures")
def _error_policies(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    lists = {
        ErrorPolicy.DOWNGRADE_CUSTOM_FAILURES: ("downgraded_failures", '["5.7.1"]'),
        ErrorPolicy.UPGRADE_CUSTOM_FAILURES: ("upgraded_failures", '["4.4.1"]'),
    }
    for policy, (field, example) in lists.items():
        if policy in connector.error_policies.policies and not getattr(settings, field):
            yield warning(
                "error_policies",
                f"{policy} is not carried out: Exchange does not document which failures it is"
                f" for; say it under [organization], such as {field} = {example}",
            )


@rule_for(RULES, "use_external_dns_servers_enabled", "dns_routing_enabled")
def _external_dns_servers(
    connector: SendConnector, settings: OrganizationSettings
) -> Iterator[Finding]:
    if not connector.use_external_dns_servers_enabled:
        return
    sources = settings.source_servers(connector) or settings.servers
    if not any(server.external_dns_servers for server in sources):
        yield warning(
            "use_external_dns_servers_enabled",
            "UseExternalDNSServersEnabled is not carried out: no server has external_dns_servers,"
            " so the host's own resolver is asked",
        )
