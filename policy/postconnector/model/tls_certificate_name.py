"""TlsCertificateName: the certificate we show, named `<I>issuer<S>subject`."""

import re
from dataclasses import dataclass

from postconnector.model.x500_name import X500Name

_OPENING = re.compile(r"\s*<I>", re.IGNORECASE)
_OUTSIDE_QUOTES = re.compile(r'(?:"(?:[^"]|"")*"|[^"<])*')
_FORM = "<I>issuer<S>subject, such as <I>CN=Contoso CA, O=Contoso<S>CN=mail.contoso.com"


@dataclass(frozen=True, slots=True)
class TlsCertificateName:
    """Issuer and subject of the certificate; `text` is how it was written."""

    text: str
    issuer: X500Name
    subject: X500Name

    @classmethod
    def parse(cls, text: str) -> "TlsCertificateName":
        """Read `<I>…<S>…`; ValueError says which part is wrong and what the form is."""
        opening = _OPENING.match(text)
        if opening is None:
            raise ValueError(f"<I> is missing; the form is {_FORM}")
        issuer = _OUTSIDE_QUOTES.match(text, opening.end())
        if issuer is not None and text[issuer.end() : issuer.end() + 1] == '"':
            raise ValueError("issuer: a double quote is not closed")
        if issuer is None or text[issuer.end() : issuer.end() + 3].upper() != "<S>":
            raise ValueError(f"<S> is missing; the form is {_FORM}")
        subject = text[issuer.end() + 3 :]
        return cls(text.strip(), _name("issuer", issuer[0]), _name("subject", subject))

    def __str__(self) -> str:
        return self.text


def _name(which: str, text: str) -> X500Name:
    if not text.strip():
        raise ValueError(f"the {which} is empty; the form is {_FORM}")
    try:
        return X500Name.parse(text)
    except ValueError as error:
        raise ValueError(f"{which}: {error}") from None
