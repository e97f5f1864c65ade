"""Values as PowerShell prints them for reading: `True`, `{a, b}`, `{a, b...}`, nothing."""

from postconnector.sources.exported.objects import Unresolved, Value

CUT_OFF = ("...", "\u2026")
_BOOLEANS = {"True": True, "False": False}


def printed_value(text: str) -> Value:
    """The value that was printed so: a bool, a list of texts, None for nothing, else the text.

    A list that PowerShell cut short ends with Unresolved("...").
    """
    text = text.strip()
    if not text:
        return None
    if text.startswith("{") and text.endswith("}"):
        return _elements(text[1:-1].strip())
    return _BOOLEANS.get(text, text)


def _elements(inside: str) -> Value:
    if not inside:
        return []
    for mark in CUT_OFF:
        if inside.endswith(mark):
            whole = inside.removesuffix(mark).rstrip(" ,")
            elements: list[Value] = [one.strip() for one in whole.split(", ")] if whole else []
            return [*elements, Unresolved("...")]
    return [one.strip() for one in inside.split(", ")]
