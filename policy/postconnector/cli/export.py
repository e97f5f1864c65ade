"""postconnector export: the connectors as JSON, TOML or PowerShell commands."""

import argparse
import os
import sys

from postconnector.cli.command import Command
from postconnector.cli.connectors import read_file, valid_organization
from postconnector.cli.output import print_json
from postconnector.sources.writing.canonical import organization_as_json
from postconnector.sources.writing.powershell import organization_as_commands
from postconnector.sources.writing.toml_file import organization_as_toml

_TEXTS = {"toml": organization_as_toml, "powershell": organization_as_commands}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument(
        "--format",
        choices=["json", *_TEXTS],
        default="json",
        help="json and toml hold the whole file, organization included; powershell holds"
        " New-SendConnector commands (default: json)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    organization = valid_organization(read_file(arguments.file))
    if arguments.format == "json":
        print_json(organization_as_json(organization))
    else:
        sys.stdout.write(_TEXTS[arguments.format](organization))
    return os.EX_OK


COMMAND = Command(
    name="export",
    summary="print the connectors as JSON, TOML or New-SendConnector commands",
    description="""
Prints the whole connectors file in another form. What is printed as json or toml can be used in
place of the file (-c takes either); the commands recreate the connectors in Exchange.
""",
    details="""
examples:
  postconnector export --format json > connectors.json
  postconnector export --format powershell > connectors.ps1

Passwords are never printed: a credential is its user name and the path of the password file,
and in PowerShell a call of Get-Credential.

exit status:
  0   printed
  78  the file has errors, or is not there
""",
    add_arguments=add_arguments,
    run=run,
)
