"""Domain names as connectors name them (RFC 1035 preferred syntax, IDNA A-labels)."""

import contextlib
import ipaddress
import re

import idna

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}+(?<!-)")
PLAIN_DOMAIN = re.compile(rf"(?:{_LABEL.pattern}[.])*+(?=[A-Za-z]){_LABEL.pattern}")
"""What nearly every domain is, found right in one step (its length aside)."""

_PLAIN_ADDRESS = re.compile(
    r"[^\s\x00-\x1f\"\\(),:;<>@\[\]]+@[^\s\x00-\x1f@.]+(\.[^\s\x00-\x1f@.]+)+"
)

_LONGEST = 253
_LONGEST_TYPED = 1000
"""More characters are no domain in whatever script, and not worth converting."""


def parse_domain(text: str) -> str:
    """Return the domain that `text` names, with its case kept and U-labels turned to A-labels.

    Raises ValueError, saying what would be right.
    """
    if len(text) <= _LONGEST and PLAIN_DOMAIN.fullmatch(text):
        return text
    return _parse_odd_domain(text)


def _parse_odd_domain(text: str) -> str:
    """The same for what is not plain: mostly to say what is wrong."""
    if not text:
        raise ValueError("the domain is empty; write a domain such as contoso.com")
    if "/" in text:
        raise ValueError("this is no domain; write the domain alone, such as contoso.com")
    if "@" in text:
        raise ValueError("this is an address; write only the domain behind the @")
    if text.startswith("["):
        raise ValueError("this is an address literal; write a domain such as contoso.com")
    if text.endswith("."):
        raise ValueError("the domain ends with a dot; leave the dot away")
    if len(text) > _LONGEST_TYPED:
        raise ValueError(f"the domain has more than {_LONGEST} characters")
    ascii_text = text if text.isascii() else _to_a_labels(text)
    if len(ascii_text) > _LONGEST:
        raise ValueError(f"the domain has more than {_LONGEST} characters")
    labels = ascii_text.split(".")
    for label in labels:
        _check_label(label)
    if labels[-1].isdigit():
        raise ValueError("this is no domain name (the last label is a number)")
    return ascii_text


def _check_label(label: str) -> None:
    if not label:
        raise ValueError("the domain has an empty label (two dots in a row)")
    if "*" in label:
        raise ValueError(
            "a wildcard can only be the whole first label; write *.contoso.com or contoso.com"
        )
    if "_" in label:
        raise ValueError("RFC 1035 allows no underscore in a mail domain")
    if not _LABEL.fullmatch(label):
        raise ValueError(
            "a label of the domain is not letters, digits and hyphens (at most 63, RFC 1035)"
        )


def _to_a_labels(text: str) -> str:
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"this is no internationalised domain name ({error})") from None


def is_ip_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address; one with a scope (fe80::1%eth0) is not."""
    if ":" not in text and not text[-1:].isdigit():
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_plain(address: str) -> bool:
    """Whether an address means to everybody what it says: without quotes, with a domain of several
    labels, without a route.
    """
    return _PLAIN_ADDRESS.fullmatch(address) is not None


def recipient_domain(address: str) -> str | None:
    """Return the domain of an envelope recipient in the form in which address spaces are looked up.

    That is lower case A-labels without a trailing dot; an address literal keeps its brackets,
    and a domain that is none (which no address space but `*` can name) is returned lower-cased.
    None: the address has no domain.
    """
    _, at, domain = address.rpartition("@")
    return compared_domain(domain) or None if at else None


def compared_domain(domain: str) -> str:
    """The same of a domain alone; empty for an empty one."""
    if not domain.isascii():
        with contextlib.suppress(ValueError):
            domain = _to_a_labels(domain)
    return domain.removesuffix(".").lower()


def in_unicode(domain: str) -> str | None:
    """A domain of A-labels, or .domain, with U-labels, as Postfix looks it up when a recipient is
    written so; None if there is no such form, or `taken_for` is another.
    """
    written = _with_u_labels(domain)
    return None if written is None or taken_for(written) != written else written


def taken_for(key: str) -> str:
    """What Postfix makes of a key, building a table or looking something up (utf8_casefold)."""
    return key.casefold()


def mistaken(domain: str) -> tuple[str, str] | None:
    """A domain of A-labels as it is written with U-labels, and for which other one Postfix takes
    it then: straße.example is strasse.example to it. None: for none.
    """
    written = _with_u_labels(domain)
    if written is None or taken_for(written) == written:
        return None
    return written, taken_for(written)


def _with_u_labels(domain: str) -> str | None:
    if "xn--" not in domain:
        return None
    dot = "." if domain.startswith(".") else ""
    try:
        return dot + idna.decode(domain.removeprefix("."))
    except idna.IDNAError:
        return None
