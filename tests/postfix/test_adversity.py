"""Publishing where something is in the way: hand edits, names that are taken, somebody at the same
time, a reader that leaves. Either all of it is done, or nothing, and it is said what to do.
"""

import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postconnector.postfix.marked_block import BEGIN, END, block_in, with_block
from tests.lab.administrator import Administrator
from tests.lab.loopback import wait_until
from tests.lab.meddling import applied_meanwhile, at_reload, instead_of
from tests.postfix.conftest import HostMaker
from tests.postfix.test_apply import FABRIKAM, GOOD, state

NOTHING_TO_CHANGE = "nothing to change: Postfix has these connectors\n"
COMMANDS = {"plan": 78, "apply": 78, "remove": 78, "rollback 1": 78, "status": 1}
OWN_SERVICE = "{name} unix - - n - - smtp\n  -o smtp_helo_name=mine.test\n"


@pytest.fixture
def published(new_host: HostMaker) -> Administrator:
    """The administrator of a host that has two connectors."""
    administrator = new_host()
    administrator.publish(GOOD + FABRIKAM)
    return administrator


def configuration(administrator: Administrator, name: str) -> Path:
    return administrator.host.config_directory / name


def own_folder(administrator: Administrator) -> Path:
    return administrator.host.config_directory / "postconnector"


def answers(administrator: Administrator, service: str) -> bool:
    """Whether master(8) listens for a service."""
    with socket.socket(socket.AF_UNIX) as client:
        path = administrator.host.queue_directory / "private" / service
        return client.connect_ex(str(path)) == 0


def assert_all_is_well(administrator: Administrator) -> None:
    status = administrator.run("status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert administrator.run("apply").stdout == NOTHING_TO_CHANGE


# --- our block, edited


def _without_end(text: str) -> str:
    return text.replace(f"{END}\n", "") + "relayhost = [192.0.2.1]\nmynetworks = 10.0.0.0/8\n"


def _twice(text: str) -> str:
    return text + with_block("", block_in(text))


def _without_marks(text: str) -> str:
    return _twice(text).replace(f"{BEGIN}\n", "", 1).replace(f"{END}\n", "", 1)


@pytest.mark.parametrize("damage", [_without_end, _twice, _without_marks])
def test_no_command_guesses_which_lines_are_ours(
    published: Administrator, damage: Callable[[str], str]
) -> None:
    main_cf = configuration(published, "main.cf")
    whole = main_cf.read_text()
    main_cf.write_text(damage(whole))
    published.host.settle()
    before = state(published)
    for command, status in COMMANDS.items():
        result = published.run(*command.split())
        assert result.returncode == status, (command, result)
        said = [line for line in (result.stdout + result.stderr).splitlines() if "main.cf" in line]
        assert len(said) == 1, (command, result)
        assert str(main_cf) in said[0]
        assert "delete" in said[0]
        assert state(published) == before, command
    main_cf.write_text(whole)
    published.host.settle()
    assert_all_is_well(published)


def test_a_comment_that_quotes_our_first_line(new_host: HostMaker) -> None:
    administrator = new_host()
    main_cf = configuration(administrator, "main.cf")
    main_cf.write_text(f"{main_cf.read_text()}# we had: {BEGIN}\nrelayhost = [10.9.9.9]\n")
    administrator.host.settle()
    before = state(administrator)
    administrator.publish(FABRIKAM)
    assert administrator.host.postconf("-h", "relayhost") == "[10.9.9.9]\n"
    assert administrator.run("remove").returncode == 0
    assert state(administrator) == before


def test_a_connector_that_is_called_as_the_end_of_our_block(new_host: HostMaker) -> None:
    administrator = new_host()
    before = state(administrator)
    administrator.publish(GOOD.replace("Internet", f"x {END} y"))
    assert_all_is_well(administrator)
    assert administrator.run("remove").returncode == 0
    assert state(administrator) == before


def test_remove_leaves_no_sockets_behind(published: Administrator) -> None:
    queue = published.host.queue_directory
    assert list(queue.glob("p*/pc-*"))
    assert published.run("remove").returncode == 0
    assert not list(queue.glob("p*/pc-*"))


def test_what_somebody_keeps_in_our_folder_stays(published: Administrator) -> None:
    """The connectors file perhaps, and passwords."""
    folder = published.host.config_directory / "postconnector"
    (folder / "secrets").mkdir()
    (folder / "secrets" / "isp").write_text("secret")
    (folder / "connectors.toml").write_text("mine")
    result = published.run("remove")
    assert f"left in {folder}, as it is not of apply: connectors.toml, secrets" in result.stdout
    assert sorted(path.name for path in folder.rglob("*")) == ["connectors.toml", "isp", "secrets"]
    assert published.run("remove").stdout.startswith("nothing to remove")
    assert published.run("apply").returncode == 0
    assert_all_is_well(published)


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (("-e", "delay_warning_time=4h"), "main.cf"),
        (("-M", "new/unix=new unix - - n - - smtp"), "master.cf"),
    ],
)
def test_what_others_add_behind_our_block_stays_there(
    published: Administrator, arguments: tuple[str, ...], file: str
) -> None:
    """As postconf(1) does: the next connectors are published in front of it."""
    published.host.postconf(*arguments)
    assert "nothing to change" in published.run("apply").stdout
    assert_all_is_well(published)
    added = configuration(published, file).read_text().splitlines()[-1]
    published.publish(FABRIKAM)
    assert configuration(published, file).read_text().splitlines()[-1] == added
    assert_all_is_well(published)
    assert published.run("remove").returncode == 0
    assert configuration(published, file).read_text().splitlines()[-1] == added


