"""Enhanced status codes (RFC 3463) by which an administrator names failures: `5.7.1`, `5.7.*`."""

import re
from dataclasses import dataclass

_NUMBER = "(?:0|[1-9][0-9]{0,2})"
_CODE = re.compile(rf"(?P<class>[0-9])[.](?P<subject>{_NUMBER})[.](?P<detail>{_NUMBER}|[*])")
_PERMANENT, _TEMPORARY = 5, 4


@dataclass(frozen=True, slots=True)
class EnhancedStatusCode:
    """A failure; without `detail` all failures of its class and subject."""

    status_class: int
    subject: int
    detail: int | None = None

    @classmethod
    def parse_permanent(cls, text: str) -> "EnhancedStatusCode":
        """Read `5.7.1` or `5.7.*`; ValueError for anything else, saying what would be right."""
        code = cls._parse(text, "5.7.1")
        if code.status_class != _PERMANENT:
            raise ValueError("permanent failures begin with 5; write e.g. 5.7.1")
        return code

    @classmethod
    def parse_temporary(cls, text: str) -> "EnhancedStatusCode":
        """Read `4.4.1` or `4.4.*`; ValueError for anything else, saying what would be right."""
        code = cls._parse(text, "4.4.1")
        if code.status_class != _TEMPORARY:
            raise ValueError("temporary failures begin with 4; write e.g. 4.4.1")
        return code

    @classmethod
    def _parse(cls, text: str, example: str) -> "EnhancedStatusCode":
        match = _CODE.fullmatch(text.strip())
        if match is None:
            several = example.rpartition(".")[0]
            raise ValueError(
                "this is no enhanced status code (RFC 3463);"
                f" write e.g. {example}, or {several}.* for all of {several}"
            )
        detail = None if match["detail"] == "*" else int(match["detail"])
        return cls(int(match["class"]), int(match["subject"]), detail)

    def __str__(self) -> str:
        detail = "*" if self.detail is None else self.detail
        return f"{self.status_class}.{self.subject}.{detail}"
