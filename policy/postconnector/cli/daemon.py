"""What the commands that run daemons share: options, the Postfix they serve, where they listen."""

import argparse
import contextlib
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from postconnector.cli.failure import CommandFailedError
from postconnector.daemon.certificate_watch import CertificateWatch
from postconnector.daemon.endpoint import Endpoint
from postconnector.daemon.installed_rules import RulesError, load_rules
from postconnector.daemon.own_user import NoSuchUserError, give_up_root
from postconnector.daemon.published import FileInForce
from postconnector.daemon.visibility import Visibility
from postconnector.enforcement.rule import NamedRule
from postconnector.postfix.host import PostfixError, PostfixHost

T = TypeVar("T")

_GARBAGE = 20_000
"""Objects after which Python looks for garbage: by default it does so with every few messages."""

log = logging.getLogger(__name__)

FOLLOWS = """\
Goes by the published connectors (CONFIG_DIRECTORY/postconnector/live/connectors.toml), or by
the file given with -c, and follows every change of that file; a file with errors leaves the
last good one in force. Started as root, it listens and then gives up root for good.
"""
ENDS = """\
Tells systemd when it is ready, how many connectors are in force, and that it is alive
(sd_notify).

exit status:
  0   ended by SIGTERM
  64  the endpoint is none, or --metrics no loopback address
  69  there is no Postfix, or an endpoint can't be listened on
  78  there is no user to run as, or a rule can't be loaded
"""
"""What the help of every daemon says at the end of its description, and of its details."""


def add_arguments(parser: argparse.ArgumentParser, setting: str, default: str) -> None:
    """Define the options; `setting` of the table [host] says where it listens by default."""
    parser.add_argument(
        "--listen",
        metavar="ENDPOINT",
        help="unix:PATH (relative to Postfix' queue directory) or inet:HOST:PORT; by default"
        f" {setting} of the connectors file, or {default}",
    )
    parser.add_argument(
        "--user",
        help="the user to run as when started as root (default: postconnector, or nobody"
        " where there is no such user)",
    )
    parser.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        help="tell metrics to Prometheus by HTTP here, 127.0.0.1:PORT or [::1]:PORT; nothing but"
        " loopback addresses (default: nowhere)",
    )


def start_logging(program: str) -> None:
    """Log to standard error, in the form of Postfix' programs."""
    gc.enable()  # a daemon does not end
    gc.set_threshold(_GARBAGE)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"postconnector/{program}[{os.getpid()}]: %(levelname)s: %(message)s",
    )


def visibility(arguments: argparse.Namespace) -> Visibility:
    """Metrics and readiness; to be made before root is given up."""
    try:
        return Visibility(arguments.metrics)
    except ValueError as error:
        raise CommandFailedError(os.EX_USAGE, str(error)) from None
    except OSError as error:
        raise _not_listening(arguments.metrics, error) from None


def rules() -> tuple[NamedRule, ...]:
    """The rules that are installed: no mail is judged without one of them."""
    try:
        return load_rules()
    except RulesError as error:
        raise CommandFailedError(os.EX_CONFIG, str(error)) from None


def certificate_watch(host: PostfixHost | None) -> CertificateWatch | None:
    """What is published of certificates; None without a Postfix."""
    return CertificateWatch.of(host.config_directory) if host is not None else None


def unusable(watch: CertificateWatch | None) -> Callable[[], Mapping[str, str]]:
    """Why connectors must not be used now, by what was last published of certificates."""
    if watch is None:
        return dict
    return lambda: watch.unusable(datetime.now(UTC))


def find_postfix(arguments: argparse.Namespace, without: str) -> PostfixHost | None:
    """The Postfix that is served; None, with a warning that ends in `without`, if there is none
    and a connectors file was named.
    """
    try:
        return PostfixHost.at(arguments.config_directory)
    except PostfixError as error:
        if not arguments.file_given:
            raise CommandFailedError(os.EX_UNAVAILABLE, str(error)) from None
        log.warning("%s; %s", error, without)
        return None


def file_finder(arguments: argparse.Namespace, host: PostfixHost | None) -> Callable[[], Path]:
    """How to find the connectors file: the one that was named, or the published one."""
    if host is not None and not arguments.file_given:
        return FileInForce(host.config_directory)
    file: Path = arguments.file
    return lambda: file


def hostname_of(host: PostfixHost | None) -> str | None:
    """Postfix' myhostname."""
    return host.expanded("myhostname")["myhostname"] if host is not None else None


def listening(
    text: str, host: PostfixHost | None, user: str | None, groups: Sequence[str] = ()
) -> AbstractContextManager[tuple[socket.socket, Endpoint]]:
    """Listen at this endpoint, and give root up; a socket in a folder goes at the end.

    `groups`: those that the user needs besides its own.
    """
    return listening_by(Endpoint.listen, text, host, user, groups)


@contextmanager
def listening_by(
    listen: Callable[[Endpoint], T],
    text: str,
    host: PostfixHost | None,
    user: str | None,
    groups: Sequence[str] = (),
) -> Iterator[tuple[T, Endpoint]]:
    """The same where something else listens; `listen` raises OSError."""
    with listening_still_root(listen, text, host) as (listener, endpoint):
        try:
            give_up_root(user, groups)
        except NoSuchUserError as error:
            raise CommandFailedError(os.EX_CONFIG, str(error)) from None
        yield listener, endpoint


@contextmanager
def listening_still_root(
    listen: Callable[[Endpoint], T], text: str, host: PostfixHost | None
) -> Iterator[tuple[T, Endpoint]]:
    """The same for one endpoint more, before root is given up."""
    endpoint = _endpoint(text, host)
    try:
        listener = listen(endpoint)
    except OSError as error:
        raise _not_listening(endpoint, error) from None
    yield listener, endpoint
    if endpoint.path is not None:
        with contextlib.suppress(OSError):  # the folder may be another user's; the next start
            endpoint.path.unlink()  # takes the place of a socket on which nobody listens


def _not_listening(where: object, error: OSError) -> CommandFailedError:
    what = f"can't listen on {where}: {error.strerror or error}"
    if isinstance(error, FileNotFoundError):
        what += "; its folder is missing: systemd-tmpfiles --create postconnector.conf makes it"
    return CommandFailedError(os.EX_UNAVAILABLE, what)


def _endpoint(text: str, host: PostfixHost | None) -> Endpoint:
    try:
        queue = host.expanded("queue_directory")["queue_directory"] if host is not None else "."
        return Endpoint.parse(text, Path(queue))
    except ValueError as error:
        raise CommandFailedError(os.EX_USAGE, str(error)) from None
