"""What a connection does with what comes, however much of it."""

import asyncio
from typing import Any

import pytest

from postconnector.delivery.smtp.wire import ConnectionLostError, Wire


class Transport(asyncio.Transport):
    """Only remembers whether anybody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002
        return default


def connected() -> tuple[Wire, Transport]:
    wire, transport = Wire(), Transport()
    wire.connection_made(transport)
    return wire, transport


async def replies(wire: Wire, count: int) -> None:
    for _ in range(count):
        async with asyncio.timeout(5):
            await wire.reply()


def test_a_flood_waits_until_it_is_read() -> None:
    async def flood() -> None:
        wire, transport = connected()
        line, count = b"250 " + 994 * b"x" + b"\r\n", 0
        while transport.is_read:
            wire.data_received(line)
            count += 1
        assert 128 <= count <= 132
        await replies(wire, count)
        assert not wire.is_spoken_to
        waiting = asyncio.create_task(wire.reply())
        await asyncio.sleep(0)
        assert transport.is_read
        wire.data_received(b"221 bye\r\n")
        assert (await waiting).code == 221

    asyncio.run(flood())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, "it closed the connection"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (TimeoutError(110, "[Errno 110] whatever"), "Connection timed out"),
    ],
)
def test_what_was_said_before_it_left_counts(error: Exception | None, text: str) -> None:
    async def lose() -> None:
        wire, _ = connected()
        wire.data_received(b"421 closing\r\n25")
        wire.connection_lost(error)
        assert wire.is_lost
        assert (await wire.reply()).code == 421
        with pytest.raises(ConnectionLostError, match=text):
            await wire.reply()
        with pytest.raises(ConnectionLostError):
            wire.write(b"NOOP\r\n")

    asyncio.run(lose())
