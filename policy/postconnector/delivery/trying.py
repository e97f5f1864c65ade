"""How many targets one message is tried at, and what a failed session means for it. No I/O.

`attempts` goes by it, and `trial` foretells by it. As Postfix does, only so many addresses are
tried (smtp_mx_address_limit) and so many hosts spoken to (smtp_mx_session_limit).
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from postconnector.delivery.answer import Answer
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.steps import Stage

MOST_SESSIONS = 5
_MOST_OF_ONE_HOST, _MOST_ADDRESSES = 5, 20
_NOT_REACHED = (Stage.CONNECT, Stage.GREETING)


def are_tried(targets: Iterable[Target]) -> Iterator[bool]:
    """Of each target, in their order, whether it is tried: no host with all of its addresses."""
    of_host: Counter[str] = Counter()
    for number, target in enumerate(targets):
        of_host[target.host] += 1
        yield number < _MOST_ADDRESSES and of_host[target.host] <= _MOST_OF_ONE_HOST


def was_spoken_to(stage: Stage) -> bool:
    """Whether a session that failed at this stage counts as one."""
    return stage not in _NOT_REACHED


def answer_of_failure(reply: Reply, target: Target, stage: Stage, *, said_by_peer: bool) -> Answer:
    """What a session that failed is for each recipient."""
    return Answer(
        reply,
        target,
        stage.value if said_by_peer else "",
        refused_login=stage is Stage.LOGIN,
    )
