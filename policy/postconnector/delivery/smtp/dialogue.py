"""The client's side of SMTP, until mail can be sent: what is said, what answers mean. No I/O.

Whoever carries the steps out raises SessionFailedError where a connection is lost or slow.
"""

from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp import authentication
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.smtp.masking import MASKED
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.settings import Login, SessionSettings
from postconnector.delivery.smtp.steps import (
    Dialogue,
    Receive,
    Send,
    SessionFailedError,
    Stage,
    StartTls,
    failed,
)
from postconnector.delivery.tls.policy import Starttls
from postconnector.model.plain_text import clean

_MOST_TURNS = 10


def opening(settings: SessionSettings, opened: Opened) -> Dialogue[None]:
    """From the greeting of the next hop to the point where mail can be sent.

    `opened` is told what is learned on the way.
    """
    reply: Reply = yield Receive(settings.timeouts.greeting, Stage.GREETING)
    opened.banner = clean(reply.text)
    if not _is_yes(reply):
        raise _unwelcome(reply)
    yield from _greet(opened, settings)
    if settings.tls.starttls is not Starttls.NEVER:
        yield from _go_over_to_tls(opened, settings)
    if settings.login is not None:
        yield from _log_in(opened, settings.login, settings.timeouts.mail)


def _greet(opened: Opened, settings: SessionSettings) -> Dialogue[None]:
    """By HELO where EHLO is not known, unless something is demanded that only EHLO brings."""
    if not settings.force_helo:
        yield Send((f"EHLO {settings.helo_name}",))
        reply: Reply = yield Receive(settings.timeouts.ehlo, Stage.EHLO)
        if _is_yes(reply):
            opened.extensions, opened.spoke_ehlo = Extensions.of(reply), True
            return
        if not reply.is_permanent:
            raise _refused(reply, Stage.EHLO)
        said = f"but EHLO was answered: {clean(str(reply))}"
        if settings.tls.starttls is Starttls.REQUIRED and opened.tls is None:
            raise failed("4.7.4", f"TLS is required, {said}", Stage.TLS)
        if settings.login is not None:
            raise failed("4.7.8", f"a login is required, {said}", Stage.LOGIN)
    opened.extensions, opened.spoke_ehlo = Extensions(), False
    yield Send((f"HELO {settings.helo_name}",))
    reply = yield Receive(settings.timeouts.ehlo, Stage.EHLO)
    if not _is_yes(reply):
        raise _refused(reply, Stage.EHLO)


def _go_over_to_tls(opened: Opened, settings: SessionSettings) -> Dialogue[None]:
    opened.in_clear = opened.extensions
    required = settings.tls.starttls is Starttls.REQUIRED
    if not opened.extensions.offers("STARTTLS"):
        if required:
            raise failed("4.7.4", "TLS is required, but was not offered", Stage.TLS)
        return
    yield Send(("STARTTLS",))
    reply: Reply = yield Receive(settings.timeouts.tls, Stage.TLS)
    if not _is_yes(reply):
        if required:
            text = f"TLS is required, but STARTTLS was answered: {clean(str(reply))}"
            raise failed("4.7.4", text, Stage.TLS)
        if reply.is_positive or reply.code == 421:
            raise _refused(reply, Stage.TLS)
        return
    # Nothing that was said in clear counts any more (RFC 3207, 4.2).
    opened.extensions = Extensions()
    opened.tls = yield StartTls()
    yield from _greet(opened, settings)


def _log_in(opened: Opened, login: Login, seconds: float) -> Dialogue[None]:
    """A refusal is temporary, as with smtp_sasl_auth_soft_bounce: what is wrong is ours to mend."""
    if login.only_encrypted and opened.tls is None:
        raise failed("4.7.4", "there is no TLS, and the login is for it alone", Stage.LOGIN)
    try:
        mechanism = authentication.choose_mechanism(login, opened.extensions.mechanisms)
    except authentication.NoMechanismError as error:
        raise failed("4.7.8", f"can't log in: {error}", Stage.LOGIN) from None
    turns = authentication.exchange(mechanism, login)
    first = authentication.encoded(next(turns))
    command = f"AUTH {mechanism}"
    yield Send((f"{command} {first}".rstrip(),), shown=f"{command} {MASKED}" if first else command)
    for _ in range(_MOST_TURNS):
        reply: Reply = yield Receive(seconds, Stage.LOGIN)
        if _is_yes(reply):
            opened.mechanism = mechanism
            return
        if reply.code != 334:
            raise _login_refused(reply, mechanism)
        try:
            turn = authentication.encoded(turns.send(authentication.decoded(reply.text.strip())))
        except (ValueError, StopIteration):
            # A turn that is none of the mechanism's: called off (RFC 4954, 4).
            yield Send(("*",))
            continue
        yield Send((turn,), shown=MASKED)
    raise failed("4.7.8", "the login does not end", Stage.LOGIN)


def _is_yes(reply: Reply) -> bool:
    return reply.code // 100 == 2


def _unwelcome(reply: Reply) -> SessionFailedError:
    """Not to be talked to is no verdict on the mail: another host may (smtp_skip_5xx_greeting)."""
    if not reply.is_permanent:
        return _refused(reply, Stage.GREETING)
    text = f"refused to talk: {clean(str(reply))}"
    return failed(f"4{reply.status[1:]}", text, Stage.GREETING)


def _login_refused(reply: Reply, mechanism: str) -> SessionFailedError:
    if reply.is_temporary:
        return _refused(reply, Stage.LOGIN)
    text = f"login by {mechanism} was answered: {clean(str(reply))}"
    return failed("4.7.8", text, Stage.LOGIN)


def _refused(reply: Reply, stage: Stage) -> SessionFailedError:
    """What the next hop says instead of going on; 3xx is no answer here."""
    if reply.is_positive:
        text = f"unexpected reply to {stage.value}: {clean(str(reply))}"
        return failed("4.5.0", text, stage)
    return SessionFailedError(reply, stage, said_by_peer=True)
