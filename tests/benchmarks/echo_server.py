"""A bare policy server: reads up to the empty line, and always gives the same answer.

    python -m tests.benchmarks.echo_server SOCKET

What asyncio itself costs; the policy service is measured against it. It reads into a buffer of its
own: an asyncio.Protocol gets new bytes of 256 KB for each read, which malloc(3) either keeps or has
from the kernel every time, so that the same echo server takes 6 or 22 µs for a request, by chance.
"""

import asyncio
import sys

ANSWER = b"action=DUNNO\n\n"


class Echo(asyncio.BufferedProtocol):
    """One client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._buffer = bytearray(16 * 1024)
        self._received = b""

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._received += self._buffer[:nbytes]
        while (end := self._received.find(b"\n\n")) >= 0:
            self._received = self._received[end + 2 :]
            self._transport.write(ANSWER)


async def serve(path: str) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_unix_server(Echo, path, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