def test_a_parameter_of_ours_that_is_set_again_behind_the_block(published: Administrator) -> None:
    main_cf = configuration(published, "main.cf")
    before = published.host.postconf("-h", "transport_maps")
    main_cf.write_text(main_cf.read_text() + "transport_maps = inline:{ a.test=smtp: }\n")
    result = published.run("apply")
    assert "published generation 2" in result.stdout, result
    expected = f"{before.strip()}, inline:{{ a.test=smtp: }}\n"
    assert published.host.postconf("-h", "transport_maps") == expected
    assert published.run("remove").returncode == 0
    assert main_cf.read_text().endswith("transport_maps = inline:{ a.test=smtp: }\n")


def test_what_was_edited_in_our_part_of_master_cf_is_put_right(published: Administrator) -> None:
    master_cf = configuration(published, "master.cf")
    master_cf.write_text(master_cf.read_text().replace('# Send connector "Internet"\n', ""))
    assert "published generation 2" in published.run("apply").stdout
    assert_all_is_well(published)


def test_a_line_behind_the_end_of_master_cf_is_nobody_elses(published: Administrator) -> None:
    """It would be read as our last service's, and move to the host's last one."""
    master_cf = configuration(published, "master.cf")
    whole = master_cf.read_text()
    master_cf.write_text(f"{whole}  -o smtp_helo_name=x\n")
    result = published.run("apply")
    assert result.returncode == 78
    assert "continues the last entry of our block" in result.stderr
    master_cf.write_text(whole)
    assert_all_is_well(published)


def test_a_service_of_ours_that_postconf_has_moved(published: Administrator) -> None:
    """postconf -P writes the last entry of the file anew, behind our end."""
    master_cf = configuration(published, "master.cf")
    last = block_in(master_cf.read_text()).splitlines()
    name = [line for line in last if line[0] not in "# "][-1].split()[0]
    published.host.postconf("-P", f"{name}/unix/smtp_helo_name=x")
    moved = master_cf.read_text()
    assert moved.index(f"\n{name} ") > moved.index(END)
    for command, status in {"apply": 78, "plan": 78, "status": 1}.items():
        result = published.run(command)
        assert result.returncode in (status, 2), (command, result)
        assert "postconf -F and -P move" in result.stdout + result.stderr, (command, result)
    master_cf.write_text(moved.partition(f"{END}\n")[0] + f"{END}\n")
    assert "published generation 2" in published.run("apply").stdout
    assert_all_is_well(published)


