"""How a command ends when it can't do its work."""

import os
from collections.abc import Sequence

from postconnector.model.problem import Problem


class CommandFailedError(Exception):
    """Ends the command with a sysexits status, one message, and problems of a file if any."""

    def __init__(self, status: int, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.problems = tuple(problems)


def configuration_error(message: str, problems: Sequence[Problem] = ()) -> CommandFailedError:
    """What the administrator wrote is wrong (78)."""
    return CommandFailedError(os.EX_CONFIG, message, problems)
