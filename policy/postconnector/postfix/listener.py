"""What becomes of a message between the listener that takes it and the queue. Pure.

A listener, which is an smtpd(8) or pickup(8), may hand it to a content filter, and leave it to the
listener that takes it back to map addresses (FILTER_README, ADDRESS_REWRITING_README). What comes
back from the agent path has to go on in the same way.

Each smtpd(8) says so itself, with every message: it expands `$name` with its own settings in
master.cf.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from postconnector.postfix.service_names import FILTERED, MAPS_LATE, WAY

NO_MAPPINGS = "no_address_mappings"
"""In receive_override_options."""

NOT_PUBLISHED = (
    "content_filter or receive_override_options of the listener are others than when connectors"
    " were published, so there is no way back from the agent: run postconnector apply"
)
"""Why what would take the agent path has to wait."""

TOLD = "asked-"
"""How what a listener says of itself begins."""

_ASKED_HERE, _ASKED_BEHIND = f"{TOLD}here", f"{TOLD}behind"
_MAIN = "main-"


@dataclass(frozen=True, slots=True)
class Listener:
    """`content_filter`: where it sends messages; empty: none. `maps_late`: it leaves it to others
    to follow aliases and canonical addresses. `asked_behind`: the rules are asked once more where
    messages come back from the filter, so that it need not be passed by for a connector that takes
    larger ones. `ways`: the ways back from the agent that are published, and which filter main.cf
    has.
    """

    content_filter: str = ""
    maps_late: bool = False
    asked_behind: bool = False
    ways: frozenset[str] = frozenset()

    @property
    def way(self) -> str | None:
        """By which what it takes comes back from the agent; empty: by the usual one.

        None where there is none, because the listener was changed since connectors were published.
        A filter that is another now is still better than none.
        """
        usual, digits = self.own_way(main=self.content_filter), _digits(self.content_filter)
        if not usual:
            return ""
        if (own := f"{usual}-{digits}") in self.ways:
            return own
        mains = {word for word in self.ways if word.startswith(_MAIN)}
        is_main = not (self.content_filter and mains) or f"{_MAIN}{digits}" in mains
        return usual if usual in self.ways and is_main else None

    def own_way(self, main: str) -> str:
        """The word for its way, published or not; `main`: the filter that has the plain one."""
        words = [MAPS_LATE] if self.maps_late else []
        if self.content_filter:
            words.append(FILTERED)
        if self.content_filter not in ("", main):
            words.append(_digits(self.content_filter))
        return "-".join(words)


def _digits(content_filter: str) -> str:
    return sha256("".join(content_filter.split()).encode()).hexdigest()[:8]


def is_way(text: str) -> bool:
    """Whether a text may be one of the ways back but the usual one."""
    return re.fullmatch(WAY, text) is not None


def maps_late(way: str) -> bool:
    """Whether what takes a way back still has the addresses that its sender wrote."""
    return way.partition("-")[0] == MAPS_LATE


def telling(
    ways: Collection[str], main: str | None, content_filter: str, overrides: str, *, again: bool
) -> str:
    """What a listener says of itself; read by `listener_told`.

    `ways`: those that are published. `main`: the filter of main.cf, where there are several, so
    that another is not taken for it. `again`: the rules are asked again behind filters.
    """
    asked = _ASKED_BEHIND if again else _ASKED_HERE
    words = [asked, *filter(None, ways), *([] if main is None else [f"{_MAIN}{_digits(main)}"])]
    return f"{' '.join(words)}; {content_filter}; {overrides}"


@lru_cache(maxsize=1000)
def listener_told(text: str | None) -> Listener:
    """The listener that says `text` of itself; of another text nothing is known."""
    words, _, rest = (text or "").partition(";")
    content_filter, _, overrides = (part.strip() for part in rest.partition(";"))
    asked, *ways = words.split() or [""]
    if asked not in (_ASKED_HERE, _ASKED_BEHIND):
        return Listener()
    return Listener(
        content_filter,
        NO_MAPPINGS in overrides,
        bool(content_filter) and asked == _ASKED_BEHIND,
        frozenset(ways),
    )
