"""The size rule: what MaxMessageSize means for the recipients of one message. Pure."""

from collections.abc import Iterator

from postconnector.enforcement.message import Message, Stage
from postconnector.enforcement.recipient_route import RecipientRoute
from postconnector.enforcement.rule import Refuse, TakeAgentPath
from postconnector.model.plain_text import cut
from postconnector.model.problem import quoted
from postconnector.selection.outcome import Candidate, NonDelivery

_LONGEST = 120
"""Characters of an address or a name in a reply."""


def size_rule(message: Message) -> Iterator[Refuse | TakeAgentPath]:
    """552 5.3.4 for each recipient to whom no connector takes the message.

    Of an alias that is not known yet: the agent gets the message with whom it stands for.
    """
    for route in message.recipients:
        if route.rewritten and message.stage is Stage.END_OF_MESSAGE:
            yield TakeAgentPath(f"{cut(route.recipient, _LONGEST)} stands for others (an alias)")
        text = None if route.kept else too_big(route, message.size)
        if text is not None:
            yield Refuse(552, "5.3.4", text, (route.recipient,))


def matters(route: RecipientRoute, size: int) -> bool:
    """Whether the size decides about a recipient: it moves him, or nobody takes the message."""
    return route.moved or too_big(route, size) is not None


def too_big(route: RecipientRoute, size: int) -> str | None:
    """Why no connector takes a message of this size; None if one does, or size is no reason."""
    match route.outcome:
        case NonDelivery(largest=Candidate(connector), link=None):
            limit, owner = connector.max_message_size, f"Send connector {quoted(connector.name)}"
        case NonDelivery(link=link) if link is not None:
            limit, owner = link.max_message_size, f"site link {quoted(link.name)}"
        case _:
            return None
    recipient, owner = cut(route.recipient, _LONGEST), cut(owner, _LONGEST)
    return (
        f"message of {size:,} bytes to {recipient} is larger than MaxMessageSize {limit} of {owner}"
    )
