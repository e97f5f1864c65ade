"""Replacing files and links by rename alone, so that it can be undone even on a full disk.

All space and all names are taken when staging: going forward and back only renames.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from postconnector.postfix.host import settle, write_text
from postconnector.sources.writing.files import sync

_MARK = ".postconnector."


class ReplacedFile:
    """A configuration file that gets one new content after another.

    A symbolic link stays one; what it points to is replaced. Owner and access rights are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self.at = 0

    def stage(self, texts: Sequence[str]) -> None:
        """Write the new contents beside the file, and keep each, and the old, by a second name."""
        self.forget()
        if not texts:
            return
        status = self._path.stat()
        self._kept(0).hardlink_to(self._path)
        for number, text in enumerate(texts, start=1):
            new = self._new(number)
            write_text(new, text)
            os.chown(new, status.st_uid, status.st_gid)
            new.chmod(status.st_mode & 0o7777)
            settle(new)
            sync(new)
            self._kept(number).hardlink_to(new)

    def advance(self) -> None:
        """Put the next content in place, the one numbered `at` then. Raises OSError, then too."""
        self._new(self.at + 1).rename(self._path)
        self.at += 1
        sync(self._path.parent)

    def go_back(self, at: int) -> None:
        """Put the content in place that was there at this number, if it is not."""
        if self.at > at:
            self._kept(at).rename(self._path)
            self.at = at
            sync(self._path.parent)

    def forget(self) -> None:
        """Remove what was staged or kept, by this or a command that was killed."""
        for path in self._path.parent.glob(f".{self._path.name}{_MARK}*"):
            path.unlink(missing_ok=True)
        self.at = 0

    def _new(self, number: int) -> Path:
        return self._path.with_name(f".{self._path.name}{_MARK}new{number}")

    def _kept(self, number: int) -> Path:
        return self._path.with_name(f".{self._path.name}{_MARK}kept{number}")


class ReplacedLink:
    """A symbolic link, or none, that gets another target beside it."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._new = link.with_name(f"{link.name}.new")
        self._kept = link.with_name(f"{link.name}.kept")
        self.at = 0

    def stage(self, target: Path) -> None:
        """Make the new link beside the old one, and the old one a second time."""
        self.forget()
        self._new.symlink_to(target)
        if self._link.is_symlink():
            self._kept.symlink_to(self._link.readlink())

    def advance(self) -> None:
        """Put the new link in place. Raises OSError, also when it is there already."""
        self._new.rename(self._link)
        self.at = 1
        sync(self._link.parent)

    def go_back(self, at: int) -> None:
        """Put the link from before (0) in place, or none, if it is not."""
        if self.at <= at:
            return
        if self._kept.is_symlink():
            self._kept.rename(self._link)
        else:
            self._link.unlink(missing_ok=True)
        self.at = at
        sync(self._link.parent)

    def forget(self) -> None:
        """Remove what was staged or kept."""
        self._new.unlink(missing_ok=True)
        self._kept.unlink(missing_ok=True)
        self.at = 0
