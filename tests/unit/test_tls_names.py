"""Names in certificates: TlsDomain, TlsCertificateName, and X.500 names as Windows writes them."""

import pytest

from postconnector.model.tls_certificate_name import TlsCertificateName
from postconnector.model.tls_domain import TlsDomain
from postconnector.model.x500_name import X500Name


@pytest.mark.parametrize(
    ("text", "domain", "subdomains"),
    [
        ("mail.contoso.com", "mail.contoso.com", False),
        (" mail.contoso.com ", "mail.contoso.com", False),
        ("*.contoso.com", "contoso.com", True),
        ("bücher.example", "xn--bcher-kva.example", False),
    ],
)
def test_tls_domain_accepted(text: str, domain: str, subdomains: bool) -> None:
    assert TlsDomain.parse(text) == TlsDomain(domain, subdomains)


@pytest.mark.parametrize("text", ["mail.contoso.com", "*.contoso.com"])
def test_tls_domain_is_shown_as_written(text: str) -> None:
    assert str(TlsDomain.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the domain is empty"),
        ("*", "wildcard"),
        ("*.", "the domain is empty"),
        ("*contoso.com", "wildcard"),
        ("mail.*.contoso.com", "wildcard"),
        ("*.*.contoso.com", "wildcard"),
        ("192.0.2.1", "the last label is a number"),
        ("https://contoso.com", "write the domain alone"),
        ("mail.contoso.com, mail2.contoso.com", "letters, digits and hyphens"),
        ("mail.contoso.com:25", "letters, digits and hyphens"),
    ],
)
def test_tls_domain_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        TlsDomain.parse(text)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "issuer", "subject"),
    [
        ("<I>CN=localhost<S>CN=localhost", "CN=localhost", "CN=localhost"),
        (
            "<I>CN=GeoTrust TLS RSA CA G1, OU=www.digicert.com, O=DigiCert Inc, C=US"
            "<S>CN=mail.contoso.com",
            "CN=GeoTrust TLS RSA CA G1, OU=www.digicert.com, O=DigiCert Inc, C=US",
            "CN=mail.contoso.com",
        ),
        ("<i>CN=a<s>CN=b", "CN=a", "CN=b"),
        (" <I> CN=a <S> CN=b ", "CN=a", "CN=b"),
        ('<I>CN="A <S> B"<S>CN=x', 'CN="A <S> B"', "CN=x"),
        ('<I>CN="a ""<S>"" b"<S>CN=x', 'CN="a ""<S>"" b"', "CN=x"),
        ('<I>CN=a<S>CN="<I>x<S>y"', "CN=a", 'CN="<I>x<S>y"'),
    ],
)
def test_certificate_name_accepted(text: str, issuer: str, subject: str) -> None:
    name = TlsCertificateName.parse(text)
    assert name.issuer == X500Name.parse(issuer)
    assert name.subject == X500Name.parse(subject)
    assert str(name) == text.strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CN=mail.contoso.com", "<I> is missing"),
        ("mail.contoso.com", "the form is <I>issuer<S>subject"),
        ("<S>CN=b", "<I> is missing"),
        ("<S>CN=b<I>CN=a", "<I> is missing"),
        ("<I>CN=a", "<S> is missing"),
        ("<I>CN=a, CN=b", "<S> is missing"),
        ("<I><S>CN=x", "the issuer is empty"),
        ("<I>CN=a<S>", "the subject is empty"),
        ("<I>CN=a<S>   ", "the subject is empty"),
        ("<I>a<S>CN=b", "issuer: a part of the name is not KEY=value"),
        ("<I>CN=a<S>mail.contoso.com", "subject: a part of the name is not KEY=value"),
        ("<I>CN=a<S>CN=b<S>CN=c", "subject: a value with < in it must stand in double quotes"),
        ("<I>CN=a<S>CN=", "subject: CN= has no value"),
        ('<I>CN="a, O=b<S>CN=c', "a double quote is not closed"),
        ('<I>CN=a<S>CN="b', "subject: a double quote is not closed"),
    ],
)
def test_certificate_name_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        TlsCertificateName.parse(text)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=a, O=b", "CN=a,O=b"),
        ("CN=a, O=b", "  cn = A ,  o = B  "),
        ("CN=a, O=b", "CN=a; O=b"),
        ("CN=a, S=Washington", "CN=a, ST=Washington"),
        ("CN=a, E=x@contoso.com", "CN=a, EMAILADDRESS=x@contoso.com"),
        ("CN=a + OU=b", "OU=b+CN=a"),
        ("CN=Contoso Ltd", 'CN="Contoso Ltd"'),
        ('CN="Contoso  Ltd"', "CN=Contoso Ltd"),
        ("OID.2.5.4.97=x", "2.5.4.97=x"),
        ("CN=ÄRGER", "CN=ärger"),
        ('CN=""""', 'CN=""""'),
    ],
)
def test_the_same_x500_name(one: str, other: str) -> None:
    assert X500Name.parse(one) == X500Name.parse(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=a, O=b", "O=b, CN=a"),
        ("CN=a, O=b", "CN=a"),
        ("CN=a, OU=b", "CN=a + OU=b"),
        ("CN=a", "CN=a.b"),
        ("CN=a", "OU=a"),
        ('CN="a, O=b"', "CN=a, O=b"),
        ('CN="a + OU=b"', "CN=a + OU=b"),
        ('CN="a""b"', 'CN="ab"'),
        ("CN=a, OU=b, OU=c", "CN=a, OU=c, OU=b"),
    ],
)
def test_different_x500_names(one: str, other: str) -> None:
    assert X500Name.parse(one) != X500Name.parse(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not KEY=value"),
        ("contoso", "not KEY=value"),
        ("CN=a,", "not KEY=value"),
        ("CN=a,,O=b", "not KEY=value"),
        ("CN=a+", "not KEY=value"),
        ("=a", "not KEY=value"),
        ("CN=a, Contoso Ltd", "not KEY=value"),
        ("CN=", "CN= has no value"),
        ('CN=""', "CN= has no value"),
        ("CN= , O=b", "CN= has no value"),
        ('CN="a', "a double quote is not closed"),
        ('CN=a"b', 'a value with " in it must stand in double quotes'),
        ("CN=a<b", "a value with < in it must stand in double quotes"),
        ("CN=a#b", "a value with # in it must stand in double quotes"),
        ('CN="a" b', "a value with b in it must stand in double quotes"),
    ],
)
def test_x500_name_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        X500Name.parse(text)
    assert message in str(refusal.value)
