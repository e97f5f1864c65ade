"""postconnector status: is what was published still there, and does it work?"""

import argparse
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from postconnector.certificates.state import StateError
from postconnector.certificates.watch import problem_of
from postconnector.cli.command import Command
from postconnector.cli.failure import CommandFailedError
from postconnector.cli.output import print_diff, print_json, print_line, print_problems, print_table
from postconnector.cli.own_certificates import Certificate
from postconnector.cli.progress import progress
from postconnector.cli.publication import PREPARING, find_host, prepare_as_it_is
from postconnector.cli.publishing import (
    failing_delivery_agent,
    failing_lookup_service,
    failing_milter,
    failing_questions,
    unfinished_sentence,
)
from postconnector.daemon.endpoint import Endpoint
from postconnector.policyd.probe import policy_service_failure
from postconnector.postfix.configuration_files import folder_in_force
from postconnector.postfix.facts import OWN_DIRECTORY
from postconnector.postfix.generations import LIVE, Generation, read_generations
from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.own_certificates import read_states
from postconnector.postfix.plan import FileChange, file_changes
from postconnector.postfix.progress import Progress
from postconnector.postfix.publish import Publication
from postconnector.postfix.queue import deferred_recipients
from postconnector.postfix.table_names import CERTIFICATE_STATES, TRANSPORT_TABLE
from postconnector.postfix.verification import verify
from postconnector.selection.outcome import Selected
from postconnector.selection.routing_table import RoutingTable

ALL_IS_WELL, SEE_TO_IT = 0, 1


_LOOKS = (
    failing_questions,
    failing_delivery_agent,
    failing_lookup_service,
    failing_milter,
    unfinished_sentence,
)
"""Each says what is wrong, if anything is."""

_NO_TRANSPORT = "mail transport unavailable"
"""Postfix' words where FILTER has named a service that is not there now."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Recipients that wait, by the connector that they take (None: none of them)."""

    connector: str | None
    recipients: int
    reason: str


@dataclass(slots=True)
class Status:
    """What was found; `problems` is everything that somebody should see to."""

    generation: int | None = None
    published: str | None = None
    by: str | None = None
    postfix_running: bool = False
    certificates: list[Certificate] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    drift: list[FileChange] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if os.geteuid() != 0:
        raise CommandFailedError(os.EX_NOPERM, "status compares what root alone may read: be root")
    host = find_host(arguments.config_directory)
    generations = read_generations(host.config_directory / OWN_DIRECTORY)
    live = next((generation for generation in generations if generation.is_live), None)
    with progress(PREPARING + 1) as told:
        status = _without_live(host) if live is None else _status(host, live, told)
    if arguments.json:
        print_json(asdict(status))
    else:
        _print(status)
    return SEE_TO_IT if status.problems else ALL_IS_WELL


def _without_live(host: PostfixHost) -> Status:
    own = host.config_directory / OWN_DIRECTORY
    folder = folder_in_force(host.read_files().main_cf, own)
    if folder is None:
        return Status(problems=["nothing is published; postconnector apply does it"])
    tables = own / folder
    if (tables / TRANSPORT_TABLE).exists():
        what = f"{own / LIVE} is no link to a generation, as apply makes it: move it away"
        return Status(problems=[f"{what}; then postconnector apply puts it right"])
    return Status(
        problems=[
            f"main.cf leads to the tables in {tables}, which are not there: Postfix defers all"
            " mail; postconnector apply, or rollback, puts it right"
        ]
    )


def _status(host: PostfixHost, live: Generation, told: Progress) -> Status:
    status = Status(live.number, live.about.time or None, live.about.by or None)
    status.postfix_running = host.is_running()
    if not status.postfix_running:
        status.problems.append("Postfix is not running")
    _look_at_certificates(status, live)
    try:
        publication, endpoint = prepare_as_it_is(live.folder, host, told)
    except (CommandFailedError, PostfixError) as error:
        print_problems(error.problems if isinstance(error, CommandFailedError) else ())
        status.problems.append(f"what is published could not be published now: {error}")
        return status
    if (failure := policy_service_failure(endpoint)) is not None:
        status.problems.append(
            f"the policy service does not answer at {endpoint} ({failure}), and Postfix defers mail"
            " without it; start it: systemctl start postconnector-policy"
        )
    for look in _LOOKS:
        if (problem := look(publication)) is not None:
            status.problems.append(problem)
    status.problems.extend(publication.compiled.refusals)
    told.begins("comparing")
    _look_for_drift(status, publication)
    _look_at_services(status, publication)
    _look_at_the_queue(status, host, publication.local.table)
    return status


