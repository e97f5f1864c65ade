"""What a rule is, and what it may say. Pure.

A rule is a function: a Message in, what it has to say out. Nothing said is agreement. Packages
register rules under the entry points of GROUP; ours are registered in the same way.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from postconnector.enforcement.message import Message

GROUP = "postconnector.rules"


@dataclass(frozen=True, slots=True)
class Refuse:
    """No recipient of these gets the message, now or later; `recipients`: None means all.

    `code` 5xx and `enhanced` as 5.x.x; `text` in one line, which is cleaned.
    """

    code: int
    enhanced: str
    text: str
    recipients: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Defer:
    """These recipients do not get it now; `code` 4xx, `enhanced` 4.x.x. None means all."""

    code: int
    enhanced: str
    text: str
    recipients: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TakeAgentPath:
    """The message is to go to the delivery agent, where each recipient is judged by itself.

    `why`: for the log.
    """

    why: str


Verdict = Refuse | Defer | TakeAgentPath

Rule = Callable[[Message], Iterable[Verdict]]


@dataclass(frozen=True, slots=True)
class NamedRule:
    """A rule under the name of its entry point."""

    name: str
    rule: Rule
    is_ours: bool


def asks_strangers(rules: Iterable[NamedRule]) -> bool:
    """Whether some rule is another package's: it may want what ours never look at."""
    return any(not rule.is_ours for rule in rules)


def word_of(verdict: Verdict | None) -> str:
    """What was decided, for logs and metrics."""
    match verdict:
        case None:
            return "accepted"
        case Refuse():
            return "refused"
        case Defer():
            return "deferred"
        case TakeAgentPath():
            return "agent path"
