"""What waits in Postfix' queue, and why (postqueue(1), option -j, Postfix 3.1 and later)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from postconnector.postfix.host import PostfixHost, run_postfix_command


@dataclass(frozen=True, slots=True)
class DeferredRecipient:
    """A recipient whose last attempt failed, and the reason that Postfix kept."""

    address: str
    reason: str


def deferred_recipients(host: PostfixHost) -> Iterator[DeferredRecipient]:
    """Every recipient that waits for another attempt. Raises PostfixError."""
    output = run_postfix_command("postqueue", "-c", str(host.config_directory), "-j")
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("queue_name") != "deferred":
            continue
        for recipient in message.get("recipients", ()):
            reason = recipient.get("delay_reason", "")
            yield DeferredRecipient(recipient["address"], reason)