def _look_at_certificates(status: Status, live: Generation) -> None:
    if not (live.folder / CERTIFICATE_STATES).exists():
        return
    try:
        states = read_states(live.folder)
    except StateError as error:
        status.problems.append(f"{error}; postconnector apply puts it right")
        return
    now = datetime.now(UTC)
    for name, state in states.connectors.items():
        status.certificates.append(Certificate.of(name, state, now))
        if (problem := problem_of(name, state, now)) is not None:
            status.problems.append(problem)


def _look_for_drift(status: Status, publication: Publication) -> None:
    status.drift = list(file_changes(publication.before, publication.rendered))
    if status.drift:
        names = ", ".join(change.file for change in status.drift)
        status.problems.append(
            f"not as published: {names}; postconnector apply, or rollback, puts it right"
        )


def _look_at_services(status: Status, publication: Publication) -> None:
    """Whether Postfix has taken what is in the files, and can ask the tables."""
    compiled, facts = publication.compiled, publication.facts
    try:
        verify(publication.host, facts, compiled)
    except PostfixError as error:
        status.problems.append(f"{error}; postconnector apply puts it right")
    for service in compiled.services if status.postfix_running else ():
        if not _is_listened_on(facts.queue_directory / service.socket):
            status.problems.append(
                f"Postfix has not started the service {service.name}: its log says why, or it"
                " needs a reload (postfix reload)"
            )


def _is_listened_on(endpoint: Path) -> bool:
    """master(8) leaves the sockets of services that are gone: only connecting tells."""
    try:
        Endpoint(path=endpoint).connect(timeout=5.0).close()
    except OSError:
        return False
    return True


def _look_at_the_queue(status: Status, host: PostfixHost, table: RoutingTable) -> None:
    counts: Counter[str | None] = Counter()
    reasons: dict[str | None, Counter[str]] = {}
    try:
        recipients = list(deferred_recipients(host))
    except PostfixError as error:
        status.problems.append(f"the queue could not be read: {error}")
        return
    for recipient in recipients:
        outcome = table.select(recipient.address)
        name = outcome.connector.name if isinstance(outcome, Selected) else None
        counts[name] += 1
        reasons.setdefault(name, Counter())[recipient.reason] += 1
    lost = sum(recipient.reason.startswith(_NO_TRANSPORT) for recipient in recipients)
    if lost:
        status.problems.append(
            f"{lost} recipients wait for a connector that is no more, or is carried out otherwise"
            f" ({_NO_TRANSPORT}): postsuper -r QUEUE_ID routes their messages anew"
        )
    for name, count in counts.most_common():
        reason = reasons[name].most_common(1)[0][0]
        status.waiting.append(Waiting(name, count, reason))


def _print(status: Status) -> None:
    if status.generation is not None:
        print_line(
            f"Generation {status.generation}, published {status.published or 'at an unknown time'}"
            f" by {status.by or 'somebody'}; Postfix is"
            f" {'running' if status.postfix_running else 'not running'}"
        )
    if status.certificates:
        print_line()
        rows = [
            (c.connector, c.subject or "", c.not_after or "", _shown_days(c), c.why)
            for c in status.certificates
        ]
        print_table(("Connector", "Certificate", "Ends", "Days left", "Why this one"), rows)
    if status.waiting:
        print_line()
        waiting = [(w.connector or "(none)", str(w.recipients), w.reason) for w in status.waiting]
        print_table(("Connector", "Recipients waiting", "Most frequent reason"), waiting)
    for change in status.drift:
        print_line()
        print_diff(change.diff or (f"{change.file}: differs (not shown)",))
    print_line()
    for problem in status.problems:
        print_line(f"! {problem}")
    if not status.problems:
        print_line("All is as published.")


def _shown_days(certificate: Certificate) -> str:
    return "" if certificate.days is None else str(certificate.days)


COMMAND = Command(
    name="status",
    summary="say whether what was published is still there and works",
    description="""
Shows the live generation, whether Postfix runs, has every connector's service up and can ask the
live tables, whether the policy service answers, and the delivery agent where one is needed, the
certificates that connectors show with the days they have left and why these were taken, which
recipients wait in the queue by connector and why, and, as a diff, everything in main.cf, master.cf
and our files that is not as published. Changes nothing.
""",
    details="""
examples:
  postconnector status
  postconnector status --json | jq -r '.problems[]'

exit status:
  0   all is as published
  1   something wants to be seen to; it is printed
  69  there is no Postfix
  77  not root: secrets of the generation are compared too
""",
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
