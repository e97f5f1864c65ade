"""A message as rules see it: what is known of it at one stage of its way. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from postconnector.enforcement.recipient_route import RecipientRoute

Headers = tuple[tuple[str, str], ...]


class Stage(Enum):
    """Where a rule is asked.

    RCPT: for one recipient, while the client waits; the size is what it declared. END_OF_MESSAGE:
    for all recipients, of the policy service or the milter; the size is real. DELIVERY: of the
    delivery agent, for the recipients of one LMTP transaction.
    """

    RCPT = "RCPT"
    END_OF_MESSAGE = "END-OF-MESSAGE"
    DELIVERY = "DELIVERY"


@dataclass(frozen=True, slots=True)
class Client:
    """Who gave the message to Postfix; empty where that is not known, as for sendmail(1).

    `sasl_username`, `sasl_method`: how it logged in. `tls_protocol`, `tls_cipher`: of its
    session. `certificate_subject`: the name in its certificate, if that was verified.
    """

    address: str = ""
    name: str = ""
    helo: str = ""
    sasl_username: str = ""
    sasl_method: str = ""
    tls_protocol: str = ""
    tls_cipher: str = ""
    certificate_subject: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message at one stage.

    `recipients`: each with what selection says of it. `size` in bytes: declared at RCPT (0: not),
    real later. `headers`: names and values in their order, None where the stage has none (the
    policy service). `unusable`: at DELIVERY, why a connector must not be used now, by its name: its
    own certificate is missing, or expired.
    """

    stage: Stage
    sender: str
    recipients: tuple[RecipientRoute, ...]
    size: int
    client: Client = Client()
    queue_id: str | None = None
    headers: Headers | None = None
    unusable: Mapping[str, str] = field(default_factory=dict)
