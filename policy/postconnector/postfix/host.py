"""A Postfix instance on this host, reached by its own commands and nothing else."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from postconnector.postfix.facts import (
    COMPARED_PARAMETERS,
    COPIED_PARAMETERS,
    OWN_DIRECTORY,
    QUEUEING_PARAMETERS,
    PostfixFacts,
)
from postconnector.postfix.marked_block import out_of_order, without_ours

_EXPANDED = ("mail_version", "queue_directory", "myhostname", "syslog_name")
_QUESTIONS = (
    ("-m",),
    ("-x", *_EXPANDED, *COMPARED_PARAMETERS),
    ("-F", "*/*/chroot", "*/*/command"),
    COPIED_PARAMETERS,
    ("-P",),
    ("-Px", *(f"*/*/{name}" for name in QUEUEING_PARAMETERS)),
)
_TRUST = ("smtp_tls_CAfile", "smtp_tls_CApath")
_MAP_TYPES = ("lmdb", "cdb", "hash")
_COMMAND_TIMEOUT = 120.0
_SETTLED = 5.0
_DEFAULT_DIRECTORY = "/etc/postfix"


class PostfixError(Exception):
    """Postfix is not there, can't be read, or refused something; the text says what."""


class OutOfOrderError(PostfixError):
    """Somebody has to put main.cf or master.cf in order first; the text says how."""


@dataclass(frozen=True, slots=True)
class ConfigurationFiles:
    """The texts of main.cf and master.cf.

    Bytes that are not UTF-8 survive as surrogates, so that writing gives back what was read.
    """

    main_cf: str
    master_cf: str


@dataclass(frozen=True, slots=True)
class PostfixHost:
    """One instance, named by its configuration directory (an absolute path)."""

    config_directory: Path

    @classmethod
    def at(cls, config_directory: str | None) -> "PostfixHost":
        """The instance at a directory; by default as Postfix does: $MAIL_CONFIG, /etc/postfix."""
        named = config_directory or os.environ.get("MAIL_CONFIG") or _DEFAULT_DIRECTORY
        directory = Path(named).resolve()  # one name, however it is spelled: tables bear it
        if re.search(r"[\s$,{}\"#]", str(directory)):
            raise PostfixError(f"{directory}: Postfix can't have such characters in a path")
        if not (directory / "main.cf").is_file():
            raise PostfixError(f"{directory}/main.cf is missing: no Postfix is configured there")
        return cls(directory)

    def read_files(self) -> ConfigurationFiles:
        """main.cf and master.cf as they are now.

        Raises OutOfOrderError where our part of one can't be told from the host's.
        """
        return ConfigurationFiles(self._read("main.cf"), self._read("master.cf"))

    def _read(self, name: str) -> str:
        text = read_text(path := self.config_directory / name)
        if reason := out_of_order(text, self.config_directory / OWN_DIRECTORY):
            raise OutOfOrderError(f"{path}: {reason}")
        return text

    def facts(self) -> PostfixFacts:
        """What the instance is like without us. Changes nothing on the host."""
        with self.asked_for_facts() as facts:
            return facts()

    @contextmanager
    def asked_for_facts(self) -> Iterator[Callable[[], PostfixFacts]]:
        """The same, with something else to do until they are called for."""
        files = self.read_files()
        original = ConfigurationFiles(without_ours(files.main_cf), without_ours(files.master_cf))
        with scratch_configuration(original) as directory, _asked(directory, _QUESTIONS) as answers:
            yield lambda: self._facts_of(str(directory), answers())

    def _facts_of(self, directory: str, answers: Sequence[str]) -> PostfixFacts:
        """`directory`: where postconf(1) has the main.cf and master.cf that it was asked about."""
        expanded, columns, copied, settings, queueing = (
            _parameters(answer.replace(directory, str(self.config_directory)))
            for answer in answers[1:]
        )
        version = re.match(r"(\d+)\.(\d+)", expanded["mail_version"])
        if version is None:
            raise PostfixError(f"unknown Postfix version {expanded['mail_version']!r}")
        available = set(answers[0].split())
        map_type = next((kind for kind in _MAP_TYPES if kind in available), None)
        if map_type is None:
            raise PostfixError(
                f"Postfix has none of the table types {', '.join(_MAP_TYPES)};"
                " install one (Debian: postfix-lmdb)"
            )
        return PostfixFacts(
            config_directory=self.config_directory,
            queue_directory=Path(expanded["queue_directory"]),
            version=(int(version[1]), int(version[2])),
            map_type=map_type,
            table_types=frozenset(available),
            hostname=expanded["myhostname"],
            syslog_name=expanded["syslog_name"],
            smtp_chroot=columns.get("smtp/unix/chroot", "-"),
            programs={
                name.removesuffix("/command"): command.partition(" ")[0]
                for name, command in columns.items()
                if name.endswith("/command")
            },
            parameters={
                **copied,
                **{name: expanded.get(name, "") for name in COMPARED_PARAMETERS},
            },
            missing_files=tuple(
                name for name in _TRUST if (path := expanded[name]) and not Path(path).exists()
            ),
            service_settings=settings,
            queueing=queueing,
        )

    def expanded(self, *names: str) -> dict[str, str]:
        """The values of parameters as Postfix uses them, `$name` expanded."""
        directory = str(self.config_directory)
        return _parameters(run_postfix_command("postconf", "-c", directory, "-x", *names))

    def lookup(self, table: str, key: str) -> str | None:
        """Ask a table with postmap -q; None if it has no such key."""
        command = ["postmap", "-c", str(self.config_directory), "-q", key, table]
        result = _run(command)
        if result.returncode == 1 and not _errors(result):
            return None
        _raise_unless_done(command, result)
        return result.stdout.rstrip("\n")

    def lookup_all(self, table: str, keys: Iterable[str]) -> dict[str, str]:
        """Ask a table for many keys at once; keys that it does not have are left out."""
        command = ["postmap", "-c", str(self.config_directory), "-q", "-", table]
        result = _run(command, "".join(f"{key}\n" for key in keys))
        if result.returncode != 1 or _errors(result):
            _raise_unless_done(command, result)
        answers = (line.partition("\t") for line in result.stdout.splitlines())
        return {key: value for key, _, value in answers}

    def complaints_of(self, table: str, key: str) -> list[str]:
        """What Postfix complains about when it is asked a table, whatever the answer."""
        command = ["postmap", "-c", str(self.config_directory), "-q", key, table]
        return _run(command).stderr.splitlines()

    def entries(self, table: str) -> dict[str, str]:
        """All entries of a table that can be listed."""
        output = run_postfix_command("postmap", "-c", str(self.config_directory), "-s", table)
        pairs = (line.partition("\t") for line in output.splitlines())
        return {key: value for key, _, value in pairs}

    def service_names(self) -> set[str]:
        """The names of all services in master.cf."""
        output = run_postfix_command("postconf", "-c", str(self.config_directory), "-M")
        return {line.split(maxsplit=1)[0] for line in output.splitlines() if line.strip()}

    def is_running(self) -> bool:
        """Whether the instance's master(8) runs."""
        return _run(["postfix", "-c", str(self.config_directory), "status"]).returncode == 0

    def reload(self) -> None:
        """Have master(8) read the new configuration."""
        run_postfix_command("postfix", "-c", str(self.config_directory), "reload")


