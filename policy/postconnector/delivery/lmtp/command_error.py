"""What is wrong with a command, as the reply that says so. No I/O."""

from postconnector.delivery.reply import Reply


class CommandError(Exception):
    """A command that is not done; `reply` says why, in words of ours alone."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, (text,))
