"""A table that postmap(1) changes is the table that it would build."""

from pathlib import Path

import pytest

from postconnector.postfix.built_table import (
    build_table,
    built_file,
    change_table,
    fingerprint_of_file,
)
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import PostfixHost, write_text
from postconnector.postfix.quoting import table_source
from postconnector.postfix.rendered import TableChange

BEFORE = {f"d{number}.test": f"smtp:[relay{number}.test]" for number in range(3000)}
GONE = ("d7.test", "d8.test")
NEW = (("d8.test", "smtp:other"), ("new.test", "smtp:new"), ("münchen.test", "smtp:m"))
AFTER = {key: value for key, value in BEFORE.items() if key not in GONE} | dict(NEW)


class Tables:
    """A live table, and a place for the next."""

    def __init__(self, folder: Path, map_type: str) -> None:
        write_text(folder / "main.cf", "compatibility_level = 3.6\n")
        self.facts = PostfixFacts(folder, folder, (3, 7), map_type)
        self.live, self.next = folder / "live", folder / "next"
        self.live.write_text(table_source(tuple(BEFORE.items())))
        self.next.write_text(table_source(tuple(AFTER.items())))
        with build_table(self.facts, self.live) as built:
            built()

    def change(self, gone: tuple[str, ...] = GONE, *, built: str | None = None) -> bool:
        """Have the live one changed to the next; `built`: what it should have been."""
        known = built or fingerprint_of_file(built_file(self.facts, self.live))
        return change_table(self.facts, self.next, self.live, TableChange(known, gone, NEW))

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
    known = TableChange(fingerprint_of_file(built_file(tables.facts, tables.live)))
    assert change_table(tables.facts, tables.next, tables.live, known)
    assert tables.entries() == BEFORE


def refused(tables: Tables) -> None:
    assert not built_file(tables.facts, tables.next).exists()


def test_one_that_we_did_not_build_is_no_base(tables: Tables) -> None:
    assert not tables.change(built="0" * 64)
    refused(tables)


def test_one_that_is_not_there_is_no_base(tables: Tables) -> None:
    known = fingerprint_of_file(built_file(tables.facts, tables.live))
    built_file(tables.facts, tables.live).unlink()
    assert not tables.change(built=known)
    refused(tables)


@pytest.mark.parametrize("gone", [("d7.test",), ("never.test",)])
def test_one_that_would_not_come_out_right_is_not_made(
    tables: Tables, gone: tuple[str, ...]
) -> None:
    """What is there is not replaced by what comes unless it is known to go."""
    assert not tables.change(gone)
    refused(tables)


def test_one_that_can_only_be_built_is_not_changed(root: Path) -> None:
    tables = Tables(root, "lmdb")
    cdb = PostfixFacts(root, root, (3, 7), "cdb")
    assert not change_table(cdb, tables.next, tables.live, TableChange("0" * 64))
