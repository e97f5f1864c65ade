"""postconnector route: which connector does a recipient take, and why?"""

import argparse
import json
import os
import re
import socket
import sys
from collections.abc import Iterable
from functools import partial

from postconnector.cli.command import Command
from postconnector.cli.connectors import read_file, valid_organization
from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import (
    print_error,
    print_json,
    print_json_line,
    print_line,
    print_table,
)
from postconnector.cli.route_answer import RouteAnswer, answer_for
from postconnector.model.imcea import ForeignAddress
from postconnector.model.organization import Organization
from postconnector.model.size import format_byte_quantity, parse_byte_quantity
from postconnector.postfix.local_routing import LocalRouting, path_of
from postconnector.selection.batch import BadRequestError, Batch
from postconnector.selection.message import Message, MessageType
from postconnector.selection.recipients import Recipient
from postconnector.selection.standpoint import UnknownServerError, local_server

_TYPED = re.compile(r"(?P<type>[A-Za-z0-9]+):(?P<address>[^:].*)", re.DOTALL)
_COLUMNS = ("recipient", "connector", "service", "next_hop", "path", "reason")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument(
        "recipients", nargs="*", metavar="RECIPIENT", help="an address or domain, or TYPE:ADDRESS"
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="SIZE",
        help="the size of the message, such as 12MB or 512 KB; a small one if not given",
    )
    parser.add_argument(
        "--original-size",
        type=_size,
        metavar="SIZE",
        help="its size when it entered the organization; the lower of both counts",
    )
    parser.add_argument(
        "--message-type",
        choices=[kind.value for kind in MessageType],
        default=MessageType.NORMAL.value,
        help="all but normal messages are exempt from size limits",
    )
    parser.add_argument(
        "--server",
        metavar="NAME",
        help="answer as this server of the organization; by default as this host",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="show every connector and where it dropped out, and the Postfix look-up",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument(
        "--batch",
        action="store_true",
        help="read requests from standard input, a JSON object a line; print an answer a line",
    )


def _size(text: str) -> int:
    try:
        return parse_byte_quantity(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if bool(arguments.recipients) == arguments.batch:
        raise CommandFailedError(os.EX_USAGE, "name recipients, or say --batch")
    organization = valid_organization(read_file(arguments.file))
    server = _standpoint(organization, arguments.server)
    if arguments.batch:
        return _run_batch(organization, server, sys.stdin)
    local = LocalRouting(organization, server)
    message = Message(arguments.size, arguments.original_size, MessageType(arguments.message_type))
    answers = [answer_for(local, _recipient(text), message) for text in arguments.recipients]
    if arguments.json:
        print_json([answer.as_json(with_verdicts=arguments.explain) for answer in answers])
    elif arguments.explain:
        for answer in answers:
            _print_explanation(answer)
    else:
        print_table(
            [column.replace("_", " ").capitalize() for column in _COLUMNS],
            [[str(getattr(answer, column) or "") for column in _COLUMNS] for answer in answers],
        )
    return os.EX_OK


def _recipient(text: str) -> Recipient:
    """An address, a domain, or an address of another type: `FAX:+1 425 555 0100`."""
    typed = _TYPED.fullmatch(text)
    if typed is not None and typed["type"].casefold() != "smtp":
        return ForeignAddress(typed["type"].upper(), typed["address"])
    address = typed["address"] if typed is not None else text
    return address if "@" in address else f"postmaster@{address}"


def _standpoint(organization: Organization, wanted: str | None) -> str | None:
    """The server that asks; None if there are none, or nobody knows which this host is."""
    if wanted is not None:
        server = organization.settings.server(wanted)
        if server is None:
            known = ", ".join(s.name for s in organization.settings.servers) or "none"
            raise configuration_error(f"there is no server {wanted}; known are {known}")
        return server.name
    try:
        return local_server(organization, socket.gethostname())
    except UnknownServerError as error:
        print_error(f"warning: {error}; until then every connector counts as this host's own")
        return None


def _run_batch(organization: Organization, server: str | None, lines: Iterable[str]) -> int:
    batch = Batch(organization, server, partial(path_of, organization.host))
    status = os.EX_OK
    for number, line in enumerate(lines, 1):
        try:
            print_json_line(batch.answer(json.loads(line)))
        except (ValueError, RecursionError) as error:
            text = str(error) if isinstance(error, BadRequestError) else "not JSON"
            print_error(f"standard input:{number}: error: {text}")
            print_json_line({"outcome": None, "error": text})
            status = os.EX_DATAERR
    return status


def _print_explanation(answer: RouteAnswer) -> None:
    print_line(f"{answer.recipient}: {answer.connector or answer.outcome}")
    for label, text in (
        ("Server", answer.server),
        ("Delivery", answer.delivery_type and f"{answer.delivery_type}, {answer.next_hop_domain}"),
        ("Service", answer.service),
        ("Next hop", answer.next_hop),
        ("Path", answer.path),
        ("Look-up", answer.lookup),
        ("Reason", answer.reason),
    ):
        if text:
            print_line(f"  {label + ':':<10}{text}")
    if answer.changes_above is not None:
        limit = format_byte_quantity(answer.changes_above)
        print_line(f"  {'Size:':<10}the answer changes above {limit}")
    if answer.verdicts:
        print_line()
        print_table(
            ("Connector", "Step", "Why"),
            [
                (("* " if v.selected else "  ") + v.connector.name, v.step, v.reason)
                for v in answer.verdicts
            ],
        )
    print_line()


COMMAND = Command(
    name="route",
    summary="say which connector each recipient takes, and why",
    description="""
Decides for each recipient by the connectors file, as the compiled tables and the policy
service do: connectors whose MaxMessageSize is below the message drop out; of those that are
enabled, in scope and match, the most precise address space wins, then the lowest cost of
address space and site links, then the nearest source server, then the name.

Asks no Postfix: mail for domains that the host delivers for itself (mydestination, virtual
domains) takes no connector, and mail for its relay domains none by the address space *.
""",
    details="""
examples:
  postconnector route bob@fabrikam.com ann@contoso.com
  postconnector route bob@fabrikam.com --size 12MB --server MBX01 --explain
  postconnector route bob@fabrikam.com --json | jq -r '.[].connector'
  postconnector route 'X400:c=US;a=Fabrikam;p=Contoso'
  postconnector route --batch < requests.jsonl > answers.jsonl

With --json each answer is an object with recipient, outcome (connector, ndr, unreachable or
accepted_domain), connector, code, delivery_type and next_hop_domain (Exchange's words), path
(native or agent), service, next_hop and lookup (Postfix' words), reason, and changes_above: the
largest size in bytes for which this is the answer. With --explain also connectors: each with
the step at which it dropped out and the reason.

A request of --batch has recipient (an address, or {"type": "X400", "address": "c=US;a=…"}),
and may have size, original_size, message_type and server. An answer has outcome, connector,
code, delivery_type, next_hop_domain and path; a line that is no request has error.

exit status:
  0   every recipient has its answer, whatever it is
  64  a size is none
  65  some line of --batch was no request; the others have their answers
  78  there is no such server, or the file has errors or is not there
""",
    add_arguments=add_arguments,
    run=run,
)
