"""The way from a domain or a smart host to addresses, with real DNS servers, good and bad.

nsd stands for honest ones; `HostileDns` says whatever a test wants, over real sockets.
"""

import asyncio
import os
import random
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any, TypeVar

import dns.message
import dns.rcode
import pytest

from postconnector.delivery.hosts.answer import Answer, MailExchanger, Status
from postconnector.delivery.hosts.back_off import BackOff
from postconnector.delivery.hosts.mail_exchangers import MOST_TARGETS
from postconnector.delivery.hosts.next_hops import NextHops
from postconnector.delivery.hosts.own_host import OwnHost
from postconnector.delivery.hosts.resolver import Resolver
from postconnector.delivery.hosts.route import has_route
from postconnector.delivery.hosts.target import NoTargetError, Target
from postconnector.model.smart_host import SmartHost
from tests.lab.dns_server import NsdServer, zone
from tests.lab.hostile_dns import HostileDns, Question, Said, Script

T = TypeVar("T")

SOA = "contoso.test. 600 IN SOA ns.contoso.test. hostmaster.contoso.test. 1 3600 600 86400 60"
RIGHT, WRONG = "mx.contoso.test. 60 IN A 192.0.2.1", "mx.contoso.test. 60 IN A 198.51.100.66"
FOUND = Answer(Status.FOUND, (IPv4Address("192.0.2.1"),), ttl=60.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hostile() -> Iterator[HostileDns]:
    with HostileDns(lambda question: [question.answer()]) as server:
        yield server


def resolver_of(server: HostileDns, **settings: Any) -> Resolver:
    """Patient, so that a busy machine makes no difference, unless a test wants nobody to answer."""
    return Resolver([server.address], server.port, **settings)


def ipv4(server: HostileDns, script: Script, **settings: Any) -> Answer[IPv4Address]:
    """What becomes of the question for A records of mx.contoso.test."""
    server.script = script
    return run(lambda: resolver_of(server, **settings).ipv4("mx.contoso.test"))


def run(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    async def asked() -> T:
        return await ask()

    return asyncio.run(asked())


IMPATIENT = {"per_try": 0.2, "in_all": 0.6}


# What is no answer to our question


def with_other_id(question: Question) -> bytes:
    message = question.answer([WRONG])
    message.id ^= 1
    return message.to_wire()


def to_another_question(question: Question) -> dns.message.Message:
    other = dns.message.make_query("www.contoso.test", "A", id=question.query.id)
    return Question(other, False, question.client).answer([WRONG])


@pytest.mark.parametrize(
    "nonsense",
    [
        with_other_id,
        to_another_question,
        lambda _: b"",
        lambda _: b"\xff" * 40,
        lambda question: question.answer([WRONG]).to_wire()[:-3],
        lambda question: question.query,
        lambda question: question.answer([WRONG]).to_wire() + b"more",
    ],
)
def test_what_is_no_answer_is_passed_over(
    hostile: HostileDns, nonsense: Callable[[Question], bytes | dns.message.Message]
) -> None:
    assert ipv4(hostile, lambda asked: [nonsense(asked), asked.answer([RIGHT])]) == FOUND
    nothing_else = ipv4(hostile, lambda asked: [nonsense(asked)], **IMPATIENT)
    assert nothing_else.status is Status.FAILED
    assert nothing_else.records == ()


def test_an_answer_from_elsewhere_is_passed_over(hostile: HostileDns) -> None:
    def forge(asked: Question) -> Said:
        with socket.socket(type=socket.SOCK_DGRAM) as elsewhere:
            elsewhere.bind((hostile.address, 0))
            elsewhere.sendto(asked.answer([WRONG]).to_wire(), asked.client)
        return [asked.answer([RIGHT])]

    assert ipv4(hostile, forge) == FOUND


def test_ids_and_ports_differ(hostile: HostileDns) -> None:
    seen: list[tuple[int, int]] = []

    def note(asked: Question) -> Said:
        seen.append((asked.query.id, asked.client[1]))
        return [asked.answer(rcode=dns.rcode.NXDOMAIN)]

    async def ask() -> None:
        hostile.script = note
        resolver = resolver_of(hostile)
        await asyncio.gather(*(resolver.ipv4(f"{n}.contoso.test") for n in range(20)))

    run(ask)
    ids, ports = {each[0] for each in seen}, {each[1] for each in seen}
    assert len(ids) > 15
    assert len(ports) > 15


def test_the_case_of_an_answer_does_not_count(hostile: HostileDns) -> None:
    def shout(asked: Question) -> Said:
        loud = dns.message.make_query("MX.CONTOSO.TEST", "A", id=asked.query.id)
        return [Question(loud, False, asked.client).answer([RIGHT.replace("mx.", "mX.")])]

    assert ipv4(hostile, shout) == FOUND


def test_records_that_were_not_asked_for_are_not_believed(hostile: HostileDns) -> None:
    def answer(asked: Question) -> Said:
        if str(asked) == "MX contoso.test":
            foreign = [
                "contoso.test. 60 IN A 198.51.100.66",
                "fabrikam.test. 60 IN MX 0 evil.test.",
            ]
            mx = "contoso.test. 60 IN MX 10 mx.contoso.test."
            return [asked.answer([mx, *foreign], additional=[WRONG])]
        if asked.type == "A" and asked.name == "mx.contoso.test":
            return [asked.answer(["www.contoso.test. 60 IN A 198.51.100.66", RIGHT])]
        return [asked.answer(rcode=dns.rcode.NXDOMAIN, authority=[SOA])]

    hostile.script = answer

    async def ask() -> tuple[list[Target], str]:
        hops = next_hops(resolver_of(hostile))
        return await hops.for_domain("contoso.test"), await refused(hops, "fabrikam.test")

    targets, fabrikam = run(ask)
    assert targets == [Target("mx.contoso.test", "192.0.2.1", 25)]
    assert fabrikam.startswith("550 5.4.4 nonexistent domain: fabrikam.test ")


def test_answers_changed_at_random(hostile: HostileDns) -> None:
    """Whatever comes is an answer or none; nothing is raised, and nothing waits for ever."""
    rng = random.Random(6)

    def spoil(asked: Question) -> Said:
        wire = bytearray(asked.answer([RIGHT, RIGHT.replace(" A ", " TXT ")]).to_wire())
        for _ in range(rng.randint(1, 4)):
            wire[rng.randrange(2, len(wire))] = rng.randrange(256)
        return [bytes(wire)]

    async def ask() -> list[Answer[IPv4Address]]:
        hostile.script = spoil
        resolvers = [resolver_of(hostile, **IMPATIENT) for _ in range(60)]
        return await asyncio.gather(*(each.ipv4("mx.contoso.test") for each in resolvers))

    assert {type(each.status) for each in run(ask)} == {Status}


# Servers that fail


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"])
def test_a_server_that_cannot(hostile: HostileDns, rcode: str) -> None:
    failing = dns.rcode.from_text(rcode)
    answer = ipv4(hostile, lambda asked: [asked.answer([WRONG], rcode=failing)])
    assert (answer.status, answer.records, answer.reason) == (Status.FAILED, (), rcode)


def test_a_server_that_never_answers(hostile: HostileDns) -> None:
    answer = ipv4(hostile, lambda _: [], **IMPATIENT)
    assert (answer.status, answer.reason) == (Status.FAILED, "no answer")


def test_a_server_that_answers_the_third_time(hostile: HostileDns) -> None:
    def answer(asked: Question) -> Said:
        return [asked.answer([RIGHT])] if len(hostile.questions) > 2 else []

    assert ipv4(hostile, answer, per_try=0.1) == FOUND


@pytest.mark.parametrize(
    "first",
    [
        lambda _: [],
        lambda asked: [asked.answer(rcode=dns.rcode.SERVFAIL)],
        lambda asked: [asked.answer(rcode=dns.rcode.REFUSED)],
        lambda asked: [] if asked.over_tcp else [asked.truncated()],
    ],
)
def test_another_server_answers(hostile: HostileDns, first: Script) -> None:
    hostile.script = first
    with HostileDns(lambda asked: [asked.answer([RIGHT])], hostile.port) as good:

        async def ask() -> Answer[IPv4Address]:
            servers = [hostile.address, good.address]
            return await Resolver(servers, good.port, per_try=0.5).ipv4("mx.contoso.test")

        assert run(ask) == FOUND
    assert hostile.questions


def test_a_referral_says_nothing(hostile: HostileDns) -> None:
    """A server that does not look up for others must not make domains non-existent."""
    authority = ["test. 60 IN NS ns.test."]
    answer = ipv4(hostile, lambda asked: [asked.answer(authority=authority)])
    assert answer.status is Status.FAILED
    assert "referral" in answer.reason


def test_more_questions_than_turns_to_a_dead_server(hostile: HostileDns) -> None:
    async def ask() -> set[Status]:
        hostile.script = lambda _: []
        resolver = resolver_of(hostile, **IMPATIENT)
        asked = (resolver.ipv4(f"{n}.contoso.test") for n in range(250))
        return {answer.status for answer in await asyncio.gather(*asked)}

    assert run(ask) == {Status.FAILED}


# Truncation, and much


def many(count: int) -> list[str]:
    return [f"contoso.test. 60 IN MX {n // 10} mx{n}.contoso.test." for n in range(count)]


@pytest.mark.parametrize("count", [1, 30, 2000])
def test_a_truncated_answer_is_asked_for_over_tcp(hostile: HostileDns, count: int) -> None:
    hostile.script = lambda asked: [
        asked.answer(many(count)) if asked.over_tcp else asked.truncated()
    ]
    answer = run(lambda: resolver_of(hostile).mail_exchangers("contoso.test"))
    assert answer.status is Status.FOUND
    assert answer.records[0] == MailExchanger(0, "mx0.contoso.test")
    assert len(answer.records) == min(count, 40), "as many as anybody would try"
    assert hostile.over_tcp == ["MX contoso.test"]


@pytest.mark.parametrize(
    "over_tcp",
    [
        lambda _: [],
        lambda asked: [asked.truncated()],
        lambda asked: [with_other_id(asked)],
        lambda _: [b"x"],
        lambda _: [b""],
        lambda asked: [asked.answer(rcode=dns.rcode.SERVFAIL)],
    ],
)
def test_no_answer_over_tcp_either(hostile: HostileDns, over_tcp: Script) -> None:
    def answer(asked: Question) -> Said:
        return over_tcp(asked) if asked.over_tcp else [asked.truncated()]

    assert ipv4(hostile, answer).status is Status.FAILED
    assert hostile.over_tcp == ["A mx.contoso.test"]


def test_a_huge_set_of_hosts_is_not_asked_for_without_end(hostile: HostileDns) -> None:
    def answer(asked: Question) -> Said:
        if asked.type == "MX":
            return [asked.answer(many(500)) if asked.over_tcp else asked.truncated()]
        addresses = [f"{asked.name}. 60 IN A 127.9.9.{n}" for n in range(1, 60)]
        return [asked.answer(addresses if asked.type == "A" else [])]

    hostile.script = answer
    targets = run(lambda: next_hops(resolver_of(hostile)).for_domain("contoso.test"))
    assert len(targets) == MOST_TARGETS
    assert len(hostile.questions) == 2 + 2 * 20


# CNAME


def chain(length: int) -> Script:
    """c0 is an alias of c1, and so on; one step an answer, as a simple server does it."""

    def answer(asked: Question) -> Said:
        number = int(asked.name.removeprefix("c").partition(".")[0])
        if number == length:
            return [asked.answer([f"{asked.name}. 60 IN A 192.0.2.1"])]
        return [asked.answer([f"{asked.name}. 30 IN CNAME c{number + 1}.contoso.test."])]

    return answer


def whole_chain(length: int) -> Script:
    """The same, all in one answer."""
    links = [f"c{n}.contoso.test. 30 IN CNAME c{n + 1}.contoso.test." for n in range(length)]
    return lambda asked: [asked.answer([*links, f"c{length}.contoso.test. 60 IN A 192.0.2.1"])]


@pytest.mark.parametrize("make", [chain, whole_chain])
@pytest.mark.parametrize(
    ("length", "status"),
    [(1, Status.FOUND), (8, Status.FOUND), (9, Status.FAILED), (17, Status.FAILED)],
)
def test_chains_of_aliases(
    hostile: HostileDns, make: Callable[[int], Script], length: int, status: Status
) -> None:
    hostile.script = make(length)
    answer = run(lambda: resolver_of(hostile).ipv4("c0.contoso.test"))
    assert answer.status is status
    if status is Status.FOUND:
        assert answer.ttl == 30, "no longer than any of its parts"
    else:
        assert "CNAME" in answer.reason


@pytest.mark.parametrize("in_one", [True, False])
def test_a_loop_of_aliases(hostile: HostileDns, in_one: bool) -> None:
    ring = {"a.test": "b.test", "b.test": "a.test"}
    links = {name: f"{name}. 60 IN CNAME {other}." for name, other in ring.items()}
    hostile.script = lambda asked: [
        asked.answer([*links.values()] if in_one else [links[asked.name]])
    ]
    answer = run(lambda: resolver_of(hostile).ipv4("a.test"))
    assert answer.status is Status.FAILED
    assert "loop" in answer.reason
    assert len(hostile.questions) < 12


def test_an_alias_of_itself(hostile: HostileDns) -> None:
    answer = ipv4(hostile, lambda a: [a.answer(["mx.contoso.test. 60 IN CNAME mx.contoso.test."])])
    assert answer.status is Status.FAILED


# Memory


def asked_again_after(server: HostileDns, script: Script, seconds: Sequence[float]) -> list[int]:
    """How many questions there have been, after so many seconds each."""
    clock = Clock()
    counts = []

    async def ask() -> None:
        resolver = resolver_of(server, clock=clock)
        for wait in seconds:
            clock.now += wait
            await resolver.ipv4("mx.contoso.test")
            counts.append(len(server.questions))

    server.script = script
    run(ask)
    return counts


@pytest.mark.parametrize(
    ("script", "waits", "counts"),
    [
        (lambda a: [a.answer([RIGHT])], [0, 59, 1], [1, 1, 2]),
        (lambda a: [a.answer([RIGHT.replace(" 60 ", " 0 ")])], [0, 0], [1, 2]),
        (lambda a: [a.answer([RIGHT.replace(" 60 ", " 2147483647 ")])], [0, 86399, 1], [1, 1, 2]),
        # The SOA's own TTL is 600 s, its minimum 60 s.
        (lambda a: [a.answer(authority=[SOA])], [0, 59, 1], [1, 1, 2]),
        (lambda a: [a.answer(rcode=dns.rcode.NXDOMAIN, authority=[SOA])], [0, 59, 1], [1, 1, 2]),
        (lambda a: [a.answer(rcode=dns.rcode.NXDOMAIN)], [0, 60], [1, 2]),
        (lambda a: [a.answer(rcode=dns.rcode.SERVFAIL)], [0, 4, 1], [1, 1, 2]),
    ],
)
def test_how_long_answers_are_kept(
    hostile: HostileDns, script: Script, waits: list[float], counts: list[int]
) -> None:
    assert asked_again_after(hostile, script, waits) == counts


def test_who_asks_the_same_at_once_asks_once(hostile: HostileDns) -> None:
    async def ask() -> list[Answer[IPv4Address]]:
        resolver = resolver_of(hostile)
        names = ["mx.contoso.test", "MX.contoso.TEST"] * 20
        return await asyncio.gather(*(resolver.ipv4(name) for name in names))

    hostile.script = lambda asked: [asked.answer([RIGHT.replace(" 60 ", " 0 ")])]
    answers = run(ask)
    assert {answer.records for answer in answers} == {FOUND.records}
    assert hostile.questions == ["A mx.contoso.test"]


def test_who_gives_up_takes_nothing_from_the_others(hostile: HostileDns) -> None:
    async def ask() -> Answer[IPv4Address]:
        resolver = resolver_of(hostile)
        first = asyncio.create_task(resolver.ipv4("mx.contoso.test"))
        second = asyncio.create_task(resolver.ipv4("mx.contoso.test"))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    hostile.script = lambda asked: [asked.answer([RIGHT])]
    assert run(ask) == FOUND
    assert len(hostile.questions) == 1


def test_dns_that_dies_and_comes_back(hostile: HostileDns) -> None:
    clock = Clock()
    said: list[object] = []

    def good(asked: Question) -> Said:
        records = [f"{asked.name}. 3600 IN A 127.0.0.9"] if asked.type == "A" else []
        return [asked.answer(records, authority=[SOA.replace(" 60", " 3600")])]

    async def ask() -> None:
        hops = next_hops(resolver_of(hostile, clock=clock, per_try=1.0, in_all=2.0))
        hostile.script = good
        said.append(await hops.for_domain("contoso.test"))
        hostile.script = lambda _: []
        said.append(await hops.for_domain("contoso.test"))
        said.append(await refused(hops, "fabrikam.test"))
        hostile.script = good
        clock.now += 5
        said.append(await hops.for_domain("fabrikam.test"))

    run(ask)
    contoso = [Target("contoso.test", "127.0.0.9", 25)]
    assert said == [
        contoso,
        contoso,
        "451 4.4.3 no MX records of fabrikam.test from DNS: no answer",
        [Target("fabrikam.test", "127.0.0.9", 25)],
    ]


# From domains and smart hosts to targets, by an honest server

RECORDS = [
    "two MX 20 mx2",
    "two MX 10 mx1",
    "even MX 10 mx1",
    "even MX 10 mx2",
    "even MX 10 mx3",
    "plain A 127.8.0.9",
    "null MX 0 .",
    "alias MX 10 cname",
    "cname CNAME mx1",
    "www CNAME two",
    "noaddress MX 10 nothing",
    "noaddress MX 20 empty",
    "empty TXT x",
    "literal MX 5 127.8.0.1.",
    "literal MX 10 mx1",
    "onlyliteral MX 5 127.8.0.1.",
    "six AAAA ::1",
    "mixed MX 10 dual",
    "dual A 127.8.0.4",
    "dual AAAA ::1",
    "backup MX 10 mx1",
    "backup MX 20 us",
    "backup MX 30 mx2",
    "loop MX 10 us",
    "loop MX 20 mx2",
    "loopbyaddress A 127.8.0.7",
    "foreign MX 10 mx.elsewhere.example.",
    "foreign MX 20 mx2",
    "onlyforeign MX 10 mx.elsewhere.example.",
    "zero MX 10 zeros",
    "zeros A 0.0.0.0",
    "us A 127.8.0.7",
    "mx1 A 127.8.0.1",
    "mx2 A 127.8.0.2",
    "mx3 A 127.8.0.3",
    "_odd MX 10 mx1",
    "xn--bcher-kva MX 10 mx1",
    "*.wild MX 10 mx3",
]

OWN = OwnHost(frozenset({"us.contoso.test"}), frozenset({ip_address("127.8.0.7")}))


def next_hops(
    resolver: Resolver,
    *,
    back_off: BackOff | None = None,
    seed: int = 0,
    has_route: Callable[[str], bool] = lambda _: True,
) -> NextHops:
    rng = random.Random(seed)
    return NextHops(
        resolver, BackOff(Clock()) if back_off is None else back_off, OWN, rng, has_route
    )


@pytest.fixture(scope="module")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NsdServer]:
    if shutil.which("nsd") is None or os.geteuid() != 0:
        reason = "needs nsd and root"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    root: Path = tmp_path_factory.mktemp("dns")
    with NsdServer(root, {"contoso.test": zone("contoso.test", RECORDS)}) as server:
        yield server


def places_of(targets: Sequence[Target]) -> list[str]:
    return [f"{target.host.removesuffix('.contoso.test')} {target.address}" for target in targets]


async def refused(hops: NextHops, domain: str, **how: Any) -> str:
    with pytest.raises(NoTargetError) as caught:
        await hops.for_domain(domain, **how)
    return str(caught.value.reply) + (" (not found)" if caught.value.not_found else "")


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("two", ["mx1 127.8.0.1", "mx2 127.8.0.2"]),
        ("TWO", ["mx1 127.8.0.1", "mx2 127.8.0.2"]),
        ("www", ["mx1 127.8.0.1", "mx2 127.8.0.2"]),
        ("plain", ["plain 127.8.0.9"]),
        ("mx1", ["mx1 127.8.0.1"]),
        ("alias", ["cname 127.8.0.1"]),
        ("literal", ["mx1 127.8.0.1"]),
        ("backup", ["mx1 127.8.0.1"]),
        ("foreign", ["mx2 127.8.0.2"]),
        ("six", ["six ::1"]),
        ("_odd", ["mx1 127.8.0.1"]),
        ("xn--bcher-kva", ["mx1 127.8.0.1"]),
        ("a.b.wild", ["mx3 127.8.0.3"]),
    ],
)
def test_targets_of_a_domain(nsd: NsdServer, domain: str, expected: list[str]) -> None:
    name = f"{domain}.contoso.test"
    targets = run(lambda: next_hops(Resolver([nsd.address])).for_domain(name))
    assert places_of(targets) == expected
    assert {target.port for target in targets} == {25}


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("null", "556 5.1.10 null.contoso.test does not accept mail (null MX, RFC 7505)"),
        (
            "nowhere",
            "550 5.4.4 nonexistent domain: nowhere.contoso.test is not in DNS "
            "(MX, A and AAAA asked) (not found)",
        ),
        (
            "empty",
            "550 5.4.4 empty.contoso.test has neither mail exchanger nor address in DNS "
            "(MX, A and AAAA asked) (not found)",
        ),
        (
            "noaddress",
            "550 5.4.4 no mail exchanger of noaddress.contoso.test has an address in DNS "
            "(A and AAAA of nothing.contoso.test, empty.contoso.test asked) (not found)",
        ),
        (
            "onlyliteral",
            "550 5.4.4 no MX record of onlyliteral.contoso.test names a host (not found)",
        ),
        (
            "zero",
            "550 5.4.4 no mail exchanger of zero.contoso.test has an address in DNS "
            "(A and AAAA of zeros.contoso.test asked) (not found)",
        ),
        ("loop", "550 5.4.6 mail for loop.contoso.test loops back to this host"),
        ("loopbyaddress", "550 5.4.6 mail for loopbyaddress.contoso.test loops back to this host"),
        ("onlyforeign", "451 4.4.3 no addresses of mx.elsewhere.example from DNS: REFUSED"),
        ("a..b", "550 5.1.2 a..b.contoso.test is no domain name"),
        ("a\x1bb", "550 5.1.2 a\\x1bb.contoso.test is no domain name"),
        ("bücher", "550 5.1.2 b\\xfccher.contoso.test is no domain name"),
    ],
)
def test_domains_without_targets(nsd: NsdServer, domain: str, said: str) -> None:
    async def ask() -> str:
        return await refused(next_hops(Resolver([nsd.address])), f"{domain}.contoso.test")

    assert run(ask) == said


