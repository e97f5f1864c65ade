"""What is published of the certificates that connectors show: everything but their keys.

A file of each generation, in JSON, by connector name; everybody may read it, and `apply`,
`renew`, `status`, the delivery agent and the lookup service go by it. Pure.
"""

from collections.abc import Mapping

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

LARGEST_FILE = 64 * 1024**2
"""Bytes of such a file: more than there can be connectors."""


class StateError(Exception):
    """This is no such file, or a damaged one."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class CertificateFacts(_Frozen):
    """A certificate as people see it. `sha256`: its fingerprint; `file`: where in the store."""

    subject: str
    issuer: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    sha256: str
    file: str


class CertificateState(_Frozen):
    """What was found in the store for one connector when it was last looked at.

    `why`: which was taken for what reason, or what is wrong, with names of files. `problem`: why
    none can be shown, in words that may stand in a report to a sender; None if one can when it is
    its time.
    """

    certificate: CertificateFacts | None
    why: str
    problem: str | None = None


class CertificateStates(_Frozen):
    """Of all connectors with a certificate; `directory`: the store, as an absolute path."""

    directory: str
    connectors: Mapping[str, CertificateState]

    def data(self) -> bytes:
        """As the file has it; equal states give equal bytes."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @classmethod
    def connectors_in(cls, data: bytes | None) -> Mapping[str, CertificateState]:
        """Those of a file; none where there is none, or it is damaged."""
        try:
            return cls.parse(data).connectors if data is not None else {}
        except StateError:
            return {}

    @classmethod
    def parse(cls, data: bytes) -> "CertificateStates":
        """Read the file's content. Raises StateError."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise StateError(
                f"is no state of certificates ({error.error_count()} errors)"
            ) from None
