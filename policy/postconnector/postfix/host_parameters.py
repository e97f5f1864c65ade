"""The host's own parameters in main.cf as Postfix reads them, and those that follow others. Pure.

A parameter may be defined in terms of another, as in `relay_transport = $default_transport`. What
we set for the connectors must not change what follows it: mail for relay domains, say, would take
the connector for `*`. So such a parameter is put in terms of the host's own value, which is kept
under a name of ours.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from postconnector.postfix.compiled import Parameter

HOST_VALUE = "postconnector_"
"""Begins the name under which a value of the host's is kept."""

_SPACE = " \t\n\v\f\r"
_PARAMETER = re.compile(r"(?P<name>[A-Za-z0-9_-]+)\s*=(?P<value>.*)", re.ASCII | re.DOTALL)
_REFERENCE = re.compile(r"\$\$|(?P<begin>\$[({]?\s*)(?P<name>[A-Za-z0-9_]+)", re.ASCII)
_NOW = ("address_verify_", "proxy_read_maps")
"""What is meant to follow: probes take the way of mail, proxymap(8) may read what is in use."""


class HostParameter(NamedTuple):
    """A definition in main.cf; `lines` are the numbers of its lines, without comments."""

    name: str
    value: str
    lines: tuple[int, ...]


def read_parameters(lines: Sequence[str]) -> Iterator[HostParameter]:
    """All definitions; of several for one name the last counts.

    A line that begins with a blank continues the one before; comments and empty lines neither
    end nor continue anything, and the name need not stand in one line with its `=` (postconf(5)).
    """
    numbers: list[int] = []
    for number, line in enumerate(lines):
        if not (stripped := line.strip(_SPACE)) or stripped.startswith("#"):
            continue
        if line[0] not in _SPACE:
            yield from _definition(lines, numbers)
            numbers = []
        numbers.append(number)
    yield from _definition(lines, numbers)


def _definition(lines: Sequence[str], numbers: Sequence[int]) -> Iterator[HostParameter]:
    text = "".join(lines[number].removesuffix("\n") for number in numbers)
    if match := _PARAMETER.match(text):
        yield HostParameter(match["name"], match["value"].strip(_SPACE), tuple(numbers))


def with_followers(
    ours: Iterable[Parameter], theirs: Mapping[str, str], own_values: Mapping[str, str]
) -> Iterator[Parameter]:
    """Our parameters, and the host's that follow them in terms of its own values.

    `theirs`: what main.cf defines; `own_values`: what the host has for what we set.
    """
    ours = list(ours)
    renaming = _Renaming({parameter.name for parameter in ours} & own_values.keys())
    for parameter in ours:
        yield replace(parameter, value=renaming.apply(parameter.value))
    for name, value in theirs.items():
        follows = name not in renaming.names and not name.startswith(_NOW)
        if follows and (kept := renaming.apply(value)) != value:
            yield Parameter(name, kept, "as before, in terms of the host's own value")
    yielded: set[str] = set()
    while missing := sorted(renaming.used - yielded):
        yielded.update(missing)
        for name in missing:
            value = renaming.apply(own_values[name])
            yield Parameter(f"{HOST_VALUE}{name}", value, f"the host's own {name}")


class _Renaming:
    """Has references to these parameters name the host's own values; knows which it met."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.used: set[str] = set()

    def apply(self, value: str) -> str:
        return _REFERENCE.sub(self._renamed, value)

    def _renamed(self, reference: re.Match[str]) -> str:
        name = reference["name"]  # None for $$, which stands for itself
        if name not in self.names:
            return reference[0]
        self.used.add(name)
        return f"{reference['begin']}{HOST_VALUE}{name}"
