"""postconnector renew: publish what has become of the certificates in the store."""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from postconnector.cli.command import Command
from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import print_problems, tell
from postconnector.cli.own_certificates import waiting_for_certificates
from postconnector.cli.progress import progress
from postconnector.cli.publication import (
    PREPARING,
    PUBLISHING,
    find_host,
    prepare_renewed,
    published_routing_at,
)
from postconnector.cli.publishing import carry_out, require_root
from postconnector.model.problem import Severity
from postconnector.postfix.facts import OWN_DIRECTORY
from postconnector.postfix.generations import RENEW, About, read_generations
from postconnector.postfix.host import PostfixHost
from postconnector.postfix.own_certificates import (
    OwnCertificates,
    published_certificates,
    renewed_certificates,
)
from postconnector.postfix.unfinished import read_unfinished


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_root("renew")
    host = find_host(arguments.config_directory)
    own = host.config_directory / OWN_DIRECTORY
    live = next((g.folder for g in read_generations(own) if g.is_live), None)
    if live is None:
        tell("nothing is published yet")
        return os.EX_OK
    unfinished = read_unfinished(own)
    if unfinished is not None and unfinished.about.command != RENEW:
        raise CommandFailedError(
            os.EX_TEMPFAIL,
            "an apply did not finish, or is at work; postconnector status says what is in force",
        )
    now = datetime.now(UTC)
    local = published_routing_at(live, host)
    before = published_certificates(local, live)
    after = renewed_certificates(local, live, now)
    _require_whole(after)
    is_new = (before.states, before.chains) != (after.states, after.chains)
    if is_new or unfinished is not None:
        _publish(host, live)
    elif after.states is not None:
        print_problems(after.problems)
        for line in waiting_for_certificates(after.states, now):
            tell(line)
    return os.EX_OK


def _require_whole(certificates: OwnCertificates) -> None:
    if errors := [p for p in certificates.problems if p.severity is Severity.ERROR]:
        raise configuration_error(
            "the live generation is damaged; postconnector apply puts it right", errors
        )


def _publish(host: PostfixHost, live: Path) -> None:
    with progress(PREPARING + PUBLISHING) as told:
        publication, policy_service = prepare_renewed(live, host, told)
        carry_out(publication, policy_service, About.now(RENEW), told)


COMMAND = Command(
    name="renew",
    summary="publish certificates that were renewed in the store, or are gone from it",
    description="""
Looks at the certificate store as it is now, for the published connectors (never an edit of the
connectors file that was not applied). Where a connector's certificate was renewed, or another one
is to be taken, it is published as apply does: a new generation, checked, all or nothing; Postfix
reloads, daemons go on. Where it is gone, without its key, expired or not yet valid, that is
published, and mail for the connector waits. If nothing changed, nothing is written.
""",
    details="""
prints what apply prints, with a line for each connector that shows another certificate now, and
one for each whose mail waits; nothing if nothing changed and no mail waits

files:
  contrib/postfix/postconnector-renew.service, .timer, .path     run it each hour, and when the
                                                                 folder changes

exit status:
  0   published, or nothing to change; also if mail waits for a certificate
  69  Postfix, the policy service, or a delivery agent that is needed is not there
  74  a file can't be written
  75  another apply is at work or did not finish, or somebody edited main.cf or master.cf meanwhile
  77  not root
  78  the published connectors can't be published on this host any more
""",
    run=run,
    with_postfix=True,
)
