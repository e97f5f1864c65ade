"""Writing the folders that Postfix reads our tables from, and taking old ones away."""

import grp
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from postconnector.postfix.built_table import (
    build_table,
    built_fingerprint,
    change_table,
)
from postconnector.postfix.facts import OWN_USER, PostfixFacts
from postconnector.postfix.generations import (
    ABOUT,
    BUILT_SUFFIXES,
    GENERATIONS,
    LIVE,
    REGISTER,
    About,
    is_generation,
    live_folder,
)
from postconnector.postfix.host import PostfixError, named
from postconnector.postfix.register import Register
from postconnector.postfix.rendered import GenerationFile
from postconnector.postfix.unfinished import UNFINISHED
from postconnector.sources.writing.files import sync

_KEPT_GENERATIONS = 10
_BUILDING = "building"
_TABLES_AT_ONCE = 4


def next_number(facts: PostfixFacts) -> int:
    """The number of the generation that comes next."""
    return max((int(path.name) for path in _numbered(facts)), default=0) + 1


def generation_folder(facts: PostfixFacts, number: int) -> Path:
    """Where a generation stands."""
    return facts.own_directory / GENERATIONS / f"{number:06d}"


def build_folder(
    facts: PostfixFacts,
    folder: Path,
    files: Mapping[str, GenerationFile],
    about: About,
    register: Callable[[], Register | None] = lambda: None,
    live: Path | None = None,
) -> None:
    """Write files and build tables, as a folder that is there whole or not at all.

    `register`: what is to be noted of them, made while tables are built. `live`: the folder that is
    in force. Raises OSError or PostfixError.
    """
    make_directory(folder.parent, 0o755)
    building = folder.with_name(_BUILDING)
    shutil.rmtree(building, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    make_directory(building, 0o755)
    try:
        with ExitStack() as enter:
            under_way: deque[Callable[[], object]] = deque()
            for name, file in files.items():
                source = building / name
                _write_file(source, file)
                if not file.is_table or (live and change_table(facts, source, file, live / name)):
                    continue
                if len(under_way) == _TABLES_AT_ONCE:
                    under_way.popleft()()
                under_way.append(enter.enter_context(build_table(facts, source)))
            noted = register()
            for built in under_way:
                built()
        _write_file(building / ABOUT, GenerationFile(about.data()))
        if noted is not None:
            noted = noted.with_built(_built_fingerprints(facts, building, files))
            _write_file(building / REGISTER, GenerationFile(noted.data(), secret=True))
        for path in building.rglob("*"):
            sync(path)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    sync(folder.parent)


def make_directory(path: Path, mode: int) -> None:
    """Make a folder with these access rights, whatever the umask is."""
    path.mkdir(exist_ok=True)
    path.chmod(mode)


def require_names(own_directory: Path) -> None:
    """Raise PostfixError if a folder stands where we need a link or a file.

    A copy that does not know of symbolic links makes one of `live`.
    """
    for name in (LIVE, f"{LIVE}.new", f"{LIVE}.kept", UNFINISHED):
        path = own_directory / name
        if path.is_dir() and not path.is_symlink():
            raise PostfixError(f"{path} is a folder, and apply needs the name: move it away")


def built_tables(folder: Path) -> Iterator[Path]:
    """What postmap(1) made in a generation."""
    for path in folder.rglob("*"):
        if path.suffix in BUILT_SUFFIXES.values():
            yield path


def forget_old_generations(facts: PostfixFacts) -> None:
    """Keep the last ten, and the live one."""
    live = live_folder(facts.own_directory)
    for old in sorted(_numbered(facts))[:-_KEPT_GENERATIONS]:
        if live is None or old.name != live.name:
            shutil.rmtree(old, ignore_errors=True)


def _numbered(facts: PostfixFacts) -> list[Path]:
    generations = facts.own_directory / GENERATIONS
    if not generations.is_dir():
        return []
    return [path for path in generations.iterdir() if is_generation(path.name)]


def _write_file(path: Path, file: GenerationFile) -> None:
    if not path.parent.exists():
        make_directory(path.parent, 0o700 if file.secret else 0o755)
        if file.for_agent:
            os.chown(path.parent, 0, agent_group())
            path.parent.chmod(0o750)
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if file.secret else 0o644
    )
    with named(path), open(descriptor, "wb") as target:  # noqa: PTH123 (pathlib opens no descriptors)
        os.fchmod(target.fileno(), 0o600 if file.secret else 0o644)
        if file.for_agent:
            os.fchown(target.fileno(), 0, agent_group())
            os.fchmod(target.fileno(), 0o640)
        target.write(file.data)


def agent_group() -> int:
    """The group that the delivery agent runs as. Raises PostfixError if there is none."""
    try:
        return grp.getgrnam(OWN_USER).gr_gid
    except KeyError:
        raise PostfixError(
            f"there is no group {OWN_USER}, which the delivery agent reads its passwords and"
            " certificates as; install contrib/postfix/sysusers.conf and run systemd-sysusers"
        ) from None


def _built_fingerprints(
    facts: PostfixFacts, folder: Path, files: Mapping[str, GenerationFile]
) -> dict[str, str]:
    built = {
        name: built_fingerprint(facts, folder / name)
        for name, file in files.items()
        if file.is_table
    }
    return {name: known for name, known in built.items() if known is not None}
