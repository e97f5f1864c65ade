"""Connections to the policy service on real sockets: slow, stuck, broken and many clients.

The judge's place is taken by answers that are as slow as the test wants them; tests/postfix has the
whole service.
"""

import asyncio
import logging
import os
import re
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from postconnector.policyd.clients import Clients
from postconnector.policyd.judge import TRY_LATER
from postconnector.policyd.limits import Limits
from postconnector.policyd.protocol import MOST_BYTES, Outline, Request
from tests.lab.loopback import wait_until

SAMPLES = Path(__file__).parent / "policy_requests"
TIMEOUT = 20.0
SHORT = Limits(connections=1000, idle=30, stalled=0.2)
LOG = "postconnector.policyd"


class Answers:
    """Answers with what is asked for: `a` at once, `slow` when the gate is open. Accepts messages
    of 1 byte without a further look; whole, they are answered with their size.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = 0

    def accepts(self, outline: Outline) -> bool:
        if outline[1] == "fault":
            raise RuntimeError("broken")
        return outline[3] == "1"

    def at_once(self, request: Request) -> str | None:
        self.asked += 1
        if "fault" in request:
            raise RuntimeError("broken")
        return None if "slow" in request else request.get("a", request.get("size", "DUNNO"))

    async def later(self, request: Request) -> str:
        await self.gate.wait()
        if request["slow"] == "fault":
            raise RuntimeError("broken")
        return request["slow"]


class Service:
    """The clients' side of the service, in a thread with a loop of its own."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.path = folder / "policy"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(1024)
        self._limits = limits
        self.loop = asyncio.new_event_loop()
        self.answers = Answers()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),))
        self._thread.start()

    async def _serve(self) -> None:
        clients = Clients(self._listener, self.answers, self._limits)
        watching = asyncio.create_task(clients.watch_time())
        await self._stop.wait()
        watching.cancel()
        clients.stop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def open_gate(self) -> None:
        self.loop.call_soon_threadsafe(self.answers.gate.set)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(TIMEOUT)
            assert not self._thread.is_alive()
            self.loop.close()

    def wait_asked(self, count: int) -> None:
        wait_until(lambda: self.answers.asked >= count or None, f"{count} questions")


class Client:
    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        self._heard = b""

    def connect(self, service: Service) -> None:
        self.socket.connect(str(service.path))

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self, count: int) -> list[str]:
        """As many answers; fewer where the service closes."""
        while self._heard.count(b"\n\n") < count:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                break
            self._heard += data
        answers = self._heard.split(b"\n\n")
        self._heard = b"\n\n".join(answers[count:])
        return [each.decode().removeprefix("action=") for each in answers[:count] if each]

    def ask(self, text: str) -> str:
        self.say(f"{text}\n\n".encode())
        [answer] = self.hear(1)
        return answer

    def is_closed(self) -> bool:
        """Waits for it."""
        return self.hear(1) == []


class Making:
    """Services and their clients, which end with the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def service(self, limits: Limits = SHORT) -> Service:
        service = Service(self._folder, limits)
        self._stack.callback(service.stop)
        return service

    def client(self, service: Service) -> Client:
        client = self.unconnected()
        client.connect(service)
        return client

    def unconnected(self) -> Client:
        client = Client()
        self._stack.enter_context(client.socket)
        return client


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Making]:
    with ExitStack() as stack:
        yield Making(tmp_path, stack)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the service logs."""
    with caplog.at_level(logging.INFO, logger=LOG):
        yield caplog


def count(said: pytest.LogCaptureFixture, pattern: str) -> int:
    return sum(re.search(pattern, record.getMessage()) is not None for record in said.records)


def test_pipelined_requests_are_answered_in_order(make: Making) -> None:
    service = make.service()
    client = make.client(service)
    texts = [f"slow=answer{n}" if n % 7 == 3 else f"a=answer{n}" for n in range(200)]
    client.say("".join(f"{text}\n\n" for text in texts).encode())
    assert client.hear(3) == ["answer0", "answer1", "answer2"]
    assert make.client(service).ask("a=other") == "other"
    service.open_gate()
    assert client.hear(197) == [f"answer{n}" for n in range(3, 200)]


USUAL = (SAMPLES / "3.7-rcpt.txt").read_text()


