"""postconnector policy: run the policy service in the foreground."""

import argparse
import asyncio
import logging
import os

from postconnector.cli import daemon
from postconnector.cli.command import Command
from postconnector.daemon.published import PublishedOrganization
from postconnector.model.organization import HostSettings
from postconnector.policyd.server import PolicyServer, domain_holder
from postconnector.postfix.own_domains import OwnDomains

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    daemon.add_arguments(parser, "policy_service", HostSettings().policy_service)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    daemon.start_logging("policy")
    host = daemon.find_postfix(arguments, "no domain counts as Postfix' own")
    published = PublishedOrganization(daemon.file_finder(arguments, host))
    settings = HostSettings() if published.organization is None else published.organization.host
    hostname = daemon.hostname_of(host)
    wanted = arguments.listen or settings.policy_service
    with daemon.listening(wanted, host, arguments.user) as (listener, endpoint):
        holder = domain_holder(OwnDomains(host) if host is not None else None)
        server = PolicyServer(published, holder, hostname)
        asyncio.run(server.serve(listener, lambda: log.info("listening on %s", endpoint)))
    return os.EX_OK


COMMAND = Command(
    name="policy",
    summary="run the policy service, which enforces MaxMessageSize",
    description="""
Answers Postfix' policy requests until it gets SIGTERM: 552 5.3.4 for a recipient whose every
connector is too small for the declared size, and at the end of data for a message that no
connector takes for any recipient; FILTER when all recipients take another connector because of
the size; otherwise DUNNO.

Goes by the published connectors (CONFIG_DIRECTORY/postconnector/live/connectors.toml), or by
the file given with -c, and follows every change of that file; a file with errors leaves the
last good one in force. Started as root, it listens and then gives up root for good.
""",
    details="""
examples:
  systemctl start postconnector-policy
  postconnector policy --listen inet:127.0.0.1:10777 -c connectors.toml

Logs to standard error, one line each: refusals, changes of the connectors, faults.

exit status:
  0   ended by SIGTERM
  64  the endpoint is none
  69  there is no Postfix, or the endpoint can't be listened on
  78  there is no user to run as
""",
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
