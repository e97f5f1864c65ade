"""PowerShell's texts with escapes and variables in them.

A text made of variables is at most `MAX_EXPANDED` long, so that a small script cannot become a
huge one.
"""

import re
from collections.abc import Mapping

from postconnector.sources.exported.objects import Value
from postconnector.sources.exported.powershell_lexis import DOUBLE_QUOTES, SINGLE_QUOTES

MAX_EXPANDED = 2048
VARIABLE = re.compile(r"\$(?:(\w+)|\{([^{}\n]+)\})")

_ESCAPES = dict(zip("0abefnrtv", "\0\a\b\x1b\f\n\r\t\v", strict=True))
_SPECIAL = re.compile(f"`(.)|([{DOUBLE_QUOTES}])[{DOUBLE_QUOTES}]|\\$(?=[\\w{{(?^$])", re.DOTALL)
_SINGLE_DOUBLED = re.compile(f"([{SINGLE_QUOTES}])[{SINGLE_QUOTES}]")
_SCOPE = re.compile(r":\w")


def literal(inside: str) -> str:
    """What the inside of single quotes means."""
    return _SINGLE_DOUBLED.sub(r"\1", inside)


def expanded(inside: str, variables: Mapping[str, Value]) -> str | None:
    """What the inside of double quotes, or a bare word, means; None if only a shell knows.

    `variables` maps names in lower case to values; texts and numbers among them are put in.
    """
    parts: list[str] = []
    position = put_in = 0
    while (special := _SPECIAL.search(inside, position)) is not None:
        parts.append(inside[position : special.start()])
        position = special.end()
        if special[1] or special[2]:
            parts.append(special[2] or _ESCAPES.get(special[1], special[1]))
            continue
        variable = VARIABLE.match(inside, special.start())
        value = None if variable is None else _value_in_text(variable, variables)
        if variable is None or value is None:
            return None
        parts.append(value)
        put_in += len(value)
        if put_in > MAX_EXPANDED:
            return None
        position = variable.end()
    return "".join([*parts, inside[position:]])


def _value_in_text(variable: re.Match[str], variables: Mapping[str, Value]) -> str | None:
    """A variable's value if it can stand within a text; `$env:NAME` never can."""
    if _SCOPE.match(variable.string, variable.end()):
        return None
    value = variables.get((variable[1] or variable[2]).lower())
    return str(value) if isinstance(value, str | int) else None
