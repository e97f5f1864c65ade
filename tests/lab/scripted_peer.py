r"""A next hop that plays a script, over real TCP connections: for what no real server does.

One script for each connection, one step a line:

    < 220 hello       say this and CRLF (\r, \n, \xNN as in Python)
    << 220 he         say this and nothing more
    10 < 250-more     say it ten times
    > EHLO you        the client must say just this
    message           the client must send a message, up to its final dot
    tls               go over to TLS
    bytewise          from here on, say each byte by itself
    close, reset      end the connection, politely or not
    goodbye           end TLS as it should be ended, and then the connection
    half-close        say nothing more
    stall             wait until the client leaves
    deaf              read nothing any more, until the peer is stopped

At its end the peer listens until the client leaves. A step that does not come to pass ends the
connection, and is a problem of which the test hears.
"""

import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.lab.child import Server
from tests.lab.loopback import free_port

_PATIENCE = 20.0
_NO_LINGER = struct.pack("ii", 1, 0)


class _ProblemError(Exception):
    """The client did something else."""


@dataclass
class PlayedScript:
    """What came of one connection. `rest`: the lines after the end of the script."""

    messages: list[bytes] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    problem: str = ""


class ScriptedPeer(Server):
    """Plays `scripts`, in the order of the connections; who comes after that is turned away."""

    def __init__(
        self, *scripts: str, context: ssl.SSLContext | None = None, address: str = "127.0.0.1"
    ) -> None:
        self.address = address
        self.port = 0
        self.played: list[PlayedScript] = []
        self._scripts = [_steps(script) for script in scripts]
        self._context = context
        self._stopped = threading.Event()
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Listen."""
        # A port of its own: on one that clients connect from, who looks for an earlier server
        # may come and be given the next script.
        self.port = free_port(self.address)
        self._listener = socket.create_server((self.address, self.port), family=self._family)
        self._listener.settimeout(_PATIENCE)
        thread = threading.Thread(target=self._accept, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Stop listening. The clients must have left."""
        self._stopped.set()
        if self._listener is not None:
            with suppress(OSError):
                # Wakes the thread if it still waits for a connection.
                self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:  # it grows until the first of them, which accepts, has ended
            thread.join(_PATIENCE)
            assert not thread.is_alive(), "a client did not leave"
        if self._listener is not None:
            self._listener.close()

    def assert_played(self) -> None:
        """All scripts were played to their ends. To be asked when the peer has stopped."""
        problems = [played.problem for played in self.played if played.problem]
        assert not problems, problems
        assert len(self.played) == len(self._scripts), "not all connections were made"

    @property
    def _family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

    def _accept(self) -> None:
        assert self._listener is not None
        for steps in self._scripts:
            try:
                client, _ = self._listener.accept()
            except OSError:
                break
            played = PlayedScript()
            self.played.append(played)
            player = _Player(client, self._context, played, self._stopped)
            thread = threading.Thread(target=player.play, args=(steps,), daemon=True)
            self._threads.append(thread)
            thread.start()
        self._listener.close()


class _Player:
    """One connection."""

    def __init__(
        self,
        client: socket.socket,
        context: ssl.SSLContext | None,
        played: PlayedScript,
        stopped: threading.Event,
    ) -> None:
        client.settimeout(_PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = client
        self._context = context
        self._played = played
        self._stopped = stopped
        self._received = b""
        self._bytewise = False

    def play(self, steps: Sequence[str]) -> None:
        step = ""
        try:
            for step in steps:
                self._do(step)
            self._listen_on()
        except _ProblemError as problem:
            self._played.problem = f"{step}: {problem}"
        except OSError as error:
            self._played.problem = f"{step}: {error}"
        finally:
            self._socket.close()

    def _do(self, step: str) -> None:
        times, _, rest = step.partition(" ")
        if times.isdecimal():
            with suppress(ConnectionError):  # enough for the client
                for _ in range(int(times)):
                    self._do(rest)
        elif step.startswith("<< "):
            self._say(step[3:])
        elif step.startswith("< "):
            self._say(step[2:] + r"\r\n")
        elif step == ">" or step.startswith("> "):
            self._expect(step[2:])
        else:
            self._act(step)

    def _act(self, step: str) -> None:
        match step:
            case "message":
                self._played.messages.append(self._take_until(b"\r\n.\r\n", b".\r\n"))
            case "tls":
                self._go_over_to_tls()
            case "bytewise":
                self._bytewise = True
            case "close":
                self._socket.close()
            case "reset":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                self._socket.close()
            case "goodbye":
                assert isinstance(self._socket, ssl.SSLSocket)
                self._socket.unwrap().close()
            case "half-close":
                self._socket.shutdown(socket.SHUT_WR)
            case "deaf":
                self._stopped.wait(_PATIENCE)
            case "stall":
                self._listen_on()
            case _:
                raise _ProblemError("no step")

    def _say(self, text: str) -> None:
        data = text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
        for piece in (data[n : n + 1] for n in range(len(data))) if self._bytewise else (data,):
            self._socket.sendall(piece)

    def _expect(self, line: str) -> None:
        heard = self._take_until(b"\r\n").decode("utf-8").removesuffix("\r\n")
        if heard != line:
            raise _ProblemError(f"heard {heard!r}")

    def _go_over_to_tls(self) -> None:
        if self._received:
            raise _ProblemError(f"the client spoke on in clear: {self._received!r}")
        assert self._context is not None
        self._socket = self._context.wrap_socket(self._socket, server_side=True)

    def _take_until(self, end: bytes, alone: bytes | None = None) -> bytes:
        """Up to this end; `alone`: what is an end only as the very first bytes."""
        while True:
            if alone is not None and self._received.startswith(alone):
                found = len(alone)
                break
            if (found := self._received.find(end)) >= 0:
                found += len(end)
                break
            if not (data := self._socket.recv(65536)):
                raise _ProblemError(f"the client left after {self._received[-200:]!r}")
            self._received += data
        taken, self._received = self._received[:found], self._received[found:]
        return taken

    def _listen_on(self) -> None:
        """Until the client leaves, whichever way."""
        if self._socket.fileno() < 0:
            return
        with suppress(ConnectionError, ssl.SSLError):
            while data := self._socket.recv(65536):
                self._received += data
        self._played.rest = self._received.decode("latin-1").splitlines()
        self._received = b""


def _steps(script: str) -> list[str]:
    lines = (line.strip() for line in script.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
