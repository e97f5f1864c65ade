"""Which hosts take a domain's mail, in which order, and what if there are none."""

import random
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.delivery.hosts.address_literal import parse_address_literal
from postconnector.delivery.hosts.answer import Answer, MailExchanger, Status
from postconnector.delivery.hosts.mail_exchangers import (
    MOST_EXCHANGERS,
    MOST_TARGETS,
    Place,
    exchangers_of,
    places,
)
from postconnector.delivery.hosts.mail_host import MOST_ADDRESSES, Family, MailHost
from postconnector.delivery.hosts.own_host import OwnHost
from postconnector.delivery.hosts.target import NoTargetError

NOBODY = OwnHost()
DOMAIN = "contoso.com"


NULL_MX = "556 5.1.10 contoso.com does not accept mail (null MX, RFC 7505)"


def mx(*records: tuple[int, str]) -> Answer[MailExchanger]:
    return Answer(Status.FOUND, tuple(MailExchanger(*record) for record in records))


def host(
    preference: int, name: str, *addresses: str, failed: str = "", unknown: bool = False
) -> MailHost:
    """A host; `failed`: A or AAAA, what DNS did not answer."""
    empty = Status.NO_NAME if unknown else Status.NO_DATA
    found = [ip_address(address) for address in addresses]
    ipv4 = tuple(each for each in found if isinstance(each, IPv4Address))
    ipv6 = tuple(each for each in found if isinstance(each, IPv6Address))
    return MailHost(
        preference,
        name,
        Answer(Status.FAILED, reason="SERVFAIL")
        if failed == "A"
        else Answer(Status.FOUND if ipv4 else empty, ipv4),
        Answer(Status.FAILED, reason="SERVFAIL")
        if failed == "AAAA"
        else Answer(Status.FOUND if ipv6 else empty, ipv6),
    )


def ordered(
    hosts: Sequence[MailHost], own: OwnHost = NOBODY, family: Family | None = None, seed: int = 0
) -> list[tuple[str, str]]:
    found = places(DOMAIN, hosts, family, own, random.Random(seed))
    return [(name, str(address)) for name, address in found]


def refusal(
    hosts: Sequence[MailHost], own: OwnHost = NOBODY, family: Family | None = None
) -> tuple[str, bool]:
    with pytest.raises(NoTargetError) as caught:
        ordered(hosts, own, family)
    return str(caught.value.reply), caught.value.not_found


def names(answer: Answer[MailExchanger], seed: int = 0) -> list[str]:
    return [each.host for each in exchangers_of(DOMAIN, answer, random.Random(seed))]


def test_by_preference() -> None:
    assert names(mx((20, "c.com"), (5, "a.com"), (10, "b.com"))) == ["a.com", "b.com", "c.com"]


def test_equal_ones_take_turns() -> None:
    answer = mx((10, "a.com"), (10, "b.com"), (10, "c.com"), (20, "d.com"))
    orders = [names(answer, seed) for seed in range(50)]
    assert all(order[3] == "d.com" for order in orders)
    assert {order[0] for order in orders} == {"a.com", "b.com", "c.com"}


@pytest.mark.parametrize("status", [Status.NO_DATA, Status.NO_NAME])
def test_without_mx_the_domain_itself(status: Status) -> None:
    assert exchangers_of(DOMAIN, Answer(status), random.Random(0)) == [MailExchanger(0, DOMAIN)]


def test_a_host_named_twice_counts_at_its_best() -> None:
    answer = mx((30, "a.com"), (10, "a.com"), (20, "b.com"))
    expected = [MailExchanger(10, "a.com"), MailExchanger(20, "b.com")]
    assert exchangers_of(DOMAIN, answer, random.Random(0)) == expected


@pytest.mark.parametrize("garbage", [".", "192.0.2.1", "a\\032b", "a..b", "[192.0.2.1]", "-x.com"])
def test_what_is_no_host_is_passed_over(garbage: str) -> None:
    assert names(mx((0, garbage), (10, "a.com"))) == ["a.com"]


@pytest.mark.parametrize(
    ("answer", "reply", "not_found"),
    [
        (mx((0, ".")), NULL_MX, False),
        (mx((7, "."), (0, ".")), NULL_MX, False),
        (mx((0, "192.0.2.1")), "550 5.4.4 no MX record of contoso.com names a host", True),
        (
            Answer(Status.FAILED, reason="SERVFAIL"),
            "451 4.4.3 no MX records of contoso.com from DNS: SERVFAIL",
            False,
        ),
    ],
)
def test_no_exchangers(answer: Answer[MailExchanger], reply: str, not_found: bool) -> None:
    with pytest.raises(NoTargetError) as caught:
        names(answer)
    assert (str(caught.value.reply), caught.value.not_found) == (reply, not_found)


