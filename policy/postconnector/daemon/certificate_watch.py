"""What daemons know of our own certificates: the published states, read again when they change.

Cheap enough to be asked for every delivery: a look at the file's stamp, and no reckoning until a
certificate begins or ends to be valid.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from postconnector.certificates.state import LARGEST_FILE, CertificateStates, StateError
from postconnector.certificates.watch import (
    days_left,
    next_change,
    problem_of,
    unusable,
    unusable_reason,
)
from postconnector.daemon.file_stamp import Stamp, stamp_of
from postconnector.daemon.metrics import Metrics
from postconnector.postfix.facts import OWN_DIRECTORY
from postconnector.postfix.generations import LIVE
from postconnector.postfix.table_names import CERTIFICATE_STATES

_SAID_AGAIN_AFTER = timedelta(days=1)
_LOOKS_EVERY = 60.0
"""Seconds."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reckoned:
    """What holds from one moment until another (None: for ever)."""

    since: datetime
    until: datetime | None
    unusable: Mapping[str, str]

    def holds_at(self, now: datetime) -> bool:
        return self.since <= now and (self.until is None or now < self.until)


class CertificateWatch:
    """Follows the file at `path` (`live/certificates.json`); none: no connector has a certificate.

    A file that turns bad, or goes away with its folder, leaves what was known. Moments are aware.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._states: CertificateStates | None = None
        self._reckoned: _Reckoned | None = None
        self._complaint = ""
        self._said: dict[str, tuple[str, datetime]] = {}

    @classmethod
    def of(cls, config_directory: Path) -> "CertificateWatch":
        """Of what is published for a Postfix instance."""
        return cls(config_directory / OWN_DIRECTORY / LIVE / CERTIFICATE_STATES)

    def unusable(self, now: datetime) -> Mapping[str, str]:
        """By connector name, what mail is told that waits for a certificate.

        Raises StateError while nothing is known, as the file was never any good: then all waits.
        """
        states = self._known()
        if self._reckoned is None or not self._reckoned.holds_at(now):
            until = next_change(states.connectors, now)
            self._reckoned = _Reckoned(now, until, unusable(states, now))
        return self._reckoned.unusable

    def days_left(self, now: datetime) -> Mapping[str, float]:
        """By connector name, days until the certificate ends; negative once it has."""
        try:
            return days_left(self._known(), now)
        except StateError:
            return {}

    def problems(self, now: datetime) -> list[str]:
        """A line for each certificate that can't be shown, or that ends within 30 days."""
        return [line for line, _ in self._problems(now).values()]

    def log_problems(self, now: datetime) -> None:
        """Log these lines, each when it is new and then once a day."""
        found = self._problems(now)
        for key, (line, level) in found.items():
            before, at = self._said.get(key, ("", now))
            if _kind(line) != _kind(before) or not at <= now < at + _SAID_AGAIN_AFTER:
                self._said[key] = line, now
                log.log(level, "%s", line)
        self._said = {key: said for key, said in self._said.items() if key in found}

    def _problems(self, now: datetime) -> dict[str, tuple[str, int]]:
        """By connector name: a line, and its level."""
        try:
            states = self._known()
        except StateError as error:
            return {"": (f"mail waits for certificates: {error}", logging.ERROR)}
        found = {}
        for name, state in states.connectors.items():
            if (line := problem_of(name, state, now)) is not None:
                waits = unusable_reason(state, now) is not None
                found[name] = line, logging.ERROR if waits else logging.WARNING
        return found

    def _known(self) -> CertificateStates:
        stamp = self._stamp_now()
        if stamp != self._stamp or self._states is None:
            self._read()
            self._stamp = stamp
        if self._states is None:
            raise StateError(self._complaint)
        return self._states

    def _stamp_now(self) -> Stamp | None:
        try:
            return stamp_of(self._path)
        except OSError:
            return None

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                self._take(CertificateStates.parse(file.read(LARGEST_FILE)))
        except FileNotFoundError:
            if self._path.parent.is_dir() or self._states is None:
                self._take(CertificateStates(directory="", connectors={}))
        except (OSError, StateError) as error:
            complaint = f"{self._path}: {getattr(error, 'strerror', None) or error}"
            if complaint != self._complaint:
                log.error("what is known of certificates stays: %s", complaint)
            self._complaint = complaint

    def _take(self, states: CertificateStates) -> None:
        self._states = states
        self._reckoned = None
        self._complaint = ""


def report_certificates(
    watch: CertificateWatch, metrics: Metrics, loop: asyncio.AbstractEventLoop
) -> None:
    """Log what is to be known, and tell the metrics, every minute as long as the loop turns."""
    loop.call_later(_LOOKS_EVERY, report_certificates, watch, metrics, loop)
    now = datetime.now(UTC)
    watch.log_problems(now)
    metrics.certificate_days(watch.days_left(now))


def _kind(line: str) -> str:
    """Days are counted down in the same line."""
    return "".join(c for c in line if not c.isdigit())
