"""Replacing files and links by rename alone, so that it can be undone even on a full disk.

All space and all names are taken when staging: going forward and back only renames.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from postconnector.postfix.host import read_text, settle, write_text
from postconnector.postfix.lock import TryAgainError
from postconnector.sources.writing.files import sync

_MARK = ".postconnector."
_ACL, _SELINUX = "system.posix_acl_access", "security.selinux"
_NONE = (errno.ENODATA, errno.ENOTSUP)


class ReplacedFile:
    """A configuration file that gets one new content after another.

    A symbolic link stays one; what it points to is replaced. Owner, access rights, ACL and SELinux
    context are kept; a hard link to it keeps the old content.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._texts: Sequence[str] = ()
        self.at = 0

    def stage(self, current: str, texts: Sequence[str]) -> None:
        """Write the new contents beside the file, and keep each, and the old, by a second name.

        `current`: what the file holds as far as we know.
        """
        self.forget()
        self._texts = (current, *texts)
        if not texts:
            return
        self._kept(0).hardlink_to(self._path)
        for number, text in enumerate(texts, start=1):
            new = self._new(number)
            new.touch(mode=0o600, exist_ok=False)
            write_text(new, text)
            _have_rights_of(self._path, new)
            settle(new)
            sync(new)
            self._kept(number).hardlink_to(new)

    def advance(self) -> None:
        """Put the next content in place, the one numbered `at` then.

        Raises TryAgainError if somebody edited the file; OSError, when it is in place already, too.
        """
        if read_text(self._path) != self._texts[self.at]:
            raise TryAgainError(f"{self._path} was changed meanwhile; try again")
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


def _have_rights_of(old: Path, new: Path) -> None:
    """Raises OSError: a file that others may read or write than before is not put in place."""
    status = old.stat()
    os.chown(new, status.st_uid, status.st_gid)
    new.chmod(status.st_mode & 0o7777)
    for name in (_ACL, _SELINUX):
        if (value := _attribute(old, name)) is not None:
            os.setxattr(new, name, value)
        elif name == _ACL and _attribute(new, name) is not None:
            os.removexattr(new, name)  # the folder's default


def _attribute(path: Path, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise
