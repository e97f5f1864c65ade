"""Running postconnector's commands: in a process of its own each, which in a test is a fork.

Starting Python and importing the program takes most of the time of a command, and of a daemon until
it listens; and tests run many. So a server imports it once and forks for each. What a command sees
is the same, but for variables that Python reads as it starts: where a test has changed one, and
outside tests, nothing is saved.
"""

import ctypes
import multiprocessing
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from postconnector import cli
from postconnector.cli.main import main
from tests.lab.child import Child, Guard, start_child
from tests.lab.loopback import wait_until

POSTCONNECTOR = (sys.executable, "-m", "postconnector")

_TIMEOUT = 120.0
_OF_COMPILING = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
_PR_SET_PTRACER, _ANY = 0x59616D61, 2**64 - 1
"""prctl(2): who may trace a process that is none of its children."""

_STREAMS = ("stdout", "stderr")
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [__name__, *(each.name for each in pkgutil.iter_modules(cli.__path__, f"{cli.__name__}."))]
)

Result = subprocess.CompletedProcess[str]


def run_command(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    standard_input: str = "",
    tracer: Sequence[str] = (),
) -> Result:
    """Run a command to its end; TimeoutExpired where there is none.

    `tracer`: strace(1) and its options.
    """
    if _can_fork(environment):
        return _forked(arguments, environment, standard_input, tracer)
    return subprocess.run(
        [*tracer, *POSTCONNECTOR, *arguments],
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT,
        env=environment,
    )


def start_daemon(arguments: Sequence[str], output: Path) -> Child:
    """Start a daemon of ours; what it prints goes to a file."""
    if _can_fork(os.environ):
        return _ForkedDaemon(arguments, output)
    return start_child([*POSTCONNECTOR, *arguments], output)


class _ForkedDaemon:
    def __init__(self, arguments: Sequence[str], output: Path) -> None:
        self._command = [*POSTCONNECTOR, *arguments]
        about = list(arguments), dict(os.environ), Path.cwd(), output
        self._process = _FORKING.Process(target=_daemon, args=about, daemon=True)
        self._guard = Guard()
        output.touch()
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self._guard.watch(self.pid)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (status := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._command, timeout or 0.0)
        return status

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it may have ended just now
                os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def dismiss_guard(self) -> None:
        self._guard.dismiss()


def _can_fork(environment: Mapping[str, str]) -> bool:
    return "PYTEST_CURRENT_TEST" in environment and _for_python(environment) == _AS_IT_STARTED


def _for_python(environment: Mapping[str, str]) -> dict[str, str]:
    """What Python reads as it starts, but whether and where it keeps what it compiles."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("PYTHON") and name not in _OF_COMPILING
    }


_AS_IT_STARTED = _for_python(os.environ)


def _forked(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    standard_input: str,
    tracer: Sequence[str],
) -> Result:
    command = [*POSTCONNECTOR, *arguments]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stdin").write_text(standard_input)
        about = list(arguments), dict(environment), Path.cwd(), folder, bool(tracer)
        process = _FORKING.Process(target=_command, args=about)
        process.start()
        with _traced(process.pid, tracer) if tracer else nullcontext():
            process.join(_TIMEOUT)
            if (status := process.exitcode) is None:
                process.kill()
                process.join()
        printed = [(folder / stream).read_text() for stream in _STREAMS]
    if status is None:
        raise subprocess.TimeoutExpired(command, _TIMEOUT, *printed)
    return subprocess.CompletedProcess(command, status, *printed)


@contextmanager
def _traced(process: int | None, tracer: Sequence[str]) -> Iterator[None]:
    """Of one that has stopped itself to wait for it."""
    status = Path(f"/proc/{process}/status")
    wait_until(lambda: "State:\tT" in status.read_text() or None, "the command to stop")
    with subprocess.Popen([*tracer, "-p", str(process)]):
        wait_until(lambda: "TracerPid:\t0" not in status.read_text() or None, "the tracer")
        os.kill(process or 0, signal.SIGCONT)
        yield


def _command(
    arguments: list[str],
    environment: dict[str, str],
    directory: Path,
    folder: Path,
    is_traced: bool,
) -> None:
    _become(environment, directory, folder / "stdin", *(folder / name for name in _STREAMS))
    if is_traced:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(_ANY), 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
    sys.exit(main(arguments))


def _daemon(
    arguments: list[str], environment: dict[str, str], directory: Path, output: Path
) -> None:
    os.setsid()
    _become(environment, directory, Path(os.devnull), output, output)
    sys.exit(main(arguments))


def _become(
    environment: Mapping[str, str],
    directory: Path,
    standard_input: Path,
    standard_output: Path,
    standard_error: Path,
) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    # multiprocessing has given sys.stdin another file than standard input.
    sys.stdin = standard_input.open()
    os.dup2(sys.stdin.fileno(), 0)
    for number, path in ((1, standard_output), (2, standard_error)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