def test_what_is_accepted_by_its_outline_is_not_asked_as_a_whole(make: Making) -> None:
    service = make.service()
    client = make.client(service)
    accepted = USUAL.replace("\nsize=21\n", "\nsize=1\n")
    for text, answer in ((accepted, "DUNNO"), (USUAL, "21"), (accepted, "DUNNO")):
        client.say(text.encode())
        assert client.hear(1) == [answer]
    assert service.answers.asked == 1


def test_a_fault_of_ours_with_the_outline_asks_to_try_again(
    make: Making, said: pytest.LogCaptureFixture
) -> None:
    client = make.client(make.service())
    client.say(USUAL.replace("recipient=b@other.test", "recipient=fault").encode())
    assert client.hear(1) == [TRY_LATER]
    assert count(said, "our own fault") == 1


def test_a_request_in_single_bytes(make: Making) -> None:
    client = make.client(make.service())
    for byte in b"a=DUNNO\nb=c\n\n":
        client.say(bytes([byte]))
    assert client.hear(1) == ["DUNNO"]


def test_a_slow_question_keeps_nobody_waiting(make: Making) -> None:
    service = make.service()
    slow = [make.client(service) for _ in range(50)]
    for client in slow:
        client.say(b"slow=late\n\n")
    service.wait_asked(50)
    assert make.client(service).ask("a=quick") == "quick"
    service.open_gate()
    assert [client.hear(1) for client in slow] == [["late"]] * 50


def test_a_client_that_leaves_while_its_question_is_asked(
    make: Making, said: pytest.LogCaptureFixture
) -> None:
    service = make.service()
    for _ in range(10):
        with make.client(service).socket as leaving:
            leaving.sendall(b"slow=late\n\na=b\n\n")
    service.wait_asked(10)
    service.open_gate()
    assert make.client(service).ask("a=here") == "here"
    assert not said.records


def test_a_client_that_reads_no_answers_is_paused_and_closed(
    make: Making, said: pytest.LogCaptureFixture
) -> None:
    service = make.service()
    client = make.client(service)
    client.socket.settimeout(1)
    request = b"a=" + b"x" * 1000 + b"\n\n"
    sent = 0
    try:
        while True:
            sent += client.socket.send(request * 10)
            assert sent < 100 * 1024**2, "it is never paused"
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        pass
    assert make.client(service).ask("a=quick") == "quick"
    wait_until(lambda: count(said, "does not read its answers") or None, "the complaint")
    client.socket.settimeout(TIMEOUT)
    while client.hear(1):
        pass  # what was sent before
    assert service.answers.asked < sent / len(request) + 1


def test_half_a_request_ends(make: Making, said: pytest.LogCaptureFixture) -> None:
    """Also where one byte comes after the other, forever."""
    service = make.service()
    stalled, dripping, good = (make.client(service) for _ in range(3))
    stalled.say(b"request=smtpd_access_policy\nrecip")

    def drip() -> bool | None:
        assert good.ask("a=good") == "good"
        try:
            dripping.say(b"a")
        except (BrokenPipeError, ConnectionResetError):
            return True
        return None

    wait_until(drip, "the end of the dripping one")
    assert stalled.is_closed()
    assert good.ask("a=good") == "good"
    assert count(said, "sent half a request") == 1


def test_idle_is_not_stalled(make: Making, said: pytest.LogCaptureFixture) -> None:
    service = make.service(Limits(connections=10, idle=1.0, stalled=0.1))
    client = make.client(service)
    assert client.ask("a=one") == "one"
    stalled = make.client(service)
    stalled.say(b"a=")
    assert stalled.is_closed()
    assert client.ask("a=two") == "two"
    assert client.is_closed()
    assert count(said, "closing") == 1  # an idle one is no complaint


