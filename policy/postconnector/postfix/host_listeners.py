"""The listeners of a host: which have content filters, and where the rules are asked. Pure."""

import re
from dataclasses import replace

from postconnector.model.organization import AskMilter, HostSettings
from postconnector.postfix.facts import END_OF_DATA_RESTRICTIONS, RESTRICTIONS, PostfixFacts
from postconnector.postfix.listener import NO_MAPPINGS, Listener, telling

SMTPD_MILTERS, SMTPD_MILTER_MAPS = "smtpd_milters", "smtpd_milter_maps"
NON_SMTPD_MILTERS = "non_smtpd_milters"
_FILTER, _OVERRIDES = "content_filter", "receive_override_options"
_NO_MILTERS = "no_milters"
_MAIN_CF = "main.cf"
"""In place of a listener that has nothing of its own in master.cf."""


def listeners(facts: PostfixFacts) -> dict[str, Listener]:
    """Those of a host, by names such as smtp/inet."""
    smtpd = (name for name, program in facts.programs.items() if program == "smtpd")
    return {name: _listener(facts, name) for name in sorted({pickup_of(facts), *smtpd})}


def pickup_of(facts: PostfixFacts) -> str:
    """The listener for mail by sendmail(1): pickup/unix, or pickup/fifo on older hosts."""
    found = (name for name, program in facts.programs.items() if program == "pickup")
    return next(found, "pickup/unix")


def _listener(facts: PostfixFacts, name: str) -> Listener:
    maps_late = NO_MAPPINGS in _effective(facts, name, _OVERRIDES)
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
        way = each.own_way(main)
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


def told_of_itself(facts: PostfixFacts, host: HostSettings) -> str:
    """What each listener says, as main.cf has it: smtpd(8) puts its own values in."""
    return _telling(facts, host, f"${_FILTER}", f"${_OVERRIDES}")


def told_of_pickup(facts: PostfixFacts, host: HostSettings) -> str:
    """The same of pickup(8), which can't: it is cleanup(8) that asks about its mail."""
    pickup = listeners(facts)[pickup_of(facts)]
    overrides = NO_MAPPINGS if pickup.maps_late else ""
    return _telling(facts, host, pickup.content_filter, overrides)


def _telling(facts: PostfixFacts, host: HostSettings, content_filter: str, overrides: str) -> str:
    main = _main_filter(facts) if len(content_filters(facts)) > 1 else None
    ways, again = ways_back(facts, host), is_asked_behind(facts, host)
    return telling(ways, main, content_filter, overrides, again=again)


def _effective(facts: PostfixFacts, service: str, parameter: str) -> str:
    own = facts.queueing.get(f"{service}/{parameter}")
    return facts.parameter(parameter) if own is None else own