def test_a_zone_that_the_server_does_not_have(nsd: NsdServer) -> None:
    said = run(lambda: refused(next_hops(Resolver([nsd.address])), "elsewhere.example"))
    assert said == "451 4.4.3 no MX records of elsewhere.example from DNS: REFUSED"


def test_equal_hosts_share_the_load(nsd: NsdServer) -> None:
    async def ask() -> Counter[str]:
        hops = next_hops(Resolver([nsd.address]), seed=1)
        found = [await hops.for_domain("even.contoso.test") for _ in range(90)]
        assert {len(targets) for targets in found} == {3}
        return Counter(targets[0].host for targets in found)

    shares = run(ask)
    assert len(shares) == 3
    assert min(shares.values()) > 15


def test_families(nsd: NsdServer) -> None:
    async def ask() -> None:
        hops = next_hops(Resolver([nsd.address]))
        mixed = "mixed.contoso.test"
        assert sorted(places_of(await hops.for_domain(mixed))) == ["dual 127.8.0.4", "dual ::1"]
        assert places_of(await hops.for_domain(mixed, family=4)) == ["dual 127.8.0.4"]
        assert places_of(await hops.for_domain(mixed, family=6)) == ["dual ::1"]
        assert (await refused(hops, "six.contoso.test", family=4)).startswith("451 4.4.4 ")

    run(ask)


