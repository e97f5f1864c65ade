"""postconnector import: an export of Exchange to a connectors file."""

import argparse
import os
import sys
from pathlib import Path

from postconnector.cli.command import Command
from postconnector.cli.failure import CommandFailedError
from postconnector.cli.output import print_error, print_notes, print_problems
from postconnector.model.problem import Severity
from postconnector.sources.exported.formats import read_export
from postconnector.sources.exported.objects import UnreadableExportError
from postconnector.sources.exported.text import LARGEST_FILE
from postconnector.sources.importing.connectors import Imported, import_objects
from postconnector.sources.importing.report import Kind
from postconnector.sources.writing.files import create_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument(
        "export", type=Path, metavar="FILE", help="the export; - reads it from standard input"
    )
    parser.add_argument(
        "-o",
        dest="output",
        type=Path,
        metavar="CONNECTORS.TOML",
        help="write the connectors file here (must not exist yet); by default to standard output",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    data = _read(arguments.export)
    target = arguments.output or Path("connectors.toml")
    try:
        export = read_export(data)
    except UnreadableExportError as error:
        line = f":{error.line}" if error.line is not None else ""
        raise CommandFailedError(os.EX_DATAERR, f"{arguments.export}{line}: {error}") from None
    imported = import_objects(export.objects, f"{arguments.export.name} ({export.format})", target)
    _report(imported, export.format)
    if not imported.names:
        raise CommandFailedError(
            os.EX_DATAERR, f"{arguments.export}: there is no Send connector in this file"
        )
    if arguments.output is None:
        sys.stdout.write(imported.toml)
    else:
        _write(arguments.output, imported.toml)
    return os.EX_OK


def _read(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read(LARGEST_FILE + 1)
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        status = os.EX_NOPERM if isinstance(error, PermissionError) else os.EX_NOINPUT
        raise CommandFailedError(status, f"{path}: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    try:
        create_file(path, text)
    except FileExistsError:
        raise CommandFailedError(
            os.EX_CANTCREAT, f"{path} is there already; name another file, or move it away"
        ) from None
    except OSError as error:
        raise CommandFailedError(os.EX_CANTCREAT, f"{path}: {error.strerror}") from None


def _report(imported: Imported, name: str) -> None:
    count = len(imported.names)
    print_error(f"read {name}: {count} Send connector{'' if count == 1 else 's'}")
    for kind in Kind:
        print_notes(kind, [str(note) for note in imported.notes if note.kind is kind])
    errors = [p for p in imported.problems if p.severity is Severity.ERROR]
    if errors:
        print_error("check will refuse the file until you have seen to this:")
    print_problems(imported.problems)


COMMAND = Command(
    name="import",
    summary="make a connectors file of an export of Exchange",
    description="""
Reads what Exchange exported and writes a connectors file with comments. The format is found by
content: Export-Clixml (best: it is complete), ConvertTo-Json, Export-Csv, the text of
Format-List, New-SendConnector and Set-SendConnector commands as in scripts or the logs of the
Hybrid Configuration Wizard, and DSC declarations. Nothing in the file is run or deserialised.
""",
    details="""
In the Exchange Management Shell:
  Get-SendConnector | Export-Clixml connectors.xml

examples:
  postconnector import connectors.xml -o /etc/postconnector/connectors.toml
  postconnector import connectors.xml | less

The report on standard error says what was taken with a remark, what has no equal here and why,
and what needs you: passwords and private keys are never in an export. A value that can't be
read is written as it is, so that check refuses the file and names its line.

exit status:
  0   written
  65  this is no export, it is broken, or there is no Send connector in it
  66  there is no such file
  73  the connectors file can't be written, or is there already
  77  the export may not be read
""",
    add_arguments=add_arguments,
    run=run,
)
