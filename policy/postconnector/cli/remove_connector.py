"""postconnector remove-connector: Remove-SendConnector for the connectors file."""

import argparse
import os

from postconnector.cli.command import Command
from postconnector.cli.editing import edit, file_to_edit, say_done
from postconnector.cli.parameters import in_our_spelling
from postconnector.sources.writing.edit import remove_connector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    name = parser.add_mutually_exclusive_group(required=True)
    name.add_argument("connector", nargs="?", metavar="NAME", help="the connector's name")
    name.add_argument("--identity", help=argparse.SUPPRESS)
    parser.add_argument(
        "--what-if", action="store_true", help="show what would be written, and write nothing"
    )
    for option in ("--force", "--confirm"):
        parser.add_argument(option, action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    file = file_to_edit(arguments.file)
    name = arguments.connector or arguments.identity
    edit(file, arguments, lambda text: remove_connector(text, name))
    say_done(f'removed connector "{name}"', arguments)
    return os.EX_OK


COMMAND = Command(
    name="remove-connector",
    summary="take a connector out of the connectors file",
    description="""
Takes a connector and the comment directly above it out of the connectors file; all else stays.
""",
    details="""
examples:
  postconnector remove-connector Fabrikam
  postconnector remove-connector -Identity Fabrikam --what-if

exit status:
  0   written
  75  somebody else changed the file meanwhile
  77  the file may not be written
  78  there is no such connector, or the file has errors; nothing was written
""",
    add_arguments=add_arguments,
    respell=in_our_spelling,
    run=run,
)
