"""postconnector test: try a connector's next hops, without sending mail."""

import argparse
import asyncio
import math
import os
from dataclasses import replace

from postconnector.cli import embedded
from postconnector.cli.command import Command
from postconnector.cli.connectors import read_file, valid_organization
from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import print_json
from postconnector.cli.trial_json import trial_json
from postconnector.cli.trial_output import print_trial
from postconnector.cli.trial_own_files import find_own_files
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.in_force import InForce
from postconnector.delivery.lmtp.command_error import CommandError
from postconnector.delivery.lmtp.paths import recipient_address, sender_address
from postconnector.delivery.trial.by_hand import OwnFiles
from postconnector.delivery.trial.trial import Trial
from postconnector.delivery.trial.verdict import Outcome
from postconnector.delivery.ways import CannotSendError
from postconnector.model.address_space import Specificity
from postconnector.model.domain import recipient_domain
from postconnector.model.organization import Organization
from postconnector.model.problem import quoted
from postconnector.model.property_names import nearest
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.local_routing import UnknownAddressError
from postconnector.selection.outcome import Selected

_TIMEOUT = 10.0
_LONGEST_TIMEOUT = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("name", metavar="NAME", help="the connector's name")
    parser.add_argument(
        "--to",
        metavar="ADDRESS",
        help="route by this recipient, and ask every next hop whether it takes mail for it",
    )
    parser.add_argument(
        "-f",
        dest="sender",
        metavar="SENDER",
        default="",
        help="the envelope sender to ask with; by default the null sender, <>",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=_TIMEOUT,
        metavar="SECONDS",
        help=f"for each step with a next hop (default: {_TIMEOUT:.0f})",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object with everything")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise argparse.ArgumentTypeError(f"write seconds, above 0, at most {_LONGEST_TIMEOUT:.0f}")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    file = read_file(arguments.file)
    organization = valid_organization(file)
    written = _connector_named(arguments.name, organization)
    in_force = embedded.in_force_of(arguments, file, _with(organization, written))
    connector = _carried_out(in_force, written.name)
    envelope = _envelope(arguments)
    trial = Trial(in_force, connector, _domain(connector, envelope), arguments.timeout)
    try:
        report = asyncio.run(trial.run(envelope))
    except CannotSendError as error:
        raise configuration_error(str(error)) from None
    notes = _notes(in_force, written, envelope)
    own = _own_files(arguments, in_force, connector)
    if arguments.json:
        print_json(trial_json(report, notes, own))
    else:
        print_trial(report, notes, own)
    delivered = report.verdict.outcome is Outcome.DELIVERED
    return os.EX_OK if delivered else os.EX_UNAVAILABLE


def _connector_named(name: str, organization: Organization) -> SendConnector:
    connector = organization.connector(name)
    if connector is None:
        guess = nearest(name, [c.name for c in organization.connectors])
        hint = f"; did you mean {quoted(guess)}?" if guess else ""
        raise configuration_error(f"there is no connector {quoted(name)}{hint}")
    return connector


def _with(organization: Organization, tried: SendConnector) -> Organization:
    """The same with this connector enabled: it can be tried before it is."""
    enabled = tried.model_copy(update={"enabled": True})
    connectors = tuple(enabled if each is tried else each for each in organization.connectors)
    return replace(organization, connectors=connectors)


def _carried_out(in_force: InForce, name: str) -> SendConnector:
    """The connector as this host carries it out."""
    local = in_force.local
    connector = local.organization.connector(name)
    if connector is None or not local.is_own(connector):
        servers = ", ".join(connector.source_transport_servers) if connector is not None else ""
        raise configuration_error(
            f"{quoted(name)} is carried out not by this host but by others"
            f" ({servers or 'those of another site'}): test it there"
        )
    try:
        return local.resolved(connector)
    except UnknownAddressError as error:
        raise configuration_error(str(error)) from None


def _envelope(arguments: argparse.Namespace) -> Envelope | None:
    """What every next hop is asked; None if there is no recipient."""
    try:
        sender = arguments.sender.removeprefix("<").removesuffix(">")
        sender = sender_address(sender)
        if arguments.to is None:
            return None
        recipient = EnvelopeRecipient(recipient_address(arguments.to))
    except CommandError as error:
        raise CommandFailedError(os.EX_USAGE, str(error)) from None
    is_ascii = sender.isascii() and recipient.address.isascii()
    return Envelope(sender, (recipient,), smtputf8=not is_ascii)


def _domain(connector: SendConnector, envelope: Envelope | None) -> str:
    """The domain that DNS is asked for; with smart hosts the agent has none."""
    if not connector.dns_routing_enabled:
        return ""
    if envelope is not None:
        domain = recipient_domain(envelope.recipients[0].address)
        if domain is None:
            raise CommandFailedError(os.EX_USAGE, "the address of --to has no domain")
        return domain
    for space in connector.address_spaces:
        if space.is_smtp and space.specificity is Specificity.EXACT:
            return space.domain
    spaces = ", ".join(space.address for space in connector.address_spaces[:3])
    raise CommandFailedError(
        os.EX_USAGE,
        f"{quoted(connector.name)} asks DNS for the domain of each recipient, and its address"
        f" spaces ({spaces}) name no single one; write --to ADDRESS, such as --to"
        " postmaster@fabrikam.com",
    )


def _notes(in_force: InForce, connector: SendConnector, envelope: Envelope | None) -> list[str]:
    """What else there is to know of mail by this connector."""
    notes = []
    local = in_force.local
    reason = local.agent_reason(connector)
    if reason is None:
        notes.append(
            "Postfix' own smtp(8) carries this connector out; it was tried by the delivery"
            " agent's client, which demands the same"
        )
    else:
        notes.append(f"the delivery agent carries this connector out: {reason}")
    if not connector.enabled:
        notes.append("the connector is not enabled: no mail takes it")
    elif envelope is not None:
        address = envelope.recipients[0].address
        outcome = local.table.select(address)
        taken = outcome.connector if isinstance(outcome, Selected) else None
        if taken is None or taken.name != connector.name:
            other = quoted(taken.name) if taken is not None else "no connector"
            notes.append(
                f"mail to {address} takes {other}, not {quoted(connector.name)};"
                " postconnector route --explain says why"
            )
    return notes


def _own_files(
    arguments: argparse.Namespace, in_force: InForce, connector: SendConnector
) -> OwnFiles | None:
    published = in_force.secrets.certificates.get(connector.name)
    if published is None or connector.ignore_starttls:
        return None
    folder = arguments.file.resolve().parent
    directory = folder / in_force.local.organization.host.certificate_directory
    return find_own_files(directory, published)


COMMAND = Command(
    name="test",
    summary="try a connector's next hops: DNS, TLS, certificates, login, limits",
    description="""
Opens a session with every next hop of a connector, as the delivery agent would, and ends it
without sending a message. For each it shows how DNS led there, what it offers before and after
TLS, its certificates and whether they meet the connector's demand, whether it asks for ours,
whether it takes our login, how large a message it takes, and a line for posttls-finger(1) that
does the same by hand. With --to it is asked for that recipient too (MAIL, RCPT, RSET; never DATA).

Hosts that were dead before are tried as well, and the connector need not be enabled. Passwords
and certificates are read where the connectors file names them. Where a certificate is not good
enough, a second session shows what is behind it: it verifies nothing, and logs in nowhere.
""",
    details="""
examples:
  postconnector test Fabrikam
  postconnector test Internet --to postmaster@fabrikam.com -f ann@contoso.com
  postconnector test Relay --json | jq '.next_hops[] | {target, takes_mail, failure}'
  postconnector test Relay --json | jq -r '.next_hops[].dialogue[]'

A connector that routes by DNS needs a domain: that of --to, or the first whole domain among its
address spaces.

exit status:
  0   mail would be delivered: going through the next hops as the agent does, one that is reached
      meets every demand (and takes the recipient of --to) before another refuses for good
  64  a domain has to be named by --to, or an address is none
  69  mail would wait or be refused; the last lines say why and what to do
  78  there is no such connector on this host, or its password, token or certificate can't be
      read, or the connectors file has errors or is not there
""",
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
