"""The marked block that is ours in main.cf or master.cf, and how to tell it from the host's lines.

Pure text in, text out. Two lines mark the block; only as whole lines do they count, as anybody may
quote them. Where block and host can't be told apart for sure, nothing is guessed: `out_of_order`
says what somebody has to put right first.
"""

import re
from collections.abc import Iterator
from pathlib import Path

BEGIN = "# BEGIN postconnector: written by postconnector apply, and undone by taking it out"
END = "# END postconnector"
REPLACED = "#postconnector replaces# "
"""Stands before each line of the host's that the block replaces."""

_NO_NEWLINE = " (the file had no newline at its end)"
_BEGIN_LINE = rf"^{re.escape(BEGIN)}(?P<no_newline>{re.escape(_NO_NEWLINE)})?[ \t\r]*(?:\n|\Z)"
_END_LINE = rf"^{re.escape(END)}[ \t\r]*(?:\n|\Z)"
_BEGIN = re.compile(_BEGIN_LINE, re.MULTILINE)
_END = re.compile(_END_LINE, re.MULTILINE)
_BLOCK = re.compile(rf"{_BEGIN_LINE}(?P<inside>.*?){_END_LINE}", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def with_block(before: str, block: str, behind: str = "") -> str:
    """A file with our block between what is the host's; see `around_ours`."""
    begin = BEGIN
    if before and not before.endswith("\n"):
        begin += _NO_NEWLINE
        before += "\n"
    return f"{before}{begin}\n{block}{END}\n{behind}"


def block_in(text: str) -> str:
    """What stands between the two lines that mark our block; empty if there is none."""
    found = _BLOCK.search(text)
    return found["inside"] if found is not None else ""


def without_ours(text: str) -> str:
    """The file as it is without our block, and with what we commented out."""
    return "".join(around_ours(text))


def around_ours(text: str) -> tuple[str, str]:
    """The same in two parts: what stands before our block, or where it is to stand, and behind it,
    where `postconf -e` and others put what they add.
    """
    found = _BLOCK.search(text)
    if found is None:
        return text, ""
    before, behind = text[: found.start()], text[found.end() :]
    if found["no_newline"] and not behind:
        before = before.removesuffix("\n")
    return _given_back(before), _given_back(behind)


def _given_back(lines: str) -> str:
    return "".join(line.removeprefix(REPLACED) for line in _LINE.findall(lines))


def out_of_order(text: str, own_directory: Path) -> str | None:
    """Why our part of a file can't be told from the host's, and what to do; None if it can.

    `own_directory`: our folder, which only our block has a reason to name.
    """
    begins, ends = len(_BEGIN.findall(text)), len(_END.findall(text))
    found = _BLOCK.search(text)
    if (begins, ends) not in ((0, 0), (1, 1)) or (begins and found is None):
        return (
            f'it has the line "{BEGIN}" {_times(begins)}, and "{END}" {_times(ends)}: leave one of'
            " each, in this order and with our lines alone between them, or delete them all and our"
            " lines"
        )
    if found is None and (number := _replaced(text)):
        return (
            f'line {number} begins with "{REPLACED}", but our block is not there: delete these'
            " words where a line begins with them, or the line"
        )
    if found is not None and (number := _continuation(text, found.end())):
        return (
            f"line {number} continues the last entry of our block, below the end of it: delete the"
            " line, or put it below an entry of its own"
        )
    return _stray_reference(text, found, own_directory)


def _stray_reference(text: str, found: re.Match[str] | None, own_directory: Path) -> str | None:
    begin, end = found.span() if found is not None else (0, 0)
    folder = f"{own_directory}/"
    for number, start, line in _said(text):
        if folder in line and not begin <= start < end:
            return (
                f"line {number} names {own_directory}, outside our block (postconf -F and -P move a"
                " service of ours there): delete the line and what continues it, apply writes anew"
                " what is wanted"
            )
    return None


def _times(number: int) -> str:
    return {0: "nowhere", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _replaced(text: str) -> int | None:
    """The number of the first line that we have commented out."""
    lines = enumerate(_LINE.findall(text), start=1)
    return next((number for number, line in lines if line.startswith(REPLACED)), None)


def _continuation(text: str, end: int) -> int | None:
    """The number of the first line that says something behind the block, if it continues it."""
    behind = ((number, line) for number, start, line in _said(text) if start >= end)
    number, line = next(behind, (0, "-"))
    return number if line[0].isspace() else None


def _said(text: str) -> Iterator[tuple[int, int, str]]:
    """Lines that are neither empty nor comments: the number, where it starts, the line."""
    for number, match in enumerate(_LINE.finditer(text), start=1):
        line = match[0]
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, match.start(), line
