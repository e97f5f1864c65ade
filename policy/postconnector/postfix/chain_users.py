"""Which processes of Postfix hold a certificate that they have read, until they end.

smtp(8) reads its chain once, when it starts; tlsproxy(8), which does TLS for it where connections
are reused, when it is asked for the first time. After a reload idle ones end at once, and one that
delivers when it has done so: master(8) does not answer it any more.
"""

import time
from collections.abc import Collection
from pathlib import Path

_PROCESSES = Path("/proc")
_PROXY = "tlsproxy"
_PATIENCE = 10.0
_PAUSE = 0.02

Processes = frozenset[tuple[int, str]]
"""Number and start of each: numbers come again."""


def chain_users(queue_directory: Path, services: Collection[str]) -> Processes:
    """The processes of these services of an instance; none where the system can't tell."""
    try:
        master = (queue_directory / "pid" / "master.pid").read_text().strip()
    except OSError:
        return frozenset()
    found = set()
    for process in _PROCESSES.glob("[0-9]*"):
        try:
            parent, start = _parent_and_start(process)
            if parent == master and _is_of(process, services):
                found.add((int(process.name), start))
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return frozenset(found)


def wait_until_gone(users: Processes) -> None:
    """Wait for them, after a reload; one that still delivers after ten seconds does no more."""
    deadline = time.monotonic() + _PATIENCE
    while any(_is_alive(*user) for user in users) and time.monotonic() < deadline:
        time.sleep(_PAUSE)


def _is_alive(number: int, start: str) -> bool:
    try:
        return _parent_and_start(_PROCESSES / str(number))[1] == start
    except (OSError, IndexError):
        return False


def _parent_and_start(process: Path) -> tuple[str, str]:
    """See proc(5): the name of the program, which may hold anything, is in parentheses."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return fields[1], fields[19]


def _is_of(process: Path, services: Collection[str]) -> bool:
    """master(8) tells a process the name of its service, if it is not the program's (-n)."""
    arguments = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    name = arguments[arguments.index("-n") + 1] if "-n" in arguments else arguments[0]
    return name in services or Path(arguments[0]).name == _PROXY
