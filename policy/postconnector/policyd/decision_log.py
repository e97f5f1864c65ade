"""One line in the log for each decision that Postfix is told, in the form of smtpd(8)'s own.

Such as: NOQUEUE: reject: RCPT from mx.test[192.0.2.1]: 552 5.3.4 …; from=<a@b.test> to=<c@d.test>
proto=ESMTP helo=<mx.test>. So what searches Postfix' log finds ours too.
"""

import logging

from postconnector.model.plain_text import clean, cut
from postconnector.policyd.protocol import Request

_LONGEST_VALUE = 256
"""Characters: of an address (RFC 5321 4.5.3.1.3); a domain name is shorter."""

_LONGEST_TEXT = 600
_LONGEST_QUEUE_ID = 64

log = logging.getLogger(__name__)


def log_decision(action: str, request: Request, text: str) -> None:
    """`action`: reject (4xx or 5xx) or filter, as Postfix says; `text`: the reply, or why."""
    log.info("%s", decision_line(action, request, text))


def decision_line(action: str, request: Request, text: str) -> str:
    """The line; whatever came from a client is cleaned and cut."""
    found = {name: _shown(request.get(name, "")) for name in _NAMES}
    client = f"{found['client_name'] or 'unknown'}[{found['client_address'] or 'unknown'}]"
    envelope = f"from=<{found['sender']}>"
    if found["recipient"]:
        envelope += f" to=<{found['recipient']}>"
    return (
        f"{queue_id(request)}: {action}: {found['protocol_state']} from {client}:"
        f" {_shown(text, _LONGEST_TEXT)}; {envelope}"
        f" proto={found['protocol_name']} helo=<{found['helo_name']}>"
    )


def queue_id(request: Request) -> str:
    """The message's id in Postfix' queue, or NOQUEUE before it has one."""
    said = request.get("queue_id", "")
    is_one = said.isascii() and said.isalnum() and len(said) <= _LONGEST_QUEUE_ID
    return said if is_one else "NOQUEUE"


_NAMES = (
    "protocol_state",
    "client_name",
    "client_address",
    "sender",
    "recipient",
    "protocol_name",
    "helo_name",
)


def _shown(text: str, longest: int = _LONGEST_VALUE) -> str:
    """Printable ASCII, so that nothing breaks the line or steers a terminal; not endless."""
    return cut(clean(cut(text, longest)), longest)
