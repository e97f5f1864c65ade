"""What becomes of a message between the listener that takes it and the queue. Pure.

A listener, which is an smtpd(8) or pickup(8), may hand it to a content filter, and leave it to the
listener that takes it back to map addresses (FILTER_README, ADDRESS_REWRITING_README). What comes
back from the agent path has to go on in the same way.

Each smtpd(8) says so itself, with every message: it expands `$name` with its own settings in
master.cf.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

from postconnector.model.organization import AskMilter, HostSettings
from postconnector.postfix.facts import END_OF_DATA_RESTRICTIONS, RESTRICTIONS, PostfixFacts
from postconnector.postfix.service_names import FILTERED, MAPS_LATE, WAY

SMTPD_MILTERS, SMTPD_MILTER_MAPS = "smtpd_milters", "smtpd_milter_maps"
NON_SMTPD_MILTERS = "non_smtpd_milters"
_MAIN, _MAIN_CF = "main-", "main.cf"
_FILTER = "content_filter"
_OVERRIDES = "receive_override_options"
_NO_MAPPINGS, _NO_MILTERS = "no_address_mappings", "no_milters"
NOT_PUBLISHED = (
    "content_filter or receive_override_options of the listener are others than when connectors"
    " were published, so there is no way back from the agent: run postconnector apply"
)
"""Why what would take the agent path has to wait."""

TOLD = "asked-"
"""How what a listener says of itself begins."""

_ASKED_HERE, _ASKED_BEHIND = f"{TOLD}here", f"{TOLD}behind"


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
        usual = _way(maps_late=self.maps_late, filtered=bool(self.content_filter))
        digits = _digits(self.content_filter)
        if not usual or (own := f"{usual}-{digits}") in self.ways:
            return own if usual else ""
        mains = {word for word in self.ways if word.startswith(_MAIN)}
        is_main = not mains or f"{_MAIN}{digits}" in mains
        return usual if usual in self.ways and is_main else None


def _way(*, maps_late: bool, filtered: bool, digits: str = "") -> str:
    words = (MAPS_LATE if maps_late else "", FILTERED if filtered else "", digits)
    return "-".join(filter(None, words))


def _digits(content_filter: str) -> str:
    return sha256("".join(content_filter.split()).encode()).hexdigest()[:8]


def is_way(text: str) -> bool:
    """Whether a text may be one of the ways back but the usual one."""
    return re.fullmatch(WAY, text) is not None


def maps_late(way: str) -> bool:
    """Whether what takes a way back still has the addresses that its sender wrote."""
    return way.partition("-")[0] == MAPS_LATE


def listeners(facts: PostfixFacts) -> dict[str, Listener]:
    """Those of a host, by names such as smtp/inet."""
    smtpd = (name for name, program in facts.programs.items() if program == "smtpd")
    return {name: _listener(facts, name) for name in sorted({pickup_of(facts), *smtpd})}


def pickup_of(facts: PostfixFacts) -> str:
    """The listener for mail by sendmail(1): pickup/unix, or pickup/fifo on older hosts."""
    found = (name for name, program in facts.programs.items() if program == "pickup")
    return next(found, "pickup/unix")


def _listener(facts: PostfixFacts, name: str) -> Listener:
    maps_late = _NO_MAPPINGS in _effective(facts, name, _OVERRIDES)
    return Listener(_effective(facts, name, _FILTER), maps_late)


def content_filters(facts: PostfixFacts) -> list[str]:
    """All that a host has."""
    return sorted({each.content_filter for each in listeners(facts).values()} - {""})


def is_carried_over(content_filter: str) -> bool:
    """Whether a content filter can be set for a way back just as it is."""
    return re.search(r"[{};\t]|  ", content_filter) is None


def ways_back(facts: PostfixFacts, host: HostSettings) -> dict[str, Listener]:
    """The ways back from the agent that a host needs, by their words, with a listener of each.

    The filter of main.cf, or the only one, has the plain word: it may change while mail is on its
    way.
    """
    main, again = _main_filter(facts), is_asked_behind(facts, host)
    found = {"": Listener()}
    for each in (_listener(facts, _MAIN_CF), *listeners(facts).values()):
        digits = "" if each.content_filter in ("", main) else _digits(each.content_filter)
        way = _way(maps_late=each.maps_late, filtered=bool(each.content_filter), digits=digits)
        if way and is_carried_over(each.content_filter):
            found[way] = replace(each, asked_behind=again and bool(each.content_filter))
    return dict(sorted(found.items()))


def _main_filter(facts: PostfixFacts) -> str:
    filters = content_filters(facts)
    return facts.parameter(_FILTER) or (filters[0] if len(filters) == 1 else "")


def asked_restrictions(host: HostSettings) -> tuple[str, ...]:
    """Where smtpd(8) asks the policy service: not at the end of data what the milter judges there
    by the same rules, and with the headers."""
    if host.milter is not AskMilter.SMTP:
        return RESTRICTIONS
    return tuple(name for name in RESTRICTIONS if name != END_OF_DATA_RESTRICTIONS)


def asking_parameters(host: HostSettings) -> tuple[str, ...]:
    """What has a listener ask the rules at all times; one of its own in master.cf prevents that."""
    by_milter = (SMTPD_MILTERS, SMTPD_MILTER_MAPS) if host.milter is AskMilter.SMTP else ()
    return (*asked_restrictions(host), *by_milter)


def behind_filters(facts: PostfixFacts) -> list[str]:
    """The listeners where messages may come back from a content filter.

    It can't be known which: all that have none. One that pipe(8) runs may bring them back by
    sendmail(1).
    """
    transports = (each.partition(":")[0] for each in content_filters(facts))
    piped = any(facts.programs.get(f"{name}/unix") == "pipe" for name in transports)
    pickup = pickup_of(facts)
    found = (name for name, each in listeners(facts).items() if not each.content_filter)
    smtpd = [name for name in found if name != pickup]
    return [*smtpd, *([pickup] if piped or not smtpd else [])]


def is_asked_behind(facts: PostfixFacts, host: HostSettings) -> bool:
    """Whether the rules are asked again wherever messages may come back from a content filter."""
    return bool(content_filters(facts)) and not not_asking_behind(facts, host)


def not_asking_behind(facts: PostfixFacts, host: HostSettings) -> list[str]:
    """Those of them where the rules are not asked again."""
    return [name for name in behind_filters(facts) if not _asks(facts, name, host)]


def _asks(facts: PostfixFacts, listener: str, host: HostSettings) -> bool:
    passes_milters_by = _NO_MILTERS in _effective(facts, listener, _OVERRIDES)
    if listener == pickup_of(facts):
        others = f"cleanup/unix/{NON_SMTPD_MILTERS}" in facts.service_settings
        return host.milter is not AskMilter.NONE and not others and not passes_milters_by
    if host.milter is AskMilter.SMTP and (passes_milters_by or facts.parameter(SMTPD_MILTER_MAPS)):
        return False
    own = (f"{listener}/{name}" for name in asking_parameters(host))
    return not any(setting in facts.service_settings for setting in own)


def telling(facts: PostfixFacts, host: HostSettings, listener: Listener | None = None) -> str:
    """How a listener says of itself what it is, as main.cf has it; read by `listener_told`.

    `listener`: one that can't put in itself what it has.
    """
    asked = _ASKED_BEHIND if is_asked_behind(facts, host) else _ASKED_HERE
    # Where there are several filters another one must not be taken for that of main.cf.
    main = [f"{_MAIN}{_digits(_main_filter(facts))}"] if len(content_filters(facts)) > 1 else []
    words = " ".join((asked, *filter(None, ways_back(facts, host)), *main))
    if listener is None:
        return f"{words}; ${_FILTER}; ${_OVERRIDES}"
    return f"{words}; {listener.content_filter}; {_NO_MAPPINGS if listener.maps_late else ''}"


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
        _NO_MAPPINGS in overrides,
        bool(content_filter) and asked == _ASKED_BEHIND,
        frozenset(ways),
    )


def _effective(facts: PostfixFacts, service: str, parameter: str) -> str:
    own = facts.queueing.get(f"{service}/{parameter}")
    return facts.parameter(parameter) if own is None else own
