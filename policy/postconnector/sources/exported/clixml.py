"""`Get-SendConnector | Export-Clixml`: PowerShell's serialization of objects ([MS-PSRP] 2.2.5).

Read as a stream: an object becomes a value as soon as its element ends. Nothing is deserialised;
embedded binary data (BA) is passed over, passwords (SS) are not kept.

Bounds: those of `text`, nesting up to 64 elements, half a million elements, and a few times as
many values where references repeat them. A document type declaration, and so every entity, is
refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

from postconnector.sources.exported.objects import ExportedObject, UnreadableExportError, Value
from postconnector.sources.exported.text import decode

_NAMESPACE = "http://schemas.microsoft.com/powershell/2004/04"
_DEEPEST = 64
_MOST_ELEMENTS = 500_000
_LONGEST_NUMBER = 20
_CREDENTIAL = "System.Management.Automation.PSCredential"
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_COLLECTIONS = frozenset(("LST", "IE", "STK", "QUE"))
_NUMBERS = frozenset(("By", "SB", "U16", "I16", "U32", "I32", "U64", "I64"))
_NOT_KEPT = frozenset(("BA", "SS", "PR", "SBK"))
_TEXTS = _NUMBERS | frozenset(
    ("S", "C", "B", "DT", "TS", "Sg", "Db", "D", "G", "URI", "Version", "XD", "ToString", "T")
)


@dataclass(slots=True)
class _Object:
    """A value that has been read; `weight` counts the values that it is made of."""

    value: Value
    weight: int = 1
    properties: dict[str, Value] = field(default_factory=dict)
    elements: "list[_Object] | None" = None
    type_name: str | None = None
    line: int | None = None


@dataclass(slots=True)
class _Element:
    """An XML element that has not ended yet, and what was found in it."""

    tag: str
    name: str | None
    reference: str | None
    line: int
    text: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    printed: str | None = None
    named: dict[str, _Object] = field(default_factory=dict)
    elements: list[_Object] | None = None
    inner: list[_Object] = field(default_factory=list)
    dictionary: dict[str, _Object] | None = None


def read_clixml(data: bytes) -> list[ExportedObject]:
    """Read the objects of a Clixml file.

    Raises UnreadableExportError, with the line, for what is not Clixml, broken or hostile.
    """
    reader = _Reader()
    reader.read(decode(data))
    return [_exported(found) for found in reader.found]


def _exported(found: _Object) -> ExportedObject:
    return ExportedObject(found.properties, found.line, found.type_name)


class _Reader:
    """Handles the parser's events; `found` are the outermost objects."""

    def __init__(self) -> None:
        self.found: list[_Object] = []
        self._open: list[_Element] = []
        self._objects: dict[str, _Object] = {}
        self._types: dict[str, list[str]] = {}
        self._elements = 0
        self._weight = 0
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def read(self, text: str) -> None:
        try:
            self._parser.Parse(text.encode("utf-8", "replace"), True)
        except expat.ExpatError as error:
            message = expat.ErrorString(error.code)
            raise UnreadableExportError(f"this is not XML: {message}", error.lineno) from None

    def _refuse_doctype(self, *_: object) -> None:
        self._fail("a document type declaration has no place in an export")

    def _fail(self, message: str) -> None:
        raise UnreadableExportError(message, self._parser.CurrentLineNumber)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _MOST_ELEMENTS:
            self._fail(f"more than {_MOST_ELEMENTS} elements")
        if len(self._open) >= _DEEPEST:
            self._fail("nested too deeply")
        namespace, _, local = tag.rpartition(" ")
        if not self._open and (local != "Objs" or namespace not in ("", _NAMESPACE)):
            self._fail("this is XML, but not what Export-Clixml writes")
        name = attributes.get("N")
        self._open.append(
            _Element(
                local,
                _unescaped(name) if name is not None else None,
                attributes.get("RefId"),
                self._parser.CurrentLineNumber,
            )
        )

    def _text(self, text: str) -> None:
        if self._open[-1].tag in _TEXTS:
            self._open[-1].text.append(text)

    def _end(self, _tag: str) -> None:
        element = self._open.pop()
        if not self._open:
            return
        outer = self._open[-1]
        handle = _HANDLERS.get(element.tag)
        if handle is not None:
            handle(self, element, outer)
        elif element.tag in _COLLECTIONS:
            outer.elements = element.inner
        elif element.tag in _TEXTS or element.tag == "Nil":
            self._place(element, outer, _Object(_primitive(element)))
        elif element.tag not in _NOT_KEPT and element.inner:
            outer.inner.extend(element.inner)

    def end_types(self, element: _Element, outer: _Element) -> None:
        """TN: the types of an object, most derived first."""
        if element.reference is not None:
            self._types[element.reference] = element.types
        outer.types = element.types

    def end_type_reference(self, element: _Element, outer: _Element) -> None:
        """TNRef."""
        outer.types = self._types.get(element.reference or "", [])

    def end_type(self, element: _Element, outer: _Element) -> None:
        """T: one type."""
        outer.types.append("".join(element.text).removeprefix("Deserialized."))

    def end_printed(self, element: _Element, outer: _Element) -> None:
        """ToString: the object as Exchange prints it."""
        outer.printed = _unescaped("".join(element.text))

    def end_properties(self, element: _Element, outer: _Element) -> None:
        """Props and MS: properties, adapted and extended."""
        outer.named.update(element.named)

    def end_entry(self, element: _Element, outer: _Element) -> None:
        """En: an entry of a dictionary."""
        key, value = element.named.get("Key"), element.named.get("Value")
        if key is not None and value is not None:
            outer.named[str(key.value)] = value

    def end_dictionary(self, element: _Element, outer: _Element) -> None:
        """DCT."""
        outer.dictionary = element.named

    def end_object(self, element: _Element, outer: _Element) -> None:
        """Obj."""
        found = _object(element)
        self._count(found.weight)
        if element.reference is not None:
            self._objects[element.reference] = found
        if outer.tag == "Objs":
            self.found.extend(found.elements if found.elements is not None else [found])
        self._place(element, outer, found)

    def end_reference(self, element: _Element, outer: _Element) -> None:
        """Ref: an object that was there before."""
        found = self._objects.get(element.reference or "")
        if found is None:
            inside = any(e.tag == "Obj" and e.reference == element.reference for e in self._open)
            self._fail("an object refers to itself" if inside else "a reference to no object")
            return
        self._count(found.weight)
        self._place(element, outer, found)

    def _count(self, weight: int) -> None:
        """References make a small file say much; not endlessly."""
        self._weight += weight
        if self._weight > _MOST_ELEMENTS * 4:
            self._fail("references repeat too much")

    def _place(self, element: _Element, outer: _Element, found: _Object) -> None:
        if element.name is not None:
            outer.named[element.name] = found
        else:
            outer.inner.append(found)


