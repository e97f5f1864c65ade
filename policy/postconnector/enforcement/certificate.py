"""The certificate rule: mail for a connector without its own certificate waits. Pure."""

from collections.abc import Iterator

from postconnector.enforcement.message import Message, Stage
from postconnector.enforcement.rule import Defer
from postconnector.selection.outcome import Selected


def certificate_rule(message: Message) -> Iterator[Defer]:
    """454 4.7.5 when it is about to leave by such a connector; it is taken into the queue before.

    As Exchange does, which keeps the mail and tries again.
    """
    if message.stage is not Stage.DELIVERY or not message.unusable:
        return
    for route in message.recipients:
        if isinstance(route.outcome, Selected) and not route.kept:
            why = message.unusable.get(route.outcome.connector.name)
            if why is not None:
                yield Defer(454, "4.7.5", why, (route.recipient,))
