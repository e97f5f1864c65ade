"""Watching published certificates: by a file and a clock."""

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.certificates.state import (
    CertificateFacts,
    CertificateState,
    CertificateStates,
    StateError,
)
from postconnector.certificates.watch import (
    days_left,
    described,
    next_change,
    problem_of,
    unusable,
    unusable_reason,
)
from postconnector.daemon.certificate_watch import CertificateWatch

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
EXCHANGE = (
    "The certificate specified in TlsCertificateName of the SendConnector could not be found."
)
GONE = CertificateState(
    certificate=None, why="no certificate is in /store (a.pem has no key)", problem="it is gone"
)


def valid(start: timedelta, end: timedelta) -> CertificateState:
    """A certificate by its first and last moment, seen from NOW."""
    facts = CertificateFacts(
        subject="CN=smtp.contoso.com",
        issuer="CN=Contoso CA",
        not_before=NOW + start,
        not_after=NOW + end,
        sha256="AB:CD",
        file="/store/smtp.pem",
    )
    return CertificateState(certificate=facts, why="the only one")


def states(**connectors: CertificateState) -> CertificateStates:
    return CertificateStates(directory="/store", connectors=connectors)


# --- by the clock


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (valid(-DAY, DAY), None),
        (valid(-DAY, 0 * DAY), None),
        (valid(0 * DAY, DAY), None),
        (valid(-DAY, -SECOND), "it expired on 2026-11-24 11:59 UTC"),
        (valid(SECOND, DAY), "it is not valid before 2026-11-24 12:00 UTC"),
        (GONE, "it is gone"),
    ],
)
def test_which_can_be_shown(state: CertificateState, reason: str | None) -> None:
    assert unusable_reason(state, NOW) == reason
    waiting = {} if reason is None else {"A": f"{EXCHANGE} ({reason})"}
    assert unusable(states(A=state), NOW) == waiting


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (valid(-DAY, 30 * DAY), None),
        (
            valid(-DAY, 30 * DAY - SECOND),
            'the certificate of connector "A" ends in 29 days; renew it',
        ),
        (valid(-DAY, SECOND), 'the certificate of connector "A" ends in 0 days; renew it'),
        (
            valid(-9 * DAY, -DAY),
            'mail of connector "A" waits for its certificate: it expired on 2026-11-23 12:00 UTC;'
            " renew it",
        ),
        (
            GONE,
            'mail of connector "A" waits: no certificate is in /store (a.pem has no key)',
        ),
    ],
)
def test_what_an_administrator_is_told(state: CertificateState, line: str | None) -> None:
    assert problem_of("A", state, NOW) == line


def test_days_left_are_known_of_those_that_are_there() -> None:
    known = states(A=valid(-DAY, 12 * DAY + DAY / 2), B=valid(-9 * DAY, -DAY), C=GONE)
    assert days_left(known, NOW) == {"A": 12.5, "B": -1.0}


def test_what_is_shown_for_people() -> None:
    assert described(GONE) == "nothing"
    shown = "CN=smtp.contoso.com until 2026-11-25 12:00 UTC (/store/smtp.pem)"
    assert described(valid(-DAY, DAY)) == shown


moments = st.integers(min_value=-5, max_value=5).map(lambda n: n * SECOND)


@given(st.dictionaries(st.sampled_from("ABC"), st.tuples(moments, moments)), moments)
def test_nothing_changes_before_the_next_change(
    spans: Mapping[str, tuple[timedelta, timedelta]], at: timedelta
) -> None:
    known = states(**{name: valid(*span) for name, span in spans.items()})
    now = NOW + at
    until = next_change(known.connectors, now)
    last = NOW + 9 * SECOND if until is None else until - timedelta(microseconds=1)
    assert set(unusable(known, last)) == set(unusable(known, now))


# --- the file


