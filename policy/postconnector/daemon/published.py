"""The organization that the daemon goes by: read from a file, and again whenever that changes.

`postconnector apply` replaces the published file in one step. A file that turns bad, or goes
away, leaves the last good organization in force.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from postconnector.daemon.file_stamp import Stamp, stamp_of
from postconnector.model.organization import HostSettings, Organization
from postconnector.postfix.configuration_files import folder_in_force
from postconnector.postfix.facts import OWN_DIRECTORY
from postconnector.postfix.generations import LIVE, is_generation
from postconnector.postfix.host import PostfixError, read_text
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS
from postconnector.sources.connectors_file import UnreadableFileError, read_connectors_file

log = logging.getLogger(__name__)


class FileInForce:
    """The connectors file of a Postfix instance that was published with what is in force there.

    While apply is at work, or was killed, main.cf may lead to another folder of ours than usual.
    """

    def __init__(self, config_directory: Path) -> None:
        self._main_cf = config_directory / "main.cf"
        self._own = config_directory / OWN_DIRECTORY
        self._folder = LIVE
        self._stamp: Stamp | None = None

    def __call__(self) -> Path:
        """Where it stands now."""
        try:
            stamp = stamp_of(self._main_cf)
            if stamp != self._stamp:
                self._folder = folder_in_force(read_text(self._main_cf), self._own) or LIVE
                self._stamp = stamp
        except (OSError, PostfixError) as error:
            log.warning("%s can't be read: %s", self._main_cf, error)
        return self._own / self._folder / PUBLISHED_CONNECTORS


class Watcher(Protocol):
    """Somebody who wants to know when what is published is read; called from any thread."""

    def reading(self) -> None:
        """It is about to be read."""

    def looked(self, published: "PublishedOrganization") -> None:
        """It was, or could not be."""


class PublishedOrganization:
    """Follows the connectors file that `find` names, which may be another every time.

    `organization`: the one in force; without connectors while there is no file; None when there
    is one but none that was any good, so that nothing can be judged. `generation`: its number, if
    it stands in one; `read_at`: when it was read, in seconds since 1970. `is_bad`: what was found
    last is no good.
    """

    def __init__(self, find: Callable[[], Path], watcher: Watcher | None = None) -> None:
        self._find = find
        self._watcher = watcher
        self.generation: int | None = None
        self.read_at: float | None = None
        self.is_bad = False
        self._path = find()
        self._stamp: Stamp | None = None
        self._read_once = False
        self.organization: Organization | None = Organization()
        self.refresh()
        if self._stamp is None:
            log.warning("%s: nothing is published yet", self._path)

    @property
    def host_settings(self) -> HostSettings:
        """The table [host] of the one in force."""
        return HostSettings() if self.organization is None else self.organization.host

    def is_stale(self) -> bool:
        """Whether the file is another one than was read last."""
        try:
            return stamp_of(self._find()) != self._stamp
        except OSError:
            return self._stamp is not None

    def refresh(self) -> bool:
        """Read the file if it is another one than before; return whether that changed anything."""
        if self._watcher is None:
            return self._refresh()
        self._watcher.reading()
        try:
            return self._refresh()
        finally:
            self._watcher.looked(self)

    def _refresh(self) -> bool:
        self._path = self._find()
        try:
            stamp = stamp_of(self._path)
        except OSError as error:
            if self._stamp is not None:
                self._keep(f"{self._path}: {error.strerror}")
            self._stamp = None
            return False
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            file = read_connectors_file(self._path)
        except UnreadableFileError as error:
            return self._keep(str(error))
        if file.organization is None:
            return self._keep("; ".join(str(problem) for problem in file.problems))
        self._read_once = True
        self.is_bad = False
        self.organization = file.organization
        self.read_at = time.time()
        self.generation = _generation(self._path)
        log.info("%s: connectors in force: %d", self._path, len(file.organization.connectors))
        return True

    def _keep(self, why: str) -> bool:
        """Stay with the last good organization; without one, nothing can be judged."""
        self.is_bad = True
        if self._read_once:
            log.error("the connectors in force stay: %s", why)
            return False
        log.error("there are no connectors to judge by, mail is deferred: %s", why)
        self.organization = None
        return True


def _generation(path: Path) -> int | None:
    """The number of the generation that a published file stands in."""
    name = path.resolve().parent.name
    return int(name) if is_generation(name) else None
