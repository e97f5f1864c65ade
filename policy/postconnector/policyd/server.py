"""The policy service: sockets around the judge.

Every client is served by itself; one that is slow, stuck or sends nonsense hurts no other. What
was published since is read beside answering.
Whatever goes wrong in judging is answered with 451: our fault defers mail.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from postconnector.daemon.follower import Follower
from postconnector.daemon.published import PublishedOrganization
from postconnector.daemon.stopping import stop_event
from postconnector.model.organization import Organization
from postconnector.policyd.judge import TRY_LATER, HoldsDomain, Judge, OpenMessages
from postconnector.policyd.protocol import ProtocolError, Request, RequestParser, answer
from postconnector.postfix.own_domains import OwnDomains
from postconnector.selection.standpoint import UnknownServerError, local_server

_READ_SIZE = 16 * 1024
_IDLE_TIMEOUT = 1800.0
"""Seconds; longer than Postfix keeps a connection (smtpd_policy_service_max_ttl, 1000 s)."""

log = logging.getLogger(__name__)


def domain_holder(own_domains: OwnDomains | None) -> HoldsDomain:
    """Ask Postfix about its domains off the event loop; without a Postfix it has none."""
    lock = asyncio.Lock()

    async def holds(domain: str, only_default: bool) -> bool:
        if own_domains is None:
            return False
        async with lock:
            return await asyncio.to_thread(own_domains.holds, domain, relayed_too=only_default)

    return holds


class PolicyServer:
    """Serves one listening socket until told to stop, on the host of this name."""

    def __init__(
        self,
        published: PublishedOrganization,
        holds_domain: HoldsDomain,
        hostname: str | None = None,
    ) -> None:
        self._hostname = hostname
        self._holds_domain = holds_domain
        self._messages = OpenMessages()
        self._judges = Follower(published, self._new_judge)
        self._clients: set[asyncio.Task[None]] = set()

    def _new_judge(self, organization: Organization) -> Judge | None:
        try:
            server = local_server(organization, self._hostname)
            return Judge(organization, self._messages, self._holds_domain, server)
        except UnknownServerError as error:
            log.error("mail is deferred: %s", error)
            return None

    async def serve(self, listener: socket.socket, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT."""
        stop = stop_event()
        listener.setblocking(False)
        start = asyncio.start_unix_server if _is_unix(listener) else asyncio.start_server
        server = await start(self._client, sock=listener)
        ready()
        follower = asyncio.create_task(self._judges.follow())
        await stop.wait()
        follower.cancel()
        server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        try:
            await converse(reader, writer, self._action)
        except ProtocolError as error:
            log.warning("closing a connection: the client sent %s", error)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the client went away or was idle, or we stop; Postfix connects anew
        finally:
            writer.close()

    async def _action(self, request: Request) -> str:
        judge = await self._judges.current()
        return TRY_LATER if judge is None else await judge.action(request)


async def converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    action: Callable[[Request], Awaitable[str]],
) -> None:
    """Answer the requests of one client until it closes, is idle, or breaks the protocol."""
    parser = RequestParser()
    while data := await asyncio.wait_for(reader.read(_READ_SIZE), _IDLE_TIMEOUT):
        for request in parser.feed(data):
            try:
                reply = answer(await action(request))
            except Exception:
                log.exception("our own fault; asking to try again")
                reply = answer(TRY_LATER)
            writer.write(reply)
        await asyncio.wait_for(writer.drain(), _IDLE_TIMEOUT)
    if parser.pending:
        log.warning("a client went away in the middle of a request")


def _is_unix(listener: socket.socket) -> bool:
    return listener.family == socket.AF_UNIX
