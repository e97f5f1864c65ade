"""What each version of Exchange has and lacks, and the defaults that changed between them."""

from postconnector.model.exchange_version import ExchangeVersion
from postconnector.model.send_connector import Usage
from postconnector.model.size import MaxMessageSize

_ADDED = {
    "frontend_proxy_enabled": ExchangeVersion.V2013,
    "tls_certificate_name": ExchangeVersion.V2013,
    "cloud_services_mail_enabled": ExchangeVersion.V2013,
    "connector_type": ExchangeVersion.V2016,
}
INSTEAD = {
    "is_coexistence_connector": (
        "for mail to Microsoft 365 say RequireTLS true, TlsAuthLevel DomainValidation, TlsDomain"
        " mail.protection.outlook.com, TlsCertificateName and CloudServicesMailEnabled true"
    ),
    "linked_receive_connector": (
        "point the MX record at the anti-spam service, or give the smtpd(8) that receives from it"
        " a content_filter"
    ),
}
"""Properties that Exchange 2013 dropped, and what to do without them."""

_MB = 1024 * 1024


def is_in_version(field: str, version: ExchangeVersion) -> bool:
    """Whether a version of Exchange has a property (by its name in snake_case)."""
    if field in INSTEAD:
        return version is ExchangeVersion.V2010
    added = _ADDED.get(field)
    return added is None or not version.is_before(added)


def added_in(field: str) -> ExchangeVersion | None:
    """The version that brought a property, if it was not always there."""
    return _ADDED.get(field)


def default_max_message_size(version: ExchangeVersion, usage: Usage) -> MaxMessageSize:
    """The MaxMessageSize of a connector that says none.

    The pages of Exchange disagree; docs/decisions.md says what we go by.
    """
    if version is ExchangeVersion.V2010:
        return MaxMessageSize(10 * _MB)
    if version is ExchangeVersion.V2013:
        return MaxMessageSize(25 * _MB)
    return MaxMessageSize(None if usage is Usage.INTERNAL else 35 * _MB)
