"""What becomes of a message between the listener that takes it and the queue. Pure.

A listener, which is an smtpd(8) or pickup(8), may hand it to a content filter, and leave it to the
listener that takes it back to map addresses (FILTER_README, ADDRESS_REWRITING_README). What comes
back from the agent path has to go on in the same way.

Each smtpd(8) says so itself, with every message: it expands `$name` with its own settings in
master.cf.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.service_names import MAPS_LATE

_FILTER = "content_filter"
_OVERRIDES = "receive_override_options"
_NO_MAPPINGS, _NO_MILTERS = "no_address_mappings", "no_milters"
SMTPD_MILTERS = "smtpd_milters"
_PICKUP = "pickup/unix"
_WAY = re.compile(rf"{MAPS_LATE}|({MAPS_LATE}-)?[0-9a-f]{{8}}")
_ASKED_HERE, _ASKED_BEHIND = "asked-here", "asked-behind"


@dataclass(frozen=True, slots=True)
class Listener:
    """`content_filter`: where it sends messages; empty: none. `maps_addresses`: whether aliases and
    canonical addresses are followed there. `asked_behind`: the rules are asked once more where
    messages come back from the filter, so that it need not be passed by for a connector that takes
    larger ones. `ways`: those that are published.
    """

    content_filter: str = ""
    maps_addresses: bool = True
    asked_behind: bool = False
    ways: frozenset[str] = frozenset()

    @property
    def way(self) -> str:
        """Which of the ways back from the agent is its own; empty: the usual one, which is also
        that of a listener that is new since connectors were published.
        """
        return way if (way := self.own_way) in self.ways else ""

    @property
    def own_way(self) -> str:
        """The same, published or not: a word in names of services."""
        words = [] if self.maps_addresses else [MAPS_LATE]
        if self.content_filter:
            words.append(sha256(self.content_filter.encode()).hexdigest()[:8])
        return "-".join(words)

    @property
    def maps_on_return(self) -> bool:
        """Whether nobody else does that for what comes back from the agent."""
        return not self.maps_addresses and not self.content_filter


def is_way(text: str) -> bool:
    """Whether a text may be one of the ways back but the usual one."""
    return _WAY.fullmatch(text) is not None


def maps_late(way: str) -> bool:
    """Whether what takes a way back still has the addresses that its sender wrote."""
    return way.partition("-")[0] == MAPS_LATE


def listeners(facts: PostfixFacts) -> dict[str, Listener]:
    """Those of a host, by names such as smtp/inet."""
    return {
        name: Listener(
            _effective(facts, name, _FILTER),
            _NO_MAPPINGS not in _effective(facts, name, _OVERRIDES),
        )
        for name in sorted({_PICKUP, *facts.smtpd_services})
    }


def ways_back(facts: PostfixFacts, asking: Collection[str]) -> dict[str, Listener]:
    """The ways back from the agent that a host needs, by their words, with a listener of each.

    `asking`: see `asked_behind`.
    """
    again = bool(asked_behind(facts, asking))
    found = {
        each.own_way: replace(each, asked_behind=again and bool(each.content_filter))
        for each in listeners(facts).values()
    }
    return dict(sorted({"": Listener(), **found}.items()))


def asked_behind(facts: PostfixFacts, asking: Collection[str]) -> list[str]:
    """Where messages come back from a content filter, if the rules are asked again there.

    It can't be known which listener that is: every one without a content filter has to ask.
    `asking`: the parameters that have it ask.
    """
    found = listeners(facts)
    if not any(each.content_filter for each in found.values()):
        return []
    behind = [n for n, each in found.items() if not each.content_filter and n != _PICKUP]
    return behind if all(_asks(facts, name, asking) for name in behind) else []


def _asks(facts: PostfixFacts, service: str, asking: Collection[str]) -> bool:
    if SMTPD_MILTERS in asking and _NO_MILTERS in _effective(facts, service, _OVERRIDES):
        return False
    return not any(f"{service}/{parameter}" in facts.service_settings for parameter in asking)


def telling(facts: PostfixFacts, asking: Collection[str]) -> str:
    """How a listener says of itself what it is, as main.cf has it; read by `listener_told`."""
    asked = _ASKED_BEHIND if asked_behind(facts, asking) else _ASKED_HERE
    words = " ".join((asked, *filter(None, ways_back(facts, asking))))
    return f"{words}; ${_FILTER}; ${_OVERRIDES}"


@lru_cache(maxsize=1000)
def listener_told(text: str | None) -> Listener:
    """The listener that says `text` of itself; of another text nothing is known."""
    words, _, rest = (text or "").partition(";")
    content_filter, _, overrides = rest.partition(";")
    asked, *ways = words.split() or [""]
    if asked not in (_ASKED_HERE, _ASKED_BEHIND):
        return Listener()
    content_filter = content_filter.strip()
    return Listener(
        content_filter,
        _NO_MAPPINGS not in overrides,
        bool(content_filter) and asked == _ASKED_BEHIND,
        frozenset(ways),
    )


def _effective(facts: PostfixFacts, service: str, parameter: str) -> str:
    own = facts.queueing.get(f"{service}/{parameter}")
    return facts.parameter(parameter) if own is None else own
