"""The demo's messages, and what must become of each by the connectors of connectors.toml."""

from dataclasses import dataclass

KB = 1024


CONNECTORS = {
    "Internet": ("pc-internet", "internet.contoso.test"),
    "Fabrikam, partner": ("pc-fabrikam-partner", "fabrikam.contoso.test"),
    "Woodgrove, partner": ("pc-woodgrove-partner", "woodgrove.contoso.test"),
    "Subsidiaries": ("pc-subsidiaries", "subsidiaries.contoso.test"),
    "Tailspin smart host": ("pc-tailspin-smart-host", "tailspin.contoso.test"),
    "Proseware": ("pc-proseware", "proseware.contoso.test"),
}
"""By name: the service that Postfix logs, and the name that receivers are greeted with (fqdn)."""


@dataclass(frozen=True)
class Expected:
    """What must become of a message.

    `connector`: None for a recipient that no connector is for. `tls`: none, encrypted, or the
    name that was verified. `outcome`: delivered, deferred, refused at RCPT or refused at DATA.
    """

    connector: str | None
    outcome: str
    tls: str = "none"
    own_certificate: str | None = None


@dataclass(frozen=True)
class Message:
    """A message to send: by SMTP (saying its SIZE or not) or by sendmail(1)."""

    recipient: str
    size: int
    expected: Expected
    why: str
    by: str = "SMTP"


MESSAGES = (
    Message(
        "bob@fabrikam.test",
        4 * KB,
        Expected("Fabrikam, partner", "delivered", tls="mail.fabrikam.test"),
        "exact domain; partner's certificate verified",
    ),
    Message(
        "sue@sales.contoso.test",
        4 * KB,
        Expected("Subsidiaries", "delivered"),
        "subdomain by wildcard; smart host",
        by="sendmail",
    ),
    Message(
        "joe@example.test",
        4 * KB,
        Expected("Internet", "delivered"),
        "default route; MX from DNS",
    ),
    Message(
        "old@adatum.test",
        4 * KB,
        Expected("Internet", "delivered"),
        "its own connector is disabled",
        by="sendmail",
    ),
    Message(
        "eve@woodgrove.test",
        4 * KB,
        Expected("Woodgrove, partner", "deferred"),
        "partner shows a certificate for another name",
    ),
    Message(
        "tim@tailspin.test",
        4 * KB,
        Expected("Tailspin smart host", "delivered", tls="smart host's name"),
        "smart host that wants a login over TLS",
        by="sendmail",
    ),
    Message(
        "pam@proseware.test",
        4 * KB,
        Expected(
            "Proseware",
            "delivered",
            tls="*.proseware.test",
            own_certificate="smtp.contoso.test",
        ),
        "the partner sees our certificate",
    ),
    Message(
        "bob@fabrikam.test",
        1500 * KB,
        Expected("Internet", "delivered", tls="encrypted"),
        "above the partner's limit, so Exchange's rule takes the next connector",
    ),
    Message(
        "bob@fabrikam.test",
        3000 * KB,
        Expected(None, "refused at RCPT"),
        "above every limit, as the client declares",
    ),
    Message(
        "joe@example.test",
        3000 * KB,
        Expected(None, "refused at DATA"),
        "above every limit, found out at the end",
        by="SMTP, no SIZE",
    ),
    Message(
        "ann@contoso.test",
        3000 * KB,
        Expected(None, "delivered"),
        "local recipient: no connector, no limit of one",
    ),
)