_HANDLERS: dict[str, Callable[[_Reader, _Element, _Element], None]] = {
    "Obj": _Reader.end_object,
    "Ref": _Reader.end_reference,
    "TN": _Reader.end_types,
    "TNRef": _Reader.end_type_reference,
    "T": _Reader.end_type,
    "ToString": _Reader.end_printed,
    "Props": _Reader.end_properties,
    "MS": _Reader.end_properties,
    "DCT": _Reader.end_dictionary,
    "En": _Reader.end_entry,
}


def _object(element: _Element) -> _Object:
    parts = [*element.named.values(), *(element.elements or ()), *element.inner]
    if element.dictionary is not None:
        parts += element.dictionary.values()
    return _Object(
        _value(element),
        1 + sum(part.weight for part in parts),
        {name: found.value for name, found in element.named.items()},
        element.elements,
        element.types[0] if element.types else None,
        element.line,
    )


def _value(element: _Element) -> Value:
    """What an object comes to, where it is the property of another."""
    if element.elements is not None:
        return [found.value for found in element.elements]
    if element.dictionary is not None:
        return {name: found.value for name, found in element.dictionary.items()}
    if _CREDENTIAL in element.types:
        user = element.named.get("UserName")
        return {"UserName": user.value if user is not None else None}
    if element.printed is not None:
        return element.printed
    if element.inner and not element.named:
        return element.inner[0].value
    return {name: found.value for name, found in element.named.items()}


def _primitive(element: _Element) -> Value:
    text = "".join(element.text)
    if element.tag == "Nil":
        return None
    if element.tag == "B":
        return text.strip().lower() == "true"
    if element.tag in _NUMBERS and _is_number(text.strip()):
        return int(text)
    return _unescaped(text)


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdecimal() and text.isascii() and len(text) <= _LONGEST_NUMBER


def _unescaped(text: str) -> str:
    """`_x000A_` is a line feed; two of them may be the halves of one character."""
    if "_x" not in text:
        return text
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
