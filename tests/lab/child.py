"""Servers as child processes that do not outlive us, however we end.

Beside each server stands a guard: a shell at the other end of a pipe that we alone hold open.
When the pipe closes, because we were killed, the guard ends the server's process group.
PR_SET_PDEATHSIG would not do: the kernel forgets it when a process changes its effective user,
which master(8) does as it starts.
"""

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

_GUARD = 'read -r group && { read -r _; kill -s TERM -- "-$group"; }'


class Server(ABC):
    """A server that is up inside a with statement."""

    @abstractmethod
    def start(self) -> None:
        """Start, and wait until it serves."""

    @abstractmethod
    def stop(self) -> None:
        """Stop, if it runs."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class Child(Protocol):
    """A server in the foreground, leader of a process group, as subprocess.Popen has it."""

    pid: int

    def poll(self) -> int | None:
        """Its status, if it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """The same when it ends. Raises TimeoutExpired."""

    def send_signal(self, sig: int) -> None:
        """If it has not ended."""

    def terminate(self) -> None:
        """SIGTERM."""

    def kill(self) -> None:
        """SIGKILL."""

    def dismiss_guard(self) -> None:
        """End the guard of a server that has ended."""


class Guard:
    """Ends a process group when we are gone."""

    def __init__(self) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._shell.stdin is not None
        self._pipe = self._shell.stdin.fileno()

    def watch(self, group: int) -> None:
        """Which it is."""
        os.write(self._pipe, b"%d\n" % group)

    def dismiss(self) -> None:
        """It is not needed any more."""
        with self._shell:
            self._shell.kill()


class _Program(subprocess.Popen[bytes]):
    """A program; what it prints goes to a file."""

    def __init__(self, command: Sequence[str], output: Path) -> None:
        guard = self._guard = Guard()
        try:
            with output.open("ab") as file:
                super().__init__(
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                    # The child tells the guard itself, so that there is no moment without one.
                    preexec_fn=lambda: guard.watch(os.getpid()),
                )
        except BaseException:
            self.dismiss_guard()
            raise

    def dismiss_guard(self) -> None:
        self._guard.dismiss()


def start_child(command: Sequence[str], output: Path) -> Child:
    """Start a server that gets SIGTERM when this process dies."""
    return _Program(command, output)


def stop_child(child: Child, timeout: float = 15.0) -> None:
    """Ask a server to end, and end it with all its processes if it does not."""
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(timeout)
    finally:
        child.dismiss_guard()
