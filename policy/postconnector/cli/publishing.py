"""What apply and rollback share: publishing what was prepared, and how that may fail."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import print_error, print_line
from postconnector.policyd.endpoint import Endpoint
from postconnector.policyd.probe import policy_service_failure
from postconnector.postfix.generations import About
from postconnector.postfix.plan import file_changes, read_live
from postconnector.postfix.publish import (
    CheckFailedError,
    Publication,
    TryAgainError,
    is_unfinished,
    publish,
)


def require_root(command: str) -> None:
    """Raise CommandFailedError for anybody else."""
    if os.geteuid() != 0:
        raise CommandFailedError(
            os.EX_NOPERM, f"{command} writes to Postfix' configuration: be root"
        )


def carry_out(publication: Publication, policy_service: Endpoint, about: About) -> None:
    """Publish, if there is anything to change, and say what is done."""
    for warning in publication.compiled.warnings:
        print_error(f"warning: {warning}")
    _require_native(publication)
    live = read_live(publication.current, publication.facts.live_directory)
    unfinished = is_unfinished(publication.facts)
    if unfinished:
        print_line("an earlier apply did not finish; finishing now")
    if not unfinished and not list(file_changes(live, publication.rendered)):
        print_line("nothing to change: Postfix has these connectors")
        return
    _require_policy_service(policy_service)
    with nothing_half_done("the result"):
        generation = publish(publication, about, print_line)
    print_line(f"published generation {generation}")


@contextmanager
def nothing_half_done(what: str) -> Iterator[None]:
    """How a change of the host may fail: Postfix refuses `what`, somebody is at work, the disk."""
    try:
        yield
    except CheckFailedError as error:
        raise configuration_error(f"Postfix refuses {what}, nothing changed:\n{error}") from None
    except TryAgainError as error:
        raise CommandFailedError(os.EX_TEMPFAIL, str(error)) from None
    except OSError as error:
        raise CommandFailedError(os.EX_IOERR, f"nothing changed: {error}") from None


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
