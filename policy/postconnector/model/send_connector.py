"""A Send connector: Exchange's properties with their types, ranges and defaults.

Names, ranges and defaults: New-SendConnector and Set-SendConnector (Exchange 2013). What two
or more properties demand of each other stands in `rules`.
"""

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator

from postconnector.model import values
from postconnector.model.address_space import AddressSpace
from postconnector.model.domain import is_ip_address, parse_domain
from postconnector.model.size import MaxMessageSize
from postconnector.model.smart_host import SmartHost
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


def _user_name(value: object) -> str:
    user = values.any_text(value)
    if not user or user != user.strip() or ":" in user:
        raise ValueError("the user name is empty, holds a colon, or begins or ends with a blank")
    return user


def _password_file(value: object) -> str:
    path = values.any_text(value)
    if not path:
        raise ValueError("the path is empty; write the path of a file that holds the password")
    return path


class Credential(BaseModel):
    """AuthenticationCredential: a user, and the file that holds the password and nothing else.

    The password itself never stands in the connectors file. A relative path is taken from the
    folder of that file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_name: Annotated[str, PlainValidator(_user_name)]
    password_file: Annotated[str, PlainValidator(_password_file)]


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
        BeforeValidator(values.as_list),
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
    ignore_starttls: Boolean = False
    require_tls: Boolean = False
    tls_auth_level: Annotated[TlsAuthLevel, values.choice(TlsAuthLevel)] | None = None
    tls_domain: Annotated[TlsDomain, values.text(TlsDomain.parse, TlsDomain)] | None = None
    tls_certificate_name: Annotated[
        TlsCertificateName | None, PlainValidator(_certificate_name)
    ] = None

    @property
    def sort_name(self) -> str:
        """The name as connectors are ordered by it: without case, by code points."""
        return self.name.casefold()

    @property
    def authenticates(self) -> bool:
        """Whether we log in to the smart host with a user and password."""
        return self.smart_host_auth_mechanism in (
            SmartHostAuthMechanism.BASIC_AUTH,
            SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS,
        )
