"""What the log is told of one connection, and what anybody may see of what the next hop says."""

from postconnector.delivery.dialogue_log import DialogueLog
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.masking import Secrets
from postconnector.delivery.smtp.settings import Login
from postconnector.delivery.smtp.steps import Send


class Transcript:
    """From connecting to one end. `has_ended`: it has been told of that."""

    def __init__(self, log: DialogueLog, login: Login | None) -> None:
        self._log = log
        self._secrets = Secrets(login.password if login is not None else "")
        self.has_ended = False
        self.connected = log.connected
        self.information = log.information

    def sent(self, step: Send) -> None:
        """Commands, without their secrets."""
        if step.shown is None:
            for line in step.lines:
                self._log.sent(line)
        else:
            self._secrets.remember(step.lines, step.shown)
            self._log.sent(step.shown)

    def heard(self, reply: Reply, *, logging_in: bool) -> Reply:
        """A reply; returned as it may be seen."""
        if self._secrets.were_said:
            masked = (self.masked(line, logging_in=logging_in) for line in reply.lines)
            reply = Reply(reply.code, reply.enhanced, tuple(masked))
        lines = reply.lines or ("",)
        last = len(lines) - 1
        for number, line in enumerate(lines):
            words = filter(None, (reply.enhanced, line))
            self._log.received(f"{reply.code}{' ' if number == last else '-'}{' '.join(words)}")
        return reply

    def masked(self, text: str, *, logging_in: bool) -> str:
        """What else comes from the next hop, as it may be seen."""
        return self._secrets.masked(text, logging_in=logging_in)

    def ended(self, reason: str) -> None:
        """Told once, whoever notices first. `reason`: Local, Remote or TimedOut."""
        if not self.has_ended:
            self.has_ended = True
            self._log.disconnected(reason)
