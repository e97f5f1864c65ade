"""TlsDomain: the name that the next hop's certificate must carry (DomainValidation)."""

from dataclasses import dataclass

from postconnector.model.domain import parse_domain


@dataclass(frozen=True, slots=True)
class TlsDomain:
    """A certificate name: one domain, or with `subdomains` all subdomains of it."""

    domain: str
    subdomains: bool = False

    @classmethod
    def parse(cls, text: str) -> "TlsDomain":
        """Read `mail.contoso.com` or `*.contoso.com`; ValueError for anything else."""
        text = text.strip()
        if text.startswith("*."):
            return cls(parse_domain(text[2:]), subdomains=True)
        return cls(parse_domain(text))

    def __str__(self) -> str:
        return f"*.{self.domain}" if self.subdomains else self.domain
