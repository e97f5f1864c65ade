"""postconnector new and set: New-SendConnector and Set-SendConnector for the connectors file."""

import argparse
import os
from collections.abc import Iterable
from typing import Any

from postconnector.cli.command import Command
from postconnector.cli.editing import edit, file_to_edit, say_done
from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.parameters import add_properties, in_our_spelling, properties_of
from postconnector.model.send_connector import SendConnector
from postconnector.sources.connectors_file import ConnectorsFile
from postconnector.sources.writing.canonical import connector_as_toml
from postconnector.sources.writing.edit import add_connector, change_connector


def add_new_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line of new."""
    parser.add_argument("connector", nargs="?", metavar="NAME", help="the new connector's name")
    add_properties(parser, switches=True)


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line of set."""
    parser.add_argument("connector", nargs="?", metavar="NAME", help="the connector's name")
    add_properties(parser, switches=False)


def run_new(arguments: argparse.Namespace) -> int:
    """Run new."""
    file = file_to_edit(arguments.file, may_be_missing=True)
    said = properties_of(arguments)
    properties = {name: value for name, value in said.items() if value is not None}
    name = properties["name"] = _name((arguments.connector, properties.get("name")))
    usage = _only_one("usage", (properties.get("usage"), *(arguments.usages or ())))
    if usage is not None:
        properties["usage"] = usage
    ordered = {
        field: properties[field] for field in SendConnector.model_fields if field in properties
    }
    edit(file, arguments, lambda text: add_connector(text, ordered))
    say_done(f'added connector "{name}"', arguments)
    return os.EX_OK


def run_set(arguments: argparse.Namespace) -> int:
    """Run set."""
    file = file_to_edit(arguments.file)
    identity = _name((arguments.connector, arguments.identity))
    changes = properties_of(arguments, _so_far(file, identity))
    if "usage" in changes:
        raise CommandFailedError(
            os.EX_USAGE, "Usage can only be said when a connector is created; edit the file"
        )
    if not changes:
        raise CommandFailedError(os.EX_USAGE, "name a property to change")
    edit(file, arguments, lambda text: change_connector(text, identity, changes))
    say_done(f'changed connector "{identity}"', arguments)
    return os.EX_OK


def _so_far(file: ConnectorsFile, name: str) -> dict[str, Any]:
    organization = file.organization
    connector = organization.connector(name) if organization is not None else None
    if organization is None or connector is None:
        raise configuration_error(f'there is no connector "{name}"')
    return connector_as_toml(connector, organization.settings)


def _only_one(what: str, said: Iterable[object]) -> str | None:
    """The one value among several ways to say it."""
    found = [str(value) for value in said if value is not None]
    if len(found) > 1:
        raise CommandFailedError(os.EX_USAGE, f"the {what} is said twice: {', '.join(found)}")
    return found[0] if found else None


def _name(said: Iterable[object]) -> str:
    name = _only_one("name", said)
    if name is None:
        raise CommandFailedError(os.EX_USAGE, "the connector's name is missing")
    return name


_DETAILS = """
exit status:
  0   written
  64  a property has no value, or is not one
  75  somebody else changed the file meanwhile
  77  the file may not be written
  78  {refused}; nothing was written
"""

NEW = Command(
    name="new",
    summary="add a connector to the connectors file",
    description="""
Adds a connector at the end of the connectors file, which is made if it is not there, and
checks the whole file before it is written. Comments and order of the file stay.
""",
    details="""
examples:
  postconnector new Internet --internet --address-spaces '*'
  postconnector new -Name Fabrikam -AddressSpaces fabrikam.com,'*.fabrikam.com;2' \\
      -RequireTLS true -TlsAuthLevel DomainValidation -TlsDomain mail.fabrikam.com
  postconnector new Relay --address-spaces '*' --dns-routing-enabled false \\
      --smart-hosts relay.contoso.com --port 587 \\
      --smart-host-auth-mechanism BasicAuthRequireTLS \\
      --authentication-credential contoso:secrets/relay
"""
    + _DETAILS.format(refused="the connector, or the file, is refused"),
    add_arguments=add_new_arguments,
    respell=in_our_spelling,
    run=run_new,
)
SET = Command(
    name="set",
    summary="change properties of a connector in the connectors file",
    description="""
Changes the named properties of a connector and checks the whole file before it is written.
Comments and order of the file stay.
""",
    details="""
examples:
  postconnector set Fabrikam --max-message-size '20 MB'
  postconnector set -Identity Relay -SmartHosts 10.0.0.1,10.0.0.2
  postconnector set Fabrikam --address-spaces '@{Add="fabrikam.net"; Remove="fabrikam.org"}'
  postconnector set Fabrikam -TlsDomain '$null' --what-if
"""
    + _DETAILS.format(refused="there is no such connector, or the change is refused"),
    add_arguments=add_set_arguments,
    respell=in_our_spelling,
    run=run_set,
)