def test_without_a_route_to_one_family(nsd: NsdServer) -> None:
    async def ask() -> None:
        hops = next_hops(Resolver([nsd.address]), has_route=lambda address: ":" not in address)
        assert places_of(await hops.for_domain("mixed.contoso.test")) == ["dual 127.8.0.4"]
        only = await hops.for_domain("six.contoso.test")
        assert places_of(only) == ["six ::1"], "the connection is to say why it fails"

    run(ask)


def test_another_port_of_this_host_is_no_loop(nsd: NsdServer) -> None:
    async def ask() -> None:
        hops = next_hops(Resolver([nsd.address]))
        targets = await hops.for_domain("loopbyaddress.contoso.test", port=2525)
        assert targets == [Target("loopbyaddress.contoso.test", "127.8.0.7", 2525)]

    run(ask)


@pytest.mark.parametrize(
    ("literal", "said"),
    [
        ("[127.8.0.1]", "127.8.0.1[127.8.0.1]:25"),
        ("[IPv6:::1]", "::1[::1]:25"),
        ("[127.8.0.7]", "550 5.4.6 mail for [127.8.0.7] loops back to this host"),
        ("[127.8.0]", "550 5.1.2 [127.8.0] is no address literal"),
        ("[0.0.0.0]", "550 5.1.2 [0.0.0.0] is no address literal"),
    ],
)
def test_address_literals(hostile: HostileDns, literal: str, said: str) -> None:
    async def ask() -> str:
        hops = next_hops(resolver_of(hostile))
        try:
            return ", ".join(str(target) for target in await hops.for_domain(literal))
        except NoTargetError as error:
            return str(error.reply)

    assert run(ask) == said
    assert hostile.questions == []


