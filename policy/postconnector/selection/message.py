"""What selection needs to know of a message: its size, and whether limits are for it."""

from dataclasses import dataclass
from enum import StrEnum


class MessageType(StrEnum):
    """Kinds of messages; all but the normal ones are exempt from size limits."""

    NORMAL = "normal"
    DSN = "dsn"
    JOURNAL_REPORT = "journal_report"
    SYSTEM = "system"
    AGENT_GENERATED = "agent_generated"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Message:
    """A message as limits see it; sizes in bytes, None or 0 if not known.

    `original_size` is what the header X-MS-Exchange-Organization-OriginalSize says.
    """

    size: int | None = None
    original_size: int | None = None
    type: MessageType = MessageType.NORMAL

    @property
    def judged_size(self) -> int:
        """The size that is compared ("Message size and recipient limits"): the lower of both.

        What is exempt, or not known, is judged as the smallest message that there is.
        """
        if self.type is not MessageType.NORMAL:
            return 1
        sizes = [size for size in (self.size, self.original_size) if size is not None]
        return max(min(sizes, default=1), 1)