# --- names that are taken


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pc-fabrikam", "has a service pc-fabrikam outside our block"),
        ("pcn-edge", "has a service pcn-edge, and pcn-… are the names"),
    ],
)
def test_a_service_of_the_hosts_keeps_its_name(new_host: HostMaker, name: str, said: str) -> None:
    administrator = new_host(master_cf=OWN_SERVICE.format(name=name))
    administrator.write_connectors(GOOD + FABRIKAM)
    before = state(administrator)
    assert said in administrator.run("plan").stderr
    result = administrator.run("apply")
    assert result.returncode == 78
    assert said in result.stderr
    assert "rename it" in result.stderr
    assert state(administrator) == before
    assert answers(administrator, name)


def test_remove_leaves_the_hosts_sockets(published: Administrator) -> None:
    master_cf = configuration(published, "master.cf")
    master_cf.write_text(master_cf.read_text() + OWN_SERVICE.format(name="pcn-edge"))
    published.host.postfix("reload")
    wait_until(lambda: answers(published, "pcn-edge") or None, "pcn-edge")
    assert "pcn-edge" in published.run("status").stdout
    assert published.run("remove").returncode == 0
    assert answers(published, "pcn-edge")


# --- somebody at the same time


def test_an_apply_that_read_older_connectors_publishes_none(published: Administrator) -> None:
    """Another one publishes newer ones while it asks Postfix what is there."""
    published.write_connectors(GOOD + FABRIKAM + "port = 26\n")
    result = published.run("apply", path=applied_meanwhile(published, GOOD))
    assert result.returncode == os.EX_TEMPFAIL, result
    assert "try again" in result.stderr
    assert "pc-fabrikam" not in published.host.postconf("-M")
    live = own_folder(published) / "live"
    assert (live.readlink().name, (live / "connectors.toml").read_text()) == ("000002", GOOD)


@pytest.mark.parametrize("command", ["apply", "remove"])
def test_an_edit_while_postfix_checks_is_not_overwritten(
    published: Administrator, command: str
) -> None:
    main_cf = configuration(published, "main.cf")
    published.write_connectors(FABRIKAM)
    before = state(published)
    edit = f'case "$*" in *check*) echo "mailbox_size_limit = 0" >> {main_cf};; esac'
    result = published.run(command, path=instead_of(published, "postfix", edit))
    assert result.returncode == os.EX_TEMPFAIL, result
    assert f"{main_cf} was changed meanwhile; try again" in result.stderr
    edited = main_cf.read_bytes()
    assert edited.startswith(before["main.cf"])
    assert edited.endswith(b"mailbox_size_limit = 0\n")
    assert {**state(published), "main.cf": b""} == {**before, "main.cf": b""}
    assert published.run(command).returncode == 0
    assert published.host.postconf("-h", "mailbox_size_limit") == "0\n"


def test_an_edit_between_two_steps_is_not_overwritten(new_host: HostMaker) -> None:
    """master.cf is replaced, main.cf not yet."""
    administrator = new_host()
    administrator.write_connectors(GOOD)
    main_cf = configuration(administrator, "main.cf")
    master_cf = configuration(administrator, "master.cf").read_text()
    edit = at_reload(administrator, 1, f'echo "mailbox_size_limit = 0" >> {main_cf}')
    result = administrator.run("apply", path=instead_of(administrator, "postfix", edit))
    assert result.returncode == os.EX_TEMPFAIL, result
    assert main_cf.read_text().endswith("mailbox_size_limit = 0\n")
    assert configuration(administrator, "master.cf").read_text() == master_cf
    assert administrator.run("apply").returncode == 0
    assert_all_is_well(administrator)


