"""postconnector policy: run the policy service in the foreground."""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

from postconnector.cli.command import Command
from postconnector.cli.failure import CommandFailedError
from postconnector.model.organization import HostSettings
from postconnector.policyd.endpoint import Endpoint
from postconnector.policyd.published import FileInForce, PublishedOrganization
from postconnector.policyd.server import PolicyServer, domain_holder
from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.own_domains import OwnDomains

_USERS = ("postconnector", "nobody")

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument(
        "--listen",
        metavar="ENDPOINT",
        help="unix:PATH (relative to Postfix' queue directory) or inet:HOST:PORT; by default"
        f" policy_service of the connectors file, or {HostSettings().policy_service}",
    )
    parser.add_argument(
        "--user",
        help=f"the user to run as when started as root (default: {_USERS[0]}, or {_USERS[1]}"
        " where there is no such user)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    gc.enable()  # this one does not end
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"postconnector/policy[{os.getpid()}]: %(levelname)s: %(message)s",
    )
    host = _find_postfix(arguments)
    published = PublishedOrganization(_finder(arguments.file, host, arguments.file_given))
    settings = HostSettings() if published.organization is None else published.organization.host
    endpoint = _endpoint(arguments.listen or settings.policy_service, host)
    try:
        listener = endpoint.listen()
    except OSError as error:
        raise CommandFailedError(
            os.EX_UNAVAILABLE, f"can't listen on {endpoint}: {error.strerror or error}"
        ) from None
    hostname = host.expanded("myhostname")["myhostname"] if host is not None else None
    if os.geteuid() == 0:
        _give_up_root(arguments.user)
    holder = domain_holder(OwnDomains(host) if host is not None else None)
    server = PolicyServer(published, holder, hostname)
    asyncio.run(server.serve(listener, lambda: log.info("listening on %s", endpoint)))
    if endpoint.path is not None:
        with contextlib.suppress(OSError):  # the folder may be another user's; the next start
            endpoint.path.unlink()  # takes the place of a socket on which nobody listens
    return os.EX_OK


def _find_postfix(arguments: argparse.Namespace) -> PostfixHost | None:
    try:
        return PostfixHost.at(arguments.config_directory)
    except PostfixError as error:
        if not arguments.file_given:
            raise CommandFailedError(os.EX_UNAVAILABLE, str(error)) from None
        log.warning("%s; no domain counts as Postfix' own", error)
        return None


def _finder(file: Path, host: PostfixHost | None, file_given: bool) -> Callable[[], Path]:
    """How to find the connectors file: the one that was named, or the published one."""
    if host is not None and not file_given:
        return FileInForce(host.config_directory)
    return lambda: file


def _endpoint(text: str, host: PostfixHost | None) -> Endpoint:
    try:
        queue = host.expanded("queue_directory")["queue_directory"] if host is not None else "."
        return Endpoint.parse(text, Path(queue))
    except ValueError as error:
        raise CommandFailedError(os.EX_USAGE, str(error)) from None


def _give_up_root(wanted: str | None) -> None:
    for name in (wanted,) if wanted is not None else _USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        return
    raise CommandFailedError(os.EX_CONFIG, f"there is no user {wanted or _USERS[0]} to run as")


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
