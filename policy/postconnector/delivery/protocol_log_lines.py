"""The lines of Exchange's protocol log for sending (Protocol logging, Exchange 2016). No I/O.

CSV in UTF-8 with CRLF. What others said is cleaned and cut, and begins with nothing that a
spreadsheet would take for a formula.
"""

from dataclasses import dataclass
from datetime import datetime

from postconnector import __version__
from postconnector.model.plain_text import clean

LONGEST_FIELD = 2048

_FIELDS = (
    "date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data"
    ",context"
)
_BEGIN_FORMULAS = ("=", "+", "-", "@")


def file_head(now: datetime) -> bytes:
    """What a file begins with; `now` is UTC."""
    lines = (
        "#Software: postconnector",
        f"#Version: {__version__}",
        "#Log-type: SMTP Send Protocol Log",
        f"#Date: {_date_time(now)}",
        f"#Fields: {_FIELDS}",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a session: `number` counts from 0, `event` is one of + - > < *.

    `local` and `remote` are address:port, as far as they are known.
    """

    connector: str
    session: str
    number: int
    local: str
    remote: str
    event: str
    data: str
    context: str

    def line(self, now: datetime) -> bytes:
        """The step as it is logged; `now` is UTC."""
        begins = f"{_date_time(now)},{_field(_printable(self.connector))},{self.session}"
        said = (clean(text) for text in (self.local, self.remote, self.data, self.context))
        local, remote, data, context = (_field(text) for text in said)
        return f"{begins},{self.number},{local},{remote},{self.event},{data},{context}\r\n".encode()


def _date_time(now: datetime) -> str:
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"


def _printable(name: str) -> str:
    """A connector's name, which may have any letters."""
    return "".join(c if c.isprintable() else clean(c) for c in name)


def _field(text: str) -> str:
    text = text if len(text) <= LONGEST_FIELD else f"{text[:LONGEST_FIELD]}..."
    if text.startswith(_BEGIN_FORMULAS):
        text = f"'{text}"
    return '"{}"'.format(text.replace('"', '""')) if "," in text or '"' in text else text
