"""The files of the protocol log: named, limited and removed as Exchange does.

SENDyyyymmdd-nnnn.log, by days of UTC, counted from 1. Nobody else writes to them, and nothing else
in the folder is touched. Whatever fails stops the log for a while, and never the mail.
"""

import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from postconnector.delivery.protocol_log_lines import file_head

_NAME = re.compile(r"SEND(?P<day>[0-9]{8})-(?P<number>[0-9]{4,9})[.]log")
_TRY_AGAIN = timedelta(minutes=1)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Exchange's (SendProtocolLogMaxFileSize, -MaxDirectorySize, -MaxAge), sizes in bytes.

    `age`: days; what is older goes when a new file begins.
    """

    file_size: int = 10 * 1024**2
    directory_size: int = 250 * 1024**2
    age: int = 30


@dataclass(frozen=True, order=True, slots=True)
class _LogFile:
    day: str
    number: int
    name: str
    size: int
    is_file: bool


class ProtocolLogFiles:
    """The files in one folder, of which one is written to."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self._directory = directory
        self._limits = limits
        self._file: int | None = None
        self._day = ""
        self._number = 0
        self._size = 0
        self._failed: datetime | None = None

    def write(self, line: bytes, now: datetime) -> None:
        """Append a line; `now` is UTC.

        After a failure, which is told once, nothing is written for a minute.
        """
        if self._failed is not None and self._failed <= now < self._failed + _TRY_AGAIN:
            return
        try:
            if self._is_over(line, now):
                self._begin(now)
            self._append(line)
        except OSError as error:
            self.close()
            if self._failed is None:
                log.warning("the protocol log stops, mail goes on: %s", error)
            self._failed = now
            return
        if self._failed is not None:
            log.info("the protocol log goes on; lines since it stopped are missing")
            self._failed = None

    def close(self) -> None:
        """Close the file; the next line begins another."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None

    def _is_over(self, line: bytes, now: datetime) -> bool:
        if self._file is None or self._day != _day(now):
            return True
        return self._size + len(line) > self._limits.file_size

    def _begin(self, now: datetime) -> None:
        self.close()
        self._directory.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            files = sorted(_log_files(folder))
            self._make_room(folder, [file for file in files if file.is_file], now.date())
            self._create(folder, files, now)
        finally:
            os.close(folder)

    def _make_room(self, folder: int, files: list[_LogFile], today: date) -> None:
        """Remove what is too old, and then the oldest until a whole file finds room."""
        oldest_day = f"{today - timedelta(days=self._limits.age):%Y%m%d}"
        size = sum(file.size for file in files) + self._limits.file_size
        for file in files:
            if file.day >= oldest_day and size <= self._limits.directory_size:
                break
            os.unlink(file.name, dir_fd=folder)
            size -= file.size

    def _create(self, folder: int, files: list[_LogFile], now: datetime) -> None:
        day = _day(now)
        taken = [file.number for file in files if file.day == day]
        number = max([self._number if day == self._day else 0, *taken]) + 1
        name = f"SEND{day}-{number:04}.log"
        self._file, self._size = os.open(name, _NEW_FILE, _FILE_MODE, dir_fd=folder), 0
        try:
            self._append(file_head(now))
        except OSError:
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
            raise
        self._day, self._number = day, number

    def _append(self, line: bytes) -> None:
        """A whole line or none of it."""
        if self._file is None:
            return
        rest = line
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)


def _log_files(folder: int) -> Iterator[_LogFile]:
    """Everything that has the name of a file of ours; links are no files."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if (match := _NAME.fullmatch(entry.name)) is None:
                continue
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                is_file = stat.S_ISREG(status.st_mode)
                number = int(match["number"])
                yield _LogFile(match["day"], number, entry.name, status.st_size, is_file)


def _day(now: datetime) -> str:
    return f"{now:%Y%m%d}"
