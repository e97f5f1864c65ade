"""What the commands that run daemons share: options, the Postfix they serve, where they listen."""

import argparse
import contextlib
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from postconnector.cli.failure import CommandFailedError
from postconnector.daemon.endpoint import Endpoint
from postconnector.daemon.own_user import NoSuchUserError, give_up_root
from postconnector.daemon.published import FileInForce
from postconnector.postfix.host import PostfixError, PostfixHost

_GARBAGE = 20_000
"""Objects after which Python looks for garbage: by default it does so with every few messages."""

log = logging.getLogger(__name__)


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


def start_logging(program: str) -> None:
    """Log to standard error, in the form of Postfix' programs."""
    gc.enable()  # a daemon does not end
    gc.set_threshold(_GARBAGE)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"postconnector/{program}[{os.getpid()}]: %(levelname)s: %(message)s",
    )


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


@contextmanager
def listening(
    text: str, host: PostfixHost | None, user: str | None
) -> Iterator[tuple[socket.socket, Endpoint]]:
    """Listen at this endpoint, and give root up; a socket in a folder goes at the end."""
    endpoint = _endpoint(text, host)
    try:
        listener = endpoint.listen()
    except OSError as error:
        raise CommandFailedError(
            os.EX_UNAVAILABLE, f"can't listen on {endpoint}: {error.strerror or error}"
        ) from None
    try:
        give_up_root(user)
    except NoSuchUserError as error:
        raise CommandFailedError(os.EX_CONFIG, str(error)) from None
    yield listener, endpoint
    if endpoint.path is not None:
        with contextlib.suppress(OSError):  # the folder may be another user's; the next start
            endpoint.path.unlink()  # takes the place of a socket on which nobody listens


def _endpoint(text: str, host: PostfixHost | None) -> Endpoint:
    try:
        queue = host.expanded("queue_directory")["queue_directory"] if host is not None else "."
        return Endpoint.parse(text, Path(queue))
    except ValueError as error:
        raise CommandFailedError(os.EX_USAGE, str(error)) from None
