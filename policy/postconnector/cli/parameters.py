"""The properties of a connector on the command line, in our spelling and in Exchange's.

`--max-message-size 20MB`, `-MaxMessageSize 20MB` and `-MaxMessageSize:20MB` are the same. A
property takes the argument behind it as its value whatever that looks like, so that
`-AddressSpaces --` works; only a further property is not taken for a value.
"""

import argparse
import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from postconnector.cli.failure import CommandFailedError
from postconnector.model.address_space import AddressSpace
from postconnector.model.property_kinds import BOOLEANS, LISTS, NUMBERS
from postconnector.model.property_names import EXCHANGE_NAMES, USAGE_SWITCHES, folded

_OPTION = re.compile(r"--?(?P<name>[A-Za-z][A-Za-z_-]*)(?:[:=](?P<value>.*))?", re.DOTALL)
_FIELDS = {folded(name.replace("-", "")): name for name in EXCHANGE_NAMES}
_SWITCHES = {folded(name): name for name in (*USAGE_SWITCHES, "WhatIf", "Force", "Confirm")}
_NO_VALUES = ("-c", "-h", "--help")
_CHANGE = re.compile(r"@\{(?P<parts>.*)\}", re.DOTALL)
_PART = re.compile(
    r"""\s*(?P<what>Add|Remove)\s*=\s*(?P<values>(?:"[^"]*"|'[^']*'|[^;"'])*)(?:;|$)""",
    re.IGNORECASE,
)
_HELP = {
    "authentication_credential": "USER:PASSWORD_FILE",
    "tls_certificate_name": "<I>ISSUER<S>SUBJECT",
    "max_message_size": "SIZE",
    "connection_inactivity_time_out": "HH:MM:SS",
}


def in_our_spelling(arguments: Sequence[str]) -> list[str]:
    """A command line with every property written as `--property=value`."""
    return list(_respelled(iter(arguments)))


def _respelled(arguments: Iterator[str]) -> Iterator[str]:
    waiting: str | None = None
    for argument in arguments:
        option = _option(argument)
        if waiting is not None:
            if option is not None or argument in _NO_VALUES:
                raise CommandFailedError(
                    os.EX_USAGE,
                    f"--{waiting} has no value (the shell takes $true for a variable of its own;"
                    " write true)",
                )
            yield _assigned(waiting, argument)
            waiting = None
        elif option is None:
            yield argument
        else:
            name, value, takes_value = option
            if value is not None and takes_value and value == "":
                waiting = name
            elif value is not None or not takes_value:
                yield from _switch(name, value) if not takes_value else [_assigned(name, value)]
            else:
                waiting = name
    if waiting is not None:
        yield f"--{waiting}"


def _assigned(name: str, value: str | None) -> str:
    # argparse drops a value that is --, which is an address space; as a list of one it stays.
    return f"--{name}={value}," if value == "--" else f"--{name}={value}"


def _switch(name: str, value: str | None) -> Iterator[str]:
    """A switch may be said with a value: -Confirm:$false."""
    if value is None or value.lstrip("$").casefold() != "false":
        yield f"--{name}"


def _option(argument: str) -> tuple[str, str | None, bool] | None:
    """The name in our spelling, the value within the argument, and whether it takes one."""
    match = _OPTION.fullmatch(argument)
    if match is None:
        return None
    name = folded(match["name"].replace("-", ""))
    if name == "identity":
        return "identity", match["value"], True
    if name in _FIELDS:
        return _FIELDS[name].replace("_", "-"), match["value"], True
    if name in _SWITCHES:
        switch = _SWITCHES[name]
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", switch).lower(), match["value"], False
    return None


def add_properties(parser: argparse.ArgumentParser, *, switches: bool) -> None:
    """Define an option for each property.

    `switches`: also for the usage types, which can only be said of a connector that is not there.
    """
    group = parser.add_argument_group(
        "properties",
        "also in Exchange's spelling (-MaxMessageSize 20MB); lists have commas between elements;"
        " '$null' or '' takes a property out",
    )
    for field, exchange_name in EXCHANGE_NAMES.items():
        group.add_argument(
            f"--{field.replace('_', '-')}",
            dest=field,
            metavar=_metavar(field),
            help=exchange_name if switches or field != "usage" else argparse.SUPPRESS,
        )
    if switches:
        for name in USAGE_SWITCHES:
            group.add_argument(
                f"--{name.lower()}",
                action="append_const",
                const=name,
                dest="usages",
                help=f"the same as --usage {name}",
            )
    parser.add_argument("--identity", help=argparse.SUPPRESS)
    parser.add_argument(
        "--what-if", action="store_true", help="show what would be written, and write nothing"
    )
    for name in ("--force", "--confirm"):
        parser.add_argument(name, action="store_true", help=argparse.SUPPRESS)


def _metavar(field: str) -> str:
    if field in BOOLEANS:
        return "true|false"
    if field in LISTS:
        return "A,B"
    return _HELP.get(field, "N" if field in NUMBERS else "TEXT")


def properties_of(
    arguments: argparse.Namespace, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The properties on the command line as a TOML file says them; None takes one out.

    `before`: the connector's properties so far, for `@{Add="…"; Remove="…"}`.
    """
    return {
        field: _value(field, text, (before or {}).get(field))
        for field in EXCHANGE_NAMES
        if (text := getattr(arguments, field, None)) is not None
    }


def _value(field: str, text: str, before: object) -> Any:  # noqa: ANN401 (a value of TOML)
    if text.casefold() in ("$null", ""):
        return None
    plain = text.strip()
    if field in BOOLEANS and plain.lstrip("$").casefold() in ("true", "false"):
        return plain.lstrip("$").casefold() == "true"
    if field in NUMBERS and plain.isascii() and plain.isdecimal() and len(plain) < 20:
        return int(plain)
    if field in LISTS:
        change = _CHANGE.fullmatch(plain)
        return _changed(field, change["parts"], before) if change else _elements(text)
    if field == "authentication_credential":
        user, _, file = text.partition(":")
        return {"user_name": user, "password_file": file}
    return text


def _changed(field: str, parts: str, before: object) -> list[str]:
    """Exchange's way to change a list: add and remove elements."""
    elements = [str(element) for element in before] if isinstance(before, list | tuple) else []
    if _PART.sub("", parts).strip():
        raise CommandFailedError(os.EX_USAGE, 'write @{Add="a","b"; Remove="c"}')
    for part in _PART.finditer(parts):
        named = _elements(part["values"])
        if part["what"].casefold() == "add":
            known = {_compared(field, element) for element in elements}
            elements += [name for name in named if _compared(field, name) not in known]
        else:
            gone = {_compared(field, name) for name in named}
            elements = [element for element in elements if _compared(field, element) not in gone]
    return elements


def _compared(field: str, element: str) -> str:
    """contoso.com is the same address space as SMTP:contoso.com;1."""
    if field == "address_spaces":
        with contextlib.suppress(ValueError):
            return str(AddressSpace.parse(element)).casefold()
    return element.casefold()


def _elements(text: str) -> list[str]:
    parts = (part.strip() for part in text.split(","))
    return [
        part[1:-1] if part[:1] in "'\"" and part[:1] == part[-1:] else part
        for part in parts
        if part
    ]
