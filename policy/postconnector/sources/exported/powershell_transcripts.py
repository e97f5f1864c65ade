"""What in a text was typed into a shell: without its prompts, without a log's own words.

The Hybrid Configuration Wizard logs the commands it runs, one a line, between many other lines:

    2021.01.20 10:21:47.125   10277 [Client=UX, Cmdlet=Set-SendConnector] START Set-SendConnector …

The wizard of Exchange 2010 wrote `[1/29/2014 17:34:55] INFO:Running command: Set-SendConnector …`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LOG_LINE = re.compile(r"\s*+\[?\d{1,4}[./-]\d{1,2}[./-]\d{1,4}[ T]++\d{1,2}:\d{2}:\d{2}")
_LOGGED_COMMAND = re.compile(
    r"(?:\bSTART|\bRunning command:)\s++((?:New|Set)-SendConnector\s.*)", re.IGNORECASE
)
_PROMPT = re.compile(
    r"\s*+(?:\[PS\][^>\n]*+>"
    r"|(?:\[[^\]\n]*+\]:\s*+)?PS\b[^>|;=\n]*+>"
    r"|[A-Z]:\\[^>|;=\n]*+>"
    r"|>>)\s*+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A script, or a single command of a log; `line` is where it begins."""

    text: str
    line: int


def typed_parts(text: str) -> Iterator[Typed]:
    """The scripts and logged commands of a text, in order.

    Prompts are cut off and the lines of logs left out; a line never changes its number.
    """
    script: list[str] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        stamp = _LOG_LINE.match(line)
        if stamp is None:
            script.append(_PROMPT.sub("", line, count=1) if _PROMPT.match(line) else line)
            continue
        yield Typed("\n".join(script), number - len(script))
        script.clear()
        logged = _LOGGED_COMMAND.search(line, stamp.end())
        if logged is not None:
            yield Typed(logged[1], number)
    yield Typed("\n".join(script), len(lines) + 1 - len(script))
