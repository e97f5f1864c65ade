"""The Postfix on this host, for what is its to deliver. None is there for `postconnector send`."""

from dataclasses import dataclass

from postconnector.daemon.kept_domains import KeptDomains
from postconnector.delivery.handing_back import HandingBack


@dataclass(frozen=True, slots=True)
class OwnPostfix:
    """`handing_back` gives it recipients; `kept_domains` are those that no connector takes."""

    handing_back: HandingBack
    kept_domains: KeptDomains
