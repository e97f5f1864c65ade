"""A milter of somebody else's, which adds a header.

python -m tests.lab.header_milter SOCKET NAME
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import Milter

from tests.lab.child import start_child, stop_child
from tests.lab.loopback import wait_until


def main() -> None:
    """Serve until SIGTERM."""
    path, name = sys.argv[1:]

    class AddsHeader(Milter.Base):  # type: ignore[misc]
        def eom(self) -> int:
            self.addheader(name, "seen")
            return int(Milter.CONTINUE)

    Milter.factory = AddsHeader
    Milter.set_flags(Milter.ADDHDRS)
    Milter.runmilter(name, f"unix:{path}", 600)


@contextmanager
def header_milter(path: Path, name: str) -> Iterator[None]:
    """One that listens on this socket and adds a header of this name."""
    child = start_child(
        [sys.executable, "-m", "tests.lab.header_milter", str(path), name],
        path.with_suffix(".log"),
    )
    try:
        wait_until(lambda: path.exists() or None, f"milter {name}")
        path.chmod(0o666)
        yield
    finally:
        stop_child(child)


if __name__ == "__main__":
    main()