def test_an_address_literal_of_the_wrong_family(hostile: HostileDns) -> None:
    async def ask() -> str:
        return await refused(next_hops(resolver_of(hostile)), "[IPv6:::1]", family=4)

    assert run(ask) == "451 4.4.4 [IPv6:::1] cannot be reached by IPv4"


def smart_hosts(*hosts: str) -> list[SmartHost]:
    return [SmartHost.parse(f"{host}.contoso.test" if host.isalnum() else host) for host in hosts]


def test_smart_hosts_take_turns(nsd: NsdServer) -> None:
    async def ask() -> list[list[str]]:
        hops = next_hops(Resolver([nsd.address]))
        hosts = smart_hosts("two", "[127.8.0.8]", "plain")
        found = [await hops.for_smart_hosts("to partner", hosts, 587) for _ in range(4)]
        assert {target.port for targets in found for target in targets} == {587}
        return [places_of(targets) for targets in found]

    two, literal, plain = (
        ["mx1 127.8.0.1", "mx2 127.8.0.2"],
        ["127.8.0.8 127.8.0.8"],
        ["plain 127.8.0.9"],
    )
    assert run(ask) == [
        [*two, *literal, *plain],
        [*literal, *plain, *two],
        [*plain, *two, *literal],
        [*two, *literal, *plain],
    ]  # fmt: skip


