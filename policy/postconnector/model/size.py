"""Message sizes as Exchange writes them: ByteQuantifiedSize and MaxMessageSize.

Grammar and rounding: New-SendConnector, parameter MaxMessageSize; what the page leaves open
is decided in docs/decisions.md.
"""

import re
from dataclasses import dataclass

_UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_LARGEST = 2_147_483_647
_KB = 1024
_QUANTITY = re.compile(r"(?P<number>[0-9]{1,18}) ?(?P<unit>B|KB|MB|GB|TB)?", re.IGNORECASE)
_BYTES = re.compile(r"(?P<bytes>[0-9]{1,3}(?:,[0-9]{3}){0,5}|[0-9]{1,18}) bytes", re.IGNORECASE)
_SHOWN = re.compile(r"(?P<quantity>[^(]*) \((?P<exact>[^)]*)\)")
_HINT = 'write a whole number and a unit, such as "10 MB" or "512 KB"'


def parse_byte_quantity(text: str) -> int:
    """Return the exact number of bytes that `text` names: "12MB", "25 MB (26,214,400 bytes)".

    Raises ValueError, saying what would be right.
    """
    text = text.strip()
    if (shown := _SHOWN.fullmatch(text)) is not None:
        exact = _whole_bytes(shown["exact"])
        if text.casefold() == format_byte_quantity(exact).casefold():
            return exact  # Exchange's own form, whose first number may be rounded
        count = _whole_units(shown["quantity"])
        if exact != count:
            raise ValueError(f"the two sizes differ ({count:,} and {exact:,} bytes); {_HINT}")
        return count
    return _whole_bytes(text) if text.casefold().endswith("bytes") else _whole_units(text)


def _whole_bytes(text: str) -> int:
    match = _BYTES.fullmatch(text)
    if match is None:
        raise ValueError(f"this is not a size; {_HINT}")
    return int(match["bytes"].replace(",", ""))


def _whole_units(text: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"this is not a size; {_HINT}")
    return int(match["number"]) * _UNITS[(match["unit"] or "B").upper()]


def format_byte_quantity(count: int) -> str:
    """Write a number of bytes in Exchange's output form, e.g. "25 MB (26,214,400 bytes)".

    The largest unit in which the number is at least one is used, with up to three decimals, as
    Exchange prints sizes that are not a whole number of units.
    """
    unit = max((u for u in _UNITS.items() if u[1] <= count), key=lambda u: u[1], default=("B", 1))
    number = f"{count / unit[1]:.4g}" if count % unit[1] else str(count // unit[1])
    return f"{number} {unit[0]} ({count:,} bytes)"


@dataclass(frozen=True, slots=True)
class MaxMessageSize:
    """The limit of a connector: `limit` in bytes, or None for unlimited."""

    limit: int | None

    @classmethod
    def parse(cls, text: str) -> "MaxMessageSize":
        """Read "25 MB", "1500" (bytes, rounded up to whole KB) or "unlimited".

        Raises ValueError for anything else and for sizes outside 0 to 2147483647 bytes.
        """
        if text.strip().casefold() == "unlimited":
            return cls(None)
        if not text.strip():
            raise ValueError('a size is missing; write e.g. "25 MB", or "unlimited"')
        count = parse_byte_quantity(text)
        if count > _LARGEST:
            raise ValueError(
                f"{count:,} bytes is above the largest limit, {_LARGEST:,} bytes;"
                ' write "unlimited" for none'
            )
        return cls(min(-(-count // _KB) * _KB, _LARGEST))

    def admits(self, size: int) -> bool:
        """Whether a message of `size` bytes is not larger than this limit."""
        return self.limit is None or size <= self.limit

    def __str__(self) -> str:
        return "Unlimited" if self.limit is None else format_byte_quantity(self.limit)
