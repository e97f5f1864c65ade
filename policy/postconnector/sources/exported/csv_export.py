"""`Get-SendConnector | Export-Csv`: a row for each connector, everything as text.

Bounds: those of `text`; a cell of at most 1 MB.
"""

import csv
import io
from collections.abc import Sequence

from postconnector.sources.exported.objects import ExportedObject, UnreadableExportError, Value
from postconnector.sources.exported.text import decode

_TYPE = "#TYPE "
_LONGEST_CELL = 1024**2
_DELIMITERS = ",;\t"


def read_csv_export(data: bytes) -> list[ExportedObject]:
    """Read the rows; raises UnreadableExportError for a row that does not fit the header."""
    text = decode(data).lstrip("\r\n")
    type_name, skipped = None, 0
    if text.startswith(_TYPE):
        first, _, text = text.partition("\n")
        type_name, skipped = first.removeprefix(_TYPE).strip(), 1
    header, _, _ = text.partition("\n")
    delimiter = max(_DELIMITERS, key=header.count)
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = next(reader, [])
        rows: list[ExportedObject] = []
        line = reader.line_num
        for cells in reader:
            if any(cells):
                rows.append(_row(names, cells, line + skipped + 1, type_name))
            line = reader.line_num
    except csv.Error as error:
        where = reader.line_num + skipped
        raise UnreadableExportError(f"this is not CSV: {error}", where) from None
    return rows


def _row(
    names: Sequence[str], cells: Sequence[str], line: int, type_name: str | None
) -> ExportedObject:
    if len(cells) > len(names):
        raise UnreadableExportError(f"{len(cells)} cells, where the header has {len(names)}", line)
    properties: dict[str, Value] = dict.fromkeys(names)
    properties |= {name: cell or None for name, cell in zip(names, cells, strict=False)}
    return ExportedObject(properties, line, type_name)
