"""What systemd hears, by a real datagram socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postconnector.daemon.published import PublishedOrganization
from postconnector.daemon.readiness import Readiness
from postconnector.daemon.visibility import Visibility

GOOD = '[[send_connector]]\nname = "All"\naddress_spaces = ["*"]\n'


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        systemd.settimeout(10.0)
        yield systemd


@pytest.fixture(params=["a path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = str(tmp_path / "notify")
    return path if request.param == "a path" else f"@{path}"


@pytest.fixture
def systemd(address: str) -> Iterator[socket.socket]:
    with listening(address) as listener:
        yield listener


def heard(systemd: socket.socket) -> list[str]:
    return systemd.recv(4096).decode().split("\n")


def nothing_heard(systemd: socket.socket) -> bool:
    systemd.setblocking(False)
    try:
        return not systemd.recv(4096)
    except BlockingIOError:
        return True


def test_a_life(address: str, systemd: socket.socket) -> None:
    readiness = Readiness(address)
    readiness.reloading()
    readiness.status("412 connectors, generation 17")
    readiness.reloaded()
    assert nothing_heard(systemd), "it is not ready yet"
    readiness.ready()
    assert heard(systemd) == ["READY=1", "STATUS=412 connectors, generation 17"]
    readiness.reloading()
    assert heard(systemd) == ["RELOADING=1"]
    readiness.status("413 connectors, generation 18")
    readiness.reloaded()
    assert heard(systemd) == ["READY=1", "STATUS=413 connectors, generation 18"]
    readiness.alive()
    assert heard(systemd) == ["WATCHDOG=1"]
    readiness.stopping()
    assert heard(systemd) == ["STOPPING=1", "STATUS=stopping"]
    readiness.reloading()
    readiness.reloaded()
    assert nothing_heard(systemd), "it does not come back"


def test_a_loop_that_turns_keeps_the_watchdog_quiet(address: str, systemd: socket.socket) -> None:
    async def turn() -> None:
        loop = asyncio.get_running_loop()
        systemd.setblocking(False)
        Readiness(address, watchdog=0.01).keep_alive(loop)
        for _ in range(3):
            assert await loop.sock_recv(systemd, 4096) == b"WATCHDOG=1"

    asyncio.run(turn())


def test_without_a_watchdog_nothing_is_said(address: str, systemd: socket.socket) -> None:
    async def turn() -> None:
        Readiness(address).keep_alive(asyncio.get_running_loop())

    asyncio.run(turn())
    assert nothing_heard(systemd)


@pytest.mark.parametrize(
    ("environment", "watchdog"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
    ],
)
def test_how_systemd_asks_for_a_watchdog(
    environment: dict[str, str], watchdog: float | None
) -> None:
    assert Readiness.of(environment).watchdog == watchdog


def test_nobody_wants_to_know() -> None:
    readiness = Readiness.of({"NOTIFY_SOCKET": ""})
    readiness.ready()
    readiness.stopping()


def test_nobody_hears(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Readiness(str(tmp_path / "nobody")).ready()
    [record] = caplog.records
    assert "systemd does not hear READY=1" in record.getMessage()


# --- what is published, as systemd and Prometheus see it


def test_what_is_published_is_said(address: str, systemd: socket.socket, tmp_path: Path) -> None:
    generation = tmp_path / "generations" / "000017"
    generation.mkdir(parents=True)
    (tmp_path / "live").symlink_to(generation)
    file = tmp_path / "live" / "connectors.toml"
    visibility = Visibility(None, Readiness(address))
    published = PublishedOrganization(lambda: file, visibility)
    visibility.ready()
    assert heard(systemd)[1] == "STATUS=nothing is published yet"

    def becomes(text: str) -> str:
        other = tmp_path / "other"
        other.write_text(text)
        other.replace(file)
        assert published.is_stale()
        published.refresh()
        assert heard(systemd) == ["RELOADING=1"]
        ready, status = heard(systemd)
        assert ready == "READY=1"
        return status.removeprefix("STATUS=")

    good = "1 connector, generation 17"
    assert "mail is deferred" in becomes("nonsense")
    assert becomes(GOOD) == good
    assert becomes(GOOD + GOOD.replace("All", "Another")) == "2 connectors, generation 17"
    assert becomes(GOOD) == good
    assert becomes("nonsense") == f"{good}; what was published since is no good, the log says why"
    assert published.is_bad
    assert becomes(GOOD) == good
    assert not published.is_bad


def test_a_file_that_was_named_has_no_generation(tmp_path: Path) -> None:
    file = tmp_path / "connectors.toml"
    file.write_text(GOOD)
    published = PublishedOrganization(lambda: file)
    assert published.generation is None
    assert published.read_at is not None
