"""The organization: all connectors, and what the host they are for is like. Immutable."""

import re
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainValidator

from postconnector.model import values
from postconnector.model.send_connector import SendConnector

_UNIX = re.compile(r"unix:[A-Za-z0-9._/+-]+")
_INET = re.compile(r"inet:(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


def _directory(value: object) -> str:
    path = values.any_text(value)
    if not path:
        raise ValueError("the path is empty")
    return path


def _endpoint(value: object) -> str:
    text = values.any_text(value)
    if _UNIX.fullmatch(text):
        return text
    inet = _INET.fullmatch(text)
    if inet is not None and 0 < int(inet["port"]) < 65536:
        return text
    raise ValueError(
        "this is no endpoint; write unix:PATH (relative to Postfix' queue directory),"
        " or inet:127.0.0.1:PORT"
    )


class HostSettings(BaseModel):
    """What postconnector itself needs to know of this host (table `[host]`).

    `certificate_directory`: PEM files with our certificates and keys; relative to the folder of
    the connectors file. `policy_service`: where Postfix asks the policy service.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate_directory: Annotated[str, PlainValidator(_directory)] = "certificates"
    policy_service: Annotated[str, PlainValidator(_endpoint)] = "unix:postconnector/policy"


@dataclass(frozen=True, slots=True)
class Organization:
    """Connectors with unique names, in the order of the document."""

    connectors: tuple[SendConnector, ...] = ()
    host: HostSettings = field(default_factory=HostSettings)

    def connector(self, name: str) -> SendConnector | None:
        """The connector of this name, in any case of letters."""
        wanted = name.casefold()
        return next((c for c in self.connectors if c.sort_name == wanted), None)
