"""The mark that a publication is at work, and what it tells when that was killed."""

import json
from dataclasses import dataclass
from pathlib import Path

from postconnector.postfix.generations import About
from postconnector.postfix.host import named

UNFINISHED = "unfinished"
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A publication that did not come to its end; `generation` is the one it was to publish."""

    generation: int
    about: About

    def sentence(self, in_force: int | None) -> str:
        """What happened; `in_force` is the generation that main.cf leads to."""
        what = f"{self.about.command or 'apply'} of {self.about.time or 'an unknown time'}"
        earlier = "the earlier ones are" if in_force is not None else "none are"
        whose = "its connectors are" if in_force == self.generation else earlier
        return (
            f"{what} did not finish: {whose} in force; postconnector apply finishes it,"
            " postconnector rollback goes back"
        )


def mark_unfinished(own_directory: Path, generation: int, about: About) -> None:
    """Leave the mark."""
    said = {"generation": generation, **json.loads(about.data())}
    with named(mark := _mark(own_directory)):
        mark.write_text(json.dumps(said))


def clear_unfinished(own_directory: Path) -> None:
    """Take the mark away."""
    _mark(own_directory).unlink(missing_ok=True)


def read_unfinished(own_directory: Path) -> Unfinished | None:
    """The mark, if there is one."""
    try:
        with _mark(own_directory).open() as file:
            said = json.loads(file.read(_LONGEST))
        number = int(said.pop("generation"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return Unfinished(0, About())  # killed while it was written: nothing was changed yet
    return Unfinished(number, About.of(said))


def _mark(own_directory: Path) -> Path:
    return own_directory / UNFINISHED
