"""The only ways in which a value reaches one of Postfix' files: one function per format.

Each returns text that Postfix reads back as exactly the given value, or raises UnquotableError.
Formats: postconf(5), master(5), postmap(1); tried with Postfix 3.7.
"""

import re
from collections.abc import Sequence

_PARAMETER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_BLANKS = re.compile(r"[ \t]")
_NOT_KEPT = re.compile(r"^ | $|  |\t|[{}]")
_PIPE = re.compile(r"\bpipemap:\{[^{}\s]+\}")
_NO_KEY = re.compile(r'^#|["\\ \t]|:$')
_ODD_IN_KEYS = ("\n#", '"', "\\", " ", "\t", ":\n", "\n\n")
"""The same of keys in lines, none of them empty."""


class UnquotableError(ValueError):
    """The value can't be written in this file format; the text says why."""


def main_cf_value(value: str) -> str:
    """A value of main.cf that stands for itself: nothing in it is expanded."""
    _one_line(value)
    if _NOT_KEPT.search(_PIPE.sub("", value)):
        raise UnquotableError("main.cf keeps neither braces nor blanks around or in a row")
    return value.replace("$", "$$")


def master_cf_option(name: str, value: str, then: str | None = None) -> str:
    """An `-o name=value` of a service in master.cf; nothing in the value is expanded.

    `then` names a parameter of main.cf whose value follows in the list.
    """
    for parameter in (name, then or name):
        if not _PARAMETER.fullmatch(parameter):
            raise UnquotableError(f"{parameter!r} is no parameter name")
    text = ", ".join(part for part in (main_cf_value(value), f"${then}" if then else "") if part)
    return f"-o {{ {name} = {text} }}" if _BLANKS.search(text) else f"-o {name}={text}"


def table_source(entries: Sequence[tuple[str, str]]) -> str:
    """The source of a table that postmap(1) builds.

    All keys are looked at in one go; only where one of them is odd, each by itself. Values are
    few.
    """
    keys = "\n".join([key for key, _ in entries])
    odd = any(mark in f"\n{keys}\n" for mark in _ODD_IN_KEYS) or not entries
    if odd or keys.count("\n") != len(entries) - 1 or not keys.replace("\n", "").isprintable():
        return "".join([table_entry(key, value) for key, value in entries])
    for value in {value for _, value in entries}:
        table_entry("key", value)
    return "".join([f"{key}\t{value}\n" for key, value in entries])


def table_entry(key: str, value: str) -> str:
    """A line of a table that postmap(1) builds; no key of ours has blanks or quotes."""
    if not key.isprintable() or not value.isprintable():
        _one_line(key)
        _one_line(value)
    if not key or _NO_KEY.search(key):
        raise UnquotableError("this can't be the key of a table entry")
    if not value or value != value.strip():
        raise UnquotableError("a table drops blanks around a value and has no empty ones")
    return f"{key}\t{value}\n"


def comment(text: str) -> str:
    """A comment line, for any of the three formats."""
    _one_line(text)
    return f"# {text}\n"


def _one_line(text: str) -> None:
    for character in text:
        if not character.isprintable() and character != "\t":
            raise UnquotableError(f"the value holds the control character U+{ord(character):04X}")
