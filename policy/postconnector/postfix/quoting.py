"""The only ways in which a value reaches one of Postfix' files: one function per format.

Each returns text that Postfix reads back as exactly the given value, or raises UnquotableError.
Formats: postconf(5), master(5), postmap(1); tried with Postfix 3.7.
"""

import re

_PARAMETER = re.compile(r"[A-Za-z0-9_-]+")
_BLANKS = re.compile(r"[ \t]")


class UnquotableError(ValueError):
    """The value can't be written in this file format; the text says why."""


def main_cf_value(value: str) -> str:
    """A value of main.cf that stands for itself: nothing in it is expanded."""
    _one_line(value)
    if value != value.strip():
        raise UnquotableError("main.cf drops blanks around a value")
    return value.replace("$", "$$")


def master_cf_option(name: str, value: str) -> str:
    """An `-o name=value` of a service in master.cf; nothing in the value is expanded."""
    if not _PARAMETER.fullmatch(name):
        raise UnquotableError(f"{name!r} is no parameter name")
    text = main_cf_value(value)
    if not _BLANKS.search(text):
        if text.startswith("{"):
            raise UnquotableError("master.cf takes a value that begins with { apart")
        return f"-o {name}={text}"
    if "{" in text or "}" in text:
        raise UnquotableError("master.cf can't hold a value with both blanks and braces")
    return f"-o {{ {name} = {text} }}"


def table_entry(key: str, value: str) -> str:
    """A line of a table that postmap(1) builds, for a key without blanks."""
    _one_line(key)
    _one_line(value)
    if not key or key[0] in '#"' or _BLANKS.search(key):
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