def test_a_smart_host_that_dns_does_not_know_is_passed_over(nsd: NsdServer) -> None:
    async def ask() -> None:
        hops = next_hops(Resolver([nsd.address]))
        for _ in range(2):
            targets = await hops.for_smart_hosts("x", smart_hosts("nowhere", "plain"), 25)
            assert places_of(targets) == ["plain 127.8.0.9"]

    run(ask)


@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        (["nowhere"], "451 4.4.4"),
        (["null", "empty", "--"], "451 4.4.4"),
        (["nowhere", "mx.elsewhere.example"], "451 4.4.3"),
        (["us", "127.8.0.7"], "451 4.4.4"),
        ([], "451 4.4.4"),
    ],
)
def test_without_smart_hosts_mail_waits(nsd: NsdServer, hosts: list[str], code: str) -> None:
    async def ask() -> NoTargetError:
        hops = next_hops(Resolver([nsd.address]))
        with pytest.raises(NoTargetError) as caught:
            await hops.for_smart_hosts("x", smart_hosts(*hosts), 25)
        return caught.value

    error = run(ask)
    assert str(error.reply).startswith(f"{code} ")
    assert not error.not_found


def test_dead_targets_are_left_aside(nsd: NsdServer) -> None:
    clock = Clock()

    async def ask() -> None:
        back_off = BackOff(clock)
        hops = next_hops(Resolver([nsd.address]), back_off=back_off)
        first, second = await hops.for_domain("two.contoso.test")
        back_off.failed(first, "connection refused")
        assert await hops.for_domain("two.contoso.test") == [second]
        assert await hops.for_smart_hosts("x", smart_hosts("two"), 25) == [second]
        back_off.failed(second, "timed out")
        said = await refused(hops, "two.contoso.test")
        assert said.startswith("451 4.4.1 no host answers: mx1.contoso.test[127.8.0.1]:25: ")
        clock.now += 60
        assert await hops.for_domain("two.contoso.test") == [first, second]

    run(ask)