def test_nobody_but_root_may_hold_the_lock(published: Administrator) -> None:
    lock = own_folder(published) / "lock"
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    lock.chmod(0o644)  # of an earlier version
    published.write_connectors(GOOD)
    assert published.run("apply").returncode == 0
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


# --- what fails, and how it is said


@pytest.mark.parametrize("command", ["apply", "remove"])
def test_a_reload_that_fails_is_undone_and_retried(published: Administrator, command: str) -> None:
    """The second reload, when both files are new; master(8) has what is in force again."""
    published.write_connectors(FABRIKAM + "port = 26\n")
    before = state(published)
    fail = at_reload(published, 2, "exit 1")
    result = published.run(command, path=instead_of(published, "postfix", fail))
    assert result.returncode == os.EX_UNAVAILABLE, result
    assert "everything was put back as it was" in result.stderr
    assert state(published) == before
    private = published.host.queue_directory / "private"
    wait_until(lambda: answers(published, "pc-fabrikam") or None, "pc-fabrikam")
    assert published.run("status").returncode == 0
    published.host.wait_idle()
    assert not list(private.glob("pcn-*"))
    assert published.run(command).returncode == 0
    if command == "apply":
        assert_all_is_well(published)


def test_what_can_not_even_be_undone_is_said(published: Administrator) -> None:
    published.write_connectors(FABRIKAM + "port = 26\n")
    fail = 'case "$*" in *reload*) echo no >&2; exit 1;; esac'
    result = published.run("apply", path=instead_of(published, "postfix", fail))
    assert result.returncode == os.EX_UNAVAILABLE
    assert "not all could be put back" in result.stderr
    assert "postconnector status says" in result.stderr
    assert "did not finish" in published.run("status").stdout
    assert published.run("apply").returncode == 0
    assert_all_is_well(published)


