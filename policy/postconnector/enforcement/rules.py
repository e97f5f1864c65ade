"""The rules in force: ours and those of other packages, found by their entry points."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from postconnector.enforcement.rule import GROUP, Rule

_OURS = "postconnector.enforcement."

log = logging.getLogger(__name__)


class RulesError(Exception):
    """A rule that is installed can't be loaded; nothing is judged without it."""


@dataclass(frozen=True, slots=True)
class NamedRule:
    """A rule under the name of its entry point."""

    name: str
    rule: Rule
    is_ours: bool


def load_rules() -> tuple[NamedRule, ...]:
    """All rules that are installed, by name. Raises RulesError."""
    found = sorted(entry_points(group=GROUP), key=lambda each: each.name)
    return tuple(_loaded(found))


def _loaded(found: list[EntryPoint]) -> Iterator[NamedRule]:
    for each in found:
        try:
            rule = each.load()
        except Exception as error:
            raise RulesError(f"rule {each.name} ({each.value}) can't be loaded: {error}") from error
        if not callable(rule):
            raise RulesError(f"rule {each.name} ({each.value}) is no function")
        is_ours = each.value.startswith(_OURS)
        if not is_ours:
            log.info("rule %s: %s", each.name, each.value)
        yield NamedRule(each.name, rule, is_ours)
