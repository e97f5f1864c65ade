"""The parsers that are fuzzed: for each a module with `check` and the `WORDS` of its protocol."""

import importlib
from pathlib import Path
from typing import Protocol, cast

TARGETS = (
    "lmtp_commands",
    "lmtp_session",
    "message_data",
    "policy_requests",
    "smtp_replies",
    "socketmap_questions",
)
CORPUS = Path(__file__).with_name("corpus")


class Target(Protocol):
    """`WORDS`: pieces of the protocol, from which inputs are put together."""

    WORDS: tuple[bytes, ...]

    def check(self, data: bytes) -> None:
        """AssertionError, or any other exception, where a promise is broken."""
        ...


def target(name: str) -> Target:
    """The target of this name."""
    return cast(Target, importlib.import_module(f"tests.fuzz.{name}"))


def kept(name: str) -> list[Path]:
    """The inputs that are kept for a target, each for a reason that its name says."""
    return sorted((CORPUS / name).iterdir())
