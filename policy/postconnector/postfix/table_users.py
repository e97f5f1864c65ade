"""Which processes still use tables that were replaced, so that no reload is needed for them.

Postfix' processes look at their tables before each request, and start anew when one was deleted.
trivial-rewrite(8), which asks the transport table, looks every ten seconds.
"""

import time
from pathlib import Path

_PROCESSES = Path("/proc")
_NAME = "trivial-rewrite"
_PATIENCE = 15.0
_PAUSE = 0.05


def tables_are_released(deleted_from: Path) -> bool:
    """Wait until trivial-rewrite(8) has left the deleted tables of a folder; False if it does not.

    False too where the system can't tell (no /proc as on Linux).
    """
    if not (_PROCESSES / "self" / "fd").is_dir():
        return False
    deadline = time.monotonic() + _PATIENCE
    while _is_used(deleted_from):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _is_used(folder: Path) -> bool:
    return any(_has_open(process, str(folder)) for process in _PROCESSES.glob("[0-9]*"))


def _has_open(process: Path, folder: str) -> bool:
    try:
        if (process / "comm").read_text().strip() != _NAME:
            return False
        files = [str(link.readlink()) for link in (process / "fd").iterdir()]
    except OSError:
        return False  # it has ended meanwhile
    return any(name.startswith(f"{folder}/") for name in files)
