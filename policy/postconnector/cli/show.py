"""postconnector list and show: the connectors as Get-SendConnector prints them."""

import argparse
import os

from postconnector.cli.command import Command
from postconnector.cli.connectors import read_file, valid_organization
from postconnector.cli.failure import configuration_error
from postconnector.cli.output import print_json, print_line, print_list, print_table
from postconnector.model.exchange_form import exchange_form
from postconnector.model.property_names import nearest


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line of list."""
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line of show."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="a connector's name")
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run_list(arguments: argparse.Namespace) -> int:
    """Run list."""
    organization = valid_organization(read_file(arguments.file))
    if arguments.json:
        print_json(
            [
                {
                    "Identity": connector.name,
                    "AddressSpaces": [str(space) for space in connector.address_spaces],
                    "Enabled": connector.enabled,
                }
                for connector in organization.connectors
            ]
        )
        return os.EX_OK
    print_table(
        ("Identity", "AddressSpaces", "Next hop", "MaxMessageSize", "Enabled"),
        [
            (
                connector.name,
                "{" + ", ".join(str(space) for space in connector.address_spaces) + "}",
                ", ".join(str(host) for host in connector.smart_hosts) or "DNS",
                str(connector.max_message_size).partition(" (")[0],
                str(connector.enabled),
            )
            for connector in organization.connectors
        ],
    )
    return os.EX_OK


def run_show(arguments: argparse.Namespace) -> int:
    """Run show."""
    organization = valid_organization(read_file(arguments.file))
    connectors = list(organization.connectors)
    if arguments.names:
        connectors = []
        for name in arguments.names:
            connector = organization.connector(name)
            if connector is None:
                guess = nearest(name, [c.name for c in organization.connectors])
                hint = f'; did you mean "{guess}"?' if guess else ""
                raise configuration_error(f'there is no connector "{name}"{hint}')
            connectors.append(connector)
    version = organization.settings.exchange_version
    shown = [exchange_form(connector, version) for connector in connectors]
    if arguments.json:
        print_json(shown)
        return os.EX_OK
    for number, properties in enumerate(shown):
        if number:
            print_line()
        print_list(properties)
    return os.EX_OK


LIST = Command(
    name="list",
    summary="list the connectors in a table",
    description="""
Prints a line for each connector: its name, address spaces, where its mail goes, its limit,
and whether it is enabled.
""",
    details="""
examples:
  postconnector list
  postconnector list --json | jq -r '.[] | select(.Enabled | not) | .Identity'

exit status:
  0   done
  78  the file has errors, or is not there
""",
    add_arguments=add_list_arguments,
    run=run_list,
)
SHOW = Command(
    name="show",
    summary="show all properties of connectors",
    description="""
Prints all properties of the named connectors, or of all, by Exchange's names, as
Get-SendConnector | Format-List does. Names are compared without regard to case.
""",
    details="""
examples:
  postconnector show
  postconnector show "Fabrikam, partner" --json

exit status:
  0   done
  78  there is no such connector, or the file has errors or is not there
""",
    add_arguments=add_show_arguments,
    run=run_show,
)
