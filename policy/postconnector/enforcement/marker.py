"""The header by which our milter tells Postfix to take the agent path.

milter_header_checks asks for it; they see only headers that milters add. What a client wrote
itself is never asked for, and our milter takes it out.
"""

NAME = "X-Postconnector-Path"
_TO_THE_AGENT = "agent"


def to_the_agent(way: str) -> str:
    """Its value; `way`: by which the message comes back from the agent, empty for the usual one.

    It names no target, so that nothing in a message can: who forged it would get to the delivery
    agent, which judges for itself.
    """
    return f"{_TO_THE_AGENT}-{way}" if way else _TO_THE_AGENT


def is_marker(header_name: str) -> bool:
    """Whether a header of this name is the marker, in any case of letters."""
    return header_name.strip().lower() == _LOWER


_LOWER = NAME.lower()
