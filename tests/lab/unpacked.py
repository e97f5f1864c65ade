"""Servers of Debian packages that are unpacked but not installed, since Postfix is.

contrib/setup.sh unpacks them. Compiled into them are users that the machine lacks and folders that
are not theirs, so each runs in a mount namespace of its own: there /etc/passwd has these users, and
folders of the test lie over the machine's. Outside nothing changes, and nothing is left.
"""

import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.child import Child
from tests.lab.loopback import wait_until

PEERS = Path(__file__).parents[2] / ".venv" / "peers"

# Takes bind mounts as pairs of source and target, and after a lone -- the command.
_MOUNT_AND_RUN = """
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
shift
exec "$@"
"""


def is_unpacked(package: str) -> bool:
    """Whether contrib/setup.sh has unpacked this package."""
    return (PEERS / package).is_dir()


class UnpackedProgram:
    """The files of a package, copied into the folder `directory`, and the world they run in.

    `users`: user numbers by name; each has a group of the same name and number. Numbers of 65000
    to 65533 are good: Debian keeps them free.
    """

    def __init__(self, package: str, directory: Path, users: Mapping[str, int]) -> None:
        # Copied, for a mount could hide the source tree.
        self.tree = directory / "package"
        shutil.copytree(PEERS / package, self.tree, symlinks=True)
        self._mounts: list[tuple[Path, str]] = []
        lines = {
            "passwd": [f"{name}:x:{n}:{n}::/nonexistent:/bin/sh\n" for name, n in users.items()],
            "group": [f"{name}:x:{n}:\n" for name, n in users.items()],
        }
        for name, added in lines.items():
            database = directory / name
            database.write_text(Path("/etc", name).read_text() + "".join(added))
            self.mount(database, f"/etc/{name}")

    def mount(self, source: Path, target: str) -> None:
        """Lay a file or folder over one that the machine has."""
        self._mounts.append((source, target))

    def command(self, program: str, *arguments: str) -> Sequence[str]:
        """The command that runs a program of the package, such as usr/sbin/exim4."""
        mounts = [str(end) for mount in self._mounts for end in mount]
        return [
            *("unshare", "--mount", "/bin/sh", "-ec", _MOUNT_AND_RUN, "unpacked", *mounts, "--"),
            *(str(self.tree / program), *arguments),
        ]


def wait_until_up(daemon: Child, console: Path, address: str, port: int) -> None:
    """Wait until it listens; OSError with what it printed if it ends instead."""

    def up() -> bool | None:
        if daemon.poll() is not None:
            raise OSError(f"it ended at once: {console.read_text(errors='replace')}")
        try:
            socket.create_connection((address, port), timeout=1.0).close()
        except OSError:
            return None
        return True

    wait_until(up, f"a server at {address}:{port}")
