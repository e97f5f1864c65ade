"""Replacing a configuration file: forward, back, and never over what somebody wrote meanwhile."""

from pathlib import Path

import pytest

from postconnector.postfix.lock import TryAgainError
from postconnector.postfix.replaced_file import ReplacedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "main.cf"
    file.write_text("old")
    return file


def test_forward_and_back(path: Path) -> None:
    path.chmod(0o640)
    file = ReplacedFile(path)
    file.stage("old", ["new", "newer"])
    file.advance()
    assert path.read_text() == "new"
    file.advance()
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("newer", 0o640)
    file.go_back(0)
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("old", 0o640)
    file.forget()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("renamed", [True, False])
def test_an_edit_is_not_overwritten(path: Path, renamed: bool) -> None:
    file = ReplacedFile(path)
    file.stage("old", ["new", "newer"])
    file.advance()
    written = path.with_name("edited") if renamed else path
    written.write_text("edited")
    written.rename(path)
    with pytest.raises(TryAgainError, match="changed meanwhile"):
        file.advance()
    assert path.read_text() == "edited"


def test_an_edit_before_the_first_step_stays(path: Path) -> None:
    file = ReplacedFile(path)
    file.stage("old", ["new"])
    path.write_text("edited")
    with pytest.raises(TryAgainError):
        file.advance()
    file.go_back(0)
    file.forget()
    assert path.read_text() == "edited"
