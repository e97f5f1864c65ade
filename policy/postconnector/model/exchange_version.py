"""Exchange's versions: what a connector may say, and its defaults, depend on them."""

from enum import StrEnum


class ExchangeVersion(StrEnum):
    """The version whose rules and defaults hold, oldest first."""

    V2010 = "2010"
    V2013 = "2013"
    V2016 = "2016"
    V2019 = "2019"
    SE = "SE"

    def is_before(self, other: "ExchangeVersion") -> bool:
        """Whether this version is older than `other`."""
        versions = list(ExchangeVersion)
        return versions.index(self) < versions.index(other)


DEFAULT_VERSION = ExchangeVersion.V2013
