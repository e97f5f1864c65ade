"""The text of an export, whatever encoding Windows gave it.

Bounds: a file of more than 64 MB is refused; it would be no export of connectors.
"""

import codecs

from postconnector.sources.exported.objects import UnreadableExportError

LARGEST_FILE = 64 * 1024**2
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 512


def decode(data: bytes) -> str:
    """Return the text: UTF-8 or UTF-16 with or without byte order mark, else Windows-1252.

    Raises UnreadableExportError for a file that is too large, or binary.
    """
    if len(data) > LARGEST_FILE:
        raise UnreadableExportError(f"larger than {LARGEST_FILE // 1024**2} MB")
    encoding, start = _encoding(data)
    try:
        text = data[start:].decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8" or start:
            raise UnreadableExportError(f"this is not {encoding.upper()} throughout") from None
        text = data.decode("cp1252", errors="replace")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnreadableExportError("this is a binary file", line)
    return text


def _encoding(data: bytes) -> tuple[str, int]:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding, len(mark)
    even, odd = data[:_SAMPLE:2], data[1:_SAMPLE:2]
    if odd and odd.count(0) > len(odd) // 2 > even.count(0):
        return "utf-16-le", 0
    if even and even.count(0) > len(even) // 2 > odd.count(0):
        return "utf-16-be", 0
    return "utf-8", 0
