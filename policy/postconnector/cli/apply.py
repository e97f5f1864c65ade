"""postconnector apply: publish the connectors to Postfix."""

import argparse
import os

from postconnector.cli.command import Command
from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import print_error, print_line
from postconnector.cli.publication import find_host, prepare
from postconnector.policyd.endpoint import Endpoint
from postconnector.policyd.probe import policy_service_failure
from postconnector.postfix.plan import file_changes, read_live
from postconnector.postfix.publish import (
    CheckFailedError,
    Publication,
    TryAgainError,
    is_unfinished,
    publish,
)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if os.geteuid() != 0:
        raise CommandFailedError(os.EX_NOPERM, "apply writes to Postfix' configuration: be root")
    host = find_host(arguments.config_directory)
    publication, policy_service = prepare(arguments.file, host)
    for warning in publication.compiled.warnings:
        print_error(f"warning: {warning}")
    _require_native(publication)
    live = read_live(publication.current, publication.facts.live_directory)
    unfinished = is_unfinished(publication.facts)
    if unfinished:
        print_line("an earlier apply did not finish; finishing now")
    if not unfinished and not list(file_changes(live, publication.rendered)):
        print_line("nothing to change: Postfix has these connectors")
        return os.EX_OK
    _require_policy_service(policy_service)
    try:
        generation = publish(publication, print_line)
    except CheckFailedError as error:
        raise configuration_error(
            f"Postfix refuses the result, nothing changed:\n{error}"
        ) from None
    except TryAgainError as error:
        raise CommandFailedError(os.EX_TEMPFAIL, str(error)) from None
    except OSError as error:
        raise CommandFailedError(os.EX_IOERR, f"nothing changed: {error}") from None
    print_line(f"published generation {generation}")
    return os.EX_OK


def _require_native(publication: Publication) -> None:
    """Never publish what would go out under weaker rules than the administrator's."""
    for agent_only in publication.compiled.agent_only:
        raise configuration_error(
            f'connector "{agent_only.connector.name}" needs the delivery agent, which this version'
            f" does not have: {agent_only.reason}; change it or set enabled = false"
        )


def _require_policy_service(endpoint: Endpoint) -> None:
    failure = policy_service_failure(endpoint)
    if failure is not None:
        raise CommandFailedError(
            os.EX_UNAVAILABLE,
            f"the policy service does not answer at {endpoint} ({failure}), and Postfix would"
            " defer all mail without it; start it first: systemctl start postconnector-policy",
        )


COMMAND = Command(
    name="apply",
    summary="publish the connectors to Postfix",
    description="""
Validates the connectors file, builds the tables, has Postfix check the new main.cf and
master.cf, swaps them in, reloads Postfix and asks the live tables for every address space. If
anything is wrong, the host stays, or is put back, as it was. Doing it twice changes nothing.
The policy service must be running: without it Postfix would defer all mail.
""",
    details="""
files:
  CONFIG_DIRECTORY/main.cf, master.cf            get a marked block at their end
  CONFIG_DIRECTORY/postconnector/live            the published generation
  CONFIG_DIRECTORY/postconnector/generations     the last ten

exit status:
  0   published, or nothing to change
  69  Postfix or the policy service is not there
  74  a file can't be written
  75  another apply is at work
  77  not root
  78  the connectors can't be published
""",
    run=run,
    with_postfix=True,
)
