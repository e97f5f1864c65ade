"""Publishing to a Postfix host: build beside, let Postfix check, swap, reload, verify.

Until the swap nothing of the running configuration is touched. The swap renames files into
place; what fails after it is put back. What a power cut in the middle of the three renames
leaves is a configuration whose mail waits; a mark says so, and the next apply finishes it.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from postconnector.postfix.compiled import Compiled
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.generations import ABOUT, GENERATIONS, About
from postconnector.postfix.host import (
    ConfigurationFiles,
    PostfixError,
    PostfixHost,
    run_postfix_command,
    scratch_configuration,
    settle,
    warnings_of,
)
from postconnector.postfix.rendered import GenerationFile, Rendered
from postconnector.postfix.replaced_file import ReplacedFile
from postconnector.postfix.tables import TRANSPORT_TABLE
from postconnector.selection.routing_table import RoutingTable
from postconnector.sources.writing.files import sync

Say = Callable[[str], None]
_KEPT_GENERATIONS = 10
_RELOAD_TIMEOUT = 30.0


class CheckFailedError(Exception):
    """Postfix complains about the staged configuration; nothing was changed."""


class TryAgainError(Exception):
    """Another apply is at work, or somebody changed main.cf or master.cf since we read them."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to be published, and where; `table` selects as the host will."""

    host: PostfixHost
    facts: PostfixFacts
    compiled: Compiled
    rendered: Rendered
    current: ConfigurationFiles
    table: RoutingTable


def publish(publication: Publication, about: About, say: Say) -> int:
    """Publish; return the number of the new generation, which `about` is kept with.

    Raises CheckFailedError, TryAgainError, PostfixError or OSError; the host is then as before.
    """
    facts = publication.facts
    _make_directory(facts.own_directory, 0o755)
    with publication_lock(facts.own_directory):
        if publication.host.read_files() != publication.current:
            raise TryAgainError("main.cf or master.cf was changed meanwhile; try again")
        check_staged(publication.rendered.configuration, publication.current)
        say("Postfix has checked main.cf and master.cf")
        generation = _build_generation(publication, about)
        say(f"built generation {generation.name} and its tables")
        swap = _Swap(publication, generation)
        _unfinished_mark(facts).touch()
        try:
            swap.do()
            _have_postfix_take_it(publication, say)
            _verify(publication)
        except BaseException:
            swap.undo()
            _unfinished_mark(facts).unlink()
            raise
        swap.keep()
        _unfinished_mark(facts).unlink()
        say("every address space is answered by its connector")
        _forget_old_generations(facts)
        return int(generation.name)


def _have_postfix_take_it(publication: Publication, say: Say) -> None:
    if not publication.host.is_running():
        say("Postfix is not running; it takes the connectors when it starts")
        return
    publication.host.reload()
    _wait_for_services(publication)
    say("Postfix has reloaded")


def is_unfinished(facts: PostfixFacts) -> bool:
    """Whether an earlier publish was killed between the swap and the end."""
    return _unfinished_mark(facts).exists()


def _unfinished_mark(facts: PostfixFacts) -> Path:
    return facts.own_directory / "unfinished"


def check_staged(wanted: ConfigurationFiles, current: ConfigurationFiles) -> None:
    """Have Postfix check the wanted main.cf and master.cf in a folder beside; change nothing.

    Raises CheckFailedError for what it does not complain about in the current ones already.
    """
    with scratch_configuration(wanted) as folder:
        complaints = _complaints(folder)
    if complaints:
        with scratch_configuration(current) as folder:
            known = set(_complaints(folder))
        if new := [line for line in complaints if line not in known]:
            raise CheckFailedError("\n".join(new))


def _complaints(folder: Path) -> list[str]:
    directory = str(folder)
    commands = (
        ("postconf", "-c", directory, "-n"),
        ("postconf", "-c", directory, "-P"),
        ("postfix", "-c", directory, "check"),
    )
    return [
        line.replace(directory, "").partition(": ")[2]
        for command in commands
        for line in warnings_of(*command)
    ]


def _build_generation(publication: Publication, about: About) -> Path:
    generations = publication.facts.own_directory / GENERATIONS
    _make_directory(generations, 0o755)
    last = max((int(p.name) for p in generations.iterdir() if p.name.isdigit()), default=0)
    building = generations / f"building-{os.getpid()}"
    shutil.rmtree(building, ignore_errors=True)
    _make_directory(building, 0o755)
    try:
        for name, file in publication.rendered.files.items():
            _write_file(building / name, file)
            if file.is_table:
                _build_table(publication.facts, building / name)
        _write_file(building / ABOUT, GenerationFile(about.data()))
        for path in building.rglob("*"):
            sync(path)
        generation = generations / f"{last + 1:06d}"
        building.rename(generation)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    sync(generations)
    return generation


