"""Taking everything of ours out of a Postfix host again.

main.cf goes first, so that no route names a service that is gone; then master.cf; then, when
Postfix has taken both, our folder with its tables, passwords and certificates. Killed in between,
it is finished by doing it again.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from postconnector.postfix.configuration_files import without_ours
from postconnector.postfix.facts import OWN_DIRECTORY
from postconnector.postfix.host import ConfigurationFiles, PostfixHost
from postconnector.postfix.interruption import Interruption
from postconnector.postfix.lock import TryAgainError, publication_lock
from postconnector.postfix.replaced_file import ReplacedFile
from postconnector.postfix.staged_check import check_staged
from postconnector.postfix.swap import forget_sockets


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
        return self.current != self.wanted or folder.exists()


def unpublish(removal: Removal, say: Callable[[str], None]) -> None:
    """Remove it. Raises CheckFailedError, TryAgainError, PostfixError or OSError.

    Then main.cf and master.cf are as before, and everything of ours is still in force.
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
            _swap(removal, interruption.heed)
            queue = host.expanded("queue_directory")["queue_directory"]
            forget_sockets(Path(queue, "private"))
            shutil.rmtree(folder)


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
                file.stage([after])
                changing.append(file)
        for file in changing:
            heed()
            file.advance()
            if host.is_running():
                host.reload()
        heed()
    except BaseException:
        gone = [file for file in changing if file.at]
        for file in reversed(gone):
            file.go_back(0)
        if gone and host.is_running():
            host.reload()
        raise
    finally:
        main_cf.forget()
        master_cf.forget()
