"""What a rule is, and what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from postconnector.model.organization import OrganizationSettings
from postconnector.model.problem import Severity
from postconnector.model.send_connector import SendConnector


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: the property at fault, and one sentence.

    The sentence says the rule in Exchange's names, and the remedy as it is written in TOML.
    """

    property: str
    message: str
    severity: Severity = Severity.ERROR


def warning(name: str, message: str) -> Finding:
    """A finding that lets the file pass."""
    return Finding(name, message, Severity.WARNING)


Finder = Callable[[SendConnector, OrganizationSettings], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and the properties it looks at."""

    properties: frozenset[str]
    find: Finder


def rule_for(rules: list[Rule], *properties: str) -> Callable[[Finder], Finder]:
    """Decorate a rule that looks at these properties, to add it to a module's list."""

    def register(find: Finder) -> Finder:
        rules.append(Rule(frozenset(properties), find))
        return find

    return register
