"""One exported Send connector as a connectors file says it, and what there is to say about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from postconnector.model.exchange_form import shown_value
from postconnector.model.problem import quoted
from postconnector.model.property_kinds import LISTS
from postconnector.model.property_names import (
    COMMAND_PARAMETERS,
    EXCHANGE_NAMES,
    READ_ONLY,
    USAGE_SWITCHES,
    folded,
)
from postconnector.model.send_connector import SendConnector
from postconnector.model.versions import INSTEAD
from postconnector.sources.exported.objects import ExportedObject, Unresolved, Value
from postconnector.sources.importing.objects import name_of
from postconnector.sources.importing.report import Kind, Note
from postconnector.sources.importing.values import (
    DocumentValue,
    UnusableValueError,
    document_value,
)

_FIELDS = {folded(name): name for name in EXCHANGE_NAMES}
_SWITCHES = {folded(name): name for name in USAGE_SWITCHES}
_SILENT = frozenset(
    folded(name) for name in (*COMMAND_PARAMETERS, *READ_ONLY, "Ensure", "CmdletBinding")
)
_ALWAYS_SHOWN = (
    "address_spaces",
    "enabled",
    "dns_routing_enabled",
    "smart_hosts",
    "port",
    "smart_host_auth_mechanism",
    "max_message_size",
    "fqdn",
    "require_tls",
    "ignore_starttls",
    "tls_auth_level",
    "tls_domain",
)
"""What decides where mail goes, how large it may be and how it is secured."""

_DECLARATIONS = ("xexchsendconnector", "exchsendconnector")
_LONGEST_SHOWN = 500
_DSC_CREDENTIAL = "credential"
_Values = Mapping[str, tuple[str, Value]]
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 (what Exchange shows for none)


@dataclass(slots=True)
class Draft:
    """Properties by their names in TOML, and notes. `missing`: what the export should hold."""

    name: str
    properties: dict[str, DocumentValue] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def note(self, kind: Kind, text: str, name: str | None = None) -> None:
        """Add a note about this connector."""
        self.notes.append(Note(kind, text, self.name, name))


def draft_of(exported: ExportedObject, number: int) -> Draft:
    """Translate an object; nothing it says is dropped without a note."""
    draft = Draft(name_of(exported) or f"Connector {number}")
    draft.properties["name"] = draft.name
    if name_of(exported) is None:
        draft.note(Kind.NEEDS_YOU, "the export holds no name; this one is made up", "Name")
    values = {folded(key): (key, value) for key, value in exported.properties.items()}
    if "$" in draft.name and any(isinstance(v, Unresolved) for _, v in values.values()):
        draft.note(Kind.NEEDS_YOU, "the name was computed where this ran; write it", "Name")
    for key, (name, value) in values.items():
        _take(draft, key, name, value, values)
    _smart_hosts_from_text(draft, values)
    declared = (exported.type_name or "").casefold() in _DECLARATIONS
    if exported.command is None and not declared:
        _missing(draft, values)
    draft.properties = {
        name: draft.properties[name]
        for name in EXCHANGE_NAMES
        if name in draft.properties and not _goes_without_saying(name, draft.properties[name])
    }
    return draft


def _goes_without_saying(field_name: str, value: DocumentValue) -> bool:
    """Whether a value is the default of every version."""
    if field_name == "max_message_size":
        return False
    default = shown_value(field_name, SendConnector.model_fields[field_name].default)
    if isinstance(value, str) and isinstance(default, str):
        return value.casefold() == default.casefold()
    return value == default


def _missing(draft: Draft, values: _Values) -> None:
    """An export that shows only some properties must not make demands disappear unnoticed."""
    absent = [name for name in _ALWAYS_SHOWN if folded(name) not in values]
    if "dns_routing_enabled" in absent and draft.properties.get("smart_hosts"):
        draft.properties["dns_routing_enabled"] = False  # the one can't be without the other
        absent.remove("dns_routing_enabled")
    missing = [EXCHANGE_NAMES[name] for name in absent]
    draft.missing += missing
    if missing:
        draft.note(
            Kind.NEEDS_YOU,
            f"the export does not show {', '.join(missing)}: here they have their defaults,"
            " whatever they are in Exchange; export with Get-SendConnector | Export-Clixml",
        )


def _take(draft: Draft, key: str, name: str, value: Value, values: _Values) -> None:
    if key in _SWITCHES:
        if value is not False:
            draft.properties["usage"] = _SWITCHES[key]
        return
    if key.startswith("@") and isinstance(value, Unresolved):
        text = "what these parameters say is not in the file; write it"
        draft.note(Kind.NEEDS_YOU, text, name)
        return
    if key == _DSC_CREDENTIAL:
        draft.note(Kind.LEFT_OUT, "the account that DSC works with, not the smart host's", name)
        return
    field_name = _FIELDS.get(key)
    if field_name is None:
        if key not in _SILENT and value not in (None, "", [], {}):
            draft.note(Kind.LEFT_OUT, "not a property of Send connectors", name)
    elif field_name == "authentication_credential":
        _take_credential(draft, value)
    elif field_name in INSTEAD:
        _take_dropped(draft, field_name, value)
    elif field_name != "name":
        _take_value(draft, field_name, value, values)


def _take_value(draft: Draft, field_name: str, value: Value, values: _Values) -> None:
    exchange_name = EXCHANGE_NAMES[field_name]
    try:
        taken = document_value(field_name, value)
    except UnusableValueError as error:
        if field_name == "smart_hosts" and "smarthostsstring" in values:
            return
        draft.missing.append(exchange_name)
        draft.note(Kind.NEEDS_YOU, f"{error}; write the value", exchange_name)
        shown = "? " + quoted(error.shown, _LONGEST_SHOWN)[1:-1]  # a type's name may be a host's
        draft.properties[field_name] = [shown] if field_name in LISTS else shown
        return
    if taken is None or taken in ("", []) or _is_any_address(field_name, taken):
        return
    draft.properties[field_name] = taken
    for unresolved in _unresolved(value):
        draft.note(
            Kind.NEEDS_YOU,
            f"{unresolved.text} was computed where this ran; write the value",
            exchange_name,
        )


def _is_any_address(field_name: str, value: DocumentValue) -> bool:
    return field_name == "source_ip_address" and value in _ANY_ADDRESS


def _unresolved(value: Value) -> Iterator[Unresolved]:
    if isinstance(value, Unresolved):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from _unresolved(element)


def _take_credential(draft: Draft, value: Value) -> None:
    """Passwords can't be exported; a user name may be."""
    if value is None or value == "":
        return
    user = None
    if isinstance(value, dict):
        user = next((v for k, v in value.items() if folded(k) == "username"), None)
    if isinstance(user, str) and user:
        file = "secrets/" + "".join(c if c.isalnum() else "-" for c in draft.name.lower())
        credential: dict[str, object] = {"user_name": user, "password_file": file}
        draft.properties["authentication_credential"] = credential  # type: ignore[assignment]
        text = f"write the password of {user} to {file} beside the connectors file (chmod 600)"
    else:
        text = 'write authentication_credential = { user_name = "…", password_file = "…" }'
    draft.note(
        Kind.NEEDS_YOU, f"the password is not in the export: {text}", "AuthenticationCredential"
    )


def _take_dropped(draft: Draft, field_name: str, value: Value) -> None:
    if value in (None, "", False, "False", "false", "$false"):
        return
    text = f"dropped in Exchange 2013 and not carried out; instead: {INSTEAD[field_name]}"
    draft.note(Kind.LEFT_OUT, text, EXCHANGE_NAMES[field_name])


def _smart_hosts_from_text(draft: Draft, values: _Values) -> None:
    """Exports that spoil the list often hold it once more as one text."""
    if "smart_hosts" in draft.properties or "smarthostsstring" not in values:
        return
    text = values["smarthostsstring"][1]
    if isinstance(text, str) and text.strip():
        draft.properties["smart_hosts"] = document_value("smart_hosts", text)
