"""One entry of a document to one Send connector, and every problem of it."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from postconnector.model.address_space import AddressSpace
from postconnector.model.exchange_form import shown_value
from postconnector.model.exchange_version import ExchangeVersion
from postconnector.model.organization import OrganizationSettings
from postconnector.model.problem import DocumentPath, Problem, Severity, quoted
from postconnector.model.property_names import (
    COMMAND_PARAMETERS,
    EXCHANGE_NAMES,
    READ_ONLY,
    USAGE_SWITCHES,
    folded,
)
from postconnector.model.rules import rule_problems
from postconnector.model.send_connector import Credential, SendConnector
from postconnector.model.versions import default_max_message_size, is_in_version
from postconnector.sources.fields import Entries, by_field, unknown, validate

CONNECTORS = "send_connector"
_FIELDS = {folded(field): field for field in EXCHANGE_NAMES}
_USAGE_SWITCHES = {folded(name): name for name in USAGE_SWITCHES}
_COMMAND_PARAMETERS = frozenset(folded(name) for name in COMMAND_PARAMETERS)
_READ_ONLY = frozenset(folded(name) for name in READ_ONLY)
_LONGEST_NAME = 256
_CREDENTIAL = {folded(name): name for name in Credential.model_fields}


@dataclass(frozen=True, slots=True)
class Around:
    """What a document says around its connectors.

    `unsure`: parts of the organization that are broken. `shown`: connectors are in the form in
    which Get-SendConnector shows them, so what it says beside their own properties is passed over.
    """

    settings: OrganizationSettings
    unsure: frozenset[str] = frozenset()
    shown: bool = False

    @property
    def not_known(self) -> frozenset[str]:
        """Properties that rules can't be asked about, as not all is known that they depend on."""
        of_servers = {"servers", "sites", "edge_subscriptions"} & self.unsure
        names = {"source_transport_servers"} if of_servers else set()
        return frozenset(names | self.unsure)


def read_connector(
    entry: object, path: DocumentPath, around: Around
) -> tuple[SendConnector | None, list[Problem]]:
    """The connector, if each of its properties is valid, and all its problems."""
    settings, shown = around.settings, around.shown
    if not isinstance(entry, Mapping):
        return None, [Problem(f"write [[{CONNECTORS}]] and one property a line", path=path)]
    entries = by_field(entry, _FIELDS, "property")
    _usage_switches(entries)
    _unknown_entries(entries, shown)
    if shown:
        _pass_over_later_versions(entries.fields, settings.exchange_version)
    _fold_credential(entries)
    if "name" not in entries.fields:
        entries.problems.append(
            Problem('Name is required; write e.g. name = "Internet"', property="name")
        )
        entries.fields["name"] = "?"
    draft, broken, found = validate(SendConnector, entries.fields)
    problems = [*entries.problems, *found, *_converted(entries.fields.get("address_spaces"))]
    if draft is not None:
        draft = _with_default_size(draft, settings.exchange_version)
        problems += rule_problems(draft, settings, broken | around.not_known)
    label = _label(entry.get(entries.spelling.get("name", "")), path)
    problems = [replace(problem, connector=label) for problem in entries.as_spelled(problems, path)]
    return (None if broken else draft), problems


def _converted(spaces: object) -> Iterator[Problem]:
    """Exchange wants RFC 1035; what is not ASCII is compared, and written, in A-labels."""
    for index, text in enumerate(spaces if isinstance(spaces, list) else [spaces]):
        if isinstance(text, str) and not text.isascii():
            with contextlib.suppress(ValueError):
                space = AddressSpace.parse(text)
                if space.is_smtp:
                    yield Problem(
                        f"{quoted(text)} is taken for {space.address}",
                        ("address_spaces", index),
                        property="address_spaces",
                        severity=Severity.WARNING,
                    )


def _label(name: object, path: DocumentPath) -> str:
    return (
        quoted(name, _LONGEST_NAME)[1:-1]
        if isinstance(name, str)
        else f"number {int(path[-1]) + 1}"
    )


def _with_default_size(connector: SendConnector, version: ExchangeVersion) -> SendConnector:
    if "max_message_size" in connector.model_fields_set:
        return connector
    size = default_max_message_size(version, connector.usage)
    if size == connector.max_message_size:
        return connector
    return SendConnector.model_construct(
        connector.model_fields_set, **{**dict(connector), "max_message_size": size}
    )


def _usage_switches(entries: Entries) -> None:
    """V1: the usage type may also be said by a switch, as on the command line; but only once."""
    said = {"usage": entries.spelling["usage"]} if "usage" in entries.spelling else {}
    for key in [key for key in entries.unknown if folded(key) in _USAGE_SWITCHES]:
        value = entries.unknown.pop(key)
        if not isinstance(value, bool):
            entries.problems.append(
                Problem(f"{key} is a switch; write true, or usage = {key!r}", (key,), property=key)
            )
        elif value:
            said[key] = key
            entries.fields.setdefault("usage", _USAGE_SWITCHES[folded(key)])
            entries.spelling.setdefault("usage", key)
    if len(said) > 1:
        entries.problems.append(
            Problem(
                f"{' and '.join(said.values())}: Usage, Custom, Internal, Internet and Partner"
                " exclude each other; leave one",
                ("usage",),
                property="usage",
            )
        )


def _unknown_entries(entries: Entries, shown: bool) -> None:
    for key in entries.unknown:
        name = folded(key)
        if name in _COMMAND_PARAMETERS:
            message = "says nothing of the connector, only how the command works; take it out"
            entries.problems.append(Problem(message, (key,), property=key))
        elif name in _READ_ONLY:
            if not shown:
                message = "Exchange shows this, but it can't be set; take it out"
                entries.problems.append(Problem(message, (key,), property=key))
        else:
            entries.problems.append(unknown((key,), key, EXCHANGE_NAMES, "property"))


def _pass_over_later_versions(fields: dict[str, Any], version: ExchangeVersion) -> None:
    """A newer Exchange shows its new properties everywhere; their defaults say nothing."""
    for field in [field for field in fields if not is_in_version(field, version)]:
        default = shown_value(field, SendConnector.model_fields[field].default)
        said = fields[field]
        same_text = isinstance(said, str) and said.casefold() == str(default).casefold()
        if same_text or (type(said) is type(default) and said == default):
            del fields[field]


def _fold_credential(entries: Entries) -> None:
    fields = entries.fields
    credential = fields.get("authentication_credential")
    if not isinstance(credential, Mapping):
        return
    said: dict[str, Any] = {}
    for key, value in credential.items():
        name = _CREDENTIAL.get(folded(str(key)), str(key))
        if name in said:
            message = f"{key} and another spelling of it; leave one of them"
            entries.problems.append(
                Problem(message, ("authentication_credential",), None, "authentication_credential")
            )
        said[name] = value
    fields["authentication_credential"] = said
