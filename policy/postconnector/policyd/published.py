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
    """Follows one connectors file.

    `organization`: the one in force; without connectors while there is no file; None when there
    is one but none that was any good, so that nothing can be judged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._read_once = False
        self.organization: Organization | None = Organization()
        self.refresh()
        if self._stamp is None:
            log.warning("%s: nothing is published yet; no mail is judged", path)

    def refresh(self) -> bool:
        """Read the file if it is another one than before; return whether that changed anything."""
        try:
            status = self._path.stat()
        except OSError as error:
            if self._stamp is not None:
                self._keep(f"{self._path}: {error.strerror}")
            self._stamp = None
            return False
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
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
        self.organization = file.organization
        log.info("%s: connectors in force: %d", self._path, len(file.organization.connectors))
        return True

    def _keep(self, why: str) -> bool:
        """Stay with the last good organization; without one, nothing can be judged."""
        if self._read_once:
            log.error("the connectors in force stay: %s", why)
            return False
        log.error("there are no connectors to judge by, mail is deferred: %s", why)
        self.organization = None
        return True
