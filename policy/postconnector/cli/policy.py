"""postconnector policy: run the policy service in the foreground."""

import argparse
import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from postconnector.cli import daemon
from postconnector.cli.command import Command
from postconnector.cli.failure import CommandFailedError
from postconnector.daemon.certificate_watch import CertificateWatch, report_certificates
from postconnector.daemon.endpoint import Endpoint
from postconnector.daemon.kept_domains import KeptDomains
from postconnector.daemon.published import PublishedOrganization
from postconnector.daemon.visibility import Visibility
from postconnector.model.organization import HostSettings
from postconnector.policyd.lookup_server import LookupServer
from postconnector.policyd.lookups import Lookups
from postconnector.policyd.server import PolicyServer
from postconnector.postfix.host import PostfixHost
from postconnector.postfix.own_domains import OwnDomains

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
    settings = HostSettings() if published.organization is None else published.organization.host
    hostname = daemon.hostname_of(host)
    wanted = arguments.listen or settings.policy_service
    with (
        _listening_for_lookups(settings.lookup_service, host) as lookup_listener,
        daemon.listening(wanted, host, arguments.user) as (listener, endpoint),
    ):
        watch = CertificateWatch.of(host.config_directory) if host is not None else None
        lookups = LookupServer(Lookups(daemon.unusable(watch)))
        kept = KeptDomains(OwnDomains(host) if host is not None else None)
        server = PolicyServer(published, kept, rules, hostname, metrics=visibility.metrics)

        def ready() -> None:
            visibility.ready_in_loop(endpoint)
            if watch is not None:
                report_certificates(watch, visibility.metrics, asyncio.get_running_loop())

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
connector takes for any recipient; FILTER when all recipients take another connector because of
the size; otherwise DUNNO.

Goes by the published connectors (CONFIG_DIRECTORY/postconnector/live/connectors.toml), or by
the file given with -c, and follows every change of that file; a file with errors leaves the
last good one in force. Also answers the lookups that no table can answer (at lookup_service of
the table [host]): whose turn it is among a connector's smart hosts, and whether its own
certificate can be shown. Started as root, it listens and then gives up root for good.
""",
    details="""
examples:
  systemctl start postconnector-policy
  postconnector policy --listen inet:127.0.0.1:10777 -c connectors.toml
  postconnector policy --metrics 127.0.0.1:9630

Logs to standard error, one line each: refusals, changes of the connectors, faults. Tells systemd
when it is ready, how many connectors are in force, and that it is alive (sd_notify).

exit status:
  0   ended by SIGTERM
  64  the endpoint is none, or --metrics no loopback address
  69  there is no Postfix, or the endpoint can't be listened on
  78  there is no user to run as
""",
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
