"""What docs/install.md relies on: the files in contrib/postfix, the wheel, the systemd unit."""

import difflib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.postfix.conftest import HostMaker

SOURCE = Path(__file__).resolve().parents[2]
CONTRIB = SOURCE / "contrib" / "postfix"
CONNECTORS = CONTRIB / "connectors.toml"
UNITS = [CONTRIB / f"postconnector-{daemon}.service" for daemon in ("policy", "milter", "deliver")]
PACKAGES = (SOURCE / "policy" / "postconnector", SOURCE / "milter" / "postconnector_milter")
MOST_EXPOSED = 15
"""What `systemd-analyze security` may find, in tenths; 100 is no protection at all."""


def run(
    *command: str | Path, cwd: Path | None = None, user: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command without our Python path; as another user, without root's groups."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
        env=environment,
        user=user,
        group="nogroup" if user else None,
        extra_groups=[] if user else None,
    )


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


# --- main.cf.fragment and master.cf.fragment


def settings(text: str) -> list[str]:
    """The lines that mean something to Postfix."""
    lines = [line.rstrip() for line in text.splitlines()]
    return [line for line in lines if line and not line.lstrip().startswith("#")]


def block(text: str) -> str:
    """What apply has put between its marker lines."""
    after = text.partition("# BEGIN postconnector")[2].partition("\n")[2]
    return after.partition("# END postconnector")[0]


def difference(name: str, fragment: Sequence[str], written: Sequence[str]) -> str:
    """How to make a fragment true again; empty if it is."""
    lines = difflib.unified_diff(fragment, written, name, "what apply writes", lineterm="")
    return "\n".join(lines)


def test_the_fragments_are_what_apply_writes(new_host: HostMaker) -> None:
    administrator = new_host({"smtp_tls_security_level": "may"})  # as in Debian's main.cf
    administrator.publish(CONNECTORS.read_text())
    folder = administrator.host.config_directory
    differences = []
    for name in ("main.cf", "master.cf"):
        written = block((folder / name).read_text()).replace(str(folder), "/etc/postfix")
        fragment = CONTRIB / f"{name}.fragment"
        differences.append(
            difference(fragment.name, settings(fragment.read_text()), settings(written))
        )
    assert not any(differences), (
        "apply writes other lines for contrib/postfix/connectors.toml than the fragments there"
        " have. Make these edits in them (- out, + in), and say in a comment what a new line"
        " means:\n" + "\n".join(differences)
    )


# --- the unit, its user and its folder


@pytest.fixture(params=UNITS, ids=lambda path: path.stem)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit file with a program that is there."""
    path: Path = request.param
    text = path.read_text()
    installed = "ExecStart=/usr/local/bin/postconnector "
    assert installed in text
    copy = tmp_path / path.name
    copy.write_text(text.replace(installed, f"ExecStart={sys.executable} -m postconnector "))
    return copy


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_every_line_of_the_unit(unit: Path) -> None:
    result = run("systemd-analyze", "verify", unit)
    said = [line for line in result.stderr.splitlines() if unit.name in line]
    assert (result.returncode, said) == (0, [])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_stays_hardened(unit: Path) -> None:
    options = ("--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager")
    done(run("systemd-analyze", "security", *options, unit))


def test_postfix_alone_reaches_the_socket_in_the_folder_of_tmpfiles_conf(
    new_host: HostMaker,
) -> None:
    administrator = new_host(policy_service=False)
    [line] = settings((CONTRIB / "tmpfiles.conf").read_text())
    kind, path, mode, _, group, _ = line.split()
    assert (kind, path) == ("d", "/var/spool/postfix/postconnector")
    folder = administrator.host.queue_directory / "postconnector"
    folder.mkdir()
    shutil.chown(folder, group=group)
    folder.chmod(int(mode, 8))
    with administrator.policy_service():
        administrator.publish(
            '[[send_connector]]\nname = "All"\naddress_spaces = ["*"]\nmax_message_size = "1 MB"\n'
        )
        with administrator.smtp() as session:  # by an smtpd(8) that runs chrooted as postfix
            session.mail("alice@contoso.test", ["size=2000000"])
            code, text = session.rcpt("bob@fabrikam.test")
        assert (code, b"MaxMessageSize 1 MB" in text) == (552, True), text
        stranger = run("stat", folder / "policy", user="nobody")
        assert "Permission denied" in stranger.stderr


# --- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source tree; by the registry's hatchling where there is none here."""
    folder = tmp_path_factory.mktemp("wheel")
    here = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", *here)
    done(run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, SOURCE))
    [found] = folder.glob("postconnector-*.whl")
    return found


def test_the_wheel_has_every_module(wheel: Path) -> None:
    modules = {
        str(path.relative_to(package.parent))
        for package in PACKAGES
        for path in package.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    with zipfile.ZipFile(wheel) as archive:
        assert modules - set(archive.namelist()) == set()


def test_the_wheel_works_away_from_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    python = environment / "bin" / "python"
    done(run(sys.executable, "-m", "venv", "--without-pip", environment))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    done(run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel))
    # What it depends on is taken from here; the .pth files there, ours among them, are not read.
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(done(run(python, "-c", code)).strip())
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + os.linesep)

    code = "import postconnector, postconnector_milter; print(postconnector.__file__)"
    assert Path(done(run(python, "-c", code, cwd=tmp_path)).strip()).is_relative_to(environment)
    program = environment / "bin" / "postconnector"
    assert re.fullmatch(
        r"postconnector \d+\.\d+\.\d+\n", done(run(program, "--version", cwd=tmp_path))
    )
    checked = done(run(program, "-c", CONNECTORS, "check", cwd=tmp_path))
    assert "0 errors" in checked


# --- the guide


def test_the_guide_names_files_that_exist() -> None:
    guide = (SOURCE / "docs" / "install.md").read_text()
    named = set(re.findall(r"contrib/postfix/[a-z.-]+[a-z]", guide))
    assert len(named) >= 3
    assert [name for name in sorted(named) if not (SOURCE / name).exists()] == []
