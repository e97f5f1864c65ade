"""postconnector deliver: run the delivery agent in the foreground."""

import argparse
import asyncio
import logging
import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

# dnspython would load these when they are first used, and by then root is given up and its files
# may be out of reach.
import dns._asyncio_backend
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.DNAME
import dns.rdtypes.ANY.NS
import dns.rdtypes.ANY.SOA  # noqa: F401

from postconnector.cli import daemon
from postconnector.cli.command import Command
from postconnector.daemon.follower import Follower
from postconnector.daemon.metrics import Metrics
from postconnector.daemon.published import PublishedOrganization
from postconnector.daemon.stopping import stop_event
from postconnector.daemon.visibility import Visibility
from postconnector.delivery.agent import Agent
from postconnector.delivery.answer import Answer
from postconnector.delivery.delivery_log import status_of
from postconnector.delivery.in_force import InForce
from postconnector.delivery.lmtp.limits import Limits
from postconnector.delivery.lmtp.server import LmtpServer
from postconnector.delivery.lmtp.transaction import Transaction
from postconnector.delivery.machinery import Machinery
from postconnector.delivery.protocol_log import ProtocolLog
from postconnector.delivery.received import received
from postconnector.delivery.reply import Reply
from postconnector.delivery.secrets import Secrets
from postconnector.delivery.spool import Spool
from postconnector.delivery.surroundings import Surroundings
from postconnector.model.organization import HostSettings, Organization
from postconnector.postfix.host import PostfixHost
from postconnector.postfix.local_routing import LocalRouting

_GRACE = 50.0
"""Seconds in which deliveries end when we are told to stop; systemd waits a little longer."""

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    daemon.add_arguments(parser, "delivery_agent", HostSettings().delivery_agent)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    daemon.start_logging("deliver")
    rules = daemon.rules()
    visibility = daemon.visibility(arguments)
    host = daemon.find_postfix(arguments, "what this machine trusts is trusted")
    find = daemon.file_finder(arguments, host)
    published = PublishedOrganization(find, visibility)
    maker = _Maker(host, find)
    wanted = arguments.listen or published.host_settings.delivery_agent
    with daemon.listening(wanted, host, arguments.user, _groups(host)) as (listener, endpoint):
        follower = Follower(published, maker.make)
        machinery = Machinery(Surroundings.of(host).own)
        postfix = machinery.own_postfix(host) if host is not None else None
        watch = daemon.certificate_watch(host)
        agent = machinery.agent(follower.current, rules, postfix, daemon.unusable(watch))
        ready = partial(visibility.ready_in_loop, endpoint, watch)
        asyncio.run(_serve(listener, ready, follower, machinery, agent, visibility))
    return os.EX_OK


def _groups(host: PostfixHost | None) -> list[str]:
    """The group that reaches the socket to hand back to: that of postdrop(1)."""
    return [host.expanded("setgid_group")["setgid_group"]] if host is not None else []


class _Maker:
    """Makes of an organization what deliveries go by."""

    def __init__(self, host: PostfixHost | None, find: Callable[[], Path]) -> None:
        self._host = host
        self._find = find
        self._protocol_logs: dict[str, ProtocolLog] = {}

    def make(self, organization: Organization) -> InForce:
        """Raises PostfixError or UnknownServerError if nothing can be delivered by it."""
        surroundings = Surroundings.of(self._host)
        local = LocalRouting.on_host(organization, surroundings.hostname)
        secrets = Secrets.published(local, self._find().parent)
        path = organization.host.send_protocol_log_path
        if path not in self._protocol_logs:
            self._protocol_logs[path] = ProtocolLog.at(path)
        return InForce.on(surroundings, local, secrets, self._protocol_logs[path])


async def _serve(
    listener: socket.socket,
    ready: Callable[[], None],
    follower: Follower[InForce],
    machinery: Machinery,
    agent: Agent,
    visibility: Visibility,
) -> None:
    """Serve until SIGTERM or SIGINT."""

    async def deliver(transaction: Transaction) -> Sequence[Reply]:
        began = time.monotonic()
        answers = await agent.deliver(
            transaction.envelope, transaction.content, received(transaction)
        )
        _count(visibility.metrics, answers, time.monotonic() - began)
        return [answer.told() for answer in answers]

    server = LmtpServer(deliver, Limits(), Spool(_spool_directory()))
    stop = stop_event()
    serving = asyncio.create_task(server.serve(listener))
    following = asyncio.create_task(follower.follow())
    ready()
    await stop.wait()
    visibility.stopping()
    following.cancel()
    await server.stop(_GRACE)
    await serving
    machinery.pool.close()


def _count(metrics: Metrics, answers: Sequence[Answer], seconds: float) -> None:
    """Count what became of each recipient. Nobody gets mail twice because that fails."""
    try:
        for answer in answers:
            metrics.delivered(answer.connector or "", status_of(answer), seconds)
    except Exception:
        log.exception("our own fault; the answers stand")


def _spool_directory() -> Path:
    """TMPDIR, also when it is full: then Postfix is told to wait."""
    return Path(os.environ.get("TMPDIR") or tempfile.gettempdir())


COMMAND = Command(
    name="deliver",
    summary="run the delivery agent, which does what Postfix can't",
    description="""
Takes messages from Postfix by LMTP until it gets SIGTERM, and delivers each recipient by the
connector that selection gives it: TLS with any certificate name, revocation lists, other DNS
servers, tokens, protocol log. Keeps no queue: Postfix is answered for each recipient when the
next hop has answered, and keeps what could not be delivered.

Where the recipients of a message differ because of its size or of a rule, refuses those whom the
rules refuse, so that Postfix reports exactly them, and hands the others back to Postfix.

Messages above 2 MB are kept in TMPDIR while they are delivered, smaller ones only when there are
many.

"""
    + daemon.FOLLOWS,
    details="""
examples:
  systemctl start postconnector-deliver
  postconnector deliver --listen inet:127.0.0.1:10024 -c connectors.toml
  postconnector deliver --metrics 127.0.0.1:9631

Logs to standard error: one line for each recipient, as Postfix' delivery agents do, with the
queue id; changes of the connectors; faults.
"""
    + daemon.ENDS,
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
