"""What DNS says to one question. No I/O."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(
    rf"(?=.{{1,253}}\Z)(?:{_LABEL}[.])*(?![0-9]+\Z){_LABEL}", re.IGNORECASE | re.ASCII
)

T = TypeVar("T")


class Status(Enum):
    """`NO_DATA`: the name exists, but has no such records. `NO_NAME`: NXDOMAIN.

    `FAILED`: nobody knows (no answer, SERVFAIL, nonsense); asking later may help.
    """

    FOUND = "found"
    NO_DATA = "no data"
    NO_NAME = "no name"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`records` are there exactly if the status is FOUND; `reason` says why it FAILED.

    `ttl`: seconds for which the answer holds, counted from when it was given.
    """

    status: Status
    records: tuple[T, ...] = ()
    reason: str = ""
    ttl: float = 0.0


@dataclass(frozen=True, order=True, slots=True)
class MailExchanger:
    """An MX record; `host` in lower case without a final dot, `.` for the root.

    What a stranger's DNS says: any characters may be in it (`is_host_name`).
    """

    preference: int
    host: str


def is_host_name(text: str) -> bool:
    """Whether this can be asked for as the name of a mail host or domain.

    Letters, digits, hyphens, and the underscore, which RFC 1123 does not allow and people use.
    What ends in a number is an address, or a mistake.
    """
    return _HOST_NAME.fullmatch(text) is not None