def test_who_leaves_in_the_middle_of_a_request(
    make: Making, said: pytest.LogCaptureFixture
) -> None:
    service = make.service()
    for _ in range(20):
        with make.client(service).socket as leaving:
            leaving.sendall(b"request=smtp")
    staying = make.client(service)
    for _ in range(5):  # what all others did is read by then
        assert staying.ask("a=b") == "b"
    service.stop()
    assert count(said, "in the middle of a request$") == 1
    assert count(said, "in the middle of a request: [0-9]+ times more") == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"\n\n",
        b"nonsense\n\n",
        b"=\n\n",
        b"a=b\n\x00\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n",
        b"a=b\n" * 201 + b"\n",
        b"x" * (MOST_BYTES + 1),
        b"12:virtual test,\n\n",
    ],
)
def test_garbage_is_closed_and_logged_once(
    make: Making, said: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    service = make.service()
    good = make.client(service)
    for _ in range(20):
        client = make.client(service)
        client.say(b"a=before\n\n")
        assert client.hear(1) == ["before"]
        client.say(garbage)
        assert client.is_closed()
        assert good.ask("a=good") == "good"
    service.stop()
    assert count(said, "the client sent [^:]*$") == 1
    assert count(said, "the client sent .*: 19 times more") == 1


def test_what_came_before_garbage_is_answered(make: Making) -> None:
    client = make.client(make.service())
    client.say(b"a=one\n\na=two\n\nnonsense\n\na=three\n\n")
    assert client.hear(3) == ["one", "two"]


@pytest.mark.parametrize("text", ["a=\x00", "a=\x1b[2J", "a=b\u2028c", "a=b\rc", "fault=yes"])
def test_what_can_not_be_answered_is_to_be_tried_again(
    make: Making, said: pytest.LogCaptureFixture, text: str
) -> None:
    service = make.service()
    client = make.client(service)
    assert [client.ask(text) for _ in range(5)] == [TRY_LATER] * 5
    assert client.ask("a=good") == "good"
    service.stop()
    assert count(said, "^our own fault; asking to try again$") == 1
    assert count(said, "^our own fault .*: 4 times more") == 1


def test_a_fault_in_a_slow_answer_is_to_be_tried_again(make: Making) -> None:
    service = make.service()
    client = make.client(service)
    service.open_gate()
    assert client.ask("slow=fault") == TRY_LATER
    assert client.ask("slow=a\tb") == TRY_LATER
    assert client.ask("a=good") == "good"


def test_what_is_no_text_is_answered(make: Making) -> None:
    client = make.client(make.service())
    client.say(b"recipient=\xff\xfe\x00@x\nunknown=\x00\n\n")
    assert client.hear(1) == ["DUNNO"]


def test_more_clients_than_there_may_be_wait(make: Making, said: pytest.LogCaptureFixture) -> None:
    service = make.service(Limits(connections=3, idle=30, stalled=30))
    first = [make.client(service) for _ in range(3)]
    assert [client.ask("a=b") for client in first] == ["b"] * 3
    waiting = [make.client(service) for _ in range(3)]
    for client in waiting:
        client.say(b"a=patient\n\n")
    for client in first:
        assert client.ask("a=b") == "b"
        client.socket.close()
    assert [client.hear(1) for client in waiting] == [["patient"]] * 3
    assert count(said, "others have to wait$") == 1


def test_without_file_descriptors_clients_wait(
    make: Making, said: pytest.LogCaptureFixture
) -> None:
    service = make.service()
    clients = [make.unconnected() for _ in range(6)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_one = os.dup(0)
    os.close(next_one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one + 3, hard))
    try:
        for client in clients:
            client.connect(service)
            client.say(b"a=b\n\n")
        wait_until(lambda: count(said, "can't accept") or None, "the complaint")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [client.hear(1) for client in clients] == [["b"]] * 6
    assert count(said, "can't accept a connection") == 1


def test_hundreds_of_clients(make: Making) -> None:
    service = make.service()
    clients = [make.client(service) for _ in range(400)]
    for round_ in range(3):
        for client in clients:
            client.say(f"a={round_}\n\n".encode())
        assert [client.hear(1) for client in clients] == [[str(round_)]] * 400


def test_the_end_closes_all(make: Making, said: pytest.LogCaptureFixture) -> None:
    """Whatever they are doing."""
    service = make.service()
    idle, half, asking = (make.client(service) for _ in range(3))
    assert idle.ask("a=b") == "b"
    half.say(b"a=")
    asking.say(b"slow=b\n\n")
    service.wait_asked(2)
    service.stop()
    assert idle.is_closed()
    assert half.is_closed()
    assert asking.is_closed()
    assert not said.records
