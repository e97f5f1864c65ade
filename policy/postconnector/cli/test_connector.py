"""postconnector test: look at the next hops of a connector, without sending mail."""

import argparse
import asyncio
import os

from postconnector.cli import embedded
from postconnector.cli.command import Command
from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.inspection_output import Tested, print_as_json, print_for_people
from postconnector.cli.output import print_error
from postconnector.delivery.hosts.own_host import OwnHost
from postconnector.delivery.in_force import InForce
from postconnector.delivery.inspection import Inspection, Inspector
from postconnector.delivery.lmtp.command_error import CommandError
from postconnector.delivery.lmtp.paths import recipient_address, sender_address
from postconnector.delivery.machinery import Machinery
from postconnector.delivery.ways import CannotSendError
from postconnector.enforcement.tls_requirement import requirement_to
from postconnector.model.address_space import Specificity
from postconnector.model.domain import recipient_domain
from postconnector.model.problem import quoted
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.local_routing import UnknownAddressError
from postconnector.selection.outcome import Selected

_TIMEOUT = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("name", metavar="NAME", help="the connector")
    parser.add_argument(
        "--to", metavar="ADDRESS", help="ask each next hop whether it takes this recipient, too"
    )
    parser.add_argument(
        "-f", dest="sender", default="", metavar="SENDER", help="as whom (default: <>)"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT,
        metavar="SECONDS",
        help=f"for each step of a session (default: {_TIMEOUT:.0f})",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    in_force = embedded.in_force(arguments)
    connector = _connector(in_force, arguments.name)
    sender, recipient = _addresses(arguments)
    domain = _domain(connector, recipient)
    if recipient is not None:
        _warn_of_other_route(in_force, connector, recipient)
    try:
        inspections = asyncio.run(
            _inspect(in_force, connector, domain, sender, recipient, arguments.timeout)
        )
    except CannotSendError as error:
        raise CommandFailedError(os.EX_CONFIG, str(error)) from None
    requirement = requirement_to(domain, connector, in_force.local.settings)
    tested = Tested(connector, domain, requirement, in_force.contexts.trust, inspections)
    if arguments.json:
        print_as_json(tested)
    else:
        print_for_people(tested)
    return os.EX_OK if tested.would_be_delivered else os.EX_UNAVAILABLE


async def _inspect(
    in_force: InForce,
    connector: SendConnector,
    domain: str,
    sender: str,
    recipient: str | None,
    seconds: float,
) -> list[Inspection]:
    machinery = Machinery(OwnHost(frozenset({in_force.hostname.lower()})))
    inspector = Inspector(in_force, machinery.ways, connector, seconds)
    return [each async for each in inspector.inspect(domain, sender, recipient)]


def _connector(in_force: InForce, name: str) -> SendConnector:
    connector = in_force.local.organization.connector(name)
    if connector is None:
        raise CommandFailedError(os.EX_USAGE, f"there is no connector {quoted(name)}")
    if not in_force.local.is_own(connector):
        why = "it is not enabled" if not connector.enabled else "its source servers are others"
        raise CommandFailedError(
            os.EX_USAGE, f"this host does not carry out {quoted(connector.name)}: {why}"
        )
    try:
        return in_force.local.resolved(connector)
    except UnknownAddressError as error:
        raise configuration_error(str(error)) from None


def _addresses(arguments: argparse.Namespace) -> tuple[str, str | None]:
    try:
        sender = sender_address(arguments.sender.strip("<>"), smtputf8=True)
        to = arguments.to
        return sender, recipient_address(to, smtputf8=True) if to is not None else None
    except CommandError as error:
        raise CommandFailedError(os.EX_USAGE, str(error)) from None


def _domain(connector: SendConnector, recipient: str | None) -> str:
    """Where mail by DNS routing would go to; a connector with smart hosts needs none."""
    if not connector.dns_routing_enabled:
        return ""
    if recipient is not None:
        return recipient_domain(recipient) or ""
    for space in connector.address_spaces:
        if space.is_smtp and space.specificity in (Specificity.EXACT, Specificity.WILDCARD):
            return space.domain
    raise CommandFailedError(
        os.EX_USAGE,
        f"{quoted(connector.name)} routes by DNS and names no domain: say --to ADDRESS",
    )


def _warn_of_other_route(in_force: InForce, connector: SendConnector, recipient: str) -> None:
    outcome = in_force.local.table.select(recipient)
    if not isinstance(outcome, Selected) or outcome.connector.name != connector.name:
        taken = quoted(outcome.connector.name) if isinstance(outcome, Selected) else "no connector"
        print_error(f"warning: {recipient} takes {taken}; postconnector route says why")


COMMAND = Command(
    name="test",
    summary="look at the next hops of a connector: DNS, TLS, certificate, login, size",
    description="""
Opens a session to every next hop of a connector, as the delivery agent would, and ends it again
without sending mail. Shows how it was found, what it offers before and after TLS, version and
cipher, its certificate, whether it meets what the connector demands and, if not, why; whether our
login is accepted; and how its SIZE compares with MaxMessageSize. With --to it is also asked
whether it takes a recipient. "By hand" is the same for posttls-finger(1).

Where a certificate is not good enough, it is looked at in a second session that verifies
nothing. Whether a next hop asks for our certificate can't be seen; it is shown if it does.
""",
    details="""
examples:
  postconnector test Fabrikam
  postconnector test Internet --to bob@fabrikam.com
  postconnector test Relay --json | jq '.next_hops[] | {target, takes_mail, failure}'

exit status:
  0   mail would be delivered: at least one next hop meets every demand (and takes the recipient)
  64  there is no such connector here, or the domain has to be said (--to)
  69  no next hop would take mail now
  78  the connectors file has errors, or the connector's password or certificate is missing
""",
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
