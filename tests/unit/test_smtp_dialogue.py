"""Dialogues with any next hop whatever: they end as declared, and say nothing they must not."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.dialogue import opening
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.settings import Login, SessionSettings, Timeouts
from postconnector.delivery.smtp.steps import (
    Dialogue,
    Receive,
    Send,
    SendContent,
    SessionFailedError,
    Stage,
    StartTls,
    Step,
    failed,
)
from postconnector.delivery.smtp.transaction import Delivered, Exchange
from postconnector.delivery.tls.policy import Starttls, TlsFacts, TlsPolicy

_TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, None, verified=True)
_MOST_STEPS = 100
_KEYWORDS = ("STARTTLS", "AUTH PLAIN LOGIN", "AUTH=CRAM-MD5 XOAUTH2", "PIPELINING", "SIZE 10")
_CODES = (220, 235, 250, 251, 334, 354, 421, 450, 451, 454, 500, 502, 535, 550, 552, 554)

any_reply = st.builds(
    lambda code, lines: Reply.said(code, tuple(lines)),
    st.sampled_from(_CODES),
    st.lists(st.sampled_from(("", "ok", "5.1.1 no", "4.2.0 x", "YQ==", *_KEYWORDS)), min_size=1),
)


class Content:
    """What a message is like; nobody reads it here."""

    def __init__(self, *, is_8bit: bool = False) -> None:
        self.size = 10
        self.is_8bit = is_8bit
        self.has_8bit_header = False

    def chunks(self) -> Iterator[bytes]:
        raise AssertionError("read")


def play(dialogue: Dialogue[None], replies: Callable[[Receive], Reply]) -> list[Step]:
    """Carry a dialogue out; what it did, and SessionFailedError as its last step."""
    steps: list[Step] = []
    answer: object = None
    for _ in range(_MOST_STEPS):
        try:
            step = dialogue.send(answer)
        except StopIteration:
            return steps
        steps.append(step)
        answer = None
        if isinstance(step, StartTls):
            answer = _TLS
        elif isinstance(step, Receive):
            answer = replies(step)
    raise AssertionError("it does not end")


@given(
    st.data(),
    st.sampled_from(Starttls),
    st.booleans(),
    st.sampled_from((None, (False, False), (True, False), (True, True), (False, True))),
)
def test_opening(
    data: st.DataObject, starttls: Starttls, force_helo: bool, login: tuple[bool, bool] | None
) -> None:
    settings = SessionSettings(
        "client.test",
        TlsPolicy(starttls, None),
        force_helo=force_helo,
        login=None if login is None else Login("user", "secret", login[0], login[1]),
    )
    opened, steps, is_open = Opened(), [], False

    def dialogue() -> Dialogue[None]:
        generator = opening(settings, opened)
        answer = None
        while True:
            try:
                step = generator.send(answer)
            except StopIteration:
                return
            steps.append(step)
            answer = yield step

    try:
        play(dialogue(), lambda _: data.draw(any_reply))
        is_open = True
    except SessionFailedError as error:
        ours_to_mend = error.stage in (Stage.GREETING, Stage.TLS, Stage.LOGIN)
        assert not (error.reply.is_permanent and ours_to_mend)
        assert not error.reply.is_positive
    sent = [line for step in steps if isinstance(step, Send) for line in step.lines]
    in_tls = StartTls() in steps
    if starttls is Starttls.NEVER:
        assert "STARTTLS" not in sent
    if is_open and starttls is Starttls.REQUIRED:
        assert in_tls
    if is_open and login is not None:
        assert opened.mechanism is not None
    _assert_no_secret(steps, login, in_tls=in_tls)


def _assert_no_secret(steps: list[Step], login: tuple[bool, bool] | None, *, in_tls: bool) -> None:
    for step in steps:
        if not isinstance(step, Send):
            continue
        said = step.lines[0]
        if said.startswith("AUTH"):
            assert login is not None
            assert in_tls or not login[0]
            assert said.startswith("AUTH XOAUTH2 ") == login[1]
            assert step.shown in ("AUTH CRAM-MD5", "AUTH LOGIN", f"AUTH {said.split()[1]} ****")
        elif not said.startswith(("EHLO", "HELO", "STARTTLS", "*")):
            assert step.shown == "****"


@given(st.data(), st.integers(1, 4), st.booleans(), st.none() | st.integers(0, 12), st.booleans())
def test_transaction(
    data: st.DataObject, count: int, pipelining: bool, breaks_at: int | None, by_peer: bool
) -> None:
    keywords: dict[str, tuple[str, ...]] = {"PIPELINING": ()} if pipelining else {}
    envelope = Envelope("a@x.test", tuple(EnvelopeRecipient(f"{n}@y.test") for n in range(count)))
    exchange = Exchange(envelope, Content(), Extensions(keywords), Timeouts())
    replies: list[tuple[Stage, Reply]] = []

    def reply(step: Receive) -> Reply:
        if breaks_at == len(replies):
            broken = Reply(451, "4.4.2", ("gone",))
            raise SessionFailedError(broken, step.stage, said_by_peer=by_peer)
        replies.append((step.stage, data.draw(any_reply)))
        return replies[-1][1]

    try:
        play(exchange.run(), reply)
    except SessionFailedError as error:
        exchange.fail(error)
    _assert_answered(exchange.result(), replies, count)
    if len(replies) == 0:
        assert exchange.nothing_was_answered


def _assert_answered(delivered: Delivered, replies: list[tuple[Stage, Reply]], count: int) -> None:
    assert len(delivered.replies) == count
    last_stage, last = replies[-1] if replies else (Stage.MAIL, Reply(421, None))
    taken = last_stage is Stage.END_OF_DATA and last.code // 100 == 2
    by_number = [reply for stage, reply in replies if stage is Stage.RCPT]
    for number, answer in enumerate(delivered.replies):
        if answer.reply.is_positive:
            assert taken
            assert answer.reply == last
            assert by_number[number].code // 100 == 2
        elif taken:
            assert not by_number[number].is_positive
        assert not (answer.uncertain and answer.reply.is_permanent)


def test_mail_is_answered_once_it_is() -> None:
    envelope = Envelope("a@x.test", (EnvelopeRecipient("b@y.test"),))
    exchange = Exchange(envelope, Content(), Extensions(), Timeouts())
    dialogue = exchange.run()
    assert next(dialogue) == Send(("MAIL FROM:<a@x.test>",))
    next(dialogue)
    with pytest.raises(SessionFailedError):
        dialogue.send(Reply(421, None))
    assert exchange.nothing_was_answered


def test_the_message_is_sent_only_if_somebody_gets_it() -> None:
    envelope = Envelope("a@x.test", (EnvelopeRecipient("b@y.test"),))
    for code in (250, 550):
        exchange = Exchange(envelope, Content(), Extensions({"PIPELINING": ()}), Timeouts())
        codes = {Stage.MAIL: 250, Stage.RCPT: code, Stage.DATA: 354, Stage.END_OF_DATA: 250}
        if code == 550:
            codes[Stage.DATA] = 503
        replies = iter([Reply(codes[stage], None) for stage in codes])
        steps = play(exchange.run(), _next_of(replies))
        assert any(isinstance(step, SendContent) for step in steps) == (code == 250)
        assert exchange.is_clean == (code == 250)


def _next_of(replies: Iterator[Reply]) -> Callable[[Receive], Reply]:
    return lambda _: next(replies)


def test_failures_of_ours_are_temporary() -> None:
    assert failed("4.4.2", "gone", Stage.MAIL).reply == Reply(451, "4.4.2", ("gone",))
