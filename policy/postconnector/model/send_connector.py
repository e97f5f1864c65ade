"""A Send connector: Exchange's properties with their types, ranges and defaults.

Names, ranges and defaults: New-SendConnector and Set-SendConnector, of all versions; what a
version lacks stands in `versions`. What two or more properties demand of each other, or of the
organization, stands in `rules`.
"""

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from postconnector.model import values
from postconnector.model.address_space import AddressSpace
from postconnector.model.domain import is_ip_address, parse_domain
from postconnector.model.error_policies import ErrorPolicies
from postconnector.model.size import MaxMessageSize
from postconnector.model.smart_host import SmartHost
from postconnector.model.time_span import TimeSpan
from postconnector.model.tls_certificate_name import TlsCertificateName
from postconnector.model.tls_domain import TlsDomain


class Usage(StrEnum):
    """The usage type; a label and a choice of defaults."""

    CUSTOM = "Custom"
    INTERNAL = "Internal"
    INTERNET = "Internet"
    PARTNER = "Partner"


class TlsAuthLevel(StrEnum):
    """How the next hop's certificate is judged when TLS is required."""

    ENCRYPTION_ONLY = "EncryptionOnly"
    CERTIFICATE_VALIDATION = "CertificateValidation"
    DOMAIN_VALIDATION = "DomainValidation"


class SmartHostAuthMechanism(StrEnum):
    """How we authenticate to a smart host."""

    NONE = "None"
    BASIC_AUTH = "BasicAuth"
    BASIC_AUTH_REQUIRE_TLS = "BasicAuthRequireTLS"
    EXCHANGE_SERVER = "ExchangeServer"
    EXTERNAL_AUTHORITATIVE = "ExternalAuthoritative"


class ProtocolLoggingLevel(StrEnum):
    """Whether the SMTP dialogue is logged."""

    NONE = "None"
    VERBOSE = "Verbose"


class ConnectorType(StrEnum):
    """Whether the connector is one between premises and cloud (Exchange 2016 and later)."""

    DEFAULT = "Default"
    X_PREMISES = "XPremises"


DEFAULT_TIME_OUT, DEFAULT_MESSAGES_PER_CONNECTION = TimeSpan.of_seconds(600), 20
SHORTEST_TIME_OUT, LONGEST_TIME_OUT = TimeSpan.of_seconds(1), TimeSpan.of_seconds(86_400)


def _address_spaces(
    value: object, one_by_one: ValidatorFunctionWrapHandler
) -> tuple[AddressSpace, ...]:
    """What nearly all are is read in one go; what is wrong with others is found one by one."""
    spaces = values.as_list(value)
    found: tuple[AddressSpace, ...] = AddressSpace.all_plain(spaces) or one_by_one(spaces)
    return found


def _time_out(text: str) -> TimeSpan:
    span = TimeSpan.parse(text)
    if not SHORTEST_TIME_OUT <= span <= LONGEST_TIME_OUT:
        hint = "; a bare number is days" if text.strip().isdecimal() else ""
        raise ValueError(f"outside {SHORTEST_TIME_OUT} to {LONGEST_TIME_OUT}{hint}")
    return span


def _error_policies(value: object) -> ErrorPolicies:
    if isinstance(value, ErrorPolicies):
        return value
    names = values.as_list(value)
    return ErrorPolicies.parse(values.any_text(name) for name in names)


def _source_ip_address(text: str) -> IPv4Address | IPv6Address:
    if not is_ip_address(text.strip()):
        raise ValueError("this is not an IP address; write e.g. 192.0.2.10")
    return ip_address(text.strip())


def _source_address(value: object) -> IPv4Address | IPv6Address | None:
    if value is None or isinstance(value, IPv4Address | IPv6Address):
        return value
    address = _source_ip_address(values.any_text(value))
    return None if address.is_unspecified else address


def _certificate_name(value: object) -> TlsCertificateName | None:
    if value is None or isinstance(value, TlsCertificateName):
        return value
    text = values.any_text(value)
    return TlsCertificateName.parse(text) if text else None


def _optional_text(value: object) -> str | None:
    return values.any_text(value) or None


def _user_name(value: object) -> str:
    user = values.any_text(value)
    if not user or user != user.strip() or ":" in user:
        raise ValueError("the user name is empty, holds a colon, or begins or ends with a blank")
    return user


def _secret_file(value: object) -> str:
    path = values.any_text(value)
    if not path:
        raise ValueError("the path is empty; write the path of a file that holds the secret")
    return path


def _token_file(value: object) -> str:
    path = _secret_file(value)
    if not path.startswith("/"):
        raise ValueError("write the whole path, from / on: the delivery agent reads it every time")
    return path


