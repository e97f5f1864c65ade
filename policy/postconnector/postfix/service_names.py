"""Names of master.cf services: one a connector, recognisable, unique and safe everywhere.

A service name is also a log tag, a file name and part of parameter names, so it is made of
lower-case letters, digits and hyphens: "Fabrikam, partner" becomes pc-fabrikam-partner.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

PREFIX = "pc-"
AGENT_SERVICE = "pc-delivery-agent"
"""The service that hands mail to the delivery agent, whatever its connector."""

AGENT_PATH_SERVICE = "pc-agent-path"
"""The same, for messages that FILTER led to it."""

RETURN_SERVICE = "pc-agent-return"
"""The service that takes back what the delivery agent does not deliver."""

RETURN_CLEANUP_SERVICE = "pc-agent-cleanup"
"""The service that queues what was taken back."""

MAPS_LATE, FILTERED = "late", "filtered"
"""What the services of a way back are called that takes addresses as the sender wrote them, and
that leads to a content filter.
"""

WAY = rf"{MAPS_LATE}|(?:{MAPS_LATE}-)?{FILTERED}(?:-[0-9a-f]{{8}})?"
"""What stands behind a hyphen in their names."""

_OTHER = re.compile(r"[^a-z0-9]+")
_LONGEST = 32
_AGENTS = "|".join(
    name.removeprefix(PREFIX)
    for name in (AGENT_SERVICE, AGENT_PATH_SERVICE, RETURN_SERVICE, RETURN_CLEANUP_SERVICE)
)
_NEEDS_HASH = re.compile(rf"^$|(^|-)[0-9a-f]{{8}}$|^({_AGENTS})(-({WAY}))?$")
"""Nothing left of the name, what could be mistaken for one with a hash, or the agent's."""


def on_way(name: str, way: str) -> str:
    """The name of what is there for each way back, for one of them; empty: the usual one."""
    return f"{name}-{way}" if way else name


def service_names(connector_names: Iterable[str]) -> dict[str, str]:
    """Return the service name of each connector name.

    Where two would be the same, or nothing is left of a name, a hash of the name is added, so
    that a connector's service does not depend on the order of the connectors.
    """
    names = list(connector_names)
    slugs = {name: _OTHER.sub("-", name.casefold()).strip("-")[:_LONGEST] for name in names}
    shared = Counter(slugs.values())
    return {
        name: PREFIX
        + (slug if shared[slug] == 1 and not _NEEDS_HASH.search(slug) else _with_hash(slug, name))
        for name, slug in slugs.items()
    }


def _with_hash(slug: str, name: str) -> str:
    digest = hashlib.sha256(name.casefold().encode()).hexdigest()[:8]
    return f"{slug}-{digest}" if slug else digest
