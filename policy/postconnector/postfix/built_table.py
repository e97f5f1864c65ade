"""What postmap(1) makes of the source of a table, which is what Postfix opens.

Where few entries of a large table change, postmap(1) changes them in a copy of the live one, which
takes a tenth of the time. Only of a live one that is what we built, and the answers are looked at.
"""

import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from postconnector.model.domain import taken_for
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
from postconnector.postfix.register import fingerprint
from postconnector.postfix.rendered import GenerationFile, TableChange
from postconnector.sources.regular_file import read_regular_file

_CHANGEABLE = ("lmdb", "hash")
"""A cdb can't be."""

_LARGEST_TABLE = 256 * 1024**2
"""Bytes; no change is worth reading more."""


def build_table(facts: PostfixFacts, source: Path) -> AbstractContextManager[Callable[[], object]]:
    """Have postmap(1) build a table, with the access rights of its source.

    It is to be waited for; that raises PostfixError.
    """
    settle(source)
    return started_postfix_command(*_postmap(facts), _table(facts, source))


def change_table(
    facts: PostfixFacts, source: Path, file: GenerationFile, live_source: Path
) -> bool:
    """Have postmap(1) change a copy of a live table; False, and nothing is there, if it can't be.

    `source`: where the table is to be, and `file` was written. Raises OSError.
    """
    change = file.change
    if change is None or facts.map_type not in _CHANGEABLE or not _keys_differ(file.data, change):
        return False
    base = _read_built(facts, live_source)
    if base is None or fingerprint(base) != change.built:
        return False
    settle(source)
    built = built_file(facts, source)
    built.touch(0o600)
    built.chmod(stat.S_IMODE(source.stat().st_mode))
    built.write_bytes(base)
    try:
        if _change(facts, source, change):
            return True
    except PostfixError:
        pass
    built.unlink()
    return False


def _keys_differ(source: bytes, change: TableChange) -> bool:
    """Whether Postfix takes no two keys for the same, of which one might go with the other."""
    lines = () if source.isascii() else source.decode().splitlines()
    keys = (*change.gone, *(key for key, _ in change.new), *(s.partition("\t")[0] for s in lines))
    return all(taken_for(key) == key for key in keys)


def _change(facts: PostfixFacts, source: Path, change: TableChange) -> bool:
    """Change what was built; whether it answers as it is to."""
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


def built_fingerprint(facts: PostfixFacts, source: Path) -> str | None:
    """That of what postmap(1) has made of a source; None if nothing can be read there."""
    built = _read_built(facts, source)
    return None if built is None else fingerprint(built)


def _read_built(facts: PostfixFacts, source: Path) -> bytes | None:
    try:
        return read_regular_file(built_file(facts, source), _LARGEST_TABLE)
    except OSError:
        return None


def built_file(facts: PostfixFacts, source: Path) -> Path:
    """Where postmap(1) puts what it makes of a source."""
    return source.with_name(source.name + BUILT_SUFFIXES[facts.map_type])


def _table(facts: PostfixFacts, source: Path) -> str:
    return f"{facts.map_type}:{source}"


def _postmap(facts: PostfixFacts) -> tuple[str, ...]:
    return ("postmap", "-c", str(facts.config_directory))
