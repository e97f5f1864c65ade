"""postconnector history and rollback: what was published, and going back to it."""

import argparse
import os
from collections.abc import Mapping

from postconnector.cli.command import Command
from postconnector.cli.failure import configuration_error
from postconnector.cli.output import print_json, print_line, print_table, tell
from postconnector.cli.progress import progress
from postconnector.cli.publication import PREPARING, PUBLISHING, find_host, prepare_again
from postconnector.cli.publishing import carry_out, require_root
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.facts import OWN_DIRECTORY
from postconnector.postfix.generations import RENEW, About, Generation, read_generations
from postconnector.postfix.host import PostfixHost
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS
from postconnector.postfix.unfinished import read_unfinished
from postconnector.sources.connectors_file import UnreadableFileError, read_connectors_file

_Connectors = Mapping[str, SendConnector]


def add_history_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line of history."""
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def add_rollback_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line of rollback."""
    parser.add_argument(
        "generation",
        nargs="?",
        type=int,
        metavar="GENERATION",
        help="its number in the history; by default the one before the live one",
    )


def run_history(arguments: argparse.Namespace) -> int:
    """Run history."""
    generations = _generations(find_host(arguments.config_directory))
    rows = []
    before: _Connectors | None = {}
    for generation in generations:
        connectors = _connectors(generation)
        rows.append(
            {
                "generation": generation.number,
                "live": generation.is_live,
                "time": generation.about.time or None,
                "by": generation.about.by or None,
                "command": generation.about.command or None,
                "connectors": None if connectors is None else len(connectors),
                "changes": _changes(before, connectors),
            }
        )
        before = connectors
    if arguments.json:
        print_json(rows)
    elif rows:
        columns = ("generation", "live", "time", "by", "command", "connectors", "changes")
        print_table(
            [column.capitalize() for column in columns],
            [[_shown(row[column]) for column in columns] for row in rows],
        )
    else:
        print_line("nothing was published yet")
    return os.EX_OK


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "live" if value else ""
        case list():
            return ", ".join(value)
        case _:
            return str(value)


def run_rollback(arguments: argparse.Namespace) -> int:
    """Run rollback."""
    require_root("rollback")
    host = find_host(arguments.config_directory)
    wanted = _wanted(_generations(host), arguments.generation, _unfinished_number(host))
    with progress(PREPARING + PUBLISHING) as told:
        publication, policy_service = prepare_again(wanted.folder, host, told)
        carry_out(publication, policy_service, About.now(f"rollback to {wanted.number}"), told)
    published = publication.facts.live_directory / PUBLISHED_CONNECTORS
    tell(
        f"Postfix has the connectors of generation {wanted.number} again; your connectors file was"
        f" not changed, and the next apply goes by it (as published: {published})"
    )
    return os.EX_OK


def _generations(host: PostfixHost) -> list[Generation]:
    return read_generations(host.config_directory / OWN_DIRECTORY)


def _unfinished_number(host: PostfixHost) -> int | None:
    unfinished = read_unfinished(host.config_directory / OWN_DIRECTORY)
    return None if unfinished is None else unfinished.generation


def _wanted(
    generations: list[Generation], number: int | None, unfinished: int | None
) -> Generation:
    """By default what was live before the last publication, whether that came to its end or not.

    Certificates that were renewed since are no reason to stay.
    """
    live = next((n for n, generation in enumerate(generations) if generation.is_live), None)
    if number is None and live is None and generations:
        return generations[-1]  # the live one was deleted, or the link to it
    if number is None and live is not None:
        if unfinished not in (None, generations[live].number):
            return generations[live]
        if unfinished is None:
            live = _published(generations, live)
        if live:
            return generations[live - 1]
    for generation in generations:
        if generation.number == number:
            return generation
    kept = ", ".join(str(generation.number) for generation in generations) or "none"
    which = "before the live one" if number is None else str(number)
    raise configuration_error(f"there is no generation {which}; kept are {kept}")


def _published(generations: list[Generation], live: int) -> int:
    """Where the live connectors were published: since then, certificates may have been renewed."""
    while live and generations[live].about.command == RENEW:
        live -= 1
    return live


def _connectors(generation: Generation) -> _Connectors | None:
    """A generation's connectors by name; None if they can't be read any more."""
    try:
        file = read_connectors_file(generation.folder / PUBLISHED_CONNECTORS)
    except UnreadableFileError:
        return None
    if file.organization is None:
        return None
    return {connector.name: connector for connector in file.organization.connectors}


def _changes(before: _Connectors | None, now: _Connectors | None) -> list[str]:
    """What came (+), went (-) and changed (~) since the generation before."""
    if before is None or now is None:
        return []
    return [
        *(f"+{name}" for name in now if name not in before),
        *(f"-{name}" for name in before if name not in now),
        *(f"~{name}" for name in now if name in before and now[name] != before[name]),
    ]


HISTORY = Command(
    name="history",
    summary="list the generations that were published",
    description="""
Prints a line for each of the last ten generations: when it was published, by whom and by which
command, how many connectors it has, and which came (+), went (-) or changed (~) since the one
before.
""",
    details="""
examples:
  postconnector history
  postconnector history --json | jq '.[] | select(.live)'

exit status:
  0   printed
  69  there is no Postfix
""",
    add_arguments=add_history_arguments,
    run=run_history,
    with_postfix=True,
)
ROLLBACK = Command(
    name="rollback",
    summary="publish an earlier generation again",
    description="""
Publishes what an earlier generation held (by default the one before that of the live connectors;
those of renew are passed over): its connectors, passwords and certificates, compiled
for the host as it is now, with all that apply does to be sure. It becomes a new generation; your
connectors file is not changed.
""",
    details="""
examples:
  postconnector rollback
  postconnector history && postconnector rollback 12

exit status:
  0   published, or nothing to change
  69  Postfix, the policy service, or a delivery agent that is needed is not there
  74  a file can't be written
  75  another apply is at work, or somebody edited main.cf or master.cf meanwhile
  77  not root
  78  there is no such generation, it can't be published any more (a certificate has expired), or
      main.cf or master.cf has to be put in order first
""",
    add_arguments=add_rollback_arguments,
    run=run_rollback,
    with_postfix=True,
)
