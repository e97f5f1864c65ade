"""The protocol log on a disk that is full, and in a process that is killed."""

import csv
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from postconnector.delivery.protocol_log_files import Limits
from tests.lab.loopback import wait_until
from tests.unit.test_protocol_log import Clock, lines, names, new_log, session

_SIZE = 64 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB, which only root may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("can't mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_log_until_there_is_room_again(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    (ballast := small_disk / "ballast").write_bytes(b"x" * (_SIZE - 8 * 1024))
    log = new_log(small_disk, clock)
    dialogue = session(log)
    for _ in range(200):
        dialogue.sent("NOOP")
        clock.now += timedelta(seconds=1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "No space left on device" in caplog.text
    files = [name for name in names(small_disk) if name.startswith("SEND")]
    texts = [(small_disk / name).read_bytes() for name in files]
    assert all(text.endswith(b"\r\n") for text in texts), "no half lines"
    ballast.unlink()
    clock.now += timedelta(minutes=1)
    dialogue.sent("NOOP again")
    log.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert list(lines(small_disk))[-1][7] == "NOOP again"
    assert len(names(small_disk)) == len(files) + 1


def test_no_files_are_left_of_tries_that_failed(small_disk: Path) -> None:
    clock = Clock()
    (small_disk / "ballast").write_bytes(b"x" * _SIZE)
    dialogue = session(new_log(small_disk, clock))
    for _ in range(5):
        clock.now += timedelta(minutes=1)
        dialogue.sent("NOOP")
    assert names(small_disk) == ["ballast"]


_AGENT = """\
import sys
from datetime import UTC, datetime
from pathlib import Path
from postconnector.delivery.protocol_log_files import Limits
from tests.unit.test_protocol_log import new_log, session

log = new_log(Path(sys.argv[1]), lambda: datetime.now(UTC), Limits(file_size=20_000))
while True:
    dialogue = session(log)
    dialogue.sent("EHLO mail.contoso.com")
    dialogue.disconnected("Local")
"""


def has_more_files(folder: Path, count: int) -> bool | None:
    return (folder.exists() and len(names(folder)) > count) or None


def test_a_killed_process_leaves_whole_lines_and_the_next_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "SmtpSend"
    for _ in range(3):
        seen = len(names(folder)) if folder.exists() else 0
        with subprocess.Popen([sys.executable, "-c", _AGENT, str(folder)]) as agent:
            wait_until(partial(has_more_files, folder, seen + 2), "a log")
            agent.send_signal(signal.SIGKILL)
    for name in names(folder):
        text = (folder / name).read_bytes()
        assert not text or text.endswith(b"\r\n"), name
        assert all(len(row) == 9 for row in csv.reader(text.decode().splitlines()[5:]))
    count = len(names(folder))
    session(new_log(folder, Clock(), Limits()))
    assert len(names(folder)) == count + 1
