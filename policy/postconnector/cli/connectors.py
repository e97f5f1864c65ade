"""Reading the connectors file for a command."""

import os
from pathlib import Path

from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import print_problems
from postconnector.model.organization import Organization
from postconnector.model.problem import Severity
from postconnector.sources.connectors_file import (
    ConnectorsFile,
    UnreadableFileError,
    read_connectors_file,
)


def read_file(path: Path) -> ConnectorsFile:
    """Read a connectors file, whatever may be wrong in it."""
    try:
        return read_connectors_file(path)
    except UnreadableFileError as error:
        if not path.exists():
            make_one = "make one by postconnector new or import, or name another by -c"
            raise CommandFailedError(os.EX_CONFIG, f"{error}; {make_one}") from None
        denied = not os.access(path, os.R_OK)
        raise CommandFailedError(os.EX_NOPERM if denied else os.EX_CONFIG, str(error)) from None


def valid_organization(file: ConnectorsFile) -> Organization:
    """The organization of a file without errors; its warnings are shown."""
    if file.organization is None:
        errors = sum(problem.severity is Severity.ERROR for problem in file.problems)
        noun = "error" if errors == 1 else "errors"
        raise configuration_error(f"{file.path}: {errors} {noun}", file.problems)
    print_problems(file.problems)
    return file.organization
