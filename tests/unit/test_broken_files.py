"""The mistakes of administrators, one file each: what `check` says, and that nothing else runs.

A file in tests/unit/broken begins with what is expected, as `# expect: line | property | part of
the message`, with - for no line or property; a file that can't hold comments has a sibling
`.expect`. Exactly these problems must be found.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from postconnector.cli.main import main

BROKEN = Path(__file__).with_name("broken")
FILES = sorted([*BROKEN.glob("*.toml"), *BROKEN.glob("*.json")])
_EXPECT = re.compile(r"# expect: (?P<line>\d+|-) \| (?P<property>[^|]+) \| (?P<part>.+)")


@dataclass(frozen=True)
class Expected:
    """One problem that must be found; a warning's `part` begins with `warning: `."""

    line: int | None
    name: str | None
    part: str

    @property
    def severity(self) -> str:
        return "warning" if self.part.startswith("warning: ") else "error"

    @property
    def message(self) -> str:
        return self.part.removeprefix("warning: ")


def expected_problems(path: Path) -> list[Expected]:
    sibling = path.with_suffix(".expect")
    source = sibling if sibling.exists() else path
    return [
        Expected(
            line=None if match["line"] == "-" else int(match["line"]),
            name=None if match["property"] == "-" else match["property"],
            part=match["part"],
        )
        for line in source.read_text("utf-8").splitlines()
        if (match := _EXPECT.fullmatch(line))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_check_finds_exactly_the_mistakes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = expected_problems(path)
    assert expected, "the file says what is expected"

    assert main(["check", "--json", "-c", str(path)]) == os.EX_CONFIG
    problems: list[dict[str, Any]] = json.loads(capsys.readouterr().out)

    def key(line: int | None, name: str | None, severity: str) -> tuple[int, str, str]:
        return line or 0, name or "", severity

    assert sorted(key(p["line"], p["property"], p["severity"]) for p in problems) == sorted(
        key(e.line, e.name, e.severity) for e in expected
    )
    for wanted in expected:
        assert any(
            wanted.message in p["message"]
            and (p["line"], p["property"]) == (wanted.line, wanted.name)
            for p in problems
        ), f"{wanted} is not among {problems}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_check_prints_a_line_for_each_problem(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", "--json", "-c", str(path)])
    problems: list[dict[str, Any]] = json.loads(capsys.readouterr().out)

    assert main(["check", "-c", str(path)]) == os.EX_CONFIG
    output = capsys.readouterr()
    assert output.err.splitlines() == [as_text(path, problem) for problem in problems]
    assert [p["line"] or 0 for p in problems] == sorted(p["line"] or 0 for p in problems)
    errors = sum(problem["severity"] == "error" for problem in problems)
    assert output.out.startswith(f"{path}: {errors} error")
    assert output.out.count("\n") == 1


def as_text(path: Path, problem: dict[str, Any]) -> str:
    """A problem in the form that compilers use and editors understand."""
    line = f":{problem['line']}" if problem["line"] is not None else ""
    place = f'send_connector "{problem["connector"]}"' if problem["connector"] else None
    parts = [
        f"{path}{line}",
        problem["severity"],
        place,
        problem["property"],
        problem["message"],
    ]
    return ": ".join(part for part in parts if part is not None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_other_commands_refuse_the_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["list"], ["show"], ["route", "bob@contoso.com"]):
        assert main([*command, "-c", str(path)]) == os.EX_CONFIG
        output = capsys.readouterr()
        assert output.out == ""
        assert f"{path}:" in output.err.splitlines()[0]
        assert output.err.splitlines()[-1].startswith(f"postconnector: fatal: {path}: ")


@pytest.mark.parametrize(
    "name", ["01-property-typo", "password-in-the-file", "several-connectors", "latin-1"]
)
def test_the_installed_command_does_the_same(name: str) -> None:
    (path,) = BROKEN.glob(f"*{name}.toml")
    result = subprocess.run(
        [sys.executable, "-m", "postconnector", "check", "-c", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"},
    )
    assert result.returncode == os.EX_CONFIG
    expected = expected_problems(path)
    lines = result.stderr.splitlines()
    assert len(lines) == len(expected)
    for wanted in expected:
        assert any(
            line.startswith(f"{path}:{wanted.line}: ") and wanted.message in line for line in lines
        )


@pytest.mark.parametrize("name", ["password-in-the-file", "credential-is-a-string"])
def test_a_password_is_never_repeated(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = BROKEN.glob(f"*{name}.toml")
    main(["check", "-c", str(path)])
    output = capsys.readouterr()
    assert "hunter2" in path.read_text("utf-8")
    assert "hunter2" not in output.out + output.err


@pytest.mark.parametrize("command", [["check"], ["check", "--json"], ["list"], ["route", "a@b.c"]])
def test_a_file_that_is_not_there(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "connectors.toml"
    assert main([*command, "-c", str(path)]) == os.EX_CONFIG
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        f"postconnector: fatal: {path}: No such file or directory; make one by postconnector new or"
        " import, or name another by -c\n"
    )


def test_a_file_with_warnings_alone_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "connectors.toml"
    path.write_text('[[send_connector]]\nname = "A"\naddress_spaces = ["localhost"]\n')
    assert main(["check", "-c", str(path)]) == os.EX_OK
    output = capsys.readouterr()
    assert output.err.startswith(f'{path}:3: warning: send_connector "A": address_spaces: ')
    assert output.out == f"{path}: 0 errors, 1 warning, 1 connector\n"
