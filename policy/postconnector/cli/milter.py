"""postconnector milter: run the milter in the foreground."""

import argparse
import asyncio
import os

from postconnector.cli import daemon
from postconnector.cli.command import Command
from postconnector.daemon.postfix_answers import PostfixAnswers
from postconnector.daemon.published import PublishedOrganization
from postconnector.model.organization import HostSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    daemon.add_arguments(parser, "milter_service", HostSettings().milter_service)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    # It needs libmilter, which no other command does.
    from postconnector_milter.server import MilterServer

    daemon.start_logging("milter")
    visibility = daemon.visibility(arguments)
    rules = daemon.rules()
    host = daemon.find_postfix(arguments, "no domain counts as Postfix' own")
    published = PublishedOrganization(daemon.file_finder(arguments, host), visibility)
    answers = PostfixAnswers(host)
    server = MilterServer(published, answers, rules, visibility.metrics, daemon.hostname_of(host))
    wanted = arguments.listen or published.host_settings.milter_service
    with daemon.listening_by(server.listen, wanted, host, arguments.user) as (_, endpoint):
        asyncio.run(server.serve(lambda: visibility.ready_in_loop(endpoint)))
        visibility.stopping()
    return os.EX_OK


COMMAND = Command(
    name="milter",
    summary="run the milter, which judges mail by sendmail(1)",
    description="""
Has Postfix show it messages before they are queued, until it gets SIGTERM: those by sendmail(1),
or by SMTP too, as milter in the table [host] says. Refuses with 552 5.3.4 what no connector takes
for any recipient (of mail by sendmail(1) the sender gets a report), and has the delivery agent
take what recipients differ in, what is to an alias, or what its size moves to another connector.

"""
    + daemon.FOLLOWS,
    details="""
examples:
  systemctl start postconnector-milter
  postconnector milter --listen inet:127.0.0.1:10778 -c connectors.toml
  postconnector milter --metrics 127.0.0.1:9632

Logs to standard error, one line each: refusals, changes of the connectors, faults.
"""
    + daemon.ENDS,
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
