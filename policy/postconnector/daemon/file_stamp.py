"""Telling that a file is another one than before, without reading it."""

from pathlib import Path

Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp:
    """What is another when the file is another, or was written to. Raises OSError."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
