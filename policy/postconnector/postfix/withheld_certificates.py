"""Certificates that take the place of one that can't be shown. Pure.

A process of Postfix reads its chain once. One that has read what can't be shown any more must not
deliver with it, and would as soon as the published state says that all is well. So mail goes on
waiting until the last of these processes is gone, and the state follows.
"""

from collections.abc import Mapping
from datetime import datetime

from postconnector.certificates.state import CertificateStates
from postconnector.certificates.watch import unusable_reason
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.table_names import CERTIFICATE_STATES, certificate_file

_BEING_TAKEN = "Postfix is just taking a renewed one"


def withheld_services(
    compiled: Compiled, live: Mapping[str, bytes], now: datetime, *, finishing: bool
) -> dict[str, tuple[str, ...]]:
    """By service, its connectors, where processes may still hold a chain that can't be shown.

    `live`: the files of the live generation. `finishing`: the last publication was killed, and
    nobody knows what processes have read since.
    """
    before = CertificateStates.connectors_in(live.get(CERTIFICATE_STATES))
    after = CertificateStates.connectors_in(compiled.certificate_states)
    found = {}
    for service in compiled.native:
        names = tuple(c.name for c in service.connectors if c.name in after)
        file = certificate_file(service.name)
        changes = finishing or live.get(file) != compiled.certificates.get(file)
        waited = any(
            name in before and unusable_reason(before[name], now) is not None for name in names
        )
        if names and changes and waited:
            found[service.name] = names
    return found


def withholding(states: bytes, withheld: Mapping[str, tuple[str, ...]]) -> bytes:
    """The same states with the mail of these services still waiting."""
    published = CertificateStates.parse(states)
    waiting = {name for names in withheld.values() for name in names}
    connectors = {
        name: state.model_copy(update={"problem": state.problem or _BEING_TAKEN})
        if name in waiting
        else state
        for name, state in published.connectors.items()
    }
    return published.model_copy(update={"connectors": connectors}).data()
