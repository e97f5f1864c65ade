"""Which exported objects are Send connectors, and what a series of commands leaves behind."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from postconnector.model.property_names import folded
from postconnector.sources.exported.objects import ExportedObject, Unresolved, Value
from postconnector.sources.importing.report import Kind, Note

_CHANGES = frozenset(("add", "remove"))
_OTHER_KINDS = {
    "bindings": "a Receive connector",
    "remoteipranges": "a Receive connector",
    "senderdomains": "an Inbound connector of Exchange Online",
    "senderipaddresses": "an Inbound connector of Exchange Online",
    "recipientdomains": "an Outbound connector of Exchange Online",
    "usemxrecord": "an Outbound connector of Exchange Online",
    "dropdirectory": "a Foreign connector",
    "deliveryprotocol": "a Delivery Agent connector",
}


def merged(objects: Iterable[ExportedObject]) -> tuple[list[ExportedObject], list[Note]]:
    """The Send connectors: of each name, what the commands one after the other come to."""
    notes: list[Note] = []
    found: dict[str, ExportedObject] = {}
    for exported in objects:
        kind = _other_kind(exported)
        if kind is not None:
            text = f"not taken: this is {kind}, not a Send connector"
            notes.append(Note(Kind.LEFT_OUT, text, name_of(exported)))
        elif _is_absent(exported):
            text = 'not taken: declared with Ensure = "Absent"'
            notes.append(Note(Kind.LEFT_OUT, text, name_of(exported)))
        else:
            notes.extend(_merge(found, exported))
    return list(found.values()), notes


def name_of(exported: ExportedObject) -> str | None:
    """The connector's name as far as the export says it."""
    return _said(exported, "name") or _said(exported, "identity")


def _said(exported: ExportedObject, wanted: str) -> str | None:
    for key, value in exported.properties.items():
        if folded(key) == wanted and value is not None:
            return value.text if isinstance(value, Unresolved) else str(value)
    return None


def _other_kind(exported: ExportedObject) -> str | None:
    names = {folded(name) for name in exported.properties}
    if "addressspaces" in names and "dropdirectory" not in names:
        return None
    kind = next((kind for name, kind in _OTHER_KINDS.items() if name in names), None)
    is_one = exported.command or "sendconnector" in (exported.type_name or "").casefold()
    return kind or (None if is_one else "something without AddressSpaces")


def _is_absent(exported: ExportedObject) -> bool:
    return any(
        folded(name) == "ensure" and str(value).casefold() == "absent"
        for name, value in exported.properties.items()
    )


def _merge(found: dict[str, ExportedObject], exported: ExportedObject) -> Iterator[Note]:
    name = name_of(exported)
    key = (name or f"number {len(found) + 1}").casefold()
    if exported.command != "Set-SendConnector":
        if key in found:
            yield Note(Kind.LEFT_OUT, "is there twice; the later one is taken", name)
        found[key] = exported
        return
    earlier = found.pop((_said(exported, "identity") or "").casefold(), None)
    if earlier is None:
        yield Note(
            Kind.NEEDS_YOU,
            "only changes are known (Set-SendConnector): what they do not name has the default"
            " here, whatever it is in Exchange",
            name,
        )
        earlier = ExportedObject({}, exported.line, None, exported.command)
    properties = dict(earlier.properties)
    _override(properties, exported.properties)
    found[key] = replace(earlier, properties=properties)


def _override(properties: dict[str, Value], changes: Mapping[str, Value]) -> None:
    """Parameters of Set-SendConnector replace what was said before, in whatever spelling."""
    for name, value in changes.items():
        before: Value = None
        for known in [known for known in properties if folded(known) == folded(name)]:
            before = properties.pop(known)
        properties[name] = _changed(before, value)


def _changed(before: Value, change: Value) -> Value:
    """A new value; or what `@{Add=…; Remove=…}` makes of the one before."""
    if not isinstance(change, dict) or not {key.casefold() for key in change} <= _CHANGES:
        return change
    by_name = {key.casefold(): content for key, content in change.items()}
    removed = [str(value).casefold() for value in _as_list(by_name.get("remove"))]
    kept = [value for value in _as_list(before) if str(value).casefold() not in removed]
    return kept + _as_list(by_name.get("add"))


def _as_list(value: Value) -> list[Value]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
