"""postconnector plan: what would apply do?"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from postconnector.cli.command import Command
from postconnector.cli.output import (
    print_diff,
    print_error,
    print_heading,
    print_json,
    print_line,
    print_table,
)
from postconnector.cli.progress import progress
from postconnector.cli.publication import PREPARING, find_host, prepare, published_routing
from postconnector.cli.publishing import unfinished_sentence
from postconnector.postfix.changes import MAIN_CF, MASTER_CF, Change, Comparison
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.native import next_hop, tls_demand
from postconnector.postfix.plan import FileChange, file_changes
from postconnector.postfix.publish import Publication
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS
from postconnector.postfix.service_names import AGENT_SERVICE

CHANGES_PENDING = 2
_MOST_ENTRIES = 12
"""Of a connector's entries in a table, as many are printed; JSON has all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done; `files` are all that change, `others` those that no change is about."""

    compiled: Compiled
    changes: Sequence[Change]
    files: Sequence[str]
    others: Sequence[FileChange]
    headings: dict[str | None, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    host = find_host(arguments.config_directory)
    with progress(PREPARING + 1) as told:
        publication, _ = prepare(arguments.file, host, told)
        told.begins("comparing")
        plan = _plan(publication)
    if arguments.json:
        print_json(_as_json(plan))
    else:
        print_connectors(plan.compiled)
        _print_changes(plan)
    unfinished = unfinished_sentence(publication)
    if unfinished is not None:
        print_error(f"warning: {unfinished}")
    if plan.compiled.refusals:
        return os.EX_CONFIG
    return CHANGES_PENDING if plan.files or unfinished else os.EX_OK


def _plan(publication: Publication) -> Plan:
    facts, rendered, local = publication.facts, publication.rendered, publication.local
    live = publication.before
    if not (files := list(file_changes(live, rendered))):
        return Plan(publication.compiled, (), (), (), {})
    before = published_routing(publication)
    comparison = Comparison(facts, live, before, publication.compiled, rendered, local)
    changes = list(comparison.changes())
    explained = {change.file for change in changes}
    return Plan(
        publication.compiled,
        changes,
        [change.file for change in files],
        [change for change in files if change.file not in explained],
        dict(_headings(before, local)),
    )


def _headings(before: LocalRouting | None, after: LocalRouting) -> Iterator[tuple[str | None, str]]:
    """What happens to each connector, in the order in which they are told about."""
    old = {connector.name for connector in before.own} if before is not None else set()
    new = [connector.name for connector in after.own]
    for name in new:
        yield name, f'Send connector "{name}" {"changes" if name in old else "comes"}'
    for name in sorted(old.difference(new)):
        yield name, f'Send connector "{name}" goes'
    yield None, "For several connectors, or all"


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
        for service in compiled.native
        for connector in service.connectors
    ]
    rows += [
        (
            a.connector.name,
            "agent",
            AGENT_SERVICE,
            next_hop(a.connector) or "DNS",
            a.reason,
            str(a.connector.max_message_size).partition(" (")[0],
        )
        for a in compiled.agent_only
    ]
    print_table(("Connector", "Path", "Service", "Next hop", "TLS", "Limit (policy service)"), rows)
    for warning in compiled.warnings:
        print_error(f"warning: {warning}")
    for reason in compiled.refusals:
        print_error(f"error: {reason}")


def _print_changes(plan: Plan) -> None:
    if not plan.files:
        print_line()
        print_line("Nothing to change: Postfix has these connectors.")
        return
    by_connector: dict[str | None, list[Change]] = {name: [] for name in plan.headings}
    for change in plan.changes:
        by_connector[change.connector if change.connector in by_connector else None].append(change)
    for name, changes in by_connector.items():
        if changes:
            print_heading(plan.headings[name])
            print_diff(_lines(changes))
    for other in plan.others:
        published_copy = other.file == PUBLISHED_CONNECTORS
        print_heading(f"{other.file} {'(as published)' if published_copy else 'differs'}")
        print_diff(other.diff or ("~ the copy of your file that daemons go by",))
    print_line()
    if plan.compiled.refusals:
        print_line(f"{_counted(plan.files)}, but apply refuses: see the errors above.")
    else:
        print_line(f"{_counted(plan.files)}; postconnector apply does it.")


def _counted(files: Sequence[str]) -> str:
    return f"1 file changes: {files[0]}" if len(files) == 1 else f"{len(files)} files change"


def _lines(changes: Sequence[Change]) -> Iterator[str]:
    entries: dict[str, int] = {}
    for change in changes:
        if change.file not in (MAIN_CF, MASTER_CF):
            entries[change.file] = entries.get(change.file, 0) + 1
            if entries[change.file] > _MOST_ENTRIES:
                continue
        yield from _change_lines(change)
    for file, count in entries.items():
        if count > _MOST_ENTRIES:
            yield f"  … and {count - _MOST_ENTRIES:,} more in {file} (plan --json has all)"


def _change_lines(change: Change) -> Iterator[str]:
    what = f"{change.file}: {change.subject}".removesuffix(": ")
    why = f"  # {change.reason}" if change.reason else ""
    if change.secret:
        sign = {(True, False): "+", (False, True): "-"}
        now = change.before is None, change.after is None
        yield f"{sign.get(now, '~')} {what} (secret, not shown){why}"
        return
    if change.before is not None:
        yield f"- {what} = {change.before}".rstrip() + ("" if change.after is not None else why)
    if change.after is not None:
        yield f"+ {what} = {change.after}".rstrip() + why


def _as_json(plan: Plan) -> dict[str, object]:
    compiled = plan.compiled
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
        for service in compiled.native
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
        "refusals": list(compiled.refusals),
        "files": list(plan.files),
        "changes": [asdict(change) for change in plan.changes],
    }


COMMAND = Command(
    name="plan",
    summary="show what each connector becomes in Postfix, and what apply would change",
    description="""
Shows for each connector whether Postfix carries it out by itself (native), by which service,
next hop and TLS, or the delivery agent does (agent), and why; warns of settings of the host that
work against connectors, and says which wins and how to decide otherwise; and lists, connector by
connector, every parameter, service, setting and table entry that changes, from what to what and
why. Changes nothing. Passwords and keys are never shown.
""",
    details="""
examples:
  postconnector plan
  postconnector plan --config-directory /etc/postfix-out --json

exit status:
  0   there is nothing to change
  2   there are changes
  69  there is no Postfix
  78  the connectors can't be published, or main.cf or master.cf has to be put in order first
""",
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
