"""apply and remove, interrupted (Ctrl-C, a dropped session) or with a failing disk: all is undone.

Faults are injected at every fsync(2) from the moment on in which something comes into force:
there a signal is delivered, and there a failing disk is noticed, when a rename is done already.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.lab.command import POSTCONNECTOR
from tests.lab.loopback import wait_until
from tests.postfix.test_killed_apply import Call, Site, logged_calls, site, under_strace

__all__ = ["site"]
FAULTS = {"signal=INT": 128 + signal.SIGINT, "error=EIO": os.EX_IOERR}


def syncs_of(site: Site, command: str, log: Path) -> list[Call]:
    """The fsync calls of a command that comes to its end, while it changes what is in force."""
    result = under_strace(site.administrator, command, "fsync", log=log)
    assert result.returncode == 0, result.stderr
    calls = [call for call in logged_calls(log) if call.name == "fsync"]
    below = f"<{site.configuration}>", f"<{site.configuration}/postconnector>"
    found = [call for call in calls if any(path in call.text for path in below)]
    assert len(found) >= 2, calls
    return found


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", ["apply", "remove"])
def test_what_was_begun_is_undone(site: Site, tmp_path: Path, command: str, fault: str) -> None:
    administrator = site.administrator
    administrator.publish(site.old)
    shutil.copytree(site.configuration, tmp_path / "before", symlinks=True)
    old, old_ways = site.after_restart(), site.ways()
    administrator.write_connectors(site.new)
    calls = syncs_of(site, command, tmp_path / "strace")
    new = site.after_restart()
    statuses = set()
    for call in calls:
        site.restore(tmp_path / "before")
        result = under_strace(administrator, command, "fsync", *call.injection(fault))
        statuses.add(result.returncode)
        if result.returncode == FAULTS[fault]:
            assert site.after_restart() == old, call.text
            assert site.leftovers() == [], call.text
        else:
            in_force = "in force, unfinished" in result.stderr
            assert in_force or result.returncode == 0, (call.text, result.stderr)
            assert site.after_restart() == new, call.text
    assert FAULTS[fault] in statuses
    site.restore(tmp_path / "before")
    assert site.ways() == old_ways


def test_ctrl_c_says_what_became_of_it(site: Site) -> None:
    """Sent as soon as the mark of an apply at work is there."""
    administrator = site.administrator
    administrator.publish(site.old)
    old = site.after_restart()
    administrator.write_connectors(site.new)
    program = subprocess.Popen(
        [
            *(*POSTCONNECTOR, "-c", str(administrator.connectors_file)),
            *("--config-directory", str(site.configuration), "apply"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    mark = site.configuration / "postconnector" / "unfinished"
    wait_until(lambda: mark.exists() or program.poll() is not None or None, "apply to be at work")
    program.send_signal(signal.SIGTERM)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 128 + signal.SIGTERM, said
    assert "interrupted: everything was put back as it was" in said
    assert site.after_restart() == old
    assert site.leftovers() == []
