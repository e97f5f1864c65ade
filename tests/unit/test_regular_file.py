"""Files that are named: none keeps a command waiting for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from postconnector.certificates.pem import read_store
from postconnector.sources.connectors_file import UnreadableFileError, read_connectors_file
from postconnector.sources.regular_file import read_regular_file


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe into which nobody writes."""
    path = tmp_path / "pipe.pem"
    os.mkfifo(path)
    return path


def test_a_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular_file(path, 9) == b"12345"
    assert read_regular_file(path, 3) == b"123"


def test_a_named_pipe_or_folder_is_no_connectors_file(pipe: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"pipe\.pem: is no file"):
        read_connectors_file(pipe)
    with pytest.raises(UnreadableFileError, match="directory"):
        read_connectors_file(pipe.parent)


def test_a_named_pipe_in_the_certificate_store_is_said(pipe: Path) -> None:
    [problem] = read_store(pipe.parent).problems
    assert "is no file" in problem


def test_what_a_process_was_handed_is_read_to_its_end() -> None:
    """A shell's <(command), whose content comes when it comes."""
    reader, writer = os.pipe()
    program = (
        "import sys; from pathlib import Path;"
        "from postconnector.sources.regular_file import read_regular_file;"
        "print('ready', flush=True);"
        "print(read_regular_file(Path('/dev/stdin'), 99))"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=reader, stdout=subprocess.PIPE, text=True) as process:
        os.close(reader)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.write(writer, b"some")
        os.write(writer, b" more")
        os.close(writer)
        assert process.stdout.read() == "b'some more'\n"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[host]\n"])
def test_a_file_without_connectors_is_warned_of(tmp_path: Path, text: str) -> None:
    path = tmp_path / "connectors.toml"
    path.write_text(text)
    file = read_connectors_file(path)
    assert file.organization is not None
    [warning] = file.problems
    assert str(warning).startswith(f"{path}: warning: there is no connector in it")
