"""Does Postfix add recipients to messages when it queues them (always_bcc and others)?

FILTER leads a whole message, those that cleanup(8) adds later among it.
"""

from postconnector.postfix.host import PostfixHost
from postconnector.postfix.remembered import Remembered

_PARAMETERS = (
    "always_bcc",
    "sender_bcc_maps",
    "recipient_bcc_maps",
    "header_checks",
    "mime_header_checks",
    "nested_header_checks",
    "body_checks",
)
"""Those that add recipients, or may (BCC of header_checks(5))."""


class AddedRecipients:
    """Of one Postfix instance, by its main.cf; the answer is remembered for a minute.

    Calls block while Postfix' commands run: not for an event loop.
    """

    def __init__(self, host: PostfixHost) -> None:
        self._host = host
        self._remembered = Remembered[str, str]()

    def may_come(self) -> bool:
        """Raises PostfixError when Postfix can't be asked."""
        if self._remembered.is_over:
            self._remembered.begin()
        if (known := self.remembered()) is not None:
            return known
        values = self._host.expanded(*_PARAMETERS)
        self._remembered.add({name: values.get(name, "") for name in _PARAMETERS})
        return any(values.values())

    def remembered(self) -> bool | None:
        """The same, of what was found out in the last minute; never blocks. None: nothing was."""
        known = self._remembered.get(_PARAMETERS)
        return any(known.values()) if known is not None else None
