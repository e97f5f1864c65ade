"""The client's side of SMTP: what is said, and what the answers mean. No I/O.

Whoever carries the steps out raises SessionFailedError where a connection is lost or slow.
"""

from dataclasses import dataclass, field

from postconnector.delivery.reply import Reply, clean
from postconnector.delivery.smtp import authentication
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.smtp.settings import Login, SessionSettings
from postconnector.delivery.smtp.steps import (
    Dialogue,
    Receive,
    Send,
    SessionFailedError,
    Stage,
    StartTls,
)
from postconnector.delivery.tls.policy import Starttls, TlsFacts

_MOST_TURNS = 10


@dataclass(slots=True)
class Opened:
    """A session in which mail can be sent; `in_clear`: what was offered before TLS."""

    banner: str = ""
    in_clear: Extensions | None = None
    extensions: Extensions = field(default_factory=Extensions)
    tls: TlsFacts | None = None
    mechanism: str | None = None
    spoke_ehlo: bool = True


def opening(settings: SessionSettings) -> Dialogue[Opened]:
    """From the greeting of the next hop to the point where mail can be sent."""
    opened = Opened()
    reply = yield from _answer(settings.timeouts.greeting, Stage.GREETING)
    if reply.code != 220:
        raise _refused(reply, Stage.GREETING)
    opened.banner = reply.text
    yield from _greet(opened, settings)
    if settings.tls.starttls is not Starttls.NEVER:
        yield from _go_over_to_tls(opened, settings)
    if settings.login is not None:
        yield from _log_in(opened, settings.login, settings.timeouts.mail)
    return opened


def _greet(opened: Opened, settings: SessionSettings) -> Dialogue[None]:
    if not settings.force_helo:
        yield Send((f"EHLO {settings.helo_name}",))
        reply = yield from _answer(settings.timeouts.ehlo, Stage.EHLO)
        if reply.is_positive:
            opened.extensions, opened.spoke_ehlo = Extensions.of(reply), True
            return
        if reply.is_temporary or settings.tls.starttls is Starttls.REQUIRED or settings.login:
            raise _refused(reply, Stage.EHLO)
    yield Send((f"HELO {settings.helo_name}",))
    reply = yield from _answer(settings.timeouts.ehlo, Stage.EHLO)
    if not reply.is_positive:
        raise _refused(reply, Stage.EHLO)
    opened.extensions, opened.spoke_ehlo = Extensions(), False


def _go_over_to_tls(opened: Opened, settings: SessionSettings) -> Dialogue[None]:
    opened.in_clear = opened.extensions
    required = settings.tls.starttls is Starttls.REQUIRED
    if not opened.extensions.offers("STARTTLS"):
        if required:
            raise _failed(451, "4.7.4", "TLS is required, but was not offered", Stage.TLS)
        return
    yield Send(("STARTTLS",))
    reply = yield from _answer(settings.timeouts.tls, Stage.TLS)
    if reply.code != 220:
        if required:
            text = f"TLS is required, but STARTTLS was answered: {clean(str(reply))}"
            raise _failed(451, "4.7.4", text, Stage.TLS)
        return
    opened.tls = yield StartTls()
    yield from _greet(opened, settings)


def _log_in(opened: Opened, login: Login, seconds: float) -> Dialogue[None]:
    """A refusal is temporary, as with smtp_sasl_auth_soft_bounce: what is wrong is ours to mend."""
    if login.only_encrypted and opened.tls is None:
        raise _failed(451, "4.7.4", "there is no TLS, and the login is for it alone", Stage.LOGIN)
    try:
        mechanism = authentication.choose_mechanism(login, opened.extensions.mechanisms)
    except authentication.NoMechanismError as error:
        raise _failed(451, "4.7.8", f"can't log in: {error}", Stage.LOGIN) from None
    turns = authentication.exchange(mechanism, login)
    first = authentication.encoded(next(turns))
    command = f"AUTH {mechanism} {first}".rstrip()
    yield Send((command,), shown=f"AUTH {mechanism} ****" if first else command)
    for _ in range(_MOST_TURNS):
        reply = yield from _answer(seconds, Stage.LOGIN)
        if reply.code == 235:
            opened.mechanism = mechanism
            return
        if reply.code != 334:
            raise SessionFailedError(
                Reply(451, "4.7.8", (f"login refused: {clean(str(reply))}",)), Stage.LOGIN
            )
        try:
            turn = turns.send(authentication.decoded(reply.text.strip()))
        except (ValueError, StopIteration):
            yield Send(("*",))
            continue
        yield Send((authentication.encoded(turn),), shown="****")
    raise _failed(451, "4.7.8", "the login does not end", Stage.LOGIN)


def _answer(seconds: float, stage: Stage) -> Dialogue[Reply]:
    reply: Reply = yield Receive(seconds, stage)
    return reply


def _refused(reply: Reply, stage: Stage) -> SessionFailedError:
    """What the next hop says instead of going on; 3xx or an odd 2xx is no answer."""
    if reply.is_positive:
        text = f"unexpected answer to {stage.value}: {clean(str(reply))}"
        return _failed(451, "4.5.0", text, stage)
    return SessionFailedError(reply, stage, said_by_peer=True)


def _failed(code: int, enhanced: str, text: str, stage: Stage) -> SessionFailedError:
    return SessionFailedError(Reply(code, enhanced, (text,)), stage)
