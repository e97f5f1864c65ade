"""New-SendConnector commands that recreate connectors."""

from collections.abc import Iterator

from postconnector.model.exchange_form import exchange_form
from postconnector.model.organization import Organization, OrganizationSettings
from postconnector.model.property_names import EXCHANGE_NAMES
from postconnector.model.send_connector import SendConnector
from postconnector.sources.writing.canonical import connector_as_toml

_QUOTES = "'\u2018\u2019\u201a\u201b"
"""Characters that PowerShell takes for a single quote."""

_ALWAYS = ("name", "usage", "address_spaces", "max_message_size")
"""Said even where it is the default, which another version may not share."""


def organization_as_commands(organization: Organization) -> str:
    """A script, one command a connector."""
    commands = (new_command(c, organization.settings) for c in organization.connectors)
    return "\n".join(["# For the Exchange Management Shell.", *commands]) + "\n"


def new_command(connector: SendConnector, settings: OrganizationSettings) -> str:
    """The command that creates a connector."""
    return " `\n  ".join(["New-SendConnector", *_arguments(connector, settings)])


def _arguments(connector: SendConnector, settings: OrganizationSettings) -> Iterator[str]:
    shown = exchange_form(connector, settings.exchange_version)
    said = connector_as_toml(connector, settings)
    for field, name in EXCHANGE_NAMES.items():
        if name not in shown or (field not in said and field not in _ALWAYS):
            continue
        if field == "authentication_credential":
            user = connector.authentication_credential
            yield f"-{name} (Get-Credential -UserName {_literal(user and user.user_name)})"
        elif field == "max_message_size":
            limit = connector.max_message_size.limit
            yield f"-{name} {'Unlimited' if limit is None else limit}"
        elif shown[name] != []:
            yield f"-{name} {_literal(shown[name])}"


def _literal(value: object) -> str:
    match value:
        case bool():
            return "$true" if value else "$false"
        case int():
            return str(value)
        case None:
            return "$null"
        case list():
            return ",".join(_literal(element) for element in value)
        case _:
            text = "".join(c * 2 if c in _QUOTES else c for c in str(value))
            return f"'{text}'"
