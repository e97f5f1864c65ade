"""Only one command at a time changes what is published."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TryAgainError(Exception):
    """Another apply is at work, or somebody changed main.cf or master.cf since we read them."""


@contextmanager
def publication_lock(directory: Path) -> Iterator[None]:
    """Hold the lock of our folder; raises TryAgainError if another command has it."""
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TryAgainError(
                "another postconnector apply or remove is at work; try again later"
            ) from None
        yield
