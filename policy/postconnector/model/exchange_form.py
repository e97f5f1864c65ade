"""A connector as Get-SendConnector shows it: Exchange's property names and forms of values."""

from enum import StrEnum

from postconnector.model.exchange_version import DEFAULT_VERSION, ExchangeVersion
from postconnector.model.property_names import EXCHANGE_NAMES
from postconnector.model.send_connector import Credential, SendConnector
from postconnector.model.versions import is_in_version

_CREDENTIAL = {
    "user_name": "UserName",
    "password_file": "PasswordFile",
    "token_file": "TokenFile",
}

Shown = str | int | bool | None | list[str] | dict[str, str]


def exchange_form(
    connector: SendConnector, version: ExchangeVersion = DEFAULT_VERSION
) -> dict[str, Shown]:
    """All properties that the version has, by Exchange's names; the values are fit for JSON."""
    return {
        exchange_name: shown_value(field, getattr(connector, field))
        for field, exchange_name in EXCHANGE_NAMES.items()
        if is_in_version(field, version)
    }


def shown_value(field: str, value: object) -> Shown:
    """One property's value in Exchange's form."""
    if field == "source_ip_address" and value is None:
        return "0.0.0.0"  # noqa: S104 (Exchange's word for no particular address)
    match value:
        case None | bool() | int():
            return value
        case StrEnum():
            return value.value
        case tuple():
            return [str(element) for element in value]
        case Credential():
            return {_CREDENTIAL[name]: text for name, text in value.as_toml().items()}
        case _:
            return str(value)
