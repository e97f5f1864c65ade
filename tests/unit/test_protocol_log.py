"""The protocol log: its lines as Exchange writes them, its files, their limits, and no secrets."""

import csv
import itertools
import logging
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from postconnector import __version__
from postconnector.delivery.dialogue_log import DialogueLog, NoDialogueLog
from postconnector.delivery.protocol_log import ProtocolLog
from postconnector.delivery.protocol_log_files import Limits
from postconnector.enforcement.header_firewall import CrossPremises, HeaderFirewall
from tests.unit.connectors import connector

START = datetime(2026, 11, 24, 13, 0, 45, 39_000, tzinfo=UTC)
REMOTE = "192.0.2.1:25"
ROUTING = HeaderFirewall(False, True, CrossPremises.REMOVED)
ALL = HeaderFirewall(True, True, CrossPremises.AS_THEY_ARE)
NONE = HeaderFirewall(False, False, CrossPremises.REMOVED)
WHOLE_SESSION = Path(__file__).parent / "protocol_log" / "whole_session.log"
VERBOSE = {"protocol_logging_level": "Verbose"}


class Clock:
    """Goes on when it is told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, **time: int) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def new_log(folder: Path, clock: Clock, limits: Limits | None = None) -> ProtocolLog:
    return ProtocolLog(folder, limits or Limits(), clock)


def session(
    log: ProtocolLog, name: str = "Internet", firewall: HeaderFirewall = ROUTING
) -> DialogueLog:
    return log.session(connector(name, **VERBOSE), REMOTE, firewall)


def lines(folder: Path) -> Iterator[list[str]]:
    """The fields of all lines of all files, in order."""
    for path in sorted(folder.iterdir()):
        with path.open(newline="") as file:
            yield from (row for row in csv.reader(file) if not row[0].startswith("#"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_session(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "SmtpSend"
    dialogue = session(new_log(folder, clock), "Fabrikam, partner")
    clock.go_on(seconds=1, microseconds=1_999)
    dialogue.connected("192.0.2.2:44276", REMOTE)
    dialogue.received("220 mx.fabrikam.com ready at Tue, 24 Nov 2026 13:00:44 +0000")
    dialogue.sent("EHLO mail.contoso.com")
    dialogue.received("250-mx.fabrikam.com says «hi»")
    dialogue.received("250 AUTH PLAIN")
    dialogue.information("TLS protocol TLSv1.3 negotiation succeeded")
    dialogue.sent("AUTH PLAIN ****")
    dialogue.received("235 2.7.0 ok")
    dialogue.sent('MAIL FROM:<"a b"@contoso.com> SIZE=10 AUTH=<>')
    dialogue.sent("QUIT")
    dialogue.disconnected("Local")
    assert names(folder) == ["SEND20261124-0001.log"]
    expected = WHOLE_SESSION.read_text().replace("VERSION", __version__).replace("\n", "\r\n")
    assert (folder / "SEND20261124-0001.log").read_bytes().decode() == expected


@pytest.mark.parametrize(
    ("firewall", "shown"),
    [
        (ROUTING, "SendRoutingHeaders"),
        (ALL, "SendRoutingHeaders SendForestHeaders SendOrganizationHeaders"),
        (NONE, "None"),
    ],
)
def test_a_session_begins_with_its_permissions(
    tmp_path: Path, clock: Clock, firewall: HeaderFirewall, shown: str
) -> None:
    session(new_log(tmp_path, clock), firewall=firewall)
    assert next(lines(tmp_path))[6:] == ["*", shown, "Set Session Permissions"]


@pytest.mark.parametrize("properties", [{}, {"protocol_logging_level": "None"}])
def test_connectors_are_not_logged_by_default(
    tmp_path: Path, clock: Clock, properties: dict[str, object]
) -> None:
    folder = tmp_path / "SmtpSend"
    log = new_log(folder, clock)
    assert isinstance(log.session(connector(**properties), REMOTE, ALL), NoDialogueLog)
    assert not folder.exists()


def test_sessions_are_told_apart(tmp_path: Path, clock: Clock) -> None:
    """After a restart too."""
    log = new_log(tmp_path, clock)
    one, other = session(log, "Bücher & Co"), session(log)
    one.sent("EHLO a")
    other.sent("EHLO b")
    one.sent("QUIT")
    log.close()
    clock.go_on(milliseconds=1)
    session(new_log(tmp_path, clock))
    found = [(row[1], row[2], row[3]) for row in lines(tmp_path)]
    assert [row[0] for row in found] == [
        *["Bücher & Co"] * 2, *["Internet"] * 2, "Bücher & Co", "Internet", "Bücher & Co",
        *["Internet"] * 2,
    ]  # fmt: skip
    assert len({row[1] for row in found}) == 3
    assert [row[2] for row in found] == ["0", "1", "0", "1", "2", "2", "3", "0", "1"]
    assert all(len(row[1]) == 16 and row[1] == row[1].upper() for row in found)


def test_times_are_utc_whatever_the_clock_says(tmp_path: Path) -> None:
    there = datetime(2026, 11, 25, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    session(new_log(tmp_path, Clock(there)))
    assert names(tmp_path) == ["SEND20261124-0001.log"]
    assert next(lines(tmp_path))[0] == "2026-11-24T22:30:00.000Z"


# --- what others say


def last_fields(folder: Path) -> list[str]:
    return list(lines(folder))[-1]


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("250 a,b", "250 a,b"),
        ('250 "x"', '250 "x"'),
        ("250 \r\n2026-11-24,forged", "250 \\r\\n2026-11-24,forged"),
        ("250 \x1b[2J\x07", "250 \\x1b[2J\\x07"),
        ("250 \u202e\u2028ö", "250 \\u202e\\u2028\\xf6"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-ERR", "'-ERR"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "\\t=1"),
        ("", ""),
        ("x" * 5000, "x" * 2048 + "..."),
    ],
)
def test_what_a_peer_says_is_one_field(
    tmp_path: Path, clock: Clock, said: str, logged: str
) -> None:
    dialogue = session(new_log(tmp_path, clock))
    dialogue.received(said)
    assert last_fields(tmp_path)[6:] == ["<", logged, ""]
    dialogue.information(said, said)
    assert last_fields(tmp_path)[6:] == ["*", logged, logged]
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n") == 9


def test_a_name_is_no_formula_either(tmp_path: Path, clock: Clock) -> None:
    session(new_log(tmp_path, clock), '=1+"1"')
    assert last_fields(tmp_path)[1] == '\'=1+"1"'


# --- secrets, should the caller not mask them


def logged(folder: Path) -> list[str]:
    return [row[7] for row in lines(folder) if row[6] in "<>"]


@pytest.mark.parametrize(
    ("dialogue", "shown"),
    [
        (
            [">AUTH PLAIN AGEAc2VjcmV0", "<235 ok", ">QUIT"],
            ["AUTH PLAIN ****", "235 ok", "QUIT"],
        ),
        (
            [">AUTH LOGIN", "<334 VXNlcg==", ">c2VjcmV0", "<334 UGFzcw==", ">c2VjcmV0", "<235 ok"],
            ["AUTH LOGIN", "334 VXNlcg==", "****", "334 UGFzcw==", "****", "235 ok"],
        ),
        (
            [">auth  xoauth2\tc2VjcmV0 c2VjcmV0", "<334 e30=", ">", "<535-no", "<535 no", ">RSET"],
            ["auth xoauth2 ****", "334 e30=", "****", "535-no", "535 no", "RSET"],
        ),
        ([">AUTH LOGIN", ">c2VjcmV0", ">c2VjcmV0"], ["AUTH LOGIN", "****", "****"]),
        ([">AUTH LOGIN c2VjcmV0", ">AUTH PLAIN c2VjcmV0"], ["AUTH LOGIN ****", "****"]),
        ([">AUTH PLAIN ****", "<235 ok"], ["AUTH PLAIN ****", "235 ok"]),
        ([">NOOP AUTH", ">MAIL FROM:<> AUTH=<>"], ["NOOP AUTH", "MAIL FROM:<> AUTH=<>"]),
    ],
)
def test_what_logs_in_is_masked(
    tmp_path: Path, clock: Clock, dialogue: list[str], shown: list[str]
) -> None:
    log = session(new_log(tmp_path, clock))
    for line in dialogue:
        (log.sent if line.startswith(">") else log.received)(line[1:])
    assert logged(tmp_path) == shown
    (path,) = tmp_path.iterdir()
    assert b"c2VjcmV0" not in path.read_bytes()


# --- files

SMALL = Limits(file_size=2_000, directory_size=7_000)


def test_a_day_of_utc_has_files_of_its_own(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))
    dialogue = session(new_log(tmp_path, clock))
    clock.go_on(milliseconds=1)
    dialogue.sent("QUIT")
    assert names(tmp_path) == ["SEND20261231-0001.log", "SEND20270101-0001.log"]
    assert [row[7] for row in lines(tmp_path)][-1] == "QUIT"


def test_files_are_no_larger_than_they_may_be(tmp_path: Path, clock: Clock) -> None:
    dialogue = session(new_log(tmp_path, clock, SMALL))
    for number in range(50):
        dialogue.sent(f"NOOP {number}")
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert len(sizes) == 3
    assert all(1_800 < size <= 2_000 for size in sizes[:-1])
    assert [row[3] for row in lines(tmp_path)] == [str(number) for number in range(52)]
    assert all(path.read_bytes().startswith(b"#Software") for path in tmp_path.iterdir())


def test_a_restart_takes_the_next_number(tmp_path: Path, clock: Clock) -> None:
    for name in ("SEND20261124-0003.log", "SEND20261123-0009.log", "SEND20261124-0012.log.gz"):
        (tmp_path / name).write_text("kept")
    session(new_log(tmp_path, clock))
    session(new_log(tmp_path, clock))
    assert names(tmp_path) == [
        "SEND20261123-0009.log",
        "SEND20261124-0003.log",
        "SEND20261124-0004.log",
        "SEND20261124-0005.log",
        "SEND20261124-0012.log.gz",
    ]


def test_numbers_may_have_more_digits(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "SEND20261124-9999.log").touch()
    session(new_log(tmp_path, clock))
    assert (tmp_path / "SEND20261124-10000.log").exists()


def test_the_oldest_go_when_the_folder_is_full(tmp_path: Path, clock: Clock) -> None:
    """Never is there more than the limit, and nothing else in the folder goes."""
    others = ("notes.txt", "SEND20200101-0001.log.gz", "SEND2020-0001.log", "send20200101-0001.log")
    for name in others:
        (tmp_path / name).write_text("x" * 9_000)
    (tmp_path / "SEND20261120-0010.log").write_text("x" * 3_000)
    (tmp_path / "SEND20261120-0009.log").write_text("x" * 1_000)
    log = new_log(tmp_path, clock, SMALL)
    dialogue = session(log)
    assert set(names(tmp_path)) == {
        *others, "SEND20261120-0009.log", "SEND20261120-0010.log", "SEND20261124-0001.log",
    }  # fmt: skip
    for number in range(20):
        dialogue.sent(f"NOOP {number}")
    assert set(names(tmp_path)) == {
        *others, "SEND20261120-0010.log", "SEND20261124-0001.log", "SEND20261124-0002.log",
    }  # fmt: skip
    for number in range(200):
        dialogue.sent(f"NOOP {number}")
        ours = [path for path in tmp_path.iterdir() if path.name not in others]
        assert sum(path.stat().st_size for path in ours) <= SMALL.directory_size
    assert set(others) < set(names(tmp_path))


def test_what_is_too_old_goes(tmp_path: Path, clock: Clock) -> None:
    for day in ("20261024", "20261025", "20261123"):
        (tmp_path / f"SEND{day}-0001.log").touch()
    session(new_log(tmp_path, clock))
    assert names(tmp_path) == [f"SEND{d}-0001.log" for d in ("20261025", "20261123", "20261124")]


def test_links_and_folders_are_not_ours(tmp_path: Path, clock: Clock) -> None:
    """Not written to, not counted, not removed."""
    folder, victim = tmp_path / "log", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("x" * 9_000)
    (folder / "SEND20200101-0001.log").symlink_to(victim)
    (folder / "SEND20200102-0001.log").mkdir()
    (folder / "SEND20261124-0001.log").symlink_to(victim)
    (folder / "SEND20261124-0002.log").symlink_to(tmp_path / "nowhere")
    session(new_log(folder, clock, SMALL))
    assert names(folder) == [
        "SEND20200101-0001.log",
        "SEND20200102-0001.log",
        "SEND20261124-0001.log",
        "SEND20261124-0002.log",
        "SEND20261124-0003.log",
    ]
    assert victim.read_text() == "x" * 9_000
    assert not (tmp_path / "nowhere").exists()


def test_who_may_read_it(tmp_path: Path, clock: Clock) -> None:
    before = os.umask(0)
    try:
        session(new_log(tmp_path / "a" / "b", clock))
    finally:
        os.umask(before)
    (path,) = (tmp_path / "a" / "b").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


def test_a_closed_log_goes_on_in_another_file(tmp_path: Path, clock: Clock) -> None:
    log = new_log(tmp_path, clock)
    dialogue = session(log)
    log.close()
    log.close()
    dialogue.disconnected("Local")
    assert names(tmp_path) == ["SEND20261124-0001.log", "SEND20261124-0002.log"]


# --- failures


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_what_cannot_be_written_stops_the_log_and_nothing_else(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "SmtpSend"
    folder.write_text("this is a file")
    dialogue = session(new_log(folder, clock))
    for _ in range(5):
        dialogue.sent("NOOP")
        clock.go_on(minutes=1)
    assert len(warnings(caplog)) == 1
    assert "the protocol log stops, mail goes on: " in warnings(caplog)[0]
    folder.unlink()
    clock.go_on(seconds=-1)
    dialogue.sent("NOOP lost")
    assert not folder.exists(), "it is tried once a minute"
    clock.go_on(seconds=1)
    dialogue.sent("NOOP again")
    assert [row[7] for row in lines(folder)] == ["NOOP again"]
    assert [row[3] for row in lines(folder)] == ["8"], "lines that are missing can be seen"
    assert len(warnings(caplog)) == 1


def test_a_clock_that_is_set_back_does_not_stop_it(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "SmtpSend"
    folder.write_text("this is a file")
    dialogue = session(new_log(folder, clock))
    folder.unlink()
    clock.go_on(days=-2)
    dialogue.sent("NOOP")
    assert names(folder) == ["SEND20261122-0001.log"]


def test_steps_are_there_as_soon_as_they_are_told(tmp_path: Path, clock: Clock) -> None:
    dialogue = session(new_log(tmp_path, clock))
    for number in itertools.islice(itertools.count(3), 5):
        dialogue.sent("NOOP")
        assert len(list(lines(tmp_path))) == number
