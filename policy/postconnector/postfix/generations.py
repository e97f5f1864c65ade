"""The generations that were published: when, by whom, by which command.

A generation is a folder with everything that one publication needs; a file in it says where it
comes from.
"""

import json
import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

GENERATIONS = "generations"
LIVE = "live"
ABOUT = "about.json"
REGISTER = "register"
"""See `register`; only where there are many connectors."""

BUILT_SUFFIXES = {"lmdb": ".lmdb", "cdb": ".cdb", "hash": ".db"}
"""Of what postmap(1) makes of a table's source, by the table's type."""

RENEW = "renew"
"""The command of a generation that has the same connectors as the one before."""

_LONGEST_ABOUT = 4096
_NUMBER = re.compile(r"[0-9]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class About:
    """Where a generation comes from. `time` is UTC in ISO 8601; empty texts are not known."""

    time: str = ""
    by: str = ""
    command: str = ""

    @classmethod
    def now(cls, command: str) -> "About":
        """This command, run now by the user who is at the keyboard."""
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), _user(), command)

    def data(self) -> bytes:
        """As it stands in the generation's folder."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, folder: Path) -> "About":
        """What a generation's folder says; what it does not say is not known."""
        try:
            with (folder / ABOUT).open("rb") as file:
                return cls.of(json.loads(file.read(_LONGEST_ABOUT)))
        except (OSError, ValueError):
            return cls()

    @classmethod
    def of(cls, said: object) -> "About":
        """What a JSON object says; what it does not say is not known."""
        known = said if isinstance(said, dict) else {}
        return cls(**{name: _one_line(known.get(name, "")) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Generation:
    """One that is kept."""

    number: int
    folder: Path
    about: About
    is_live: bool


def is_generation(name: str) -> bool:
    """Whether a folder among the generations is one of them; somebody may keep others there."""
    return _NUMBER.fullmatch(name) is not None


def live_folder(own_directory: Path) -> Path | None:
    """Where the link to the live generation leads, whether that is there or not."""
    link = own_directory / LIVE
    return own_directory / link.readlink() if link.is_symlink() else None


def read_generations(own_directory: Path) -> list[Generation]:
    """All that are kept, the oldest first."""
    return sorted(_found(own_directory), key=lambda generation: generation.number)


def _found(own_directory: Path) -> Iterator[Generation]:
    live = live_folder(own_directory)
    target = live.name if live is not None else None
    generations = own_directory / GENERATIONS
    for folder in generations.iterdir() if generations.is_dir() else ():
        if is_generation(folder.name):
            about = About.read(folder)
            yield Generation(int(folder.name), folder, about, folder.name == target)


def _one_line(said: object) -> str:
    """Without what would break a line or steer a terminal: $SUDO_USER is anybody's text."""
    return "".join(c if c.isprintable() else "?" for c in str(said))


def _user() -> str:
    """Who became root by sudo, or else who this is."""
    if os.geteuid() == 0 and (name := os.environ.get("SUDO_USER")):
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
