"""What an administrator should hear about an imported connector, beyond its single properties."""

from collections.abc import Iterator

from postconnector.sources.importing.draft import Draft
from postconnector.sources.importing.report import Kind, Note

_MICROSOFT_365 = (
    ".mail.protection.outlook.com",
    ".mail.protection.office365.us",
    ".mail.protection.partner.outlook.cn",
)


def advice(draft: Draft) -> Iterator[Note]:
    """Notes about a draft."""
    certificate = draft.properties.get("tls_certificate_name")
    if isinstance(certificate, str):
        yield Note(
            Kind.NEEDS_YOU,
            "export this certificate with its private key from Exchange, and put both as PEM"
            " files into the certificate directory",
            draft.name,
            "TlsCertificateName",
        )
    if "max_message_size" not in draft.properties and "MaxMessageSize" not in draft.missing:
        yield Note(
            Kind.NEEDS_YOU,
            "not in the export: the default holds, which is 10 MB in Exchange 2010, 25 MB in 2013"
            " and 35 MB since 2016; set exchange_version under [organization], or the size",
            draft.name,
            "MaxMessageSize",
        )
    if draft.properties.get("source_transport_servers"):
        yield Note(
            Kind.TAKEN,
            "kept; tells near from far only once [[organization.server]] declares these servers",
            draft.name,
            "SourceTransportServers",
        )
    if leads_to_microsoft_365(draft):
        yield Note(
            Kind.NEEDS_YOU,
            "leads to Microsoft 365: in a hybrid organization Microsoft does not support a server"
            " between Exchange and Microsoft 365 (KB 2663556), as it breaks the trust in"
            " cross-premises headers; let Exchange itself send this mail",
            draft.name,
        )


def leads_to_microsoft_365(draft: Draft) -> bool:
    """Whether the next hop is Exchange Online Protection."""
    names = [draft.properties.get("tls_domain"), *_smart_hosts(draft)]
    cloud = any(_is_microsoft_365(name) for name in names if isinstance(name, str))
    return cloud or draft.properties.get("cloud_services_mail_enabled") is True


def _smart_hosts(draft: Draft) -> list[object]:
    hosts = draft.properties.get("smart_hosts")
    return hosts if isinstance(hosts, list) else []


def _is_microsoft_365(name: str) -> bool:
    return f".{name.lower().removeprefix('*.')}".endswith(_MICROSOFT_365)
