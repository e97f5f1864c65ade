"""The organization that the daemon goes by: read from a file, and again whenever that changes.

`postconnector apply` replaces the published file in one step. A file that turns bad, or goes
away, leaves the last good organization in force.
"""

import logging
from pathlib import Path

from postconnector.model.organization import Organization
from postconnector.sources.connectors_file import UnreadableFileError, read_connectors_file

_Stamp = tuple[int, int, int]

log = logging.getLogger(__name__)


class PublishedOrganization:
    """Follows one connectors file; before there is one, an organization without connectors."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self.organization = Organization()
        self.generation = 0
        if not self.refresh():
            log.warning("%s: nothing is published yet; no mail is judged", path)

    def refresh(self) -> bool:
        """Read the file if it is another one than before; return whether a new one is in force."""
        try:
            status = self._path.stat()
        except OSError as error:
            self._complain_once(None, f"{self._path}: {error.strerror}")
            return False
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if stamp == self._stamp:
            return False
        try:
            file = read_connectors_file(self._path)
        except UnreadableFileError as error:
            self._complain_once(stamp, str(error))
            return False
        if file.organization is None:
            self._complain_once(stamp, "; ".join(str(problem) for problem in file.problems))
            return False
        self._stamp = stamp
        self.organization = file.organization
        self.generation += 1
        log.info("%s: %d connectors in force", self._path, len(file.organization.connectors))
        return True

    def _complain_once(self, stamp: _Stamp | None, why: str) -> None:
        if stamp != self._stamp:
            log.error("the connectors in force stay: %s", why)
        self._stamp = stamp
