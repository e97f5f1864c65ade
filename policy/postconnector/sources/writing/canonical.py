"""An organization in the forms in which files say it, without what goes without saying."""

from typing import Any

from postconnector.model.exchange_form import exchange_form, shown_value
from postconnector.model.organization import HostSettings, Organization, OrganizationSettings
from postconnector.model.property_names import exchange_name
from postconnector.model.send_connector import Credential, SendConnector
from postconnector.model.size import MaxMessageSize
from postconnector.model.versions import default_max_message_size

_TOML_PARTS = {
    "accepted_domains": "accepted_domains",
    "sites": "site",
    "site_links": "site_link",
    "servers": "server",
    "edge_subscriptions": "edge_subscription",
}
_LISTS = ("tls_send_domain_secure_list", "downgraded_failures", "upgraded_failures")


def connector_as_toml(connector: SendConnector, settings: OrganizationSettings) -> dict[str, Any]:
    """A connector's properties that are not the default of the organization's version."""
    defaults: dict[str, object] = {
        name: field.default for name, field in SendConnector.model_fields.items()
    }
    defaults["max_message_size"] = default_max_message_size(
        settings.exchange_version, connector.usage
    )
    return {
        name: _toml_value(name, getattr(connector, name))
        for name in SendConnector.model_fields
        if name == "name" or getattr(connector, name) != defaults[name]
    }


def _toml_value(name: str, value: object) -> object:
    if isinstance(value, Credential):
        return value.as_toml()
    return shown_value(name, value)


def settings_as_toml(settings: OrganizationSettings) -> dict[str, Any]:
    """The table `organization`; empty if it says nothing."""
    table: dict[str, Any] = {}
    if "exchange_version" in settings.model_fields_set:
        table["exchange_version"] = settings.exchange_version.value
    for field in _LISTS:
        if values := getattr(settings, field):
            table[field] = _plain(values)
    for field, name in _TOML_PARTS.items():
        entries = [
            {key: _plain(value) for key, value in entry if key in entry.model_fields_set}
            for entry in getattr(settings, field)
        ]
        if entries:
            table[name] = entries
    return table


def host_as_toml(host: HostSettings) -> dict[str, Any]:
    """The table `host`; empty if it says nothing."""
    return {name: value for name, value in host if name in host.model_fields_set}


def organization_as_json(organization: Organization) -> dict[str, Any]:
    """The whole organization as JSON files have it."""
    settings = organization.settings
    table: dict[str, Any] = {"ExchangeVersion": settings.exchange_version.value}
    for field in _TOML_PARTS:
        table[exchange_name(field)] = [
            {exchange_name(key): _plain(value) for key, value in entry}
            for entry in getattr(settings, field)
        ]
    for field in _LISTS:
        if values := getattr(settings, field):
            table[exchange_name(field)] = _plain(values)
    document: dict[str, Any] = {
        "Organization": table,
        "SendConnectors": [
            exchange_form(connector, settings.exchange_version)
            for connector in organization.connectors
        ],
    }
    host = host_as_toml(organization.host)
    if host:
        document["Host"] = {exchange_name(name): value for name, value in host.items()}
    return document


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [str(element) for element in value]
    return str(value) if isinstance(value, MaxMessageSize) else value