def test_the_servers_of_the_system(nsd: NsdServer, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text(f"search x\nnameserver {nsd.address}\n")

    async def ask() -> Answer[MailExchanger]:
        resolver = Resolver.of_system(tmp_path / "resolv.conf")
        return await resolver.mail_exchangers("two.contoso.test")

    answer = run(ask)
    hosts = [(each.preference, each.host) for each in answer.records]
    assert hosts == [(10, "mx1.contoso.test"), (20, "mx2.contoso.test")]
    assert answer.ttl == 60


def test_other_servers_other_answers(nsd: NsdServer, tmp_path: Path) -> None:
    """UseExternalDNSServersEnabled: what is inside one way and outside another."""
    records = ["two MX 10 outside", "outside A 127.8.0.99"]
    with NsdServer(tmp_path, {"contoso.test": zone("contoso.test", records)}) as external:

        async def ask(server: NsdServer) -> list[str]:
            hops = next_hops(Resolver([server.address]))
            return places_of(await hops.for_domain("two.contoso.test"))

        assert run(lambda: ask(nsd)) == ["mx1 127.8.0.1", "mx2 127.8.0.2"]
        assert run(lambda: ask(external)) == ["outside 127.8.0.99"]


def test_the_system_knows_ways_to_loopback() -> None:
    assert has_route("127.0.0.1")
    assert not has_route("255.255.255.255")
    assert not has_route("ff02::1%nowhere")
