"""What a trial of a connector finds at its next hops. No I/O."""

from dataclasses import dataclass, field

from postconnector.delivery.hosts.target import NoTargetError, Target
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.steps import SessionFailedError, Stage
from postconnector.delivery.trial.certificate import ShownCertificate
from postconnector.enforcement.tls_requirement import CertificateName, Starttls


@dataclass(frozen=True, slots=True)
class Demand:
    """What the connector demands of every next hop. `names`: of one of these; None: of any.

    `chain`: the certificate must lead to an authority that is trusted. `revocation`: and not be
    revoked. `user`: whom we log in as. `shows_own`: the subject of the certificate that we show.
    """

    starttls: Starttls
    chain: bool = False
    names: tuple[CertificateName, ...] | None = None
    revocation: bool = False
    user: str | None = None
    shows_own: ShownCertificate | None = None


@dataclass(frozen=True, slots=True)
class FoundTarget:
    """`found_by`: the MX record, smart host or address that led there, in a few words.

    `tried`: whether the agent would try it at all; it tries only so many addresses.
    """

    target: Target
    found_by: str
    tried: bool = True


@dataclass(frozen=True, slots=True)
class NotFound:
    """A domain or smart host that leads nowhere now."""

    hop: str
    reply: Reply
    not_found: bool = False

    @classmethod
    def of(cls, hop: str, error: NoTargetError) -> "NotFound":
        """What DNS, or a look at it, said of `hop`."""
        return cls(hop, error.reply, error.not_found)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why mail would not be taken: `reply` is what the sender would be told for this target."""

    reply: Reply
    stage: Stage
    said_by_peer: bool = False

    @classmethod
    def of(cls, error: SessionFailedError) -> "Failure":
        """A session that broke."""
        return cls(error.reply, error.stage, error.said_by_peer)


@dataclass(slots=True)
class Finding:
    """One target.

    `local`, `remote`: endpoints, empty without a connection; `milliseconds` until it stood.
    `opened`: what was offered; `in_second`: by a second session, which verified nothing and logged
    in nowhere, as the first ended with the certificate. `chain`: what was shown, in its order;
    `chain_met`, `name_met`: whether the demand on it is met (None: there is none, or it did not
    come to that). `mechanism`: by which we log in, or would. `without_tls`: why the session went
    on in clear. `sender`, `recipient`: the answers to MAIL and RCPT, where these were asked.
    `dialogue`: all that was said, secrets masked.
    """

    found: FoundTarget
    local: str = ""
    remote: str = ""
    milliseconds: float | None = None
    opened: Opened = field(default_factory=Opened)
    in_second: bool = False
    chain: tuple[ShownCertificate, ...] = ()
    chain_met: bool | None = None
    name_met: bool | None = None
    asks_for_ours: bool | None = None
    ours_was_shown: bool = False
    without_tls: str = ""
    mechanism: str | None = None
    sender: Reply | None = None
    recipient: Reply | None = None
    failure: Failure | None = None
    dialogue: list[str] = field(default_factory=list)

    @property
    def target(self) -> Target:
        """Where to."""
        return self.found.target
