"""Reading files that somebody names: a named pipe in place of one would be waited for, for ever."""

import errno
import os
import stat
from pathlib import Path


def read_regular_file(path: Path, most: int) -> bytes:
    """The content of a file, at most this many bytes; of another kind than a file is refused.

    But for what this process was handed, below /dev: standard input, a shell's <(command).
    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 (pathlib opens no descriptors)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) and path.parts[:2] != ("/", "dev"):
            raise OSError(errno.EINVAL, "is no file", str(path))
        os.set_blocking(descriptor, True)
        return file.read(most)