class Credential(BaseModel):
    """AuthenticationCredential: a user, and the file that holds the secret and nothing else.

    The secret itself never stands in the connectors file: it is a password, or an OAuth 2.0 access
    token (XOAUTH2) that something else renews there. The path of a password file may start in the
    folder of the connectors file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_name: Annotated[str, PlainValidator(_user_name)]
    password_file: Annotated[str, PlainValidator(_secret_file)] | None = None
    token_file: Annotated[str, PlainValidator(_token_file)] | None = Field(
        default=None, validate_default=True
    )

    @field_validator("token_file", mode="after")
    @classmethod
    def _is_one_of_both(cls, token_file: str | None, info: ValidationInfo) -> str | None:
        password_file = info.data.get("password_file", "unfit")
        if password_file is None and token_file is None:
            raise ValueError("password_file is missing, or token_file")
        if password_file is not None and token_file is not None:
            raise ValueError("password_file and token_file exclude each other")
        return token_file

    def as_toml(self) -> dict[str, str]:
        """As it stands in a connectors file."""
        said = self.model_dump(exclude_none=True)
        return {name: str(value) for name, value in said.items()}


Boolean = Annotated[bool, PlainValidator(values.boolean)]
Domain = Annotated[str, values.text(parse_domain, str)]


class SendConnector(BaseModel):
    """One Send connector, each property by itself valid."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: Annotated[str, PlainValidator(values.name)]
    enabled: Boolean = True
    usage: Annotated[Usage, values.choice(Usage)] = Usage.CUSTOM
    comment: Annotated[str, PlainValidator(values.any_text)] = ""
    address_spaces: Annotated[
        tuple[Annotated[AddressSpace, values.text(AddressSpace.parse, AddressSpace)], ...],
        WrapValidator(_address_spaces),
    ] = ()
    is_scoped_connector: Boolean = False
    source_transport_servers: Annotated[
        tuple[Annotated[str, PlainValidator(values.name)], ...], BeforeValidator(values.as_list)
    ] = ()
    max_message_size: Annotated[
        MaxMessageSize, values.text(MaxMessageSize.parse, MaxMessageSize)
    ] = MaxMessageSize(25 * 1024**2)
    dns_routing_enabled: Boolean = True
    smart_hosts: Annotated[
        tuple[Annotated[SmartHost, values.text(SmartHost.parse, SmartHost)], ...],
        BeforeValidator(values.as_list),
    ] = ()
    port: Annotated[int, values.whole_number(0, 65535)] = 25
    smart_host_auth_mechanism: Annotated[
        SmartHostAuthMechanism, values.choice(SmartHostAuthMechanism)
    ] = SmartHostAuthMechanism.NONE
    authentication_credential: Credential | None = None
    fqdn: Domain | None = None
    source_ip_address: Annotated[
        IPv4Address | IPv6Address | None, PlainValidator(_source_address)
    ] = None
    force_helo: Boolean = False
    frontend_proxy_enabled: Boolean = False
    use_external_dns_servers_enabled: Boolean = False
    ignore_starttls: Boolean = False
    require_tls: Boolean = False
    tls_auth_level: Annotated[TlsAuthLevel, values.choice(TlsAuthLevel)] | None = None
    tls_domain: Annotated[TlsDomain, values.text(TlsDomain.parse, TlsDomain)] | None = None
    tls_certificate_name: Annotated[
        TlsCertificateName | None, PlainValidator(_certificate_name)
    ] = None
    domain_secure_enabled: Boolean = False
    cloud_services_mail_enabled: Boolean = False
    error_policies: Annotated[ErrorPolicies, PlainValidator(_error_policies)] = ErrorPolicies()
    connection_inactivity_time_out: Annotated[TimeSpan, values.text(_time_out, TimeSpan)] = (
        DEFAULT_TIME_OUT
    )
    smtp_max_messages_per_connection: Annotated[int, values.whole_number(1, 2_147_483_647)] = (
        DEFAULT_MESSAGES_PER_CONNECTION
    )
    protocol_logging_level: Annotated[ProtocolLoggingLevel, values.choice(ProtocolLoggingLevel)] = (
        ProtocolLoggingLevel.NONE
    )
    connector_type: Annotated[ConnectorType, values.choice(ConnectorType)] = ConnectorType.DEFAULT
    require_oorg: Boolean = False
    is_coexistence_connector: Boolean = False
    linked_receive_connector: Annotated[str | None, PlainValidator(_optional_text)] = None

    @property
    def sort_name(self) -> str:
        """The name as connectors are ordered by it: without case, by code points."""
        return self.name.casefold()

    @property
    def shows_certificate(self) -> bool:
        """Whether the connector has a certificate of its own to show (TlsCertificateName)."""
        return self.tls_certificate_name is not None and not self.ignore_starttls

    @property
    def authenticates(self) -> bool:
        """Whether we log in to the smart host with a user and password."""
        return self.smart_host_auth_mechanism in (
            SmartHostAuthMechanism.BASIC_AUTH,
            SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS,
        )
