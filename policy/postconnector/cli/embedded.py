"""What deliveries without Postfix go by: the connectors file itself, and what it names."""

import argparse

from postconnector.cli.connectors import read_file, valid_organization
from postconnector.cli.failure import configuration_error
from postconnector.cli.output import print_problems
from postconnector.delivery.in_force import InForce
from postconnector.delivery.protocol_log import ProtocolLog
from postconnector.delivery.secrets import Secrets
from postconnector.delivery.surroundings import Surroundings
from postconnector.model.organization import Organization
from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.inputs import read_inputs
from postconnector.postfix.local_routing import LocalRouting
from postconnector.selection.standpoint import UnknownServerError
from postconnector.sources.connectors_file import ConnectorsFile


def in_force(arguments: argparse.Namespace) -> InForce:
    """The connectors of the file, with passwords and certificates where it names them.

    What is missing of these is said, and keeps only the mail of its connectors. Where a Postfix
    is configured, its host name and what it trusts count. Raises CommandFailedError.
    """
    file = read_file(arguments.file)
    return in_force_of(arguments, file, valid_organization(file))


def in_force_of(
    arguments: argparse.Namespace, file: ConnectorsFile, organization: Organization
) -> InForce:
    """The same of an organization that the file makes. Raises CommandFailedError."""
    surroundings = Surroundings.of(_postfix(arguments))
    try:
        local = LocalRouting.on_host(organization, surroundings.hostname)
    except UnknownServerError as error:
        raise configuration_error(f"{file.path}: {error}") from None
    inputs = read_inputs(local, file.path.resolve().parent)
    print_problems(file.located(inputs.problems))
    secrets = Secrets(inputs.passwords, inputs.certificates.chains)
    log = ProtocolLog.at(organization.host.send_protocol_log_path)
    return InForce.on(surroundings, local, secrets, log)


def _postfix(arguments: argparse.Namespace) -> PostfixHost | None:
    try:
        return PostfixHost.at(arguments.config_directory)
    except PostfixError:
        return None