def test_a_state_survives_the_file() -> None:
    known = states(**{"Fabrikam, “partner”": valid(-DAY, DAY), "B": GONE})
    assert CertificateStates.parse(known.data()) == known
    assert known.data() == states(**dict(known.connectors)).data()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"directory": "/store"}',
        states(A=valid(-DAY, DAY)).data()[:-20],
        states(A=valid(-DAY, DAY)).data().replace(b"2026-11-25T12:00:00Z", b"2026-11-25T12:00:00"),
        states(A=valid(-DAY, DAY)).data().replace(b"2026-11-25T12:00:00Z", b"soon"),
    ],
)
def test_a_damaged_file_is_none(data: bytes) -> None:
    with pytest.raises(StateError):
        CertificateStates.parse(data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is, once `publish` has made it, as a link to a generation."""
    return tmp_path / "live" / "certificates.json"


def publish(path: Path, known: CertificateStates | None, number: int) -> None:
    """Put another generation into force, in one step."""
    generation = path.parent.with_name(str(number))
    generation.mkdir()
    if known is not None:
        (generation / path.name).write_bytes(known.data())
    link = path.parent.with_name("new")
    link.symlink_to(generation)
    link.rename(path.parent)


def test_the_watch_follows_the_file(path: Path) -> None:
    watch = CertificateWatch(path)
    assert (watch.unusable(NOW), watch.problems(NOW), watch.days_left(NOW)) == ({}, [], {})
    publish(path, states(A=valid(-DAY, DAY)), 1)
    assert watch.unusable(NOW) == {}
    assert watch.days_left(NOW) == {"A": 1.0}
    publish(path, states(A=GONE), 2)
    assert list(watch.unusable(NOW)) == ["A"]
    publish(path, states(A=valid(-DAY, DAY)), 3)
    assert watch.unusable(NOW) == {}
    publish(path, None, 4)
    assert watch.days_left(NOW) == {}


def test_the_watch_follows_the_clock_also_backwards(path: Path) -> None:
    publish(path, states(A=valid(DAY, 2 * DAY), B=valid(-DAY, 3 * DAY)), 1)
    watch = CertificateWatch(path)
    for days, waiting in ((0, "A"), (1, ""), (2, ""), (2.5, "A"), (3.5, "AB"), (0, "A"), (1.5, "")):
        assert "".join(watch.unusable(NOW + days * DAY)) == waiting, days


def test_what_was_known_stays_when_the_file_turns_bad_or_goes(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(path, states(A=GONE), 1)
    watch = CertificateWatch(path)
    before = watch.unusable(NOW)
    path.write_text("nonsense")
    for _ in range(3):
        assert watch.unusable(NOW) == before
    assert len(caplog.records) == 1
    path.parent.unlink()
    assert watch.unusable(NOW) == before
    publish(path, states(A=valid(-DAY, DAY)), 2)
    assert watch.unusable(NOW) == {}


def test_where_nothing_was_ever_known_all_waits(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(path, states(), 1)
    path.write_text("nonsense")
    watch = CertificateWatch(path)
    for _ in range(3):
        with pytest.raises(StateError):
            watch.unusable(NOW)
    assert watch.days_left(NOW) == {}
    assert len(caplog.records) == 1
    [line] = watch.problems(NOW)
    assert line.startswith("mail waits for certificates: ")


def test_a_file_that_nobody_may_read_is_read_when_somebody_may(path: Path) -> None:
    publish(path, states(A=GONE), 1)
    path.rename(path.with_suffix(".kept"))
    path.mkdir()
    watch = CertificateWatch(path)
    with pytest.raises(StateError):
        watch.unusable(NOW)
    path.rmdir()
    path.with_suffix(".kept").rename(path)
    assert list(watch.unusable(NOW)) == ["A"]


# --- the log


def test_each_line_is_logged_when_it_is_new_and_once_a_day(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = CertificateWatch(path)
    publish(path, states(A=valid(-DAY, 10 * DAY), B=valid(-DAY, 99 * DAY)), 1)

    def logged(at: timedelta) -> list[str]:
        caplog.clear()
        watch.log_problems(NOW + at)
        return [f"{record.levelname} {record.message}" for record in caplog.records]

    ends = 'WARNING the certificate of connector "A" ends in {} days; renew it'
    with caplog.at_level(logging.INFO):
        assert logged(0 * DAY) == [ends.format(10)]
        assert logged(DAY / 2) == []
        assert logged(DAY - SECOND) == []
        assert logged(DAY) == [ends.format(9)]
        assert logged(DAY + SECOND) == []
        [expired] = logged(11 * DAY)
        assert expired.startswith('ERROR mail of connector "A" waits')
        assert logged(11 * DAY + SECOND) == []
        publish(path, states(A=valid(-DAY, 99 * DAY)), 2)
        assert logged(11 * DAY + 2 * SECOND) == []
        publish(path, states(A=GONE), 3)
        assert len(logged(11 * DAY + 3 * SECOND)) == 1


def test_the_file_is_not_read_again_while_it_is_the_same(path: Path) -> None:
    publish(path, states(A=GONE), 1)
    watch = CertificateWatch(path)
    first = watch.unusable(NOW)
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert watch.unusable(NOW) is first
