"""What Postfix says of a main.cf and master.cf before they are its own."""

import re
from pathlib import Path

from postconnector.postfix.host import (
    ConfigurationFiles,
    scratch_configuration,
    settle,
    warnings_of,
)

_HARMLESS = re.compile(
    r"warning: /main\.cf"
    r"(: unused parameter: (?!postconnector_)|, line \d+: overriding earlier entry: )"
)
"""What comes and goes with our block, and changes nothing: we comment out the earlier entries of
what we set, and leave out a value that was the only one to name a parameter of the host's.
"""


class CheckFailedError(Exception):
    """Postfix complains about the staged configuration; nothing was changed."""


def check_staged(wanted: ConfigurationFiles, current: ConfigurationFiles) -> None:
    """Have Postfix check the wanted main.cf and master.cf in a folder beside; change nothing.

    Raises CheckFailedError for what it does not complain about in the current ones already.
    """
    complaints = _complaints(wanted)
    if complaints:
        known = set(_complaints(current))
        if new := [line for line in complaints if line not in known]:
            raise CheckFailedError("\n".join(new))


def _complaints(files: ConfigurationFiles) -> list[str]:
    """What Postfix says, each thing once, though every command of it says it again.

    With an empty queue: the real one may be large, and files come and go in it while Postfix looks.
    It stands beside the files, as Postfix wants all that stands among them to be root's.
    """
    with scratch_configuration(files) as folder:
        queue = folder.with_name("queue")
        queue.mkdir(mode=0o755)
        with (folder / "main.cf").open("a") as main_cf:
            main_cf.write(f"\nqueue_directory = {queue}\n")
        settle(folder / "main.cf")
        return _said_of(folder)


def _said_of(folder: Path) -> list[str]:
    directory, around = str(folder), str(folder.parent)
    commands = (
        ("postconf", "-c", directory, "-n"),
        ("postconf", "-c", directory, "-P"),
        ("postfix", "-c", directory, "check"),
    )
    complaints = (
        line.replace(directory, "").replace(around, "").partition(": ")[2]
        for command in commands
        for line in warnings_of(*command)
    )
    return [line for line in dict.fromkeys(complaints) if not _HARMLESS.match(line)]
