"""Replacing a configuration file by rename, so that it can be put back even on a full disk."""

import os
from pathlib import Path

from postconnector.postfix.host import read_text, write_text
from postconnector.sources.writing.files import sync


class ReplacedFile:
    """One file: staged beside, swapped in, and then kept or put back.

    A symbolic link stays one; what it points to is replaced. Owner and access rights are kept.
    All space is taken when staging: swapping and putting back only rename.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._new = self._path.with_name(f".{path.name}.postconnector.new")
        self._old = self._path.with_name(f".{path.name}.postconnector.old")
        self._staged = False

    def stage(self, text: str) -> None:
        """Write the new content beside the file, and keep the old one by a second name."""
        self.forget()
        if read_text(self._path) == text:
            return
        status = self._path.stat()
        write_text(self._new, text)
        os.chown(self._new, status.st_uid, status.st_gid)
        self._new.chmod(status.st_mode & 0o7777)
        sync(self._new)
        self._old.hardlink_to(self._path)
        self._staged = True

    def swap(self) -> None:
        """Put the new content in place, if it is another."""
        if self._staged:
            self._new.rename(self._path)
            sync(self._path.parent)

    def put_back(self) -> None:
        """Undo swap: the very file from before is there again."""
        if self._staged:
            self._old.rename(self._path)
            sync(self._path.parent)
        self.forget()

    def forget(self) -> None:
        """Remove what was staged or kept."""
        self._new.unlink(missing_ok=True)
        self._old.unlink(missing_ok=True)
        self._staged = False
