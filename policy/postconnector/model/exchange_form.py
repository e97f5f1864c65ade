"""A connector as Get-SendConnector shows it: Exchange's property names and forms of values."""

from enum import StrEnum

from postconnector.model.property_names import EXCHANGE_NAMES
from postconnector.model.send_connector import Credential, SendConnector

Shown = str | int | bool | None | list[str] | dict[str, str]


def exchange_form(connector: SendConnector) -> dict[str, Shown]:
    """All properties by Exchange's names; the values are fit for JSON."""
    return {
        exchange_name: _shown(field, getattr(connector, field))
        for field, exchange_name in EXCHANGE_NAMES.items()
    }


def _shown(field: str, value: object) -> Shown:
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
            return {"UserName": value.user_name, "PasswordFile": value.password_file}
        case _:
            return str(value)
