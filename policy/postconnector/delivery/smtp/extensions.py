"""What a next hop offers: the keywords of its reply to EHLO (RFC 5321, 4.1.1.1). No I/O."""

from dataclasses import dataclass, field

from postconnector.delivery.reply import Reply

_MOST_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Extensions:
    """By keyword in upper case, the parameters; nothing of a server that only knows HELO."""

    keywords: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, reply: Reply) -> "Extensions":
        """The first line is a greeting; the old form AUTH=LOGIN counts as AUTH LOGIN."""
        found: dict[str, tuple[str, ...]] = {}
        for line in reply.lines[1:]:
            words = line.upper().split()
            if words and words[0].startswith("AUTH="):
                words = ["AUTH", words[0].removeprefix("AUTH="), *words[1:]]
            if words:
                found[words[0]] = found.get(words[0], ()) + tuple(filter(None, words[1:]))
        return cls(found)

    def offers(self, keyword: str) -> bool:
        """Whether a keyword is among them."""
        return keyword in self.keywords

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Those of AUTH."""
        return self.keywords.get("AUTH", ())

    @property
    def size_limit(self) -> int | None:
        """In bytes; None if none is said (RFC 1870: 0 is none, too)."""
        said = self.keywords.get("SIZE", ())
        text = said[0] if said else ""
        is_number = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
        return (int(text) or None) if is_number else None