def test_not_endlessly_many() -> None:
    answer = mx(*((n // 100, f"mx{n}.contoso.com") for n in range(1000)))
    assert len(names(answer)) == MOST_EXCHANGERS
    many = [f"192.0.2.{n}" for n in range(200)]
    assert len(ordered([host(0, "a.com", *many)])) == MOST_ADDRESSES
    hosts = [host(n, f"{n}.com".replace("0", "x"), *many) for n in range(20)]
    assert len(ordered(hosts)) == MOST_TARGETS


def test_both_families_by_turns() -> None:
    hosts = [
        host(10, "a.com", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1"),
        host(10, "b.com", "2001:db8::2"),
        host(20, "c.com", "192.0.2.9", "2001:db8::9"),
    ]
    starts = set()
    for seed in range(50):
        found = [(":" in address) for _, address in ordered(hosts, seed=seed)]
        assert [sum(found[:2]), sum(found[2:4]), sum(found[4:6]), sum(found[6:])] == [1, 1, 0, 1]
        starts.add(found[0])
    assert starts == {True, False}


def test_one_family() -> None:
    hosts = [host(10, "a.com", "192.0.2.1", "2001:db8::1")]
    assert ordered(hosts, family=4) == [("a.com", "192.0.2.1")]
    assert ordered(hosts, family=6) == [("a.com", "2001:db8::1")]


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:127.0.0.1"]
)
def test_addresses_of_no_host(address: str) -> None:
    assert ordered([host(0, "a.com", address, "192.0.2.1")]) == [("a.com", "192.0.2.1")]
    assert refusal([host(0, "a.com", address)])[0].startswith("550 5.4.4 ")


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.2", "fd00::1"])
def test_private_addresses_are_somebodys(address: str) -> None:
    assert ordered([host(0, "a.com", address)]) == [("a.com", address)]


OURS = OwnHost(frozenset({"us.contoso.com"}), frozenset({ip_address("192.0.2.7")}))
LOOP = "550 5.4.6 mail for contoso.com loops back to this host"


@pytest.mark.parametrize(
    "ours", [host(10, "us.contoso.com", "192.0.2.99"), host(10, "alias.contoso.com", "192.0.2.7")]
)
def test_this_host_and_no_better_ones_are_dropped(ours: MailHost) -> None:
    better, equal, worse = (host(n, f"mx{n}.contoso.com", f"192.0.2.{n}") for n in (5, 10, 20))
    assert ordered([better, ours, equal, worse], OURS) == [("mx5.contoso.com", "192.0.2.5")]
    assert refusal([ours, equal, worse], OURS) == (LOOP, False)
    assert ordered([ours], NOBODY), "behind another port there is no loop"


def test_this_host_is_known_by_the_other_familys_address_too() -> None:
    ours = host(10, "a.com", "192.0.2.7", "2001:db8::7")
    assert refusal([ours], OURS, family=6) == (LOOP, False)


def test_better_ones_than_this_host_that_cannot_be_found() -> None:
    ours = host(10, "us.contoso.com", "192.0.2.7")
    worse = host(20, "mx.contoso.com", "192.0.2.20")
    unknown = host(5, "old.contoso.com", unknown=True)
    assert refusal([unknown, ours, worse], OURS) == (
        "451 4.4.4 the mail exchangers of contoso.com before this host have no address in DNS",
        False,
    )
    failing = host(5, "old.contoso.com", failed="A")
    assert refusal([failing, ours, worse], OURS)[0].startswith("451 4.4.3 ")


def test_one_failing_lookup_stops_nobody_else() -> None:
    failing, other = host(5, "a.com", failed="A"), host(10, "b.com", "192.0.2.1")
    assert ordered([failing, other]) == [("b.com", "192.0.2.1")]
    assert ordered([host(5, "a.com", "192.0.2.1", failed="AAAA")]) == [("a.com", "192.0.2.1")]


@pytest.mark.parametrize("failed", ["A", "AAAA"])
def test_a_failing_lookup_is_no_permanent_failure(failed: str) -> None:
    hosts = [host(5, "a.com", failed=failed), host(10, "b.com", unknown=True)]
    reply = "451 4.4.3 no addresses of a.com from DNS: SERVFAIL"
    assert refusal(hosts) == (reply, False)


def test_a_failing_lookup_of_the_family_nobody_wants_does_not_count() -> None:
    assert refusal([host(0, DOMAIN, failed="AAAA")], family=4)[0].startswith("550 5.4.4 ")


def test_an_address_of_the_other_family_only() -> None:
    assert refusal([host(0, DOMAIN, "2001:db8::1")], family=4) == (
        "451 4.4.4 no mail host of contoso.com has an IPv4 address, as the connector's source is",
        False,
    )


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        (
            [host(0, DOMAIN, unknown=True)],
            "nonexistent domain: contoso.com is not in DNS (MX, A and AAAA asked)",
        ),
        (
            [host(0, DOMAIN)],
            "contoso.com has neither mail exchanger nor address in DNS (MX, A and AAAA asked)",
        ),
        (
            [host(10, "a.com"), host(20, "b.com", unknown=True)],
            "no mail exchanger of contoso.com has an address in DNS "
            "(A and AAAA of a.com, b.com asked)",
        ),
        (
            [host(10, f"{name}.com") for name in "abcd"],
            "no mail exchanger of contoso.com has an address in DNS "
            "(A and AAAA of a.com, b.com, c.com, ... asked)",
        ),
    ],
)
def test_nothing_found(hosts: list[MailHost], text: str) -> None:
    assert refusal(hosts) == (f"550 5.4.4 {text}", True)


addresses = st.one_of(
    st.integers(1, 12).map(lambda n: f"192.0.2.{n}"),
    st.integers(1, 12).map(lambda n: f"2001:db8::{n:x}"),
)


@st.composite
def mail_hosts(draw: st.DrawFn) -> list[MailHost]:
    preferences = sorted(draw(st.lists(st.integers(0, 3), min_size=1, max_size=6)))
    return [
        host(
            preference,
            f"mx{number}.contoso.com",
            *draw(st.lists(addresses, unique=True, max_size=3)),
            failed=draw(st.sampled_from(["", "", "A", "AAAA"])),
        )
        for number, preference in enumerate(preferences)
    ]


own_hosts = st.builds(
    OwnHost,
    st.frozensets(st.integers(0, 5).map(lambda n: f"mx{n}.contoso.com"), max_size=1),
    st.frozensets(addresses.map(ip_address), max_size=1),
)


@settings(max_examples=300)
@given(mail_hosts(), own_hosts, st.sampled_from([None, 4, 6]), st.integers(0, 3))
def test_the_order(hosts: list[MailHost], own: OwnHost, family: Family | None, seed: int) -> None:
    ours = min(
        (
            each.preference
            for each in hosts
            if each.host in own.names or any(a in own.addresses for a in each.every_address)
        ),
        default=99,
    )
    better = [each for each in hosts if each.preference < ours]
    expected = {
        (each.host, address)
        for each in better
        for address in each.every_address
        if family in (None, address.version)
    }
    try:
        found = places(DOMAIN, hosts, family, own, random.Random(seed))
    except NoTargetError as error:
        assert not expected
        unsure = any(each.failure(family) is not None for each in better)
        assert error.reply.is_temporary or not unsure
        assert error.reply.is_permanent or not error.not_found
        return
    assert set(found) == expected
    assert len(found) == len(expected)
    preference = {each.host: each.preference for each in hosts}
    assert [preference[name] for name, _ in found] == sorted(preference[name] for name, _ in found)
    for _, group in groupby(found, lambda place: preference[place[0]]):
        assert_families_alternate(list(group))


def assert_families_alternate(group: list[Place]) -> None:
    versions = [address.version for _, address in group]
    both = 2 * min(versions.count(4), versions.count(6))
    assert all(versions[n] != versions[n + 1] for n in range(0, both, 2))
    assert len(set(versions[both:])) <= 1


@pytest.mark.parametrize(
    ("literal", "address"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[ipv6:2001:DB8:0::1]", "2001:db8::1"),
        ("[127.0.0.1]", "127.0.0.1"),
    ],
)
def test_address_literals(literal: str, address: str) -> None:
    assert str(parse_address_literal(literal)) == address


@pytest.mark.parametrize(
    "literal",
    [
        "[",
        "[]",
        "[192.0.2.1",
        "[192.0.2]",
        "[192.0.2.01]",
        "[192.0.2.256]",
        "[2001:db8::1]",
        "[IPv6:192.0.2.1]",
        "[IPv6:fe80::1%eth0]",
        "[contoso.com]",
        "[0.0.0.0]",
        "[IPv6:::]",
        "[224.0.0.1]",
        "[IPv6:::ffff:127.0.0.1]",
        "[IPv6:]",
        "[ 192.0.2.1 ]",
        "[192.0.2.1]x",
    ],
)
def test_what_is_no_address_literal(literal: str) -> None:
    with pytest.raises(ValueError):
        parse_address_literal(literal)
