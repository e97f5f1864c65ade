"""Taking everything of ours out of a Postfix host again.

main.cf goes first, so that no route names a service that is gone; then master.cf; then, when
Postfix has taken both, our folder with its tables, passwords and certificates. Killed in between,
it is finished by doing it again.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from postconnector.postfix.facts import OWN_DIRECTORY
from postconnector.postfix.generations import GENERATIONS, LIVE
from postconnector.postfix.host import ConfigurationFiles, PostfixError, PostfixHost
from postconnector.postfix.interruption import Interruption
from postconnector.postfix.lock import TryAgainError, publication_lock
from postconnector.postfix.marked_block import without_ours
from postconnector.postfix.replaced_file import ReplacedFile
from postconnector.postfix.service_names import PREFIX
from postconnector.postfix.staged_check import check_staged
from postconnector.postfix.stand_ins import STAND_IN_FOLDER
from postconnector.postfix.swap import forget_sockets
from postconnector.postfix.unfinished import UNFINISHED

_OURS = frozenset((LIVE, GENERATIONS, STAND_IN_FOLDER, UNFINISHED, "building", "lock"))
"""In our folder; some with an ending, while they are written."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to be removed: main.cf and master.cf as they are, and as they will be."""

    host: PostfixHost
    current: ConfigurationFiles
    wanted: ConfigurationFiles

    @classmethod
    def of(cls, host: PostfixHost) -> "Removal":
        """The removal of everything of ours from a host, as it is now."""
        current = host.read_files()
        main_cf, master_cf = without_ours(current.main_cf), without_ours(current.master_cf)
        return cls(host, current, ConfigurationFiles(main_cf, master_cf))

    @property
    def is_needed(self) -> bool:
        """Whether there is anything of ours."""
        folder = self.host.config_directory / OWN_DIRECTORY
        return self.current != self.wanted or (folder.is_dir() and bool(_of_ours(folder)))


def unpublish(removal: Removal, say: Callable[[str], None]) -> None:
    """Remove it. Raises CheckFailedError, TryAgainError, PostfixError or OSError.

    Then main.cf and master.cf are as before, and everything of ours is still in force; except where
    PostfixError says that only our folder could not be deleted.
    """
    host = removal.host
    folder = host.config_directory / OWN_DIRECTORY
    folder.mkdir(mode=0o755, exist_ok=True)
    with publication_lock(folder):
        if host.read_files() != removal.current:
            raise TryAgainError("main.cf or master.cf was changed meanwhile; try again")
        check_staged(removal.wanted, removal.current)
        say("Postfix has checked main.cf and master.cf without our part")
        with Interruption() as interruption:
            queue = host.expanded("queue_directory")["queue_directory"]
            _swap(removal, interruption.heed)
            left = _delete(folder, Path(queue), removal.wanted.master_cf)
    if left:
        say(f"left in {folder}, as it is not of apply: {', '.join(left)}")


def _of_ours(folder: Path) -> list[Path]:
    """Somebody may keep the connectors file there, or passwords."""
    return [path for path in folder.iterdir() if path.name.partition(".")[0] in _OURS]


def _delete(folder: Path, queue: Path, master_cf: str) -> list[str]:
    """Delete what is ours; return the names of what is not."""
    try:
        forget_sockets(queue / "private", master_cf)
        for sockets in ("private", "public"):
            forget_sockets(queue / sockets, master_cf, PREFIX)
        for path in _of_ours(folder):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if left := sorted(path.name for path in folder.iterdir()):
            return left
        folder.rmdir()
    except OSError as error:
        raise PostfixError(
            f"Postfix is without postconnector, but {folder} could not be deleted"
            f" ({error.strerror or error}): what is left of it is no longer used; delete it by hand"
        ) from None
    return []


def _swap(removal: Removal, heed: Callable[[], None]) -> None:
    host = removal.host
    now, then = removal.current, removal.wanted
    main_cf = ReplacedFile(host.config_directory / "main.cf")
    master_cf = ReplacedFile(host.config_directory / "master.cf")
    changing = []
    try:
        for file, before, after in (
            (main_cf, now.main_cf, then.main_cf),
            (master_cf, now.master_cf, then.master_cf),
        ):
            if before != after:
                file.stage(before, [after])
                changing.append(file)
        for file in changing:
            heed()
            file.advance()
            if host.is_running():
                host.reload()
        heed()
    except BaseException as error:
        _go_back(host, [file for file in changing if file.at], error)
        if isinstance(error, PostfixError):
            raise PostfixError(f"{error}; everything was put back as it was") from None
        raise
    finally:
        main_cf.forget()
        master_cf.forget()


def _go_back(host: PostfixHost, gone: Sequence[ReplacedFile], error: BaseException) -> None:
    try:
        for file in reversed(gone):
            file.go_back(0)
        if gone and host.is_running():
            host.reload()
    except (OSError, PostfixError) as failure:
        raise PostfixError(
            f"{error}; and not all could be put back: {failure}; postconnector status says what is"
            " in force"
        ) from None
