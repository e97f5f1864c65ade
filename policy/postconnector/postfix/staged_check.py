"""What Postfix says of a main.cf and master.cf before they are its own."""

from pathlib import Path

from postconnector.postfix.host import ConfigurationFiles, scratch_configuration, warnings_of


class CheckFailedError(Exception):
    """Postfix complains about the staged configuration; nothing was changed."""


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
