"""Which format an export has, found by its content."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from postconnector.sources.exported.clixml import read_clixml
from postconnector.sources.exported.csv_export import read_csv_export
from postconnector.sources.exported.dsc import read_dsc
from postconnector.sources.exported.format_list import read_format_list
from postconnector.sources.exported.format_table import read_format_table
from postconnector.sources.exported.json_export import read_json_export
from postconnector.sources.exported.objects import ExportedObject, UnreadableExportError
from postconnector.sources.exported.powershell_commands import read_commands
from postconnector.sources.exported.text import decode

_COMMAND = re.compile(r"\b(?:New|Set)-SendConnector\b[ \t]*[^\s,\]]", re.IGNORECASE)
_DSC = re.compile(r"^\s*x?ExchSendConnector\s+[^\s{]+\s*\{", re.IGNORECASE | re.MULTILINE)
_JSON = re.compile(r'\{|\[\s*[\[{"\]]')
_LIST = re.compile(r"^[ \t]*(?:Name|Identity|AddressSpaces)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_CELL = r'(?:"[^"\n]{1,64}"|[A-Za-z@]+)'
_CSV = re.compile(rf"(?:#TYPE [^\n]*\n)?(?:{_CELL}[,;\t])+{_CELL}[ \t]*\n")
_TABLE = re.compile(r"^[ \t]*-{2,}(?:[ \t]+-{2,})+[ \t]*$", re.MULTILINE)
_OURS = re.compile(
    r"(?:#[^\n]*\n|\s)*\[\[?\s*(?:send_?connectors?|host|organization)\b", re.IGNORECASE
)

HOW_TO_EXPORT = "In the Exchange Management Shell: Get-SendConnector | Export-Clixml connectors.xml"


@dataclass(frozen=True, slots=True)
class Export:
    """What a file holds, and the format it was found to have."""

    format: str
    objects: list[ExportedObject]


def read_export(data: bytes) -> Export:
    """Find the format of an export and read it.

    Raises UnreadableExportError for what is none, is broken, or hostile.
    """
    text = decode(data).replace("\r\n", "\n").lstrip("\ufeff \t\n")
    if _OURS.match(text):
        raise UnreadableExportError("this is a connectors file already; use it with -c")
    if text.startswith("<"):
        return Export("Export-Clixml", read_clixml(data))
    if _JSON.match(text):
        return Export("JSON", _connectors_of_ours(read_json_export(data)))
    for name, form, read in _TEXT_FORMATS:
        if form.search(text):
            return Export(name, read(text))
    if _CSV.match(text):
        return Export("CSV", read_csv_export(data))
    raise UnreadableExportError(f"this is no export of Send connectors. {HOW_TO_EXPORT}")


_TEXT_FORMATS: tuple[tuple[str, re.Pattern[str], Callable[[str], list[ExportedObject]]], ...] = (
    ("PowerShell commands", _COMMAND, read_commands),
    ("DSC", _DSC, read_dsc),
    ("Format-List", _LIST, read_format_list),
    ("Format-Table", _TABLE, read_format_table),
)


def _connectors_of_ours(objects: list[ExportedObject]) -> list[ExportedObject]:
    """Our own JSON has its connectors in a list with a name."""
    if len(objects) != 1:
        return objects
    for name, value in objects[0].properties.items():
        if name.casefold() == "sendconnectors" and isinstance(value, list):
            return [ExportedObject(entry) for entry in value if isinstance(entry, dict)]
    return objects
