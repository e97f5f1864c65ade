"""Secrets that a next hop says again."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.masking import Secrets
from postconnector.delivery.smtp.settings import Login
from postconnector.delivery.smtp.steps import Send
from postconnector.delivery.smtp.transcript import Transcript
from tests.lab.client import Heard

_SAID = b64encode(b"\0user\0hunter2").decode()


def remembering(password: str = "hunter2") -> Secrets:
    secrets = Secrets(password)
    secrets.remember((f"AUTH PLAIN {_SAID}",), "AUTH PLAIN ****")
    return secrets


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (f"unknown command AUTH PLAIN {_SAID}", "unknown command AUTH PLAIN ****"),
        (f'"AUTH PLAIN {_SAID[:8]}..." is too long', '"AUTH PLAIN ****..." is too long'),
        (f"AUTH PLAIN {_SAID.upper()}", "AUTH PLAIN ****"),
        (f"response={_SAID}", "response=****"),
        ("HUNTER2 is no password of user", "**** is no password of user"),
        ("AUTH PLAIN authentication is not enabled", "AUTH PLAIN authentication is not enabled"),
        ("", ""),
    ],
)
def test_what_is_seen(said: str, seen: str) -> None:
    assert remembering().masked(said, logging_in=True) == seen


def test_later_a_password_is_a_word_like_any_other() -> None:
    secrets = remembering("taken")
    assert secrets.masked("250 taken", logging_in=False) == "250 taken"
    assert secrets.masked(_SAID, logging_in=False) == "****"


def test_nothing_is_hidden_before_anything_was_said() -> None:
    assert Secrets("welcome").masked("welcome", logging_in=True) == "welcome"


@given(st.text("abAB01+/=", min_size=6, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_never_in_what_is_seen(secret: str, before: str, after: str) -> None:
    secrets = Secrets("")
    secrets.remember((secret,), "****")
    assert secret not in secrets.masked(f"{before}{secret}{after}", logging_in=True)


@given(st.lists(st.sampled_from([_SAID, _SAID[:9], "hunter2", "no", "5.7.8"]), min_size=1))
def test_neither_log_nor_reply_have_it(words: list[str]) -> None:
    log = Heard()
    transcript = Transcript(log, Login("user", "hunter2", only_encrypted=False))
    transcript.sent(Send((f"AUTH PLAIN {_SAID}",), shown="AUTH PLAIN ****"))
    heard = transcript.heard(Reply(535, None, (" ".join(words), *words)), logging_in=True)
    for text in (*log.lines, str(heard), repr(transcript)):
        assert "hunter2" not in text
        assert _SAID[:9] not in text


def test_a_connection_ends_once() -> None:
    log = Heard()
    transcript = Transcript(log, None)
    assert not transcript.has_ended
    transcript.ended("TimedOut")
    transcript.ended("Local")
    assert transcript.has_ended
    assert log.lines == ["- TimedOut"]
