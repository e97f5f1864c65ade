"""pymilter's callbacks, and what is negotiated with Postfix.

Postfix streams a message to us and waits once, at its end: nothing before needs an answer
(P_NR_…), so that a message costs one round trip, whatever its size. Only the events are sent that
are used: HELO, MAIL, RCPT, headers, body. pymilter calls back in a thread for each connection.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import Milter

from postconnector.daemon.endpoint import Endpoint
from postconnector.enforcement.rule import Defer, Refuse
from postconnector_milter.connection import AT_END, AT_MAIL, Connection, Dialogue
from postconnector_milter.judge import TRY_LATER

_NAME = "postconnector"
_BACKLOG = 1024
_ACTIONS = Milter.ADDHDRS | Milter.CHGHDRS | Milter.SETSYMLIST
_STEPS = (
    Milter.P_NOCONNECT
    | Milter.P_NR_HELO
    | Milter.P_NR_MAIL
    | Milter.P_NR_RCPT
    | Milter.P_NODATA
    | Milter.P_NOUNKNOWN
    | Milter.P_NR_HDR
    | Milter.P_HDR_LEADSPC
    | Milter.P_NOEOH
    | Milter.P_NR_BODY
)

log = logging.getLogger(__name__)


class Context(Dialogue, Protocol):
    """pymilter's own of a connection, which keeps ours."""

    def getpriv(self) -> Connection | None:
        """Ours."""
        ...

    def setpriv(self, connection: Connection | None) -> None:
        """Have it kept."""
        ...

    def setsymlist(self, stage: int, macros: str) -> None:
        """Which macros are to be sent at a stage."""
        ...

    def setreply(self, code: str, enhanced: str, text: str) -> None:
        """The reply that goes with a refusal or a deferral."""
        ...


def open_socket(endpoint: Endpoint, new_connection: Callable[[], Connection]) -> None:
    """Register the callbacks with libmilter and have it listen. Raises OSError.

    libmilter does not say why it can't listen, so we try first; that also takes a socket away on
    which nobody listens any more.
    """
    endpoint.listen().close()
    if endpoint.path is not None:
        endpoint.path.unlink()
    _register(new_connection)
    try:
        Milter.setconn(_as_libmilter_has_it(endpoint))
        Milter.setbacklog(_BACKLOG)
        Milter.opensocket(False)
    except Milter.error as error:
        raise OSError(f"libmilter: {error}") from None
    if endpoint.path is not None:
        endpoint.path.chmod(0o666)


def run() -> None:
    """Serve for good, in any thread; RuntimeError if libmilter gives up.

    It could be told to stop, but would then drop the messages that are coming.
    """
    try:
        Milter.main()
    except Milter.error as error:
        raise RuntimeError(f"libmilter: {error}") from None


def _as_libmilter_has_it(endpoint: Endpoint) -> str:
    if endpoint.path is not None:
        return f"unix:{endpoint.path}"
    family = "inet6" if ":" in endpoint.host else "inet"
    return f"{family}:{endpoint.port}@{endpoint.host}"


def _register(new_connection: Callable[[], Connection]) -> None:
    def negotiate(context: Context, options: list[int]) -> int:
        actions, steps = options[:2]
        if actions & _ACTIONS != _ACTIONS or steps & _STEPS != _STEPS:
            log.error("Postfix does not offer the milter protocol 6; mail is deferred")
            return int(Milter.REJECT)
        context.setpriv(new_connection())
        context.setsymlist(Milter.M_ENVFROM, AT_MAIL)
        context.setsymlist(Milter.M_EOM, AT_END)
        options[:] = _ACTIONS, _STEPS, 0, 0
        return int(Milter.CONTINUE)

    Milter.set_flags(_ACTIONS)
    Milter.set_exception_policy(Milter.TEMPFAIL)
    Milter.set_helo_callback(_unanswered(Connection.helo))
    Milter.set_envfrom_callback(_unanswered(Connection.mail))
    Milter.set_envrcpt_callback(_unanswered(Connection.rcpt))
    Milter.set_header_callback(_unanswered(Connection.header))
    Milter.set_body_callback(_unanswered(Connection.body))
    Milter.set_eom_callback(_end)
    Milter.set_abort_callback(_abort)
    Milter.set_close_callback(_close)
    Milter.register(_NAME, negotiate=negotiate)


def _unanswered(take: Callable[..., None]) -> Callable[..., int]:
    """A callback that Postfix waits for no answer of; if it fails, the message is deferred."""
    no_reply = int(Milter.NOREPLY)

    def callback(context: Context, *arguments: object) -> int:
        connection = context.getpriv()
        try:
            take(connection, *arguments)
        except Exception:
            log.exception("our own fault; asking to try again")
            _connection(context).fail()
        return no_reply

    return callback


def _connection(context: Context) -> Connection:
    connection = context.getpriv()
    if connection is None:
        raise RuntimeError("Postfix did not negotiate first")
    return connection


def _end(context: Context) -> int:
    connection = _connection(context)
    try:
        verdict = connection.verdict(context)
    except Exception:
        log.exception("our own fault; asking to try again")
        verdict = TRY_LATER
    finally:
        connection.end()
    if not isinstance(verdict, Refuse | Defer):
        return int(Milter.CONTINUE)
    # Postfix takes a percent sign that is not doubled out, as Sendmail does.
    text = verdict.text.replace("%", "%%")
    context.setreply(str(verdict.code), verdict.enhanced, text)
    return int(Milter.REJECT if isinstance(verdict, Refuse) else Milter.TEMPFAIL)


def _abort(context: Context) -> int:
    _connection(context).end()
    return int(Milter.CONTINUE)


def _close(context: Context) -> int:
    connection = context.getpriv()
    if connection is not None:
        connection.end()
        context.setpriv(None)
    return int(Milter.CONTINUE)
