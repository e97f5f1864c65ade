"""The rules that are installed: ours and those of other packages, found by their entry points."""

import logging
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

from postconnector.enforcement.rule import GROUP, NamedRule

_OURS = "postconnector.enforcement."
_BUILT_IN = frozenset({"certificate", "size"})
"""Mail must not pass unjudged because a package was installed by halves."""

log = logging.getLogger(__name__)


class RulesError(Exception):
    """A rule can't be loaded, or is not there; nothing is judged without it."""


def load_rules() -> tuple[NamedRule, ...]:
    """All rules that are installed, by name. Raises RulesError."""
    found = sorted(entry_points(group=GROUP), key=lambda each: each.name)
    rules = tuple(_loaded(found))
    if missing := ", ".join(sorted(_BUILT_IN - {rule.name for rule in rules if rule.is_ours})):
        raise RulesError(f"rules of ours are not installed: {missing}; install postconnector anew")
    return rules


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
