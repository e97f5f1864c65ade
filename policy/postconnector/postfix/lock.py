"""Only one command at a time changes what is published."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TryAgainError(Exception):
    """Another apply is at work, or somebody changed main.cf or master.cf since we read them."""


@contextmanager
def publication_lock(directory: Path) -> Iterator[None]:
    """Hold the lock of our folder; raises TryAgainError if another command has it.

    Whoever may open the file may keep it locked, so it is for root alone.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(directory / "lock", flags, 0o600)
    with open(descriptor, "r+") as file:  # noqa: PTH123 (pathlib opens no descriptors)
        os.fchmod(descriptor, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TryAgainError(
                "another postconnector apply or remove is at work; try again later"
            ) from None
        yield
