"""The hosts that take a domain's mail, in the order of trying (RFC 5321, 5.1; RFC 7505). No I/O.

Given are the answers of DNS; a domain whose mail cannot be delivered now, or ever, raises
NoTargetError. What DNS could not tell is temporary, whatever else it told, unless there is
somebody to deliver to.
"""

import random
from collections.abc import Sequence
from itertools import groupby

from postconnector.delivery.hosts.answer import Answer, MailExchanger, Status, is_host_name
from postconnector.delivery.hosts.mail_host import Family, MailHost
from postconnector.delivery.hosts.own_host import IpAddress, OwnHost
from postconnector.delivery.hosts.target import NoTargetError
from postconnector.delivery.reply import Reply

MOST_EXCHANGERS = 20
MOST_TARGETS = 20
"""Places to try for one message: with 30 s each to connect, ten minutes at the very worst."""

_MOST_SHOWN = 3

Place = tuple[str, IpAddress]


def exchangers_of(
    domain: str, answer: Answer[MailExchanger], rng: random.Random
) -> list[MailExchanger]:
    """The hosts of a domain by preference, equal ones shuffled; without MX the domain itself.

    A name that does not exist is asked for addresses too, as Postfix does: DNS servers that
    deny a name for the lack of one record type are about.
    """
    if answer.status is Status.FAILED:
        raise temporary("4.4.3", f"no MX records of {domain} from DNS: {answer.reason}")
    if answer.status is not Status.FOUND:
        return [MailExchanger(0, domain)]
    if all(exchanger.host == "." for exchanger in answer.records):
        raise permanent(556, "5.1.10", f"{domain} does not accept mail (null MX, RFC 7505)")
    named = [exchanger for exchanger in answer.records if is_host_name(exchanger.host)]
    if not named:
        text = f"no MX record of {domain} names a host"
        raise permanent(550, "5.4.4", text, not_found=True)
    rng.shuffle(named)
    named.sort(key=lambda exchanger: exchanger.preference)
    once: dict[str, MailExchanger] = {}
    for exchanger in named:
        once.setdefault(exchanger.host, exchanger)
    return list(once.values())[:MOST_EXCHANGERS]


def places(
    domain: str,
    hosts: Sequence[MailHost],
    family: Family | None,
    own: OwnHost,
    rng: random.Random,
) -> list[Place]:
    """Where to deliver to: never this host itself, nor one that is no better (RFC 5321, 5.1).

    `family`: only such addresses, since the connector's own is one. `own`: nobody, where
    coming back to this host is no loop (another port than ours).
    """
    better = _better_than_own(hosts, own)
    found = [place for group in _by_preference(better) for place in _mixed(group, family, rng)]
    if found:
        return found[:MOST_TARGETS]
    _raise_if_unsure(domain, better, family)
    if len(better) < len(hosts):
        if better:
            text = f"the mail exchangers of {domain} before this host have no address in DNS"
            raise temporary("4.4.4", text)
        raise permanent(550, "5.4.6", f"mail for {domain} loops back to this host")
    raise _not_found(domain, hosts)


def temporary(enhanced: str, text: str) -> NoTargetError:
    """Nowhere to deliver to for now."""
    return NoTargetError(Reply(451, enhanced, (text,)))


def permanent(code: int, enhanced: str, text: str, *, not_found: bool = False) -> NoTargetError:
    """Nowhere to deliver to."""
    return NoTargetError(Reply(code, enhanced, (text,)), not_found=not_found)


def _better_than_own(hosts: Sequence[MailHost], own: OwnHost) -> list[MailHost]:
    ours = [
        host.preference
        for host in hosts
        if own.is_called(host.host) or any(own.is_at(each) for each in host.every_address)
    ]
    return [host for host in hosts if not ours or host.preference < min(ours)]


def _by_preference(hosts: Sequence[MailHost]) -> list[list[MailHost]]:
    return [list(group) for _, group in groupby(hosts, lambda host: host.preference)]


def _mixed(hosts: Sequence[MailHost], family: Family | None, rng: random.Random) -> list[Place]:
    """Hosts of equal preference share the load by address, the families taking turns.

    So one family that does not work, here or there, costs every other try and no more.
    """
    all_places = [(host.host, address) for host in hosts for address in host.addresses(family)]
    rng.shuffle(all_places)
    if not all_places:
        return []
    first = all_places[0][1].version
    leading = [place for place in all_places if place[1].version == first]
    others = [place for place in all_places if place[1].version != first]
    both = min(len(leading), len(others))
    turns = [place for pair in zip(leading, others, strict=False) for place in pair]
    return turns + leading[both:] + others[both:]


def _raise_if_unsure(domain: str, hosts: Sequence[MailHost], family: Family | None) -> None:
    """A place may be there all the same, or there is one that this connector cannot reach."""
    for host in hosts:
        if (reason := host.failure(family)) is not None:
            raise temporary("4.4.3", f"no addresses of {host.host} from DNS: {reason}")
    if family is not None and any(host.addresses() for host in hosts):
        text = f"no mail host of {domain} has an IPv{family} address, as the connector's source is"
        raise temporary("4.4.4", text)


def _not_found(domain: str, hosts: Sequence[MailHost]) -> NoTargetError:
    names = [host.host for host in hosts]
    if names != [domain]:
        shown = ", ".join(names[:_MOST_SHOWN]) + (", ..." if len(names) > _MOST_SHOWN else "")
        text = f"no mail exchanger of {domain} has an address in DNS (A and AAAA of {shown} asked)"
    elif hosts[0].is_unknown:
        text = f"nonexistent domain: {domain} is not in DNS (MX, A and AAAA asked)"
    else:
        text = f"{domain} has neither mail exchanger nor address in DNS (MX, A and AAAA asked)"
    return permanent(550, "5.4.4", text, not_found=True)
