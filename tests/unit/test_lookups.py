"""What the lookup service answers, and its socket."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.certificates.state import StateError
from postconnector.daemon.endpoint import Endpoint
from postconnector.policyd.lookup_probe import lookup_service_failure
from postconnector.policyd.lookup_server import LookupServer
from postconnector.policyd.lookups import Lookups
from postconnector.policyd.socketmap import MOST_BYTES, NOT_FOUND, Question
from postconnector.policyd.turns import Turns

ROUTE = "pc-fabrikam:[192.0.2.1]:25, [192.0.2.2]:25, relay.fabrikam.com:2525"
TURNS = (
    "OK pc-fabrikam:[192.0.2.1]:25, [192.0.2.2]:25, relay.fabrikam.com:2525",
    "OK pc-fabrikam:[192.0.2.2]:25, relay.fabrikam.com:2525, [192.0.2.1]:25",
    "OK pc-fabrikam:relay.fabrikam.com:2525, [192.0.2.1]:25, [192.0.2.2]:25",
)
REASON = "The certificate specified in TlsCertificateName of the SendConnector could not be found."


class Clock:
    """Time that goes on by itself, a second with each look, or stands."""

    def __init__(self, step: float = 1.0) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def in_order(turns: list[int]) -> None:
    """Instead of shuffling; the last is the first to have its turn."""
    turns.reverse()


def lookups(
    turns: Turns | None = None, unusable: Mapping[str, str] = MappingProxyType({})
) -> Lookups:
    return Lookups(lambda: unusable, turns or Turns(clock=Clock(), shuffle=in_order))


def test_smart_hosts_take_turns() -> None:
    service = lookups()
    answers = [service.answer(Question("transport", ROUTE)) for _ in range(6)]
    assert answers == [*TURNS, *TURNS]


def test_a_turn_lasts_while_the_recipients_of_a_message_are_looked_up() -> None:
    clock = Clock(step=0.0)
    service = lookups(Turns(clock=clock, shuffle=in_order))
    answers = set()
    for _ in range(1000):
        clock.now += 0.00004
        answers.add(service.answer(Question("transport", ROUTE)))
    assert answers == {TURNS[0]}
    clock.now += 1
    assert service.answer(Question("transport", ROUTE)) == TURNS[1]


@pytest.mark.parametrize("asked_for_each", [1, 2, 3, 4])
@pytest.mark.parametrize("hosts", [2, 3, 4])
def test_the_load_is_spread_however_often_postfix_asks(hosts: int, asked_for_each: int) -> None:
    """Of several answers for a message only the last is used, and by chance nobody is left out."""
    turns = Turns(clock=Clock())
    used: Counter[int] = Counter()
    for _ in range(3000):
        for _ in range(asked_for_each):
            host = turns.whose("route", hosts)
        used[host] += 1
    assert min(used[host] for host in range(hosts)) > 3000 / hosts / 2


def test_within_a_round_each_has_one_turn() -> None:
    turns = Turns(clock=Clock())
    for _ in range(100):
        assert {turns.whose("route", 5) for _ in range(5)} == set(range(5))


def test_routes_take_turns_by_themselves() -> None:
    turns = Turns(clock=Clock(), shuffle=in_order)
    assert [turns.whose(key, 2) for key in ("a", "b", "b", "a", "a")] == [0, 0, 1, 1, 0]


def test_only_so_many_routes_are_remembered() -> None:
    turns = Turns(clock=Clock(), most=10)
    for number in range(100):
        turns.whose(str(number), 2)
    assert turns.remembered == 10


def test_one_host_has_every_turn() -> None:
    answer = lookups().answer(Question("transport", "pc-a:[192.0.2.1]:25"))
    assert answer == "OK pc-a:[192.0.2.1]:25"


@pytest.mark.parametrize(
    "key", ["", "pc-a", "pc-a:", ":[192.0.2.1]", "pc-a: ,", "pc-a:x\ny", "\0:a"]
)
def test_what_is_no_route_is_not_now(key: str) -> None:
    assert lookups().answer(Question("transport", key)) == "TEMP this is no route"


@pytest.mark.parametrize("name", ["x", "transport/", "transport/a", "certificate", "reason/", "/"])
def test_maps_that_are_none_are_not_now(name: str) -> None:
    """Never NOTFOUND: Postfix would go on without the connector."""
    answer = lookups(unusable={"": "why", "a": "why"}).answer(Question(name, ROUTE))
    assert answer == "TEMP there is no such map"


def test_certificates() -> None:
    service = lookups(unusable={"Fabrikam, partner": REASON})
    for name, policy, reason in (
        ("Fabrikam%2C%20partner", f"TEMP {REASON}", f"OK 4.7.5 {REASON}"),
        ("Contoso", NOT_FOUND, NOT_FOUND),
    ):
        assert service.answer(Question(f"certificate/{name}", "[192.0.2.1]:25")) == policy
        assert service.answer(Question(f"reason/{name}", "why")) == reason


def test_while_nothing_is_known_of_certificates_all_waits() -> None:
    def unknown() -> dict[str, str]:
        raise StateError("certificates.json can't be read")

    service = Lookups(unknown)
    answers = [service.answer(Question(f"{name}/a", "x")) for name in ("certificate", "reason")]
    assert answers == [
        "TEMP certificates.json can't be read",
        "OK 4.7.5 certificates.json can't be read",
    ]


def test_reasons_are_cleaned() -> None:
    service = lookups(unusable={"a": "two\nlines"})
    assert service.answer(Question("certificate/a", "x")) == "TEMP two?lines"
    assert service.answer(Question("reason/a", "x")) == "OK 4.7.5 two?lines"


@given(st.text(), st.text())
def test_every_question_has_an_answer(name: str, key: str) -> None:
    word, _, _ = lookups().answer(Question(name, key)).partition(" ")
    assert word in {"OK", "NOTFOUND", "TEMP"}


# The socket


def serve(
    folder: Path, service: Lookups, client: Callable[[LookupServer, str], Awaitable[None]]
) -> None:
    """Run a server at a socket in this folder, and a client against it."""

    async def run() -> None:
        server = LookupServer(service)
        await server.start(Endpoint(path=folder / "lookup").listen())
        try:
            await asyncio.wait_for(client(server, str(folder / "lookup")), 30)
        finally:
            server.stop()

    asyncio.run(run())


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> str:
    writer.write(b"%d:%s," % (len(text.encode()), text.encode()))
    length = await reader.readuntil(b":")
    return (await reader.readexactly(int(length[:-1]) + 1))[:-1].decode()


def test_one_connection_many_questions(tmp_path: Path) -> None:
    async def client(_server: LookupServer, path: str) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        for answer in TURNS:
            assert await ask(reader, writer, f"transport {ROUTE}") == answer
        assert await ask(reader, writer, "certificate/a x.test") == NOT_FOUND
        writer.close()

    serve(tmp_path, lookups(), client)


def test_by_tcp_too() -> None:
    async def run() -> None:
        server = LookupServer(lookups())
        listener = Endpoint(host="127.0.0.1").listen()
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        assert await ask(reader, writer, f"transport {ROUTE}") == TURNS[0]
        writer.close()
        server.stop()

    asyncio.run(run())


@pytest.mark.parametrize("nonsense", [b"03:a b,", b"EHLO client\r\n", b"3:a b;", b"999999:x"])
def test_nonsense_is_hung_up_on_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, nonsense: bytes
) -> None:
    async def client(server: LookupServer, path: str) -> None:
        good_reader, good_writer = await asyncio.open_unix_connection(path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"11:nonsuch key," + nonsense + b"11:nonsuch key,")
        assert await reader.read() == b"25:TEMP there is no such map,"
        assert await ask(good_reader, good_writer, f"transport {ROUTE}") == TURNS[0]
        assert len(server.clients) == 1
        good_writer.close()

    with caplog.at_level(logging.WARNING):
        serve(tmp_path, lookups(), client)
    assert [r.message.partition(": ")[0] for r in caplog.records] == ["closing a connection"]


def test_half_a_question(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def client(server: LookupServer, path: str) -> None:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b"100:transport pc-")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        while not caplog.records:
            await asyncio.sleep(0)
        assert not server.clients

    with caplog.at_level(logging.WARNING):
        serve(tmp_path, lookups(), client)
    assert [r.message for r in caplog.records] == ["a client went away in the middle of a question"]


def test_a_client_that_does_not_read_holds_up_nobody(tmp_path: Path) -> None:
    """And no more of its questions are taken than its socket and one buffer hold."""

    async def client(server: LookupServer, path: str) -> None:
        stuck = socket.socket(socket.AF_UNIX)
        stuck.setblocking(False)
        stuck.connect(path)
        route = "pc-a:" + ", ".join(["[192.0.2.1]:25"] * 3000)
        question = f"transport {route}".encode()
        data = b"%d:%s," % (len(question), question) * 20
        reader, writer = await asyncio.open_unix_connection(path)
        loop = asyncio.get_running_loop()
        flood = asyncio.create_task(_flood(loop, stuck, data))
        for _ in range(200):
            await ask(reader, writer, f"transport {ROUTE}")
        assert not flood.done()
        assert all(c.get_write_buffer_size() < 40 * MOST_BYTES for c in server.clients)
        flood.cancel()
        writer.close()
        stuck.close()

    serve(tmp_path, lookups(), client)


async def _flood(loop: asyncio.AbstractEventLoop, client: socket.socket, data: bytes) -> None:
    while True:
        await loop.sock_sendall(client, data)


def test_our_own_fault_is_not_now(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> dict[str, str]:
        raise OSError("disk")

    async def client(_server: LookupServer, path: str) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        for _ in range(2):
            answer = await ask(reader, writer, "certificate/a x.test")
            assert answer == "TEMP this can't be looked up now"
        writer.close()

    serve(tmp_path, Lookups(broken), client)
    assert "our own fault" in caplog.text


def test_what_is_longer_than_any_route_of_ours_is_not_answered_nor_remembered(
    tmp_path: Path,
) -> None:
    async def client(_server: LookupServer, path: str) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        route = "a:" + "b," * 40_000
        assert await ask(reader, writer, f"transport {route}") == "TEMP this is no route"
        writer.close()

    serve(tmp_path, lookups(), client)


def test_the_probe(tmp_path: Path) -> None:
    endpoint = Endpoint(path=tmp_path / "lookup")
    assert lookup_service_failure(endpoint) == "No such file or directory"

    async def client(_server: LookupServer, _path: str) -> None:
        assert await asyncio.to_thread(lookup_service_failure, endpoint) is None

    serve(tmp_path, lookups(), client)
