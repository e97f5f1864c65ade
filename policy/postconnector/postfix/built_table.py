"""What postmap(1) makes of the source of a table, which is what Postfix opens.

Where few entries of a large table change, postmap(1) changes them in a copy of the live one, which
takes a tenth of the time. Only of a live one that is what we built, and the answers are looked at.
"""

import hashlib
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.generations import BUILT_SUFFIXES
from postconnector.postfix.host import (
    PostfixError,
    PostfixHost,
    run_postfix_command,
    settle,
    started_postfix_command,
)
from postconnector.postfix.quoting import table_source
from postconnector.postfix.rendered import TableChange

_CHANGEABLE = ("lmdb", "hash")
"""A cdb can't be."""


def build_table(facts: PostfixFacts, source: Path) -> AbstractContextManager[Callable[[], object]]:
    """Have postmap(1) build a table, with the access rights of its source.

    It is to be waited for; that raises PostfixError.
    """
    settle(source)
    return started_postfix_command(*_postmap(facts), _table(facts, source))


def change_table(facts: PostfixFacts, source: Path, live_source: Path, change: TableChange) -> bool:
    """Have postmap(1) change a copy of a live table; False, and nothing is there, if it can't be.

    `source`: as it is to be, in a folder of the new generation. Raises OSError.
    """
    if facts.map_type not in _CHANGEABLE:
        return False
    settle(source)
    built = built_file(facts, source)
    try:
        shutil.copyfile(built_file(facts, live_source), built)
        shutil.copymode(source, built)
        if fingerprint_of_file(built) == change.built and _is_changed(facts, source, change):
            return True
    except (FileNotFoundError, PostfixError):
        pass
    built.unlink(missing_ok=True)
    return False


def _is_changed(facts: PostfixFacts, source: Path, change: TableChange) -> bool:
    new = dict(change.new)
    keys = dict.fromkeys((*change.gone, *new))
    if not keys:
        return True
    table = _table(facts, source)
    if change.gone:
        keys_gone = "".join(f"{key}\n" for key in change.gone)
        run_postfix_command(*_postmap(facts), "-d", "-", table, standard_input=keys_gone)
    if new:
        entries = table_source(change.new)
        run_postfix_command(*_postmap(facts), "-i", table, standard_input=entries)
    return PostfixHost(facts.config_directory).lookup_all(table, keys) == new


def built_file(facts: PostfixFacts, source: Path) -> Path:
    """Where postmap(1) puts what it makes of a source."""
    return source.with_name(source.name + BUILT_SUFFIXES[facts.map_type])


def fingerprint_of_file(path: Path) -> str:
    """Of what a file holds. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _table(facts: PostfixFacts, source: Path) -> str:
    return f"{facts.map_type}:{source}"


def _postmap(facts: PostfixFacts) -> tuple[str, ...]:
    return ("postmap", "-c", str(facts.config_directory))
