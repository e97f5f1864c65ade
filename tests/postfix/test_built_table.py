"""A table that postmap(1) changes is the table that it would build."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from postconnector.postfix.built_table import (
    build_table,
    built_file,
    built_fingerprint,
    change_table,
)
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import PostfixHost, write_text
from postconnector.postfix.quoting import table_source
from postconnector.postfix.rendered import GenerationFile, TableChange

BEFORE = {f"d{number}.test": f"smtp:[relay{number}.test]" for number in range(3000)}
GONE = ("d7.test", "d8.test")
NEW = (("d8.test", "smtp:other"), ("new.test", "smtp:new"), ("münchen.test", "smtp:m"))
AFTER = {key: value for key, value in BEFORE.items() if key not in GONE} | dict(NEW)


Entries = Sequence[tuple[str, str]]


class Tables:
    """A live table, and a place for the next."""

    def __init__(self, folder: Path, map_type: str) -> None:
        write_text(folder / "main.cf", "compatibility_level = 3.6\n")
        self.facts = PostfixFacts(folder, folder, (3, 7), map_type)
        self.live, self.next = folder / "live", folder / "next"
        self.write(BEFORE, AFTER)

    def write(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        self.live.write_text(table_source(tuple(before.items())))
        self.next.write_text(table_source(tuple(after.items())))
        with build_table(self.facts, self.live) as built:
            built()
        self.built = built_fingerprint(self.facts, self.live) or ""

    def change(self, gone: Sequence[str] = GONE, new: Entries = NEW) -> bool:
        """Have the live one changed to the next."""
        change = TableChange(self.built, tuple(gone), tuple(new))
        file = GenerationFile(self.next.read_bytes(), is_table=True, change=change)
        return change_table(self.facts, self.next, file, self.live)

    def entries(self) -> dict[str, str]:
        host = PostfixHost(self.facts.config_directory)
        return host.entries(f"{self.facts.map_type}:{self.next}")


@pytest.fixture(params=["lmdb", "hash"])
def tables(root: Path, request: pytest.FixtureRequest) -> Tables:
    return Tables(root, request.param)


def test_it_has_what_would_have_been_built(tables: Tables) -> None:
    tables.next.chmod(0o600)
    assert tables.change()
    assert tables.entries() == AFTER
    assert built_file(tables.facts, tables.next).stat().st_mode & 0o777 == 0o600


def test_nothing_of_the_live_one_is_written(tables: Tables) -> None:
    before = built_file(tables.facts, tables.live).read_bytes()
    assert tables.change()
    assert built_file(tables.facts, tables.live).read_bytes() == before


def test_one_that_stays_is_copied(tables: Tables) -> None:
    tables.write(BEFORE, BEFORE)
    assert tables.change((), ())
    assert tables.entries() == BEFORE


def refused(tables: Tables) -> None:
    assert not built_file(tables.facts, tables.next).exists()


def test_one_that_we_did_not_build_is_no_base(tables: Tables) -> None:
    tables.built = "0" * 64
    assert not tables.change()
    refused(tables)


@pytest.mark.parametrize("instead", [lambda _path: None, Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_base(tables: Tables, instead: Callable[[Path], None]) -> None:
    live = built_file(tables.facts, tables.live)
    live.unlink()
    instead(live)
    assert not tables.change()
    refused(tables)


ALIKE = {"a.test": "smtp:a", "strasse.test": "smtp:ss", "stra\u00dfe.test": "smtp:sz"}
"""Postfix takes the last two for the same, and has the first of them."""


@pytest.mark.parametrize(
    ("gone", "new"),
    [
        (("stra\u00dfe.test",), ()),
        (("stra\u00dfe.test",), (("stra\u00dfe.test", "smtp:other"),)),
        (("strasse.test",), ()),
        (("a.test",), ()),
        ((), (("A.test", "smtp:other"),)),
    ],
)
def test_keys_that_are_the_same_to_postfix_are_not_changed(
    tables: Tables, gone: Sequence[str], new: Entries
) -> None:
    tables.write(ALIKE, {k: v for k, v in ALIKE.items() if k not in gone} | dict(new))
    assert not tables.change(gone, new)
    refused(tables)


@pytest.mark.parametrize("gone", [("d7.test",), ("never.test",)])
def test_one_that_would_not_come_out_right_is_not_made(tables: Tables, gone: Sequence[str]) -> None:
    """What is there is not replaced by what comes unless it is known to go."""
    assert not tables.change(gone)
    refused(tables)


def test_one_that_can_only_be_built_is_not_changed(root: Path) -> None:
    tables = Tables(root, "lmdb")
    tables.facts = replace(tables.facts, map_type="cdb")
    assert not tables.change()
