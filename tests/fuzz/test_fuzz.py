"""Every parser with the inputs that are kept, and with new ones for a moment."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from postconnector.delivery.lmtp import message_data, parameters, session
from postconnector.delivery.smtp import replies
from postconnector.policyd import protocol, socketmap
from tests.fuzz.targets import TARGETS, kept, target

_TOP = Path(__file__).parents[2]
_KEPT = [(name, path) for name in TARGETS for path in kept(name)]


@pytest.mark.parametrize(("name", "path"), _KEPT, ids=[f"{n}-{p.name}" for n, p in _KEPT])
def test_kept(name: str, path: Path) -> None:
    target(name).check(path.read_bytes())


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not there for every Python"
)
@pytest.mark.parametrize("name", TARGETS)
def test_new_ones(name: str, tmp_path: Path) -> None:
    bounds = ("--runs", "20000", "--seconds", "6", "--seed", "1", "--broken", str(tmp_path))
    result = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, *bounds],
        cwd=_TOP,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert "Done " in result.stderr


@pytest.mark.parametrize(
    ("name", "module", "attribute", "wrong"),
    [
        ("lmtp_commands", parameters, "_ENVID", re.compile("(?s).*")),
        ("lmtp_session", session, "LONGEST_LINE", 16 * 1024 - 1),
        ("message_data", message_data, "_END", b"\n.\r\n"),
        ("message_data", message_data, "_STRAY", re.compile(rb"\r(?!\n)")),
        ("policy_requests", protocol, "MOST_ATTRIBUTES", 199),
        ("policy_requests", protocol, "MOST_BYTES", 65_535),
        ("smtp_replies", replies, "_LONGEST_LINE", 2049),
        ("smtp_replies", replies, "_MOST_LINES", 99),
        ("socketmap_questions", socketmap, "MOST_BYTES", 99_999),
    ],
)
def test_a_parser_that_is_wrong_is_found(
    name: str, module: object, attribute: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = target(name)  # which keeps the bounds that are right
    monkeypatch.setattr(module, attribute, wrong)
    with pytest.raises(AssertionError):
        for path in kept(name):
            found.check(path.read_bytes())
