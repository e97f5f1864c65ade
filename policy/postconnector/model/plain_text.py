"""Text of strangers as it may stand in replies and logs. Pure."""


def clean(text: str) -> str:
    """Printable ASCII, without what would break a line or steer a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, longest: int) -> str:
    """Not longer than so many characters, and seen to be cut."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