def test_remove_that_can_not_delete_our_folder(new_host: HostMaker) -> None:
    """Here it is a link to one; it may as well be a mount point."""
    administrator = new_host()
    before = state(administrator)
    folder = own_folder(administrator)
    elsewhere = administrator.folder / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    administrator.publish(GOOD)
    result = administrator.run("remove")
    assert result.returncode == os.EX_UNAVAILABLE
    assert f"Postfix is without postconnector, but {folder} could not be deleted" in result.stderr
    assert "nothing changed" not in result.stderr
    for name in ("main.cf", "master.cf"):
        assert configuration(administrator, name).read_bytes() == before[name]
    assert administrator.host.postconf("-h", "default_transport") == "smtp\n"


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, ours alone."""
    with tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp") as name:
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


def test_sigterm_leaves_no_temporary_files(published: Administrator, scratch: Path) -> None:
    published.write_connectors(GOOD)
    before = state(published)
    stop = 'case "$*" in *check*) kill -TERM $PPID;; esac'
    result = published.run("apply", path=instead_of(published, "postfix", stop))
    assert result.returncode == 128 + signal.SIGTERM, result
    assert "interrupted" in result.stderr
    assert list(scratch.iterdir()) == []
    assert state(published) == before


# --- where the output goes


def apply_with(administrator: Administrator, shell: str) -> subprocess.CompletedProcess[str]:
    """Run apply by the shell, as `apply` there; also by a Python that keeps no output back."""
    line = (
        f"{sys.executable} -m postconnector -c {administrator.connectors_file}"
        f" --config-directory {administrator.host.config_directory} apply"
    )
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell.replace("apply", line)],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    "shell", ["apply | true", "apply >&-", "apply > /dev/full", "apply <&- >&- 2>&-"]
)
def test_output_that_nobody_reads_keeps_apply_from_nothing(
    published: Administrator, shell: str
) -> None:
    published.write_connectors(FABRIKAM + "port = 26\n")
    result = apply_with(published, shell)
    assert result.returncode == 0, result
    assert "Traceback" not in result.stderr
    if shell.endswith(("true", "full")):
        assert "published generation 2" in result.stderr
    assert not (own_folder(published) / "unfinished").exists()
    assert_all_is_well(published)


def test_nothing_about_our_temporary_files_comes_into_the_hosts_log(
    published: Administrator,
) -> None:
    warnings = [line.text for line in published.host.log.lines() if "postfix-script" in str(line)]
    assert [text for text in warnings if "postconnector-" in text] == []
    assert published.run("remove").returncode == 0
    log = (published.host.directory / "log" / "maillog").read_text()
    assert "postconnector-" not in log


# --- files and folders that somebody else has made


def test_the_link_to_the_live_generation_is_gone(published: Administrator) -> None:
    (own_folder(published) / "live").unlink()
    status = published.run("status")
    assert status.returncode == 1
    assert "Postfix defers all mail; postconnector apply, or rollback" in status.stdout
    result = published.run("rollback")
    assert result.returncode == 0, result
    assert_all_is_well(published)


def test_the_link_to_the_live_generation_is_a_folder(published: Administrator) -> None:
    """As a copy makes it that follows links."""
    live = own_folder(published) / "live"
    target = live.resolve()
    live.unlink()
    shutil.copytree(target, live)
    published.write_connectors(GOOD)
    before = state(published)
    for command in ("apply", "rollback"):
        result = published.run(command)
        assert result.returncode == os.EX_UNAVAILABLE, result
        assert f"{live} is a folder, and apply needs the name: move it away" in result.stderr
        assert state(published) == before
    assert "is no link to a generation" in published.run("status").stdout
    live.rename(published.folder / "live")
    assert published.run("apply").returncode == 0
    assert_all_is_well(published)


def test_foreign_folders_among_the_generations(published: Administrator) -> None:
    for name in ("²", "20261124", "mine"):
        (own_folder(published) / "generations" / name).mkdir()
    assert_all_is_well(published)
    published.write_connectors(GOOD)
    assert "published generation 2" in published.run("apply").stdout
    assert len(published.run("history").stdout.splitlines()) == 3


def test_rollback_names_a_file_that_is_there(published: Administrator) -> None:
    published.write_connectors(GOOD)
    assert published.run("apply").returncode == 0
    said = published.run("rollback").stdout.splitlines()[-1]
    file = Path(said.partition("as published: ")[2].removesuffix(")"))
    assert file == own_folder(published) / "live" / "connectors.toml"
    assert file.read_text() == GOOD + FABRIKAM


def test_a_queue_that_can_not_be_read_is_one_problem_among_others(
    published: Administrator,
) -> None:
    path = instead_of(published, "postqueue", "echo 'postqueue: fatal: no' >&2; exit 69")
    status = published.run("status", path=path)
    assert status.returncode == 1
    assert status.stdout.startswith("Generation 1")
    assert "! the queue could not be read: postqueue" in status.stdout


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Tag, rights and user of each entry, as the kernel has them (acl(5))."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_access_rights_are_kept_whatever_says_them(new_host: HostMaker) -> None:
    """u:1:rw under group::r: without the ACL the group could write."""
    administrator = new_host()
    nobody = 0xFFFFFFFF
    rights = acl((1, 6, nobody), (2, 6, 1), (4, 4, nobody), (0x10, 6, nobody), (0x20, 4, nobody))
    main_cf = configuration(administrator, "main.cf")
    try:
        os.setxattr(main_cf, "system.posix_acl_access", rights)
    except OSError:
        pytest.skip("this file system has no ACL")
    for command in ("apply", "remove"):
        administrator.write_connectors(GOOD)
        assert administrator.run(command).returncode == 0
        assert os.getxattr(main_cf, "system.posix_acl_access") == rights
        assert stat.S_IMODE(main_cf.stat().st_mode) == 0o664
