"""Writing a connectors file: whole or not at all."""

import os
import tempfile
from pathlib import Path


def create_file(path: Path, text: str) -> None:
    """Write a new file, or an empty one that is there.

    Raises FileExistsError if there is one with content already, OSError if it can't be written.
    """
    if path.is_file() and not path.stat().st_size:
        replace_file(path, text)
        return
    staged = _stage(path, text, 0o644)
    try:
        os.link(staged, path)
    finally:
        staged.unlink()
    sync(path.parent)


def replace_file(path: Path, text: str) -> None:
    """Replace a file by one rename; owner and access rights stay, and so do symbolic links.

    Raises OSError when it can't be written; then the file is as it was.
    """
    path = path.resolve()
    status = path.stat()
    staged = _stage(path, text, status.st_mode & 0o7777)
    try:
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(staged, status.st_uid, status.st_gid)
        staged.rename(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _stage(path: Path, text: str, mode: int) -> Path:
    """The content in a file beside, on disk."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    staged = Path(name)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    return staged


def sync(path: Path) -> None:
    """Have a file or folder on disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
