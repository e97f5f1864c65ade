"""Validators that turn what stands in a document into the model's types.

Each raises ValueError with one sentence for the administrator: what is wrong, what would be
right. pydantic collects them with the place where each value stands.
"""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from pydantic import BeforeValidator, PlainValidator

from postconnector.model.problem import control_character, quoted

T = TypeVar("T")
_LARGEST_SHOWN = 10**18
EnumT = TypeVar("EnumT", bound=StrEnum)


def text(parse: Callable[[str], T], kind: type[T]) -> PlainValidator:
    """A string that `parse` reads; a value that is a `kind` already passes."""

    def validate(value: object) -> T:
        if isinstance(value, kind) and kind is not str:
            return value
        return parse(_printable(value))

    return PlainValidator(validate)


def any_text(value: object) -> str:
    """A string of printable characters, possibly empty."""
    return _printable(value)


def name(value: object) -> str:
    """A connector's name: one line of text that is not empty."""
    shown = _printable(value).strip()
    if not shown:
        raise ValueError('the name is empty; write e.g. name = "Internet"')
    return shown


def boolean(value: object) -> bool:
    """true or false, not in quotes."""
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is not true or false; write one of them, unquoted")
    return value


def whole_number(lowest: int, highest: int) -> PlainValidator:
    """An integer from `lowest` to `highest`."""

    def validate(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{_shown(value)} is not a whole number; write e.g. 25, unquoted")
        if not lowest <= value <= highest:
            raise ValueError(f"{_shown(value)} is outside {lowest} to {highest}")
        return value

    return PlainValidator(validate)


def choice(kind: type[EnumT]) -> PlainValidator:
    """One of the values of an enumeration, in any case of letters."""

    def validate(value: object) -> EnumT:
        wanted = _printable(value).casefold()
        for member in kind:
            if member.value.casefold() == wanted:
                return member
        raise ValueError(f"{_shown(value)} is not one of {', '.join(kind)}")

    return PlainValidator(validate)


def as_list(value: object) -> list[object] | tuple[object, ...]:
    """Exchange takes one value where a list may stand, and so do we."""
    return _as_list(value, "contoso.com")


def list_of(example: str) -> BeforeValidator:
    """The same for a list of what does not look like a domain."""
    return BeforeValidator(lambda value: _as_list(value, example))


def _as_list(value: object, example: str) -> list[object] | tuple[object, ...]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        raise ValueError(f'{_shown(value)} is not a list of strings; write e.g. ["{example}"]')
    return value


def _printable(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not a string; put it in double quotes")
    if found := control_character(value):
        raise ValueError(f"the value holds the unprintable character {found}; take it out")
    return value


def _shown(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int) and abs(value) > _LARGEST_SHOWN:
        return "a number of many digits"  # which Python would rather not write out
    if isinstance(value, bool | list | tuple | dict) or value is None:
        try:
            value = json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, RecursionError):
            return "a value nested too deeply"
    return quoted(str(value))[1:-1]
