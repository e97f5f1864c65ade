"""What new, set and remove-connector share: the file before, the file after, and writing it."""

import argparse
import difflib
import os
from collections.abc import Callable
from pathlib import Path

from postconnector.cli.connectors import valid_organization
from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import print_diff, print_line
from postconnector.model.organization import Organization
from postconnector.sources.connectors_file import (
    ConnectorsFile,
    UnreadableFileError,
    parse_connectors,
    read_connectors_file,
)
from postconnector.sources.writing.edit import NoSuchConnectorError, UneditableFileError
from postconnector.sources.writing.files import create_file, replace_file


def file_to_edit(path: Path, *, may_be_missing: bool = False) -> ConnectorsFile:
    """Read a TOML file without errors. A missing one is empty, if it may be missing."""
    if may_be_missing and not path.exists():
        return ConnectorsFile(path, b"", Organization(), ())
    try:
        file = read_connectors_file(path)
    except UnreadableFileError as error:
        raise configuration_error(str(error)) from None
    if file.is_json:
        raise configuration_error(
            f"{path}: only TOML files can be edited; postconnector export --format toml makes one"
        )
    valid_organization(file)
    return file


def edit(
    file: ConnectorsFile, arguments: argparse.Namespace, change: Callable[[str], str]
) -> Organization:
    """Change the file's text, validate the result, and write it; with --what-if only show it.

    Returns the organization as it is then.
    """
    before = file.data.decode("utf-8")
    try:
        after = change(before)
    except NoSuchConnectorError as error:
        raise configuration_error(f'there is no connector "{error}"') from None
    except UneditableFileError as error:
        raise configuration_error(f"{file.path}: {error}") from None
    try:
        organization = valid_organization(parse_connectors(after.encode(), file.path))
    except UnicodeEncodeError:
        raise CommandFailedError(os.EX_USAGE, "what is to be written is not UTF-8") from None
    except CommandFailedError as error:
        raise configuration_error(f"{error}; nothing was written", error.problems) from None
    if arguments.what_if:
        lines = before.splitlines(), after.splitlines()
        print_diff(difflib.unified_diff(*lines, str(file.path), "as it would be", lineterm=""))
    else:
        _write(file, after)
    return organization


def _write(file: ConnectorsFile, text: str) -> None:
    try:
        if not file.path.exists():
            create_file(file.path, text)
        elif file.path.read_bytes() != file.data:
            raise CommandFailedError(
                os.EX_TEMPFAIL, f"{file.path} was changed by somebody else meanwhile; try again"
            )
        else:
            replace_file(file.path, text)
    except OSError as error:
        status = os.EX_NOPERM if isinstance(error, PermissionError) else os.EX_CANTCREAT
        raise CommandFailedError(status, f"{file.path}: {error.strerror}") from None


def say_done(text: str, arguments: argparse.Namespace) -> None:
    """What was done, and what comes next."""
    if not arguments.what_if:
        print_line(f"{text} in {arguments.file}; postconnector plan shows what it changes")