def _write_file(path: Path, file: GenerationFile) -> None:
    if not path.parent.exists():
        _make_directory(path.parent, 0o700)
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if file.secret else 0o644
    )
    with open(descriptor, "wb") as target:  # noqa: PTH123 (pathlib opens no descriptors)
        os.fchmod(target.fileno(), 0o600 if file.secret else 0o644)
        target.write(file.data)


def _make_directory(path: Path, mode: int) -> None:
    """Make a folder with these access rights, whatever the umask is."""
    path.mkdir(exist_ok=True)
    path.chmod(mode)


def _build_table(facts: PostfixFacts, source: Path) -> None:
    """postmap(1) gives the table the access rights of its source."""
    settle(source)
    table = f"{facts.map_type}:{source}"
    run_postfix_command("postmap", "-c", str(facts.config_directory), table)


class _Swap:
    """The three renames that make a generation live, and their undoing.

    master.cf comes first. Between the steps a new route may name a service that master(8) does
    not run yet: its mail waits. Never the other way round, where mail would go by a connector it
    should not take.
    """

    def __init__(self, publication: Publication, generation: Path) -> None:
        self._facts = publication.facts
        self._host = publication.host
        self._wanted = publication.rendered.configuration
        self._generation = generation
        self._previous = _live_target(self._facts)
        self._master_cf = ReplacedFile(self._facts.config_directory / "master.cf")
        self._main_cf = ReplacedFile(self._facts.config_directory / "main.cf")

    def do(self) -> None:
        self._master_cf.stage(self._wanted.master_cf)
        self._main_cf.stage(self._wanted.main_cf)
        self._master_cf.swap()
        _point_live_to(self._facts, self._generation)
        self._main_cf.swap()

    def undo(self) -> None:
        self._main_cf.put_back()
        self._master_cf.put_back()
        if self._previous is None:
            self._facts.live_directory.unlink(missing_ok=True)
        else:
            _point_live_to(self._facts, self._previous)
        if self._host.is_running():
            self._host.reload()
        shutil.rmtree(self._generation, ignore_errors=True)

    def keep(self) -> None:
        self._master_cf.forget()
        self._main_cf.forget()


def _point_live_to(facts: PostfixFacts, generation: Path) -> None:
    link = facts.own_directory / "live.new"
    link.unlink(missing_ok=True)
    link.symlink_to(generation.relative_to(facts.own_directory))
    link.rename(facts.live_directory)
    sync(facts.own_directory)


def _live_target(facts: PostfixFacts) -> Path | None:
    if not facts.live_directory.is_symlink():
        return None
    return facts.own_directory / facts.live_directory.readlink()


def _wait_for_services(publication: Publication) -> None:
    """master(8) has taken the new master.cf when every service of ours has its socket."""
    private = publication.facts.queue_directory / "private"
    missing = [service.name for service in publication.compiled.services]
    deadline = time.monotonic() + _RELOAD_TIMEOUT
    while missing := [name for name in missing if not (private / name).exists()]:
        if time.monotonic() > deadline:
            raise PostfixError(f"Postfix did not start the services {', '.join(missing)}")
        time.sleep(0.02)


def _verify(publication: Publication) -> None:
    """Ask the live table as Postfix will, and compare with what was compiled."""
    table = next(t for t in publication.compiled.tables if t.name == TRANSPORT_TABLE)
    entries = dict(table.entries)
    found = publication.host.lookup_all(publication.facts.table(TRANSPORT_TABLE), entries)
    for key, value in entries.items():
        if found.get(key) != value:
            raise PostfixError(f"the live table has {found.get(key)!r} for {key}, not {value!r}")


def _forget_old_generations(facts: PostfixFacts) -> None:
    generations = facts.own_directory / GENERATIONS
    numbered = sorted(p for p in generations.iterdir() if p.name.isdigit())
    for old in numbered[:-_KEPT_GENERATIONS]:
        if old != _live_target(facts):
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def publication_lock(directory: Path) -> Iterator[None]:
    """Only one at a time changes what is published; raises TryAgainError for another."""
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TryAgainError(
                "another postconnector apply or remove is at work; try again later"
            ) from None
        yield