@contextmanager
def scratch_configuration(files: ConfigurationFiles) -> Iterator[Path]:
    """A folder with these main.cf and master.cf in it, inside one that only we can read."""
    with tempfile.TemporaryDirectory(prefix="postconnector-") as name:
        directory = Path(name, "etc")
        directory.mkdir()
        write_text(directory / "main.cf", files.main_cf)
        write_text(directory / "master.cf", files.master_cf)
        yield directory


def run_postfix_command(*command: str, standard_input: str = "") -> str:
    """Run a command of Postfix and return its standard output; PostfixError if it fails."""
    result = _run(command, standard_input)
    _raise_unless_done(command, result)
    return result.stdout


@contextmanager
def started_postfix_command(*command: str) -> Iterator[Callable[[], str]]:
    """The same, with something else to do until its end is waited for."""
    with _started(command) as process:

        def output() -> str:
            result = _result(command, process)
            _raise_unless_done(command, result)
            return result.stdout

        yield output


def warnings_of(*command: str) -> list[str]:
    """Run a command of Postfix for what it complains about on standard error."""
    result = _run(command)
    complaints = [line for line in result.stderr.splitlines() if line.strip()]
    if result.returncode != 0 and not complaints:
        complaints.append(f"{command[0]} ended with status {result.returncode}")
    return complaints


def read_text(path: Path) -> str:
    """A configuration file as text."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise PostfixError(f"{path}: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """Write back what read_text gave."""
    with named(path):
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    settle(path)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Have an OSError say which file it is about: a full disk does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def settle(path: Path) -> None:
    """Date a file that is whole a few seconds back.

    Postfix reads a file that is younger than two seconds again and again until it is older, in
    case somebody still writes it.
    """
    settled = time.time() - _SETTLED
    os.utime(path, (settled, settled))


@contextmanager
def _asked(
    directory: Path, questions: Iterable[Sequence[str]]
) -> Iterator[Callable[[], list[str]]]:
    """Have postconf(1) answer several questions beside each other."""
    with ExitStack() as enter:
        answers = [
            enter.enter_context(
                started_postfix_command("postconf", "-c", str(directory), *question)
            )
            for question in questions
        ]
        yield lambda: [answer() for answer in answers]


def _parameters(output: str) -> dict[str, str]:
    """What postconf(1) prints by name; of an empty value it prints no blank."""
    pairs = (line.partition(" =") for line in output.splitlines())
    return {name: value.strip() for name, separator, value in pairs if separator}


def _run(command: Sequence[str], standard_input: str = "") -> subprocess.CompletedProcess[str]:
    with _started(command) as process:
        return _result(command, process, standard_input)


@contextmanager
def _started(command: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """A command that runs; nothing that it has started goes on when we don't wait for it."""
    environment = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    environment["PATH"] = environment.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    try:
        process = subprocess.Popen(
            list(command),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            process_group=0,  # Ctrl-C is for us, not for a reload that is under way
        )
    except FileNotFoundError:
        raise PostfixError(f"{command[0]} is not installed; install Postfix") from None
    with process:
        try:
            yield process
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _result(
    command: Sequence[str], process: "subprocess.Popen[str]", standard_input: str = ""
) -> subprocess.CompletedProcess[str]:
    try:
        output = process.communicate(standard_input, _COMMAND_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise PostfixError(f"{command[0]} did not end in {_COMMAND_TIMEOUT:.0f} s") from None
    return subprocess.CompletedProcess(list(command), process.returncode, *output)


def _errors(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What a command says on standard error beside warnings, such as that there is no IPv6."""
    lines = (line.strip() for line in result.stderr.splitlines())
    return [line for line in lines if line and ": warning: " not in line]


def _raise_unless_done(command: Sequence[str], result: subprocess.CompletedProcess[str]) -> None:
    if result.returncode != 0:
        reason = result.stderr.strip() or f"status {result.returncode}"
        raise PostfixError(f"{' '.join(command)}: {reason}")
