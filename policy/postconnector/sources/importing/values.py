"""Values of exports, in all the forms in which PowerShell leaves them, as a document says them."""

import re
from collections.abc import Callable, Mapping

from postconnector.model.property_kinds import BOOLEANS, LISTS, NUMBERS
from postconnector.model.time_span import TimeSpan
from postconnector.sources.exported.objects import Unresolved, Value

DocumentValue = str | int | bool | list[object] | None

_ZERO_IS = {
    "smart_host_auth_mechanism": "None",
    "protocol_logging_level": "None",
    "error_policies": "Default",
    "connector_type": "Default",
}
"""What 0 stands for where an export has a number for an enumeration (seen in Clixml)."""

_TYPE_NAME = "the export holds the name of a type instead of the value"
_JUNK = re.compile(r"\{?\s*(?:Microsoft\.Exchange\.|System\.|Deserialized\.)[\w.`\[\], =+-]*\}?")
_BETWEEN_SPACES = re.compile(
    r";(?=[A-Za-z0-9_-]+:)|\s+(?=(?:[A-Za-z0-9_-]+:)?[*A-Za-z0-9-][^\s:;]*;[0-9]+(?:\s|$))"
)
_BETWEEN_NAMES = re.compile(r"[\s;]+")
_EXACT_BYTES = re.compile(r"\((?P<digits>[0-9][0-9.,'\u2019\s]*) bytes\)", re.IGNORECASE)


class UnusableValueError(Exception):
    """The export does not hold the value; the text says what it holds instead.

    `shown` is that as text: something that `check` refuses, where the property matters.
    """

    def __init__(self, message: str, shown: str) -> None:
        super().__init__(message)
        self.shown = shown


def document_value(field: str, value: Value) -> DocumentValue:
    """A property's value as a TOML file says it.

    Text that means nothing here stays as it is, for `check` to name. Raises UnusableValueError
    where the export has no value at all: a type's name, a number for a word, a cut-off list.
    """
    if isinstance(value, str) and _JUNK.fullmatch(value):
        raise UnusableValueError(_TYPE_NAME, value)
    if field in LISTS:
        return list(map(_text, _elements(field, value)))
    if isinstance(value, list):
        value = ", ".join(_text(element) for element in value)
    if isinstance(value, Mapping | Unresolved):
        value = _text(value)
    if field in BOOLEANS and isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if field in NUMBERS and isinstance(value, str) and value.strip().isdecimal():
        return int(value) if len(value) < 20 else value
    if field == "max_message_size" and isinstance(value, str):
        return _EXACT_BYTES.sub(_grouped_by_commas, value)
    if isinstance(value, int) and field not in BOOLEANS | NUMBERS:
        return _word(field, value)
    return value


def _grouped_by_commas(match: re.Match[str]) -> str:
    """Servers in other countries group digits by dots, blanks or apostrophes."""
    digits = "".join(c for c in match["digits"] if c.isdecimal())
    return f"({int(digits):,} bytes)"


def _word(field: str, number: int) -> str:
    if field in _ZERO_IS or field == "tls_auth_level":
        if number == 0 and field in _ZERO_IS:
            return _ZERO_IS[field]
        raise UnusableValueError(
            f"the export holds the number {number} instead of a word; export with Export-Clixml",
            str(number),
        )
    return str(number)


def _elements(field: str, value: Value) -> list[Value]:
    """The elements of a list, also where the export joined them to one text."""
    if value is None:
        return []
    if isinstance(value, list):
        if any(isinstance(e, Unresolved) and e.text in ("...", "…") for e in value):
            shown = ", ".join(str(element) for element in value[:-1])
            raise UnusableValueError(
                f"the list is cut off after {shown}; export with Export-Clixml, or set"
                " $FormatEnumerationLimit = -1",
                f"{shown}, ...",
            )
        return [part for element in value for part in _elements(field, element)]
    if not isinstance(value, str):
        return [value]
    if _JUNK.fullmatch(value):
        raise UnusableValueError(_TYPE_NAME, value)
    text = value.strip()
    text = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    parts = re.split(r"[|\r\n]+", text)
    if len(parts) == 1:
        parts = text.split(",")
    if len(parts) == 1:
        between = _BETWEEN_SPACES if field == "address_spaces" else _BETWEEN_NAMES
        parts = between.split(text)
    return [part.strip() for part in parts if part.strip()]


def _text(value: Value) -> str:
    """One value as text; an object by the properties that ConvertTo-Json leaves of it."""
    match value:
        case Unresolved():
            return value.text
        case Mapping():
            return _object_text({name.casefold(): content for name, content in value.items()})
        case list():
            return ", ".join(_text(element) for element in value)
        case None:
            return ""
        case _:
            return str(value)


_Form = Callable[[Mapping[str, Value]], str]
_FORMS: tuple[tuple[tuple[str, ...], _Form], ...] = (
    (("isunlimited", "value"), lambda o: "Unlimited" if o["isunlimited"] else _text(o["value"])),
    (
        ("type", "address", "cost"),
        lambda o: f"{_text(o['type'])}:{_text(o['address'])};{_text(o['cost'])}",
    ),
    (
        ("certificateissuer", "certificatesubject"),
        lambda o: f"<I>{_text(o['certificateissuer'])}<S>{_text(o['certificatesubject'])}",
    ),
    (("isipaddress", "address", "domain"), lambda o: _smart_host(o)),
    (("ipaddresstostring",), lambda o: _text(o["ipaddresstostring"])),
    (("ticks",), lambda o: _ticks(o["ticks"])),
    (("domain",), lambda o: _text(o["domain"])),
    (("name",), lambda o: _text(o["name"])),
    (("value",), lambda o: _text(o["value"])),
)


def _object_text(value: Mapping[str, Value]) -> str:
    for names, form in _FORMS:
        if all(name in value for name in names):
            return form(value)
    raise UnusableValueError("the export holds an object whose form is not known", str(value))


def _smart_host(value: Mapping[str, Value]) -> str:
    return _text(value["address"] if value["isipaddress"] else value["domain"])


def _ticks(value: Value) -> str:
    return str(TimeSpan(value)) if isinstance(value, int) and value >= 0 else _text(value)
