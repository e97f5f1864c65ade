"""postconnector plan: what would apply do?"""

import argparse
import os

from postconnector.cli.command import Command
from postconnector.cli.output import print_diff, print_error, print_json, print_line, print_table
from postconnector.cli.publication import find_host, prepare
from postconnector.cli.publishing import unfinished_sentence
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.native import next_hop, tls_demand
from postconnector.postfix.plan import FileChange, file_changes, read_live

CHANGES_PENDING = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    host = find_host(arguments.config_directory)
    publication, _ = prepare(arguments.file, host)
    live = read_live(publication.current, publication.facts.live_directory)
    changes = list(file_changes(live, publication.rendered))
    if arguments.json:
        print_json(_as_json(publication.compiled, changes))
    else:
        print_connectors(publication.compiled)
        _print_changes(changes)
    unfinished = unfinished_sentence(publication)
    if unfinished is not None:
        print_error(f"warning: {unfinished}")
    return CHANGES_PENDING if changes or unfinished else os.EX_OK


def print_connectors(compiled: Compiled) -> None:
    """A table of what each connector becomes."""
    rows = [
        (
            connector.name,
            "native",
            service.name,
            next_hop(connector) or "DNS",
            tls_demand(connector).shown,
            str(connector.max_message_size).partition(" (")[0],
        )
        for service in compiled.services
        for connector in service.connectors
    ]
    rows += [(a.connector.name, "agent", "", "", a.reason, "") for a in compiled.agent_only]
    print_table(("Connector", "Path", "Service", "Next hop", "TLS", "Limit (policy service)"), rows)
    for warning in compiled.warnings:
        print_error(f"warning: {warning}")


def _print_changes(changes: list[FileChange]) -> None:
    print_line()
    if not changes:
        print_line("Nothing to change: Postfix has these connectors.")
        return
    for change in changes:
        if change.diff:
            print_diff(change.diff)
        else:
            what = "secret, not shown" if change.secret else "the published copy of your file"
            print_line(f"{change.file}: changes ({what})")
    print_line()
    print_line(f"{len(changes)} files change; postconnector apply does it.")


def _as_json(compiled: Compiled, changes: list[FileChange]) -> dict[str, object]:
    native = [
        {
            "name": connector.name,
            "path": "native",
            "service": service.name,
            "why_own_service": service.why_own,
            "next_hop": next_hop(connector) or None,
            "tls": tls_demand(connector).shown,
            "settings": {setting.name: setting.value for setting in service.settings},
        }
        for service in compiled.services
        for connector in service.connectors
    ]
    agent = [
        {"name": a.connector.name, "path": "agent", "reason": a.reason} for a in compiled.agent_only
    ]
    return {
        "connectors": native + agent,
        "parameters": [
            {"name": p.name, "value": p.value, "reason": p.reason} for p in compiled.parameters
        ],
        "warnings": list(compiled.warnings),
        "changes": [{"file": c.file, "secret": c.secret, "diff": list(c.diff)} for c in changes],
    }


COMMAND = Command(
    name="plan",
    summary="show what each connector becomes in Postfix, and what apply would change",
    description="""
Shows for each connector whether Postfix carries it out by itself (native), by which service,
next hop and TLS; warns of settings of the host that work against connectors; and prints every
change to main.cf, master.cf and our own tables as a diff. Changes nothing. Passwords and keys
are never shown.
""",
    details="""
examples:
  postconnector plan
  postconnector plan --config-directory /etc/postfix-out --json

exit status:
  0   there is nothing to change
  2   there are changes
  69  there is no Postfix
  78  the connectors can't be published
""",
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
