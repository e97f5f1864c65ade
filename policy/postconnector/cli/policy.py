"""postconnector policy: run the policy service in the foreground."""

import argparse
import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from postconnector.cli import daemon
from postconnector.cli.command import Command
from postconnector.cli.failure import CommandFailedError
from postconnector.daemon.endpoint import Endpoint
from postconnector.daemon.postfix_answers import RememberedAnswers
from postconnector.daemon.published import PublishedOrganization
from postconnector.daemon.visibility import Visibility
from postconnector.model.organization import HostSettings
from postconnector.policyd.lookup_server import LookupServer
from postconnector.policyd.lookups import Lookups
from postconnector.policyd.server import PolicyServer
from postconnector.postfix.host import PostfixHost

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    daemon.add_arguments(parser, "policy_service", HostSettings().policy_service)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    daemon.start_logging("policy")
    visibility = daemon.visibility(arguments)
    rules = daemon.rules()
    host = daemon.find_postfix(arguments, "no domain counts as Postfix' own")
    published = PublishedOrganization(daemon.file_finder(arguments, host), visibility)
    hostname = daemon.hostname_of(host)
    wanted = arguments.listen or published.host_settings.policy_service
    with (
        _listening_for_lookups(published.host_settings.lookup_service, host) as lookup_listener,
        daemon.listening(wanted, host, arguments.user) as (listener, endpoint),
    ):
        watch = daemon.certificate_watch(host)
        lookups = LookupServer(Lookups(daemon.unusable(watch)))
        answers = RememberedAnswers(host)
        server = PolicyServer(published, answers, rules, hostname, metrics=visibility.metrics)
        ready = partial(visibility.ready_in_loop, endpoint, watch)
        asyncio.run(_serve(server, listener, ready, visibility, lookups, lookup_listener))
    return os.EX_OK


@contextmanager
def _listening_for_lookups(text: str, host: PostfixHost | None) -> Iterator[socket.socket | None]:
    """Where Postfix looks things up; all else is done also where that can't be listened on."""
    with ExitStack() as stack:
        listener = None
        if host is not None:
            try:
                listener, _ = stack.enter_context(
                    daemon.listening_still_root(Endpoint.listen, text, host)
                )
            except CommandFailedError as error:
                log.error("no lookups are answered: %s", error)
        yield listener


async def _serve(
    server: PolicyServer,
    listener: socket.socket,
    ready: Callable[[], None],
    visibility: Visibility,
    lookups: LookupServer,
    lookup_listener: socket.socket | None,
) -> None:
    """Serve until SIGTERM or SIGINT."""
    if lookup_listener is not None:
        await lookups.start(lookup_listener)
    await server.serve(listener, ready)
    visibility.stopping()
    lookups.stop()


COMMAND = Command(
    name="policy",
    summary="run the policy service, which enforces MaxMessageSize",
    description="""
Answers Postfix' policy requests until it gets SIGTERM: 552 5.3.4 for a recipient whose every
connector is too small for the declared size, and at the end of data for a message that no
connector takes for any recipient; FILTER to the connector that all recipients take because of
the size, or to the delivery agent where they differ or one is an alias; otherwise DUNNO.

Also answers the lookups that no table can answer (at lookup_service of the table [host]): whose
turn it is among a connector's smart hosts, and whether its own certificate can be shown.

"""
    + daemon.FOLLOWS,
    details="""
examples:
  systemctl start postconnector-policy
  postconnector policy --listen inet:127.0.0.1:10777 -c connectors.toml
  postconnector policy --metrics 127.0.0.1:9630

Logs to standard error, one line each: refusals, changes of the connectors, faults.
"""
    + daemon.ENDS,
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
