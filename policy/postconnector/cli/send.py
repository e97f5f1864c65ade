"""postconnector send: deliver one message by the connectors, without Postfix."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from postconnector.cli import daemon, embedded
from postconnector.cli.command import Command
from postconnector.cli.failure import CommandFailedError
from postconnector.cli.output import print_json, print_table
from postconnector.delivery.answer import Answer
from postconnector.delivery.delivery_log import status_of
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.hosts.own_host import OwnHost
from postconnector.delivery.in_force import InForce
from postconnector.delivery.lmtp.command_error import CommandError
from postconnector.delivery.lmtp.paths import recipient_address, sender_address
from postconnector.delivery.machinery import Machinery
from postconnector.delivery.spool import Spool, SpooledMessage
from postconnector.enforcement.rule import NamedRule

_READ_SIZE = 64 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument(
        "-f",
        dest="sender",
        metavar="SENDER",
        required=True,
        help="the envelope sender, who hears of failures; '' or '<>' for the null sender",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.add_argument("recipients", nargs="+", metavar="RECIPIENT")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    rules = daemon.rules()
    in_force = embedded.in_force(arguments)
    content = SpooledMessage(Spool(Path(tempfile.gettempdir())))
    try:
        for piece in with_smtp_line_ends(_read(sys.stdin.buffer)):
            content.write(piece)
        envelope = _envelope(arguments, content)
        answers = asyncio.run(_deliver(in_force, rules, envelope, content))
    finally:
        content.close()
    _print(arguments, envelope, answers)
    return _exit_status(answers)


async def _deliver(
    in_force: InForce,
    rules: Sequence[NamedRule],
    envelope: Envelope,
    content: SpooledMessage,
) -> list[Answer]:
    async def current() -> InForce:
        return in_force

    machinery = Machinery(OwnHost(frozenset({in_force.hostname.lower()})))
    try:
        return await machinery.agent(current, rules).deliver(envelope, content)
    finally:
        machinery.pool.close()


def with_smtp_line_ends(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same with CRLF for LF; a CR or NUL that nobody can pass on becomes a blank."""
    held = b""
    for piece in pieces:
        data = held + piece
        held = b"\r" if data.endswith(b"\r") else b""
        data = data.removesuffix(held).replace(b"\r\n", b"\n")
        data = data.replace(b"\r", b" ").replace(b"\0", b" ")
        yield data.replace(b"\n", b"\r\n")
    if held:
        yield b" "


def _read(source: BinaryIO) -> Iterator[bytes]:
    while data := source.read(_READ_SIZE):
        yield data


def _envelope(arguments: argparse.Namespace, content: SpooledMessage) -> Envelope:
    try:
        sender = sender_address(arguments.sender.removeprefix("<").removesuffix(">"))
        recipients = tuple(
            EnvelopeRecipient(recipient_address(text))
            for text in dict.fromkeys(arguments.recipients)
        )
    except CommandError as error:
        raise CommandFailedError(os.EX_USAGE, str(error)) from None
    addresses = (sender, *(recipient.address for recipient in recipients))
    return Envelope(
        sender,
        recipients,
        body="8BITMIME" if content.is_8bit else None,
        smtputf8=content.has_8bit_header or not all(map(str.isascii, addresses)),
    )


def _print(arguments: argparse.Namespace, envelope: Envelope, answers: list[Answer]) -> None:
    pairs = list(zip(envelope.recipients, answers, strict=True))
    if arguments.json:
        print_json([_as_json(recipient, answer) for recipient, answer in pairs])
        return
    rows = [
        (recipient.address, answer.connector or "", status_of(answer), str(answer.told()))
        for recipient, answer in pairs
    ]
    print_table(("Recipient", "Connector", "Status", "Answer"), rows)


def _as_json(recipient: EnvelopeRecipient, answer: Answer) -> dict[str, object]:
    told = answer.told()
    return {
        "recipient": recipient.address,
        "connector": answer.connector,
        "relay": str(answer.relay) if answer.relay is not None else None,
        "status": status_of(answer),
        "code": told.code,
        "enhanced_code": told.status,
        "text": told.text,
        "may_come_twice": answer.uncertain,
    }


def _exit_status(answers: list[Answer]) -> int:
    """Try again as long as it may help somebody."""
    if any(answer.reply.is_temporary for answer in answers):
        return os.EX_TEMPFAIL
    if any(answer.reply.is_permanent for answer in answers):
        return os.EX_UNAVAILABLE
    return os.EX_OK


COMMAND = Command(
    name="send",
    summary="deliver one message by the connectors, without Postfix",
    description="""
Reads a message from standard input and delivers it at once to every recipient by the connector
that selection gives it, as the delivery agent does: DNS or smart hosts, TLS, login, header
firewall. The message leaves as it is, with CRLF for its line ends: no header is added, and a
line with a single dot does not end it. There is no queue: what could not be delivered has to be
sent again by whoever called, to the recipients whose status is deferred.

Asks for the connectors file given with -c; passwords and certificates are read where it names
them. Where a Postfix is configured, its host name and trusted certificates are used.
""",
    details="""
examples:
  postconnector send -f ann@contoso.com bob@fabrikam.com < message
  postconnector -c connectors.toml send -f '' bob@fabrikam.com --json < message

Status is that of Postfix' log: sent, deferred (4xx), bounced (5xx). With --json each recipient
is an object with recipient, connector, relay, status, code, enhanced_code, text and
may_come_twice: the next hop was gone before it said whether it had taken the message.

exit status:
  0   every recipient was taken
  64  an address is none
  69  some recipients were refused for good, the others taken
  75  some recipients can be tried again; those with the status sent are done
  78  the connectors file has errors or is not there
""",
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
