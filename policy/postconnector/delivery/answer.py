"""What became of one recipient: the reply for Postfix, and where it comes from. No I/O."""

from dataclasses import dataclass

from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
from postconnector.model.plain_text import clean

_LONGEST_TEXT = 600


@dataclass(frozen=True, slots=True)
class Answer:
    """`reply` as it was said, or as we say it; `relay`: the next hop that was reached.

    `in_reply_to`: what the next hop answered with it, such as "RCPT TO command"; empty if it was
    not the next hop that spoke. `uncertain`: it may have taken the message. `others_may`: another
    host of the next hop may take it, though this one can't for good. `not_found`: DNS does not
    know the next hop. `refused_login`: the next hop did not take our login. `without_dsn`: it
    knows nothing of reports (RFC 3461). `connector`: the name of the one that the recipient took.
    """

    reply: Reply
    relay: Target | None = None
    in_reply_to: str = ""
    uncertain: bool = False
    others_may: bool = False
    not_found: bool = False
    refused_login: bool = False
    without_dsn: bool = False
    connector: str | None = None

    @property
    def lets_others_try(self) -> bool:
        """Whether another host of the next hop may take what this one did not."""
        return (self.reply.is_temporary or self.others_may) and not self.uncertain

    def told(self) -> Reply:
        """The reply for Postfix: the next hop's words are said to be its own (RFC 3463 codes)."""
        text = clean(self.reply.text)[:_LONGEST_TEXT]
        if self.relay is not None and self.in_reply_to:
            said = " ".join(filter(None, (str(self.reply.code), self.reply.enhanced, text)))
            text = f"{self.relay} said: {said}"
            if not self.reply.is_positive:
                text += f" (in reply to {self.in_reply_to})"
        return Reply(self.reply.code, self.reply.status, (text,))
